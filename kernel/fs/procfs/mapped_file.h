// What /proc says of the file behind a mapping.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "quire/vma/vma.h"

namespace quire::kernel {

struct MappedFile {
  std::string name;
  std::uint64_t device = 0, inode = 0;
};

/// The file that `vma`, of a map that is held, was made from; none for anonymous memory.
[[nodiscard]] std::optional<MappedFile> mapped_file(const Vma& vma);

/// What a mapping of memory that no program has opened is called: on Linux it is a file of the kernel's tmpfs, or hugetlbfs.
[[nodiscard]] inline const MappedFile& unnamed_memory(const Vma& vma) {
  static const MappedFile kShared{.name = "/dev/zero (deleted)", .device = 1, .inode = 0};
  static const MappedFile kHuge{.name = "/anon_hugepage (deleted)", .device = 1, .inode = 0};
  return vma.is_huge() ? kHuge : kShared;
}

}  // namespace quire::kernel
