#include "fs/memory/name_table.h"

namespace quire::kernel {

NameTable::Entry* NameTable::find_or_null(std::string_view name) {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &*it;
}

NameTable::Entry* NameTable::from_cookie_or_null(std::uint64_t cookie) {
  const auto it = by_cookie_.lower_bound(cookie);
  return it == by_cookie_.end() ? nullptr : &*it;
}

RefPtr<Inode> NameTable::set(std::string_view name, RefPtr<Inode> inode) {
  RefPtr<Inode> before;
  if (Entry* old = find_or_null(name)) before = erase(*old);
  if (inode) ++names_;
  auto* entry = new Entry(name, std::move(inode), next_cookie_++);
  by_name_.insert(*entry);
  by_cookie_.insert(*entry);
  return before;
}

RefPtr<Inode> NameTable::erase(Entry& entry) {
  if (entry.inode) --names_;
  by_name_.erase(by_name_.iterator_to(entry));
  by_cookie_.erase(by_cookie_.iterator_to(entry));
  RefPtr<Inode> inode = std::move(entry.inode);
  delete &entry;
  return inode;
}

void NameTable::remove_all(Removed& removed) {
  by_name_.clear();
  by_cookie_.clear_and_dispose([&removed](Entry* entry) { removed.push_back(*entry); });
  names_ = 0;
}

}  // namespace quire::kernel
