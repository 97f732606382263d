// Signals on their way: what one carries, and the set of those that wait for a task or a process.
//
// Life cycle: a PendingSignals is embedded in each Task (signals for it alone) and each Process
// (for any of its tasks). A standard signal (1–31) waits at most once, so its information has a
// fixed place and sending one never allocates; a real-time signal queues in a node that the sender
// allocated before it took the lock. Locks: task_lock, for everything here.
#pragma once

#include <cstdint>
#include <memory>

#include "task/task.h"

namespace quire::kernel {

inline constexpr int kSignalCount = 64;
inline constexpr int kFirstRealtime = 32;
[[nodiscard]] constexpr SignalSet signal_bit(int signal) { return SignalSet{1} << (signal - 1); }

/// The first 48 bytes of siginfo_t, which is all that Linux keeps of one (Linux v6.12
/// include/linux/signal_types.h: kernel_siginfo).
struct SignalInfo {
  std::int32_t signal;
  std::int32_t error;
  std::int32_t code;
  std::int32_t padding;
  struct Sender {
    Pid pid;
    std::uint32_t uid;
    std::uint64_t value;
  };
  struct Child {
    Pid pid;
    std::uint32_t uid;
    std::int32_t status;
    std::int32_t padding;
    std::int64_t user_ticks, kernel_ticks;
  };
  struct TimerEvent {
    std::int32_t id;
    std::int32_t overrun;
    std::uint64_t value;
  };
  struct Fault {
    std::uint64_t address;
  };
  union {
    std::uint64_t raw[4];
    Sender sender;
    Child child;
    TimerEvent timer;
    Fault fault;
  };

  /// A signal from the kernel itself (SI_KERNEL).
  static SignalInfo from_kernel(int signal);
  /// A signal from the current task, as kill sends it: `code` SI_USER or SI_TKILL.
  static SignalInfo from_current(int signal, int code);
};
static_assert(sizeof(SignalInfo) == 48);

/// A queued real-time signal.
struct QueuedSignal {
  SignalInfo info;
  std::unique_ptr<QueuedSignal> next;
};

/// A chain of queued signals; frees them one by one, for a destructor that recursed could use up
/// the kernel stack.
struct SignalChain {
  SignalChain() = default;
  SignalChain(const SignalChain&) = delete;
  SignalChain& operator=(const SignalChain&) = delete;
  ~SignalChain() {
    while (first != nullptr) first = std::move(first->next);
  }
  std::unique_ptr<QueuedSignal> first;
};

/// Signals that wait.
class PendingSignals {
 public:
  [[nodiscard]] SignalSet set() const { return set_; }
  [[nodiscard]] bool has(int signal) const { return (set_ & signal_bit(signal)) != 0; }
  [[nodiscard]] std::uint32_t queued() const { return queued_; }
  /// Adds a signal. A standard one that waits already is dropped; a real-time one without a node is
  /// only marked.
  void add(const SignalInfo& info, std::unique_ptr<QueuedSignal>& node);
  /// Takes the oldest occurrence of `signal`, which waits. The node, if there was one, goes to
  /// `node` for freeing without the lock.
  SignalInfo take(int signal, std::unique_ptr<QueuedSignal>& node);
  /// Drops every signal of `which`. Nodes go to `nodes`, for freeing without the lock.
  void discard(SignalSet which, SignalChain& nodes);

 private:
  SignalSet set_ = 0;
  std::uint32_t queued_ = 0;
  SignalChain queue_;
  /// Valid where set_ has the bit; never initialised as a whole, for fork's sake.
  SignalInfo standard_[kFirstRealtime - 1];
};

}  // namespace quire::kernel
