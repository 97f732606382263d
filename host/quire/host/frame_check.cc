#include "quire/host/frame_check.h"

#include "quire/memory_manager.h"

namespace quire::mmu {

// Descriptors are written without atomics by whoever owns the frame. What is read here is stable
// unless core released a frame too early, which is what these functions are to find;
// ThreadSanitizer would report the read instead, with less to say.
#define QUIRE_UNCHECKED_READ __attribute__((no_sanitize("thread")))

QUIRE_UNCHECKED_READ bool is_table(const MemoryManager& memory, Pfn pfn, Level level) {
  if (memory.zero().is_zero(pfn)) return pfn == memory.zero().table(level);
  const Frame& frame = memory.frame(pfn);
  return (frame.kind == FrameKind::kTable || frame.is_lent()) && frame.level == level;
}

QUIRE_UNCHECKED_READ bool is_data(const MemoryManager& memory, Pfn pfn) {
  if (memory.zero().is_zero(pfn)) return pfn == memory.zero().frame();
  switch (memory.page_of(pfn).kind) {
    case FrameKind::kAnon:
    case FrameKind::kObject:
    case FrameKind::kHeld:  // a device's, or about to be one of these
      return true;
    case FrameKind::kUntouched:
    case FrameKind::kFree:
    case FrameKind::kTable:
    case FrameKind::kLentTable:
    case FrameKind::kZero:
    case FrameKind::kSlab:
    case FrameKind::kRadix:
    case FrameKind::kKernel:
    case FrameKind::kFailed:
    case FrameKind::kHugeIdle:
    case FrameKind::kHugePart:
      return false;
  }
  return false;
}

bool is_zero_object(const MemoryManager& memory, Pfn pfn) { return memory.zero().is_zero(pfn); }

QUIRE_UNCHECKED_READ std::uint64_t frame_generation(const MemoryManager& memory, Pfn pfn) {
  return memory.page_of(pfn).generation;
}

}  // namespace quire::mmu
