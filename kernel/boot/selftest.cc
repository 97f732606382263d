// The machine checks itself (launch record selftest=1): what programs will rely on, before there is a program.
#include <array>
#include <atomic>
#include <linux/mman.h>
#include <memory>
#include <vector>

#include "arch/layout.h"
#include "arch/paging.h"
#include "arch/panic.h"
#include "boot/init.h"
#include "drivers/console_port.h"
#include "lib/log.h"
#include "mm/memory.h"
#include "mm/uaccess.h"
#include "sched/thread.h"
#include "sched/wait.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

/// Null, or what was found wrong.
using Finding = const char*;

constexpr UserAddr kPlace = 0x10000000;
constexpr std::uint64_t kPatienceNs = 2'000'000'000;

/// Starts `count` kernel threads in the current address space and waits until all have ended.
class Crew {
 public:
  using Work = void (*)(unsigned index);

  void run(unsigned count, Work work) {
    ended_.store(0);
    for (unsigned i = 0; i < count; ++i) {
      Member& member = *new Member(*this, work, i);
      member.space = current_thread().space;
      if (!member.prepare(&Member::main, &member)) panic("selftest: no memory for a thread");
      start_thread(member);
    }
    wait_until(queue_, [&] { return ended_.load() == count; }, Interruptible::kNo);
  }

 private:
  class Member final : public Thread {
   public:
    Member(Crew& crew, Work work, unsigned index) : crew_(crew), work_(work), index_(index) {}
    const char* name() const override { return "selftest"; }
    static void main(void* argument) {
      auto& self = *static_cast<Member*>(argument);
      self.work_(self.index_);
      switch_space(nullptr);
    }
    void on_dead() override {
      Crew& crew = crew_;
      delete this;
      crew.ended_.fetch_add(1);
      crew.queue_.wake_all();
    }

   private:
    Crew& crew_;
    Work work_;
    unsigned index_;
  };
  WaitQueue queue_;
  std::atomic<unsigned> ended_{0};
};

constinit Crew crew;

Finding timers_fire() {
  WaitQueue nobody;
  Sleeper sleeper;
  sleeper.add(nobody);
  const std::uint64_t begin = monotonic_ns();
  constexpr std::uint64_t kNap = 3'000'000;
  if (sleeper.sleep(Interruptible::kNo, begin + kNap) != WaitResult::kTimedOut) return "a sleep did not time out";
  if (monotonic_ns() < begin + kNap) return "a sleep ended early";
  static constinit std::atomic<unsigned> calls{0};
  Timer timer([](void*) { calls.fetch_add(1); }, nullptr);
  timer.arm(begin);
  while (calls.load() == 0 && monotonic_ns() < begin + kPatienceNs) yield_cpu();
  return calls.load() == 1 ? nullptr : "a timer in the past was not called once";
}

Finding every_cpu_runs_threads() {
  static constinit std::atomic<std::uint64_t> seen{0};
  crew.run(cpu_count(), [](unsigned) {
    const std::uint64_t end = monotonic_ns() + kPatienceNs;
    const std::uint64_t all = (std::uint64_t{1} << cpu_count()) - 1;
    do {
      seen.fetch_or(std::uint64_t{1} << this_cpu());
      yield_cpu();
    } while (seen.load() != all && monotonic_ns() < end);
  });
  return seen.load() == (std::uint64_t{1} << cpu_count()) - 1 ? nullptr : "a CPU took no thread";
}

Finding mutexes_exclude() {
  static constinit Mutex mutex;
  static constinit unsigned count = 0;
  constexpr unsigned kThreads = 8, kTurns = 200;
  crew.run(kThreads, [](unsigned) {
    for (unsigned i = 0; i < kTurns; ++i) {
      const Guard guard(mutex);
      const unsigned before = count;
      if (i % 8 == 0) yield_cpu();
      count = before + 1;
    }
  });
  return count == kThreads * kTurns ? nullptr : "a mutex let two in";
}

