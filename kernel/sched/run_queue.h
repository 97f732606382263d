// One CPU's runnable threads that do not run.
//
// Every thread on it has its registers saved, but for the one that runs on this very CPU and has just been put
// here (it yielded, or was woken while going to sleep). So whoever takes a thread never has to wait for it. A thread may be on the queue
// of a CPU that it must not run on: another one takes it from there.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>

#include "sched/scheduler.h"
#include "sync/lock.h"

namespace quire::kernel {

class RunQueue {
 public:
  using Entry = Thread::Internals;

  void push(Entry& entry) {
    const Guard guard(lock_);
    ready_.push_back(entry);
    length_.fetch_add(1);
  }
  /// The thread that waited longest and may run on `cpu`, for that CPU itself; null if there is none.
  Entry* pop(unsigned cpu) {
    return take([cpu](const Entry& entry) { return entry.may_run_on(cpu); });
  }
  /// The thread that waited longest among those whose registers are saved and that may run on `cpu`, for that other CPU.
  Entry* steal(unsigned cpu) {
    return take([cpu](const Entry& entry) { return entry.may_run_on(cpu) && !entry.on_cpu.load(std::memory_order_acquire); });
  }
  /// One that must not run on this queue's CPU, `cpu`, and whose registers are saved.
  Entry* take_stray(unsigned cpu) {
    return take([cpu](const Entry& entry) { return !entry.may_run_on(cpu) && !entry.on_cpu.load(std::memory_order_acquire); });
  }
  /// Whether there is one that may run on `cpu`.
  [[nodiscard]] bool has_work_for(unsigned cpu) {
    if (length_.load() == 0) return false;
    const Guard guard(lock_);
    for (const Entry& entry : ready_) {
      if (entry.may_run_on(cpu)) return true;
    }
    return false;
  }
  [[nodiscard]] unsigned length() const { return length_.load(); }

  Entry* idle = nullptr;      ///< this CPU's idle thread
  Entry* previous = nullptr;  ///< whom the running thread took over from, until the switch is finished

 private:
  template <typename Predicate>
  Entry* take(Predicate wanted) {
    if (length_.load() == 0) return nullptr;
    const Guard guard(lock_);
    for (Entry& entry : ready_) {
      if (!wanted(entry)) continue;
      ready_.erase(ready_.iterator_to(entry));
      length_.fetch_sub(1);
      return &entry;
    }
    return nullptr;
  }

  using Hook = boost::intrusive::member_hook<Entry, boost::intrusive::list_member_hook<>, &Entry::queue_hook>;
  IrqSpinLock lock_;
  boost::intrusive::list<Entry, Hook> ready_;
  std::atomic<unsigned> length_{0};
};

}  // namespace quire::kernel
