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

}  // namespace quire::kernel
