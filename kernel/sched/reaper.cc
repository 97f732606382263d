#include "sched/reaper.h"

#include <atomic>

#include "quire/base/assert.h"
#include "sched/scheduler.h"
#include "sched/wait.h"

namespace quire::kernel {
namespace {

constinit std::atomic<Thread::Internals*> dead_threads{nullptr};
constinit WaitQueue reaper_queue;

class Reaper final : public Thread {
 public:
  const char* name() const override { return "reaper"; }

  static void run(void*) {
    for (;;) {
      wait_until(reaper_queue, [] { return dead_threads.load() != nullptr; }, Interruptible::kNo);
      Thread::Internals* dead = dead_threads.exchange(nullptr);
      while (dead != nullptr) {
        Thread::Internals* const next = dead->next_dead;
        dead->thread.on_dead();  // frees `dead`
        dead = next;
      }
    }
  }
};

}  // namespace

void bury(Thread::Internals& dead) {
  dead.next_dead = dead_threads.load();
  while (!dead_threads.compare_exchange_weak(dead.next_dead, &dead)) {
  }
  reaper_queue.wake_one();
}

void start_reaper() {
  Thread& reaper = *new Reaper;
  [[maybe_unused]] const bool prepared = reaper.prepare(&Reaper::run, nullptr).has_value();
  QUIRE_ASSERT(prepared, "memory for the first threads");
  start_thread(reaper);
}

}  // namespace quire::kernel
