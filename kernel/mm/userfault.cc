#include "mm/userfault.h"

#include <linux/poll.h>

#include "mm/memory.h"
#include "mm/page_fault.h"
#include "task/process.h"
#include "task/signals.h"

namespace quire::kernel {

/// A thread that waits; on its stack.
struct Userfault::Waiting {
  AskedFault fault;
  uffd_msg message;
  bool is_told = false;
  std::atomic<bool> is_over{false};
  WaitQueue queue;
  Waiting *next = nullptr, *previous = nullptr;
};

namespace {

/// Waits for `over`; in user mode signals end it, in the kernel only a kill.
bool sleep_until(WaitQueue& queue, const std::atomic<bool>& over, Interruptible interruptible) {
  const auto is_over = [&over] { return over.load(std::memory_order_acquire); };
  if (interruptible == Interruptible::kYes) return wait_until(queue, is_over, Interruptible::kYes) == WaitResult::kDone;
  Task& task = current();
  Sleeper sleeper;
  sleeper.add(queue);
  sleeper.add(task.killed);
  const auto is_to_end = [&task] {
    const TaskGuard guard(task_lock);
    return is_to_end_locked(task);
  };
  while (!is_over()) {
    if (is_to_end()) return false;
    sleeper.sleep(Interruptible::kNo);
  }
  return true;
}

}  // namespace

bool Userfault::initialize(std::uint64_t features) {
  std::uint64_t none = 0;
  return features_.compare_exchange_strong(none, features | kInitialized);
}

Userfault::HeldSpace Userfault::space() const {
  AddressSpace* const own = current_thread().space;
  if (own != nullptr && own->id() == space_id_) {
    own->acquire();
    return HeldSpace(own);
  }
  HeldSpace at;
  do {
    at = HeldSpace(memory().hold_next_space(at.get(), 0));
  } while (at != nullptr && at->id() != space_id_);
  return at;
}

uffd_msg Userfault::message_of(const AskedFault& fault) const {
  uffd_msg message{};
  message.event = UFFD_EVENT_PAGEFAULT;
  const bool is_guarded = fault.reason == AskedFault::Reason::kGuarded;
  if (fault.access == Access::kWrite) message.arg.pagefault.flags |= UFFD_PAGEFAULT_FLAG_WRITE;
  if (is_guarded) message.arg.pagefault.flags |= UFFD_PAGEFAULT_FLAG_WP;
  message.arg.pagefault.address = (has(UFFD_FEATURE_EXACT_ADDRESS) ? fault.address : fault.address.page_floor()).raw();
  if (has(UFFD_FEATURE_THREAD_ID)) message.arg.pagefault.feat.ptid = static_cast<std::uint32_t>(current_tid());
  return message;
}

FaultDelegate::Answer Userfault::ask(const AskedFault& fault) {
  const bool is_users = is_user_page_fault();
  if (has(UFFD_FEATURE_SIGBUS) || (faults_ == Faults::kOfUserMode && !is_users)) return Answer::kRefused;
  Waiting waiting;
  waiting.fault = fault;
  waiting.message = message_of(fault);
  {
    const Guard guard(lock_);
    if (is_retired() || changes() != fault.changes) return Answer::kTryAgain;
    waiting.previous = last_;
    (last_ != nullptr ? last_->next : first_) = &waiting;
    last_ = &waiting;
  }
  readers.wake_all(POLLIN);
  const bool is_over = sleep_until(waiting.queue, waiting.is_over, is_users ? Interruptible::kYes : Interruptible::kNo);
  const Guard guard(lock_);  // whoever wakes us is done with `waiting`
  if (!waiting.is_over.load()) unlink_locked(waiting);
  return is_over ? Answer::kTryAgain : Answer::kInterrupted;
}

void Userfault::unlink_locked(Waiting& waiting) {
  (waiting.previous != nullptr ? waiting.previous->next : first_) = waiting.next;
  (waiting.next != nullptr ? waiting.next->previous : last_) = waiting.previous;
}

std::optional<uffd_msg> Userfault::take_message() {
  const Guard guard(lock_);
  for (Waiting* waiting = first_; waiting != nullptr; waiting = waiting->next) {
    if (waiting->is_told) continue;
    waiting->is_told = true;
    return waiting->message;
  }
  return std::nullopt;
}

bool Userfault::has_message() {
  const Guard guard(lock_);
  for (const Waiting* waiting = first_; waiting != nullptr; waiting = waiting->next) {
    if (!waiting->is_told) return true;
  }
  return false;
}

void Userfault::wake(VirtRange range) {
  const Guard guard(lock_);
  for (Waiting *waiting = first_, *next = nullptr; waiting != nullptr; waiting = next) {
    next = waiting->next;
    if (!range.contains(waiting->fault.address)) continue;
    unlink_locked(*waiting);
    waiting->is_over.store(true, std::memory_order_release);
    waiting->queue.wake_all();
  }
}

void Userfault::end() {
  retire();
  if (const HeldSpace held = space()) held->drop_handler(*this);
  wake(VirtRange(VirtAddr(0), memory().geometry().user_top()));
  readers.wake_all(POLLHUP);
}

}  // namespace quire::kernel
