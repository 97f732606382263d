// A directory's entries as they were at one time, packed.
//
// Life cycle: filled once by append(), then read by position. Kept in blocks, so that long directories need no large piece of the heap.
// Positions are ordinal numbers; reading on from where one stopped costs nothing, other positions a search from the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fs/vfs.h"

namespace quire::kernel {

class DirectoryListing {
 public:
  void append(const DirectoryEntry& entry);
  void clear();
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Hands the entries from `offset` on to the sink, as File::read_directory().
  void read(std::uint64_t& offset, bool (*sink)(void*, const DirectoryEntry&, std::uint64_t), void* context);

 private:
  static constexpr std::size_t kBlockSize = 8192;
  struct Block {
    std::size_t used = 0;
    std::uint64_t first = 0;  ///< position of the first entry
    std::byte bytes[kBlockSize - 16];
  };
  /// Before each name in a block.
  struct Header {
    std::uint64_t inode;
    std::uint16_t name_length;
    std::uint8_t type;
  };
  struct Cursor {
    std::size_t block = 0, byte = 0;
    std::uint64_t position = 0;
  };
  bool next(Cursor& cursor, DirectoryEntry& entry) const;

  std::vector<std::unique_ptr<Block>> blocks_;
  std::uint64_t size_ = 0;
  Cursor last_;
};

/// Appends all that an open directory has to say. Errors: as File::read_directory().
Result<void> append_all(File& directory, DirectoryListing& listing);

}  // namespace quire::kernel
