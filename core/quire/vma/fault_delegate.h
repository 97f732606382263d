// Who is asked about faults in the mappings that are registered with it (userfaultfd; space/userfault.cc).
//
// Life cycle: counted by whoever implements it; each node of a map whose mapping is registered holds it once. When it retires its mappings
// are as if they were not registered, whatever they say.
// Nobody who asks misses the answer: each change that may be one raises changes(); whoever asks says how many it knew of before it looked
// at the entry, and need not wait if there are more by then.
#pragma once

#include <cstdint>

#include "quire/base/atomic.h"
#include "quire/base/types.h"

namespace quire {

/// A fault that somebody else has to resolve.
struct AskedFault {
  enum class Reason : std::uint8_t { kMissing, kGuarded } reason;
  Access access;
  VirtAddr address;       ///< as accessed
  std::uint64_t changes;  ///< FaultDelegate::changes() before the entry was looked at
};

class FaultDelegate {
 public:
  enum class Answer : std::uint8_t { kTryAgain, kRefused, kInterrupted };

  /// Both come under the lock of an address space and must not wait.
  virtual void hold() = 0;
  virtual void release() = 0;
  /// Waits until the fault may be tried again. Called without locks of core.
  virtual Answer ask(const AskedFault& fault) = 0;

  [[nodiscard]] std::uint64_t changes() const { return changes_.load(); }
  void note_change() { changes_.fetch_add(1); }
  [[nodiscard]] bool is_retired() const { return retired_.load() != 0; }
  void retire() { retired_.store(1); }

 protected:
  ~FaultDelegate() = default;

 private:
  Atomic<std::uint64_t> changes_{0};
  Atomic<std::uint8_t> retired_{0};
};

}  // namespace quire
