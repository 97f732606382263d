// The simulated machine's physical memory: a window of reserved host memory for the frames'
// contents and one for their descriptors.
//
// Life cycle: reserved whole by reserve(), released by the destructor. Both are mapped without
// reserve, so a frame costs host memory only after it is first touched, and terabytes can be
// described on a small host. It does not know which frames are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quire/base/errno.h"
#include "quire/base/types.h"

namespace quire {

/// One mapping of host memory that is zero until touched.
class Reservation {
 public:
  Reservation() = default;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();

  /// Errors: ENOMEM if the host refuses (for example with vm.overcommit_memory=2). Pre: nothing
  /// reserved yet.
  Result<void> reserve(ByteCount size);
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] ByteCount size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  ByteCount size_;
};

/// The window and the descriptors of `frames` frames.
class PhysicalMemory {
 public:
  /// `descriptor_size` is core's: 64 bytes a frame. Errors: ENOMEM.
  Result<void> reserve(PageCount frames, std::size_t descriptor_size);
  [[nodiscard]] std::byte* window() const { return window_.data(); }
  [[nodiscard]] std::byte* descriptors() const { return descriptors_.data(); }
  /// The contents of a frame. Pre: pfn < frames.
  [[nodiscard]] std::byte* frame(Pfn pfn) const { return window_.data() + pfn.address().raw(); }
  [[nodiscard]] PageCount frames() const { return frames_; }

 private:
  Reservation window_;
  Reservation descriptors_;
  PageCount frames_;
};

}  // namespace quire
