#define VIRTIO_RING_NO_LEGACY
#include "drivers/virtqueue.h"

#include <linux/virtio_ring.h>

#include <algorithm>

#include "arch/paging.h"
#include "arch/panic.h"
#include "arch/registers.h"
#include "drivers/host_wait.h"
#include "mm/frames.h"
#include "quire/base/types.h"
#include "quire/memory_manager.h"
#include "quire/platform.h"

namespace quire::kernel {
namespace {

// Places in the frame; kMaxSize is such that all fits.
constexpr std::size_t kAvailableOffset = sizeof(vring_desc) * Virtqueue::kMaxSize;
constexpr std::size_t kUsedOffset = kAvailableOffset + 512;
static_assert(sizeof(vring_avail) + 2 * (Virtqueue::kMaxSize + 1) <= kUsedOffset - kAvailableOffset);
static_assert(kUsedOffset + sizeof(vring_used) + sizeof(vring_used_elem) * Virtqueue::kMaxSize + 2 <= kPageSize);

std::uint64_t physical(const void* address) {
  const auto found = physical_of(address);
  if (!found) panic("a device buffer is not mapped");
  return *found;
}

/// Bytes from `data` on that are contiguous in physical memory, at most `size`; a page is looked at a time.
std::size_t contiguous(const std::byte* data, std::size_t size) {
  const std::uint64_t begin = physical(data);
  std::size_t length = kPageSize - begin % kPageSize;
  while (length < size && physical(data + length) == begin + length) length += kPageSize;
  return std::min(length, size);
}

}  // namespace

AwaitedRequest::AwaitedRequest() {
  finished = [](VirtioRequest& request) {
    auto& self = static_cast<AwaitedRequest&>(request);
    self.state_.store(State::kFinished);
    self.waiters_.wake_all();
    self.state_.store(State::kLeft);  // the last access: the object may go now
  };
}

std::uint32_t AwaitedRequest::wait() {
  const HostWait waiting;
  wait_until(waiters_, [this] { return state_.load() != State::kPending; }, Interruptible::kNo);
  while (state_.load() != State::kLeft) platform::relax();
  return length;
}

void Virtqueue::init(std::uint16_t size, std::uint16_t index, volatile std::uint32_t* notify) {
  std::byte* const frame = allocate_frame();
  if (frame == nullptr) panic("no memory for a virtqueue");
  MemoryManager::fill_zero(frame);
  descriptors_ = reinterpret_cast<vring_desc*>(frame);
  available_ = reinterpret_cast<vring_avail*>(frame + kAvailableOffset);
  used_ = reinterpret_cast<vring_used*>(frame + kUsedOffset);
  notify_ = notify;
  size_ = size;
  index_ = index;
  free_count_ = size;
  for (std::uint16_t i = 0; i < size; ++i) descriptors_[i].next = static_cast<std::uint16_t>(i + 1);
}

std::uint64_t Virtqueue::descriptor_address() const { return physical(descriptors_); }
std::uint64_t Virtqueue::available_address() const { return physical(available_); }
std::uint64_t Virtqueue::used_address() const { return physical(used_); }

/// Chains descriptors for the buffers. Returns the first, or kEnd if there are not enough.
std::uint16_t Virtqueue::fill(std::span<const VirtioBuffer> buffers) {
  const std::uint16_t head = first_free_;
  std::uint16_t taken = 0, last = kEnd;
  for (const VirtioBuffer& buffer : buffers) {
    const auto* data = static_cast<const std::byte*>(buffer.data);
    for (std::size_t left = buffer.size; left != 0;) {
      if (taken == free_count_) return kEnd;
      last = taken == 0 ? head : descriptors_[last].next;
      const std::size_t length = contiguous(data, left);
      vring_desc& descriptor = descriptors_[last];
      descriptor.addr = physical(data);
      descriptor.len = static_cast<std::uint32_t>(length);
      descriptor.flags = VRING_DESC_F_NEXT;
      if (buffer.direction == VirtioBuffer::Direction::kFromDevice) descriptor.flags |= VRING_DESC_F_WRITE;
      data += length;
      left -= length;
      ++taken;
    }
  }
  if (taken == 0) return kEnd;
  descriptors_[last].flags &= static_cast<std::uint16_t>(~VRING_DESC_F_NEXT);
  first_free_ = descriptors_[last].next;
  free_count_ = static_cast<std::uint16_t>(free_count_ - taken);
  return head;
}

bool Virtqueue::add(std::span<const VirtioBuffer> buffers, VirtioRequest& request) {
  {
    const Guard guard(lock_);
    const std::uint16_t head = fill(buffers);
    if (head == kEnd) return false;
    requests_[head] = &request;
    available_->ring[available_->idx % size_] = head;
    __atomic_store_n(&available_->idx, static_cast<std::uint16_t>(available_->idx + 1), __ATOMIC_SEQ_CST);
  }
  *notify_ = index_;
  return true;
}

void Virtqueue::add_when_room(std::span<const VirtioBuffer> buffers, VirtioRequest& request) {
  wait_until(room_, [&] { return add(buffers, request); }, Interruptible::kNo);
}

void Virtqueue::free_chain(std::uint16_t head) {
  std::uint16_t last = head;
  for (++free_count_; (descriptors_[last].flags & VRING_DESC_F_NEXT) != 0; ++free_count_) last = descriptors_[last].next;
  descriptors_[last].next = first_free_;
  first_free_ = head;
}

VirtioRequest* Virtqueue::next_finished() {
  const Guard guard(lock_);
  if (__atomic_load_n(&used_->idx, __ATOMIC_ACQUIRE) == used_seen_) return nullptr;
  const vring_used_elem& element = used_->ring[used_seen_++ % size_];
  const auto head = static_cast<std::uint16_t>(element.id);
  VirtioRequest* const request = requests_[head];
  request->length = element.len;
  free_chain(head);
  return request;
}

void Virtqueue::finish_used() {
  const InterruptsOff off;
  bool any = false;
  while (VirtioRequest* const request = next_finished()) {
    request->finished(*request);
    any = true;
  }
  if (any) room_.wake_all();
}

}  // namespace quire::kernel
