#include "quire/base/assert.h"
#include "task/process.h"
#include "task/signal_info.h"
#include "task/uapi.h"

namespace quire::kernel {

static_assert(offsetof(SignalInfo, raw) == offsetof(uapi::siginfo_t, _sifields),
              "the union lies where siginfo_t has it");
static_assert(offsetof(SignalInfo, error) == offsetof(uapi::siginfo_t, si_errno));
static_assert(offsetof(SignalInfo, code) == offsetof(uapi::siginfo_t, si_code));

SignalInfo SignalInfo::from_kernel(int signal) {
  SignalInfo info{};
  info.signal = signal;
  info.code = SI_KERNEL;
  return info;
}

SignalInfo SignalInfo::from_current(int signal, int code) {
  SignalInfo info{};
  info.signal = signal;
  info.code = code;
  info.sender.pid = current_pid();
  info.sender.uid = current_credentials().uid;
  return info;
}

void PendingSignals::add(const SignalInfo& info, std::unique_ptr<QueuedSignal>& node) {
  const int signal = info.signal;
  if (signal < kFirstRealtime) {
    if (has(signal)) return;
    standard_[signal - 1] = info;
  } else if (node != nullptr) {
    node->info = info;
    std::unique_ptr<QueuedSignal>* end = &queue_.first;
    while (*end != nullptr) end = &(*end)->next;
    *end = std::move(node);
    ++queued_;
  }
  set_ |= signal_bit(signal);
}

SignalInfo PendingSignals::take(int signal, std::unique_ptr<QueuedSignal>& node) {
  QUIRE_ASSERT(has(signal), "only a signal that waits is taken");
  if (signal < kFirstRealtime) {
    set_ &= ~signal_bit(signal);
    return standard_[signal - 1];
  }
  SignalInfo info{};
  info.signal = signal;
  info.code = SI_USER;
  bool found = false;
  bool more = false;
  for (std::unique_ptr<QueuedSignal>* i = &queue_.first; *i != nullptr;) {
    if ((*i)->info.signal != signal) {
      i = &(*i)->next;
    } else if (!found) {
      found = true;
      node = std::move(*i);
      *i = std::move(node->next);
      info = node->info;
      --queued_;
    } else {
      more = true;
      break;
    }
  }
  if (!more) set_ &= ~signal_bit(signal);
  return info;
}

void PendingSignals::discard(SignalSet which, SignalChain& nodes) {
  set_ &= ~which;
  for (std::unique_ptr<QueuedSignal>* i = &queue_.first; *i != nullptr;) {
    if ((which & signal_bit((*i)->info.signal)) == 0) {
      i = &(*i)->next;
      continue;
    }
    std::unique_ptr<QueuedSignal> taken = std::move(*i);
    *i = std::move(taken->next);
    taken->next = std::move(nodes.first);
    nodes.first = std::move(taken);
    --queued_;
  }
}

}  // namespace quire::kernel
