// Open directories: what they have in common.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

using DirectorySink = bool (*)(void*, const DirectoryEntry&, std::uint64_t next);

/// DT_* of a mode: they are the S_IFMT bits.
[[nodiscard]] constexpr std::uint8_t directory_entry_type(std::uint32_t mode) {
  return (mode >> 12) & 15;
}

/// An open directory. Its position is set by getdents and lseek (which takes any position getdents
/// gave).
class DirectoryFile : public File {
 public:
  Result<std::size_t> read(IoBuffer&, std::uint64_t) override { return fail(Errno::kIsDir); }
  Result<std::size_t> write(IoBuffer&, std::uint64_t) override { return fail(Errno::kBadF); }
  [[nodiscard]] bool has_position() const override { return true; }
};

}  // namespace quire::kernel
