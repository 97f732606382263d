#include "fs/directory_listing.h"

#include <algorithm>
#include <cstring>

namespace quire::kernel {

void DirectoryListing::append(const DirectoryEntry& entry) {
  const std::size_t needed = sizeof(Header) + entry.name.size();
  if (blocks_.empty() || blocks_.back().size - blocks_.back().used < needed) {
    const std::size_t size = blocks_.empty() ? kFirstBlock : std::min(blocks_.back().size * 4, kLargestBlock);
    blocks_.push_back({.bytes = std::make_unique_for_overwrite<std::byte[]>(size), .used = 0, .size = size, .first = size_});
  }
  Block& block = blocks_.back();
  const Header header{
      .inode = entry.inode, .name_length = static_cast<std::uint16_t>(entry.name.size()), .type = entry.type};
  std::memcpy(block.bytes.get() + block.used, &header, sizeof header);
  std::memcpy(block.bytes.get() + block.used + sizeof header, entry.name.data(), entry.name.size());
  block.used += needed;
  ++size_;
}

bool DirectoryListing::next(Cursor& cursor, DirectoryEntry& entry) const {
  while (cursor.block < blocks_.size() && cursor.byte == blocks_[cursor.block].used) {
    ++cursor.block;
    cursor.byte = 0;
  }
  if (cursor.block == blocks_.size()) return false;
  const std::byte* at = blocks_[cursor.block].bytes.get() + cursor.byte;
  Header header;
  std::memcpy(&header, at, sizeof header);
  entry.name.assign(reinterpret_cast<const char*>(at + sizeof header), header.name_length);
  entry.inode = header.inode;
  entry.type = header.type;
  cursor.byte += sizeof header + header.name_length;
  ++cursor.position;
  return true;
}

void DirectoryListing::read(Cursor& cursor, std::uint64_t& offset,
                            bool (*sink)(void*, const DirectoryEntry&, std::uint64_t), void* context) const {
  if (cursor.position > offset) cursor = {};
  // Whole blocks are skipped, then entries.
  while (cursor.block + 1 < blocks_.size() && blocks_[cursor.block + 1].first <= offset) {
    ++cursor.block;
    cursor.byte = 0;
    cursor.position = blocks_[cursor.block].first;
  }
  DirectoryEntry entry;
  while (cursor.position < offset) {
    if (!next(cursor, entry)) return;
  }
  for (Cursor ahead = cursor; next(ahead, entry); cursor = ahead) {
    if (!sink(context, entry, ahead.position)) return;
    offset = ahead.position;
  }
}

}  // namespace quire::kernel
