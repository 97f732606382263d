// A directory's entries as they were at one time, packed.
//
// Life cycle: filled by append(), from then on read by position, by any number of readers with a cursor each. Kept in blocks that grow from
// small to a few pages, so that short listings are cheap and long ones need no large piece of the heap. Positions are ordinal numbers;
// reading on from where a cursor stands costs nothing, going back a search from the block's start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fs/vfs.h"

namespace quire::kernel {

class DirectoryListing : public RefCounted {
 public:
  /// Where a reader is.
  struct Cursor {
    std::size_t block = 0, byte = 0;
    std::uint64_t position = 0;
  };

  void append(const DirectoryEntry& entry);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// The entry at the cursor, which moves past it. False at the end.
  bool next(Cursor& cursor, DirectoryEntry& entry) const;
  /// Hands the entries from `offset` on to the sink, as File::read_directory().
  void read(Cursor& cursor, std::uint64_t& offset, bool (*sink)(void*, const DirectoryEntry&, std::uint64_t), void* context) const;

 private:
  static constexpr std::size_t kFirstBlock = 512, kLargestBlock = 8192;
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t used = 0, size = 0;
    std::uint64_t first = 0;  ///< position of the first entry
  };
  /// Before each name in a block.
  struct Header {
    std::uint64_t inode;
    std::uint16_t name_length;
    std::uint8_t type;
  };

  std::vector<Block> blocks_;
  std::uint64_t size_ = 0;
};

}  // namespace quire::kernel
