// Pages of a space held by those who use them without its tables: pipes, copies from outside, devices (Linux's GUP).
//
// Two kinds (Linux Documentation/core-api/pin_user_pages.rst):
//   kGet  a reference, for a moment or for good: whoever has it sees the page as it was got. It may come through shared tables; the space
//   may
//         lose the page to copy-on-write.
//   kPin  for reading or writing what the space sees and goes on seeing, however long: a private page is made the space's own first, also
//   for
//         reading (S1.14), a page of zeros a real one (S3.32), and fork leaves it to the parent.
//
// Why nobody else's stores show (R20): a page that is got through a shared path loses W in the very entry it came through, since a table
// that is taken over later gets its W as a whole; one that is got or pinned through an exclusive path is noted in the tables above it
// (kHoldsBelow), and fork looks below such tables before it shares them.
// Both take the space's lock shared, which keeps forks away (R7), and the leaf table's, which keeps moves away; there is no walk without
// locks.
//
// Life cycle: a PageHold is movable and gives its hold back at its end; the page may outlive its mapping and its space, not the machine.
// The zero page is held without counting it (S3.19).
#pragma once

#include <cstddef>
#include <cstdint>

#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/memory_manager.h"

namespace quire {

enum class HoldKind : std::uint8_t { kGet, kPin };

class PageHold {
 public:
  PageHold() = default;
  PageHold(PageHold&& other) noexcept : memory_(other.memory_), frame_(other.frame_), pfn_(other.pfn_), kind_(other.kind_) {
    other.frame_ = nullptr;
  }
  PageHold& operator=(PageHold&& other) noexcept;
  PageHold(const PageHold&) = delete;
  PageHold& operator=(const PageHold&) = delete;
  ~PageHold() { release(); }

  [[nodiscard]] explicit operator bool() const { return frame_ != nullptr; }
  [[nodiscard]] bool is_zero() const { return frame_->kind == FrameKind::kZero; }
  /// The frame at the address; of a huge page, one of its many.
  [[nodiscard]] Pfn pfn() const { return pfn_; }
  /// The page. Not to be written unless it was held for writing.
  [[nodiscard]] std::byte* contents() const { return memory_->window(pfn_); }
  void release();
  /// The holder has written there; no entry says so (I14).
  void mark_dirty();

 private:
  friend class HoldAttempt;
  PageHold(MemoryManager& memory, Frame& frame, Pfn pfn, HoldKind kind) : memory_(&memory), frame_(&frame), pfn_(pfn), kind_(kind) {}

  MemoryManager* memory_ = nullptr;
  Frame* frame_ = nullptr;
  Pfn pfn_;
  HoldKind kind_ = HoldKind::kGet;
};

}  // namespace quire