Finding heap_keeps_its_objects_apart() {
  crew.run(cpu_count() + 1, [](unsigned seed) {
    std::vector<std::pair<unsigned char*, std::size_t>> objects;
    std::uint64_t random = seed + 1;
    for (int i = 0; i < 2000; ++i) {
      random = random * 6364136223846793005 + 1442695040888963407;
      const std::size_t size = 1 + (random >> 40) % (i % 50 == 0 ? 60000 : 3000);
      auto* const object = new unsigned char[size];
      std::fill_n(object, size, static_cast<unsigned char>(size));
      objects.emplace_back(object, size);
      if (i % 3 != 0) continue;
      std::swap(objects[random % objects.size()], objects.back());
      const auto [old, old_size] = objects.back();
      if (old[0] != static_cast<unsigned char>(old_size) || old[old_size - 1] != old[0]) panic("selftest: heap");
      delete[] old;
      objects.pop_back();
    }
    for (const auto& object : objects) delete[] object.first;
  });
  return nullptr;
}

Finding kernel_pages_have_the_right_attributes() {
  const auto address = [](const char* symbol) { return reinterpret_cast<std::uint64_t>(symbol); };
  const std::uint64_t text = leaf_entry_of(address(image_begin)), constants = leaf_entry_of(address(image_text_end)),
                      data = leaf_entry_of(address(image_rodata_end));
  if ((text & (kEntryWrite | kEntryNoExecute)) != 0) return "text is not read-only and executable";
  if ((constants & (kEntryWrite | kEntryNoExecute)) != kEntryNoExecute) return "constants are not read-only";
  if ((data & (kEntryWrite | kEntryNoExecute)) != (kEntryWrite | kEntryNoExecute)) return "data is not writable, or executable";
  const std::uint64_t alias = leaf_entry_of(kDirectMapBase + *physical_of(image_begin));
  if ((alias & (kEntryWrite | kEntryNoExecute)) != kEntryNoExecute) return "text can be written through the direct map";
  if (count_unsafe_entries() != 0) return "a kernel page is writable and executable";
  const auto stack = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0)) & ~std::uint64_t{0x3fff};
  return leaf_entry_of(stack) != 0 && leaf_entry_of(stack - 1) == 0 ? nullptr : "the kernel stack has no guard page";
}

bool is_fault(const Result<void>& result) { return !result && result.error() == Errno::kFault; }

Finding user_copies_survive_bad_pointers() {
  constexpr UserAddr kLast = kPlace + 2 * kPageSize - 8;  // the page after it is not mapped
  const std::uint64_t value = 0x1122334455667788;
  if (!put_user(kLast, value)) return "a good pointer was refused";
  const auto back = get_user<std::uint64_t>(kLast);
  if (!back || *back != value) return "user memory did not keep a value";
  for (const UserAddr bad : {UserAddr{0}, UserAddr{8}, kLast + 1, kLast + 8, kUserTop - 4, kUserTop, std::uint64_t{1} << 47,
                             std::uint64_t{0x8000000000000000}, kDirectMapBase, ~std::uint64_t{0} - 3}) {
    std::uint64_t to = 0;
    if (!is_fault(copy_from_user(&to, bad, sizeof to))) return "a read through a bad pointer went well";
    if (!is_fault(copy_to_user(bad, &to, sizeof to))) return "a write through a bad pointer went well";
    if (!is_fault(clear_user(bad, sizeof to))) return "a clear through a bad pointer went well";
    if (user_cmpxchg32(bad & ~std::uint64_t{3}, 0, 1) && bad != kLast + 1) return "an exchange through a bad pointer went well";
  }
  if (copy_string_from_user(kLast, 100)) return "a string without end was read";
  if (!put_user(kLast + 4, std::uint32_t{0x00434241})) return "a good pointer was refused";
  const auto text = copy_string_from_user(kLast + 4, 100);
  if (!text || *text != "ABC") return "a string came out wrong";
  const auto old = user_cmpxchg32(kLast, 0x55667788, 7);
  return old && *old == 0x55667788 && *user_load32(kLast) == 7 ? nullptr : "an exchange went wrong";
}

