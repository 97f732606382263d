// The rest of core's seam (core/quire/platform.h); flushes are in mm/shootdown.cc.
#include "quire/platform.h"

#include <array>

#include "arch/cpu.h"
#include "arch/panic.h"
#include "arch/registers.h"
#include "lib/log.h"
#include "mm/shootdown.h"
#include "sched/wait.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

/// Waiters by a hash of the word's address. Strangers in one bucket wake each other; wait() may return early.
constexpr std::size_t kBuckets = 64;
constinit std::array<WaitQueue, kBuckets> buckets;

WaitQueue& bucket_of(const void* word) {
  const auto address = reinterpret_cast<std::uint64_t>(word);
  return buckets[(address >> 6 ^ address >> 12) % kBuckets];
}

}  // namespace
}  // namespace quire::kernel

namespace quire::platform {

unsigned current_cpu() { return kernel::this_cpu_data().index; }

void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  kernel::Sleeper sleeper;
  sleeper.add(kernel::bucket_of(&word));
  if (word.load() == expected) sleeper.sleep(kernel::Interruptible::kNo);
}

void wake(const std::atomic<std::uint32_t>& word) { kernel::bucket_of(&word).wake_all(); }

void relax() {
  kernel::pause_cpu();
  if (kernel::shootdowns_wait()) kernel::answer_shootdowns();
  kernel::note_spin_in_panic();
}

std::uint64_t now() { return kernel::monotonic_ns(); }

void log(const char* text) { kernel::log(kernel::LogLevel::kInfo, "{}", text); }

void panic(const char* text) { kernel::panic(text); }

}  // namespace quire::platform
