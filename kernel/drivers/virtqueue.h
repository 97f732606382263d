// A split virtqueue in one frame (Virtio 1.2, 2.7).
//
// Life cycle: made when its device starts, for ever. A request is the caller's object and must live until its `finished` has
// been called, which may be in the device's interrupt. Buffers may be any kernel memory: they are cut where pages are not
// contiguous. Locks: one IrqSpinLock; `finished` runs without it, with interrupts off.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sched/wait.h"
#include "sync/lock.h"

struct vring_desc;
struct vring_avail;
struct vring_used;

namespace quire::kernel {

/// Something given to a device.
struct VirtioRequest {
  void (*finished)(VirtioRequest&) = nullptr;
  std::uint32_t length = 0;  ///< bytes the device wrote
};

/// A request whose maker waits for it.
struct AwaitedRequest : VirtioRequest {
  AwaitedRequest();
  /// Sleeps until the device is done; returns the bytes it wrote.
  std::uint32_t wait();

 private:
  enum class State : std::uint8_t { kPending, kFinished, kLeft };
  std::atomic<State> state_{State::kPending};
  WaitQueue waiters_;
};

struct VirtioBuffer {
  enum class Direction : std::uint8_t { kToDevice, kFromDevice };
  const void* data;
  std::size_t size;
  Direction direction;
};

class Virtqueue {
 public:
  static constexpr std::uint16_t kMaxSize = 128;

  /// `notify`: the register that wakes the device; `index`: what to write there.
  void init(std::uint16_t size, std::uint16_t index, volatile std::uint32_t* notify);

  /// Hands a request to the device. False if the ring has no room for it; then nothing happened.
  bool add(std::span<const VirtioBuffer> buffers, VirtioRequest& request);
  /// The same, sleeping for room.
  void add_when_room(std::span<const VirtioBuffer> buffers, VirtioRequest& request);
  /// Finishes what the device has used. From the interrupt, or to look without one.
  void finish_used();

  [[nodiscard]] bool exists() const { return descriptors_ != nullptr; }
  [[nodiscard]] std::uint64_t descriptor_address() const;
  [[nodiscard]] std::uint64_t available_address() const;
  [[nodiscard]] std::uint64_t used_address() const;

 private:
  static constexpr std::uint16_t kEnd = 0xffff;

  std::uint16_t fill(std::span<const VirtioBuffer> buffers);
  void free_chain(std::uint16_t head);
  VirtioRequest* next_finished();

  IrqSpinLock lock_;
  vring_desc* descriptors_ = nullptr;
  vring_avail* available_ = nullptr;
  vring_used* used_ = nullptr;
  volatile std::uint32_t* notify_ = nullptr;
  std::uint16_t size_ = 0, index_ = 0, first_free_ = 0, free_count_ = 0, used_seen_ = 0;
  std::array<VirtioRequest*, kMaxSize> requests_{};
  WaitQueue room_;
};

}  // namespace quire::kernel
