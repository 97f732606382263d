// Questions the simulated hardware asks of a frame's descriptor, to tell a use after free (I7).
//
// Real hardware cannot ask them; the answers change nothing but what is reported. They are read
// without locks: a flush that has not returned yet keeps the frame from being freed, so what is
// read is stable unless core is wrong.
#pragma once

#include <cstdint>

#include "quire/base/geometry.h"
#include "quire/base/types.h"

namespace quire {
class MemoryManager;
}

namespace quire::mmu {

/// Whether the frame is in use as a table of `level`, zero tables included.
[[nodiscard]] bool is_table(const MemoryManager& memory, Pfn pfn, Level level);
/// Whether the frame is in use for a program's data, the zero frame included.
[[nodiscard]] bool is_data(const MemoryManager& memory, Pfn pfn);
[[nodiscard]] bool is_zero_object(const MemoryManager& memory, Pfn pfn);
/// How often the frame was freed.
[[nodiscard]] std::uint64_t frame_generation(const MemoryManager& memory, Pfn pfn);

}  // namespace quire::mmu