Finding forks_are_isolated() {
  AddressSpace& parent = *current_thread().space;
  if (!put_user(kPlace, 1)) return "no user memory";
  const auto child = parent.fork();
  if (!child) return "fork failed";
  switch_space(*child);
  const auto seen = get_user<int>(kPlace);
  const bool written = put_user(kPlace, 2).has_value();
  switch_space(&parent);
  const auto kept = get_user<int>(kPlace);
  (*child)->release();
  return seen && *seen == 1 && written && kept && *kept == 1 ? nullptr : "parent and child share a page";
}

Finding unmapped_pages_are_gone_everywhere() {
  static constinit std::atomic<unsigned> running{0};
  static constinit std::atomic<bool> unmapped{false}, stale{false};
  static constexpr UserAddr kPage = kPlace + kPageSize;
  if (!put_user(kPage, 5)) return "no user memory";
  const unsigned readers = cpu_count() - 1;
  crew.run(cpu_count(), [](unsigned index) {
    if (index != 0) {
      running.fetch_add(1);
      while (!unmapped.load() && user_load32(kPage)) yield_cpu();
      if (!unmapped.load()) return;  // the page went before the flag came
      if (user_load32(kPage)) stale.store(true);
      return;
    }
    const std::uint64_t end = monotonic_ns() + kPatienceNs / 4;
    while (running.load() != cpu_count() - 1 && monotonic_ns() < end) yield_cpu();
    if (!current_thread().space->munmap(VirtAddr(kPage), ByteCount(kPageSize))) panic("selftest: munmap");
    unmapped.store(true);
  });
  if (running.load() != readers) return "readers did not run";
  return stale.load() ? "a CPU still reads an unmapped page" : nullptr;
}

Finding random_bytes_differ() {
  std::array<std::uint64_t, 8> first{}, second{};
  random_bytes(first.data(), sizeof first);
  random_bytes(second.data(), sizeof second);
  return first != second && first[0] != 0 ? nullptr : "random bytes repeat";
}

struct Test {
  const char* name;
  Finding (*run)();
};
constexpr std::array kTests{
    Test{"timers fire", &timers_fire},
    Test{"every CPU runs threads", &every_cpu_runs_threads},
    Test{"mutexes exclude", &mutexes_exclude},
    Test{"the heap keeps its objects apart", &heap_keeps_its_objects_apart},
    Test{"kernel pages have the right attributes", &kernel_pages_have_the_right_attributes},
    Test{"user copies survive bad pointers", &user_copies_survive_bad_pointers},
    Test{"forks are isolated", &forks_are_isolated},
    Test{"unmapped pages are gone everywhere", &unmapped_pages_are_gone_everywhere},
    Test{"random bytes differ", &random_bytes_differ},
};

/// Gives the calling thread an address space with two pages at kPlace.
void enter_user_space() {
  const auto space = AddressSpace::create(memory(), {});
  if (!space) panic("selftest: no address space");
  MmapRequest request;
  request.address = VirtAddr(kPlace);
  request.length = ByteCount(2 * kPageSize);
  request.prot = PROT_READ | PROT_WRITE;
  request.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  if (!(*space)->mmap(request)) panic("selftest: mmap");
  switch_space(*space);
}

}  // namespace

void run_selftest() {
  enter_user_space();
  for (const Test& test : kTests) {
    const Finding finding = test.run();
    log(LogLevel::kInfo, "selftest: {}: {}", test.name, finding == nullptr ? "ok" : finding);
    if (finding != nullptr) panic(finding);
  }
  switch_space(nullptr)->release();
  power_off(MachineEnd::kOk);
}

}  // namespace quire::kernel
