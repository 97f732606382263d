#include "fs/nine_p/file_system.h"

#include "fs/memory/page_memory.h"
#include "fs/nine_p/inode.h"

namespace quire::kernel::nine_p {

FileSystem9p::FileSystem9p(RefPtr<Client> client, Sharing sharing, std::uint64_t cache_pages)
    : FileSystem("9p"), client_(std::move(client)), sharing_(sharing), cache_(cache_pages) {}

Result<RefPtr<FileSystem9p>> FileSystem9p::mount(NinePTransport& transport, Sharing sharing, RefPtr<Inode>& root) {
  constexpr std::uint64_t kCacheShare = 8, kMaxCachePages = 32768;
  QUIRE_TRY(Client::Connection connection, Client::connect(transport));
  QUIRE_TRY(FidHandle root_fid, connection.client->clone(connection.root.get()));
  const std::uint64_t pages = sharing == Sharing::kStable ? std::min(memory_pages() / kCacheShare, kMaxCachePages) : 0;
  RefPtr<FileSystem9p> fs = make_ref<FileSystem9p>(connection.client, sharing, pages);
  fs->root_ = std::move(connection.root);
  root = make_ref<Inode9p>(fs, nullptr, "", connection.root_qid, std::move(root_fid));
  return fs;
}

Result<FileSystemFigures> FileSystem9p::figures() { return client_->statfs(root_.get()); }

void DataCache::note_use(Inode9p& inode) {
  {
    Guard guard(lock_);
    if (inode.is_listed_) by_use_.erase(by_use_.iterator_to(inode));
    by_use_.push_back(inode);
    inode.is_listed_ = true;
  }
  while (budget_.used() > budget_.limit() - budget_.limit() / 8) {
    const RefPtr<Inode9p> victim = pick_victim(inode);
    if (!victim) return;
    Guard guard(victim->mutex);
    victim->pages_.erase_range(0, PageStore::kEnd);
  }
}

RefPtr<Inode9p> DataCache::pick_victim(Inode9p& spared) {
  Guard guard(lock_);
  for (auto it = by_use_.begin(); it != by_use_.end();) {
    auto& candidate = static_cast<Inode9p&>(*it);
    ++it;
    if (&candidate == &spared) continue;
    by_use_.erase(by_use_.iterator_to(candidate));
    candidate.is_listed_ = false;
    // One that is on its way out gives its pages back by itself.
    if (RefPtr<Inode9p> victim = try_ref(candidate)) return victim;
  }
  return nullptr;
}

void DataCache::forget(Inode9p& inode) {
  Guard guard(lock_);
  if (inode.is_listed_) by_use_.erase(by_use_.iterator_to(inode));
  inode.is_listed_ = false;
}

}  // namespace quire::kernel::nine_p
