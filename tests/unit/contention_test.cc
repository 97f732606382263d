// Actors that have nothing in common touch no common cache line: seen, not measured.
//
// Each of as many actors as there may be CPUs runs on a thread, and so with a CPU's caches, of its own; one after the other, since where
// they would meet does not depend on when. What an actor changes is told by core's yield points (locks, atomics, entries) and, for counters
// that have none, by comparing the memory manager's own memory before and after.
#include <algorithm>
#include <array>
#include <barrier>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <thread>

#include "support/fixture.h"

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS

namespace quire::test {
namespace {

constexpr unsigned kActors = platform::kMaxCpus;
constexpr std::uintptr_t kLine = 64;

/// Writes down the lines that its thread changes.
class Recorder final : public hooks::Scheduler {
 public:
  using Lines = std::map<std::uintptr_t, const char*>;  ///< with the label of the first change

  explicit Recorder(MemoryManager& memory) : memory_(memory), before_(sizeof memory) {
    std::memcpy(before_.data(), static_cast<const void*>(&memory_), before_.size());
    hooks::set_scheduler(this);
  }
  ~Recorder() override { hooks::set_scheduler(nullptr); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Lines stop() {
    hooks::set_scheduler(nullptr);
    const auto* const now = reinterpret_cast<const std::byte*>(&memory_);
    for (std::size_t n = 0; n < before_.size(); ++n) {
      if (now[n] != before_[n]) lines_.emplace((reinterpret_cast<std::uintptr_t>(now) + n) / kLine, "memory manager");
    }
    return lines_;
  }

  void yield(const char* what, const void* where) override {
    static constexpr std::array<std::string_view, 9> kReads = {"load",       "entry",   "look_frame", "load_frame", "copy_frame",
                                                               "moves_look", "rw_look", "flush_mask", "walk"};
    if (where == nullptr || std::ranges::find(kReads, what) != kReads.end()) return;
    lines_.emplace(reinterpret_cast<std::uintptr_t>(where) / kLine, what);
  }
  void wait(const std::atomic<std::uint32_t>&, std::uint32_t) override { ADD_FAILURE() << "an actor waits for another"; }
  void wake(const std::atomic<std::uint32_t>&) override {}

 private:
  MemoryManager& memory_;
  std::vector<std::byte> before_;
  Lines lines_;
};

class Contention : public MachineTest {
 protected:
  using Actor = std::function<void(unsigned number, Space& own)>;

  /// A space for each actor, with `prepare` done by its thread; then what `act` changes, and the lines that two actors changed.
  void run(const Actor& prepare, const Actor& act) {
    std::vector<Space> spaces;
    for (unsigned n = 0; n < kActors; ++n) spaces.push_back(new_space());
    std::vector<Recorder::Lines> changed(kActors);
    std::mutex turn;
    std::barrier all(kActors);
    const auto actor = [&](unsigned n) {
      {
        const std::lock_guard guard(turn);
        prepare(n, spaces[n]);
      }
      all.arrive_and_wait();
      {
        const std::lock_guard guard(turn);
        Recorder recorder(memory());
        act(n, spaces[n]);
        changed[n] = recorder.stop();
      }
      all.arrive_and_wait();  // until then the thread keeps its CPU's number
    };
    std::vector<std::thread> threads;
    for (unsigned n = 1; n < kActors; ++n) threads.emplace_back(actor, n);
    actor(0);
    for (std::thread& each : threads) each.join();
    std::map<std::uintptr_t, unsigned> users;
    for (const Recorder::Lines& lines : changed) {
      EXPECT_FALSE(lines.empty());
      for (const auto& [line, label] : lines) {
        if (++users[line] == 2) common_ += std::string(label) + " at " + name_of(line) + "\n";
      }
    }
  }
  /// A first touch of each page from `begin` to before `end`.
  void touch(Space& own, std::uint64_t begin, std::uint64_t end, Access access) {
    for (std::uint64_t n = begin; n < end; ++n) ASSERT_EQ(own->fault(at(n), access), FaultOutcome::kMinor);
  }
  /// Maps and makes pages enough for a table, and leaves frames in the CPU's cache.
  void prepare_pages(Space& own) {
    ASSERT_TRUE(map_pages(own, 0, 3 * kSpan));
    touch(own, 0, 48, Access::kWrite);
    ASSERT_TRUE(advise(own, 8, 40, uapi::kMadvDontNeed));
  }

