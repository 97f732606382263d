// Real threads on shared and forked spaces: for ThreadSanitizer, and for what only true concurrency
// meets.
//
// Each thread owns some pages of a space that all threads run, and stamps them with rising numbers;
// so it knows exactly what it must read, while the others fork, unmap, protect and discard around
// it. A child must hold, for every page, one value of the right time, for ever.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "quire/space/observe.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr unsigned kThreads = 4;
constexpr std::uint64_t kOwned = 24;    ///< pages that a thread owns and keeps
constexpr std::uint64_t kScratch = 40;  ///< pages after those, that it maps and unmaps

std::uint64_t rounds() {
  const char* const asked = std::getenv("QUIRE_STRESS_ROUNDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 3000;
}

/// What goes wrong in a thread is counted there and reported by the main thread.
struct Faults {
  std::atomic<unsigned> wrong_values{0}, failed_accesses{0}, unexpected_success{0}, failed_calls{0};
};

/// Somebody who reads smaps, pagemap and the rest all the while. What it is told may be of any
/// moment, but is possible at one.
class Onlooker {
 public:
  Onlooker(const Space& space, VirtAddr base)
      : thread_([this, &space, base] { run(space, base); }) {}
  ~Onlooker() {
    stop_.store(true);
    thread_.join();
  }
  Onlooker(const Onlooker&) = delete;
  Onlooker& operator=(const Onlooker&) = delete;
  [[nodiscard]] unsigned wrong() const { return wrong_.load(); }

 private:
  void run(const Space& space, VirtAddr base) {
    std::vector<std::uint32_t> counts(1024);
    std::vector<PageState> states(1200);
    while (!stop_.load()) {
      count_mappings(space->memory(), Pfn(0), counts);
      Observer observer(*space);
      const VirtRange all(base, PageCount(states.size()).bytes());
      const RangeFigures figures = observer.measure(all);
      if (figures.resident.raw() > states.size() || figures.pss > states.size() * pss_of_page(1))
        ++wrong_;
      observer.look(base, states);
      for (const PageState& state : states) {
        if (state.counted && state.mappings == 0) ++wrong_;
      }
      std::optional<TableRecord> record;
      std::uint64_t tables = 0;
      while (observer.next_table(record)) ++tables;
      if (tables == 0 || observer.tables().tables.raw() == 0) ++wrong_;
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> wrong_{0};
  std::thread thread_;
};

class Stress : public EveryMode {
 protected:
  std::vector<Cpu*> cpus_;  ///< kept over rounds

  /// One thread's work on the common space.
  class Worker {
   public:
    Worker(Stress& test, unsigned number, Cpu& cpu, Cpu& child_cpu, Faults& faults)
        : test_(test), number_(number), cpu_(cpu), child_cpu_(child_cpu), faults_(faults) {}

    void run(std::uint64_t count) {
      for (std::uint64_t round = 1; round <= count; ++round) {
        const std::uint64_t n = (round * 7) % kOwned;
        write(own(n), stamps_[n] = round);
        expect(own((round * 5) % kOwned), stamps_[(round * 5) % kOwned]);
        if (round % 16 == 0) discard(round % kOwned);
        if (round % 32 == 0) protect((round / 32) % kOwned);
        if (round % 64 == 0) remap();
        if (round % 100 == number_ * 10) fork_and_check(round);
      }
    }

   private:
    /// Threads' pages interleave, so that they share tables and every table has several owners.
    [[nodiscard]] VirtAddr own(std::uint64_t n) const {
      return test_.at((n * kThreads + number_) * 3);
    }
    [[nodiscard]] static VirtAddr owned_by(Stress& test, unsigned number, std::uint64_t n) {
      return test.at((n * kThreads + number) * 3);
    }
    [[nodiscard]] VirtAddr scratch() const { return test_.at(2048 + number_ * 512); }

    void write(VirtAddr at, std::uint64_t value) {
      if (!cpu_.store(at, value)) ++faults_.failed_accesses;
    }
    void expect(VirtAddr at, std::uint64_t value) {
      const auto got = cpu_.load<std::uint64_t>(at);
      if (!got) ++faults_.failed_accesses;
      if (got && *got != value) ++faults_.wrong_values;
    }
    void discard(std::uint64_t n) {
      if (!test_.space()->madvise(own(n), ByteCount(kPageSize), uapi::kMadvDontNeed))
        ++faults_.failed_calls;
      stamps_[n] = 0;
      expect(own(n), 0);
    }
    void protect(std::uint64_t n) {
      Space& space = test_.space();
      if (!space->mprotect(own(n), ByteCount(kPageSize), uapi::kProtRead)) ++faults_.failed_calls;
      if (cpu_.store<std::uint64_t>(own(n), 0)) ++faults_.unexpected_success;
      expect(own(n), stamps_[n]);
      if (!space->mprotect(own(n), ByteCount(kPageSize), uapi::kProtRead | uapi::kProtWrite))
        ++faults_.failed_calls;
    }
    void remap() {
      Space& space = test_.space();
      MmapRequest request;
      request.address = scratch();
      request.length = PageCount(kScratch).bytes();
      request.prot = uapi::kProtRead | uapi::kProtWrite;
      request.flags = uapi::kMapPrivate | uapi::kMapAnonymous | uapi::kMapFixed;
      if (!space->mmap(request)) ++faults_.failed_calls;
      for (std::uint64_t n = 0; n < kScratch; n += 9) {
        expect(scratch() + PageCount(n).bytes(), 0);
        write(scratch() + PageCount(n).bytes(), n);
      }
      if (!space->munmap(scratch(), request.length)) ++faults_.failed_calls;
      if (cpu_.load<std::uint64_t>(scratch())) ++faults_.unexpected_success;
    }
    void fork_and_check(std::uint64_t round) {
      auto child = test_.space().fork();
      if (!child) {
        ++faults_.failed_calls;
        return;
      }
      child_cpu_.run(*child);
      std::uint64_t seen[kThreads][kOwned];
      for (unsigned thread = 0; thread < kThreads; ++thread) {
        for (std::uint64_t n = 0; n < kOwned; ++n)
          seen[thread][n] = load_child(owned_by(test_, thread, n));
      }
      for (std::uint64_t n = 0; n < kOwned; ++n) {
        if (seen[number_][n] != stamps_[n]) ++faults_.wrong_values;
      }
      // The parent's threads go on storing; the child may not notice, and its stores stay its own.
      for (std::uint64_t n = 0; n < kOwned; n += 3) {
        if (!child_cpu_.store<std::uint64_t>(own(n) + ByteCount(8), ~round))
          ++faults_.failed_accesses;
      }
      std::this_thread::yield();
      for (unsigned thread = 0; thread < kThreads; ++thread) {
        for (std::uint64_t n = 0; n < kOwned; ++n) {
          if (load_child(owned_by(test_, thread, n)) != seen[thread][n]) ++faults_.wrong_values;
        }
      }
      expect(own(0) + ByteCount(8), 0);
      round % 200 < 100 ? child_cpu_.idle() : child_cpu_.stop();
    }
    std::uint64_t load_child(VirtAddr at) {
      const auto got = child_cpu_.load<std::uint64_t>(at);
      if (!got) ++faults_.failed_accesses;
      return got.value_or(~std::uint64_t{0});
    }

    Stress& test_;
    unsigned number_;
    Cpu& cpu_;
    Cpu& child_cpu_;
    Faults& faults_;
    std::uint64_t stamps_[kOwned] = {};
  };
};
QUIRE_IN_EVERY_MODE(Stress);

// Rows: S0.25 S0.5 S0.6 S0.37 S0.38 S0.45 S0.64 S1.3 S1.16 S1.25 R3 R6 R8
TEST_P(Stress, ThreadsOfOneSpaceForkAndChangeItAtTheSameTime) {
  map_pages(space(), 0, kOwned * kThreads * 3);
  Faults faults;
  std::vector<Worker> workers;
  for (unsigned n = 0; n < kThreads; ++n) {
    // All run the space before the first thread starts (AddressSpace::add_actor()).
    Cpu& own = new_cpu(n % 2 == 0 ? CachePolicy::kKeepAll : CachePolicy::kRandom);
    own.run(space());
    workers.emplace_back(*this, n, own, new_cpu(CachePolicy::kTablesOnly), faults);
  }
  std::vector<std::thread> threads;
  const Onlooker onlooker(space(), at(0));
  for (Worker& worker : workers) threads.emplace_back([&worker] { worker.run(rounds()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(onlooker.wrong(), 0U);
  EXPECT_EQ(faults.wrong_values, 0U);
  EXPECT_EQ(faults.failed_accesses, 0U);
  EXPECT_EQ(faults.unexpected_success, 0U);
  EXPECT_EQ(faults.failed_calls, 0U);
}

// Rows: S0.6 S0.28 S2.42 S1.19 R1 R2
TEST_P(Stress, RelativesEndUnshareAndDetachAtTheSameTime) {
  // A family that shares tables; every member is run by another thread, which writes, unmaps, forks
  // again and ends it.
  map_pages(space(), 0, 1024);
  fill(space(), 0, 64);
  fill(space(), 512, 64);
  Faults faults;
  std::vector<std::thread> threads;
  std::vector<Cpu*> cpus;
  for (unsigned n = 0; n < kThreads; ++n) cpus.push_back(&new_cpu(CachePolicy::kKeepAll));
  cpu().stop();
  const Onlooker onlooker(space(), at(0));
  for (unsigned n = 0; n < kThreads; ++n) {
    threads.emplace_back([&, n] {
      for (std::uint64_t round = 0; round < rounds() / 10; ++round) {
        auto child = space().fork();
        if (!child) {
          ++faults.failed_calls;
          continue;
        }
        cpus[n]->run(*child);
        if (round % 3 != 0 && !cpus[n]->store<std::uint64_t>(at(n), round))
          ++faults.failed_accesses;
        auto grandchild = child->fork();
        if (round % 2 == 0 && !(*child)->munmap(at(16), PageCount(600).bytes()))
          ++faults.failed_calls;
        if (grandchild) {
          cpus[n]->run(*grandchild);
          const auto got = cpus[n]->load<std::uint64_t>(at(n));
          if (!got || *got != (round % 3 != 0 ? round : n + 1)) ++faults.wrong_values;
          const auto far = cpus[n]->load<std::uint64_t>(at(520));
          if (!far || *far != 521) ++faults.wrong_values;
        }
        cpus[n]->stop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults.wrong_values + faults.failed_accesses + faults.failed_calls, 0U);
  EXPECT_EQ(onlooker.wrong(), 0U);
  for (std::uint64_t n = 0; n < 64; ++n) EXPECT_EQ(peek(space(), n), n + 1);
}

// Rows: S4.19 S0.64 S3.15 R11
TEST_P(Stress, ThreadsTouchTheSamePagesFirst) {
  for (std::uint64_t round = 0; round < rounds() / 100; ++round) {
    Space fresh = new_space();
    map(fresh, "AAAAAAAASSSS");
    map(fresh, "........SSSS", {.flags = uapi::kMapShared});
    Faults faults;
    std::vector<Cpu*> cpus;
    for (unsigned n = 0; n < kThreads; ++n) {
      if (cpus_.size() <= n) cpus_.push_back(&new_cpu());
      cpus.push_back(cpus_[n]);
      cpus[n]->run(fresh);
    }
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < kThreads; ++n) {
      threads.emplace_back([&, n] {
        for (std::uint64_t page = 0; page < 12; ++page) {
          if (!cpus[n]->load<std::uint64_t>(at(page))) ++faults.failed_accesses;
          if (!cpus[n]->store<std::uint64_t>(at(page) + ByteCount(n * 8), n + 1))
            ++faults.failed_accesses;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::uint64_t page = 0; page < 12; ++page) {
      for (unsigned n = 0; n < kThreads; ++n) {
        if (cpus[0]->load<std::uint64_t>(at(page) + ByteCount(n * 8)).value_or(0) != n + 1)
          ++faults.wrong_values;
      }
    }
    EXPECT_EQ(faults.wrong_values + faults.failed_accesses, 0U);
    EXPECT_EQ(fresh->usage().rss_anon.raw(), 8U) << "no frame is counted twice";
    for (Cpu* cpu : cpus) cpu->stop();
  }
}

}  // namespace
}  // namespace quire::test
