#include "task/load.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "sched/scheduler.h"
#include "task/process.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kPeriodNs = 5'000'000'000;
/// Fixed point with 11 bits; the decay over 5 s for means of 1, 5 and 15 minutes (Linux v6.12
/// include/linux/sched/loadavg.h).
constexpr unsigned kShift = 11;
constexpr std::uint64_t kOne = std::uint64_t{1} << kShift;
constexpr std::array<std::uint64_t, 3> kDecay = {1884, 2014, 2037};

constinit std::array<std::atomic<std::uint64_t>, 3> averages{};

class Sampler {
 public:
  Sampler() : timer_(&sample, this) { timer_.arm(monotonic_ns() + kPeriodNs); }

 private:
  static void sample(void* self) {
    const std::uint64_t active = std::uint64_t{runnable_threads()} << kShift;
    for (std::size_t i = 0; i < averages.size(); ++i) {
      const std::uint64_t old = averages[i].load(std::memory_order_relaxed);
      std::uint64_t next = old * kDecay[i] + active * (kOne - kDecay[i]);
      if (active >= old) next += kOne - 1;
      averages[i].store(next >> kShift, std::memory_order_relaxed);
    }
    static_cast<Sampler*>(self)->timer_.arm(monotonic_ns() + kPeriodNs);
  }
  Timer timer_;
};

}  // namespace

void start_load_sampling() { new Sampler; }

LoadFigures load_figures() {
  LoadFigures figures{};
  for (std::size_t i = 0; i < averages.size(); ++i) {
    figures.average[i] = static_cast<std::uint32_t>(
        (averages[i].load(std::memory_order_relaxed) * 100 + kOne / 2) >> kShift);
  }
  figures.runnable = std::max(runnable_threads(), 1U);
  const TaskGuard guard(task_lock);
  figures.tasks = tree().task_count();
  figures.last_pid = tree().last_id();
  return figures;
}

}  // namespace quire::kernel