  static constexpr std::uint64_t kSpan = 512;
  std::string common_;

 private:
  [[nodiscard]] std::string name_of(std::uintptr_t line) {
    const std::uintptr_t offset = line * kLine - reinterpret_cast<std::uintptr_t>(&memory());
    return offset < sizeof(MemoryManager) ? "the memory manager + " + std::to_string(offset) : "elsewhere";
  }
};

// Rows: S0.65
TEST_F(Contention, FirstTouchesMeetNowhere) {
  run([&](unsigned, Space& own) { prepare_pages(own); },
      [&](unsigned, Space& own) {
        touch(own, 8, 16, Access::kWrite);
        touch(own, 100, 108, Access::kRead);
        ASSERT_EQ(own->fault(at(104), Access::kWrite), FaultOutcome::kMinor);
        ASSERT_EQ(own->fault(at(2 * kSpan), Access::kRead), FaultOutcome::kMinor) << "a zero table";
      });
  EXPECT_EQ(common_, "");
}

// Rows: S0.65
TEST_F(Contention, CopiesOnWriteMeetNowhere) {
  std::vector<Space> children(kActors);
  run([&](unsigned n, Space& own) {
        prepare_pages(own);
        children[n] = fork(own);
        ASSERT_EQ(own->fault(at(0), Access::kWrite), FaultOutcome::kMinor) << "tables of its own, pages shared";
      },
      [&](unsigned, Space& own) {
        touch(own, 1, 6, Access::kWrite);
      });
  EXPECT_EQ(common_, "");
}

// Rows: S0.65
TEST_F(Contention, TakingTablesOverMeetsNowhere) {
  run([&](unsigned, Space& own) {
        prepare_pages(own);
        Space child = fork(own);
        child.reset();
      },
      [&](unsigned, Space& own) {
        touch(own, 0, 4, Access::kWrite);
      });
  EXPECT_EQ(common_, "");
}

// Rows: S0.65
TEST_F(Contention, ForksMeetNowhere) {
  std::vector<Space> children(kActors);
  run([&](unsigned, Space& own) {
        prepare_pages(own);
        Space child = fork(own);  // leaves frames for tables and objects in the CPU's cache
        ASSERT_EQ(child->fault(at(0), Access::kWrite), FaultOutcome::kMinor);
      },
      [&](unsigned n, Space& own) { children[n] = fork(own); });
  EXPECT_EQ(common_, "");
}

// Rows: S0.65
TEST_F(Contention, FirstWritesAfterAForkMeetNowhere) {
  std::vector<Space> children(kActors);
  run([&](unsigned n, Space& own) {
        prepare_pages(own);
        children[n] = fork(own);
      },
      [&](unsigned n, Space& own) {
        ASSERT_EQ(children[n]->fault(at(0), Access::kWrite), FaultOutcome::kMinor) << "copies of all tables on the way, and an object";
        ASSERT_EQ(own->fault(at(0), Access::kWrite), FaultOutcome::kMinor);
      });
  EXPECT_EQ(common_, "");
}

// Rows: S0.65
TEST_F(Contention, ExitsMeetNowhere) {
  std::vector<Space> children(kActors);
  run([&](unsigned n, Space& own) {
        prepare_pages(own);
        children[n] = fork(own);
        ASSERT_EQ(children[n]->fault(at(0), Access::kWrite), FaultOutcome::kMinor);
      },
      [&](unsigned n, Space&) { children[n].reset(); });
  EXPECT_EQ(common_, "");
}

// Rows: S4.21
TEST_F(Contention, FilesMeetNowhere) {
  const auto page = [&](Space& own, std::uint64_t n) { return own->fault(at(4 * kSpan + n), n % 2 == 0 ? Access::kRead : Access::kWrite); };
  run([&](unsigned, Space& own) {
        prepare_pages(own);
        ASSERT_TRUE(map_pages(own, 4 * kSpan, 200, {.flags = uapi::kMapShared}));
        for (std::uint64_t n = 0; n < 4; ++n) ASSERT_EQ(page(own, n), FaultOutcome::kMinor);
      },
      [&](unsigned, Space& own) {
        for (std::uint64_t n = 4; n < 20; ++n) ASSERT_EQ(page(own, n), FaultOutcome::kMinor);
      });
  EXPECT_EQ(common_, "");
}

}  // namespace
}  // namespace quire::test

#endif
