// Waits for the host to do something at once, such as to answer a file request. The host's time is not the guest's: in exact mode
// (docs/decisions/0001) it must cost none, so the idle loop asks whether anybody waits so. Waiting for input, which may never come, is not
// of this kind.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::kernel {

/// Lives as long as the wait.
class [[nodiscard]] HostWait {
 public:
  HostWait() { waits_.fetch_add(1); }
  ~HostWait() { waits_.fetch_sub(1); }
  HostWait(const HostWait&) = delete;
  HostWait& operator=(const HostWait&) = delete;
  /// Whether any thread waits so now.
  static bool any() { return waits_.load() != 0; }

 private:
  static inline constinit std::atomic<std::uint32_t> waits_{0};
};

}  // namespace quire::kernel
