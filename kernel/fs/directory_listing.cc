#include "fs/directory_listing.h"

#include <cstring>

namespace quire::kernel {

void DirectoryListing::append(const DirectoryEntry& entry) {
  const std::size_t needed = sizeof(Header) + entry.name.size();
  if (blocks_.empty() || sizeof(Block::bytes) - blocks_.back()->used < needed) {
    blocks_.push_back(std::make_unique<Block>());
    blocks_.back()->first = size_;
  }
  Block& block = *blocks_.back();
  const Header header{.inode = entry.inode,
                      .name_length = static_cast<std::uint16_t>(entry.name.size()),
                      .type = entry.type};
  std::memcpy(block.bytes + block.used, &header, sizeof header);
  std::memcpy(block.bytes + block.used + sizeof header, entry.name.data(), entry.name.size());
  block.used += needed;
  ++size_;
}

void DirectoryListing::clear() {
  blocks_.clear();
  size_ = 0;
  last_ = {};
}

bool DirectoryListing::next(Cursor& cursor, DirectoryEntry& entry) const {
  while (cursor.block < blocks_.size() && cursor.byte == blocks_[cursor.block]->used) {
    ++cursor.block;
    cursor.byte = 0;
  }
  if (cursor.block == blocks_.size()) return false;
  const std::byte* at = blocks_[cursor.block]->bytes + cursor.byte;
  Header header;
  std::memcpy(&header, at, sizeof header);
  entry.name.assign(reinterpret_cast<const char*>(at + sizeof header), header.name_length);
  entry.inode = header.inode;
  entry.type = header.type;
  cursor.byte += sizeof header + header.name_length;
  ++cursor.position;
  return true;
}

void DirectoryListing::read(std::uint64_t& offset, bool (*sink)(void*, const DirectoryEntry&, std::uint64_t), void* context) {
  Cursor cursor = last_;
  if (cursor.position > offset) cursor = {};
  // Whole blocks are skipped, then entries.
  while (cursor.block + 1 < blocks_.size() && blocks_[cursor.block + 1]->first <= offset) {
    ++cursor.block;
    cursor.byte = 0;
    cursor.position = blocks_[cursor.block]->first;
  }
  DirectoryEntry entry;
  while (cursor.position < offset) {
    if (!next(cursor, entry)) return;
  }
  for (last_ = cursor; next(cursor, entry); last_ = cursor) {
    if (!sink(context, entry, cursor.position)) return;
    offset = cursor.position;
  }
}

Result<void> append_all(File& directory, DirectoryListing& listing) {
  std::uint64_t offset = 0;
  return directory.read_directory(
      offset,
      [](void* to, const DirectoryEntry& entry, std::uint64_t) {
        static_cast<DirectoryListing*>(to)->append(entry);
        return true;
      },
      &listing);
}

}  // namespace quire::kernel
