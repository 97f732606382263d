#include "fs/nine_p/file_system.h"

#include "fs/memory/machine_memory.h"
#include "fs/nine_p/inode.h"

namespace quire::kernel {
namespace {

/// Every data cache there is.
struct DataCaches {
  SpinLock lock;
  boost::intrusive::list<nine_p::DataCache> all;
};
DataCaches& data_caches() {
  static DataCaches& caches = *new DataCaches;  // never destroyed, see dentry_cache()
  return caches;
}

}  // namespace

bool drop_file_caches() {
  DataCaches& caches = data_caches();
  std::uint64_t dropped = 0;
  Guard guard(caches.lock);
  for (nine_p::DataCache& cache : caches.all) dropped += cache.drop_contents();
  return dropped != 0;
}

namespace nine_p {

FileSystem9p::FileSystem9p(RefPtr<Client> client, Sharing sharing, std::uint64_t cache_pages)
    : FileSystem("9p"), client_(std::move(client)), sharing_(sharing), cache_(cache_pages) {}

Result<RefPtr<FileSystem9p>> FileSystem9p::mount(NinePTransport& transport, Sharing sharing,
                                                 RefPtr<Inode>& root) {
  constexpr std::uint64_t kCacheShare = 8, kMaxCachePages = 32768;
  QUIRE_TRY(Client::Connection connection, Client::connect(transport));
  QUIRE_TRY(FidHandle root_fid, connection.client->clone(connection.root.get()));
  const std::uint64_t pages =
      sharing == Sharing::kStable ? std::min(memory_pages() / kCacheShare, kMaxCachePages) : 0;
  RefPtr<FileSystem9p> fs = make_ref<FileSystem9p>(connection.client, sharing, pages);
  fs->root_ = std::move(connection.root);
  root = make_ref<Inode9p>(fs, nullptr, "", connection.root_qid, std::move(root_fid));
  return fs;
}

Result<FileSystemFigures> FileSystem9p::figures() { return client_->statfs(root_.get()); }

DataCache::DataCache(std::uint64_t max_pages) : budget_(max_pages) {
  DataCaches& caches = data_caches();
  Guard guard(caches.lock);
  caches.all.push_back(*this);
}

DataCache::~DataCache() {
  DataCaches& caches = data_caches();
  Guard guard(caches.lock);
  caches.all.erase(caches.all.iterator_to(*this));
}

std::uint64_t DataCache::drop_contents() {
  std::uint64_t dropped = 0;
  Guard guard(lock_);  // keeps the inodes: they take it to leave the list
  for (CachedInode& cached : by_use_) {
    auto& inode = static_cast<Inode9p&>(cached);
    if (!inode.mutex.try_lock()) continue;
    dropped += inode.pages_.pages();
    inode.pages_.erase_range(0, PageStore::kEnd);
    inode.mutex.unlock();
  }
  return dropped;
}

void DataCache::move_to_end_locked(Inode9p& inode, List& list, CachedInode::List which) {
  if (inode.list_ != CachedInode::List::kNone) list.erase(list.iterator_to(inode));
  list.push_back(inode);
  inode.list_ = which;
}

RefPtr<Inode9p> DataCache::take_first_locked(List& list) {
  auto& first = static_cast<Inode9p&>(list.front());
  list.pop_front();
  first.list_ = CachedInode::List::kNone;
  return try_ref(first);
}

void DataCache::note_use(Inode9p& inode) {
  {
    Guard guard(lock_);
    move_to_end_locked(inode, by_use_, CachedInode::List::kByUse);
  }
  while (budget_.used() > budget_.limit() - budget_.limit() / 8) {
    RefPtr<Inode9p> victim;
    {
      Guard guard(lock_);
      if (&by_use_.front() == &by_use_.back()) return;  // `inode` itself
      victim = take_first_locked(by_use_);
    }
    if (!victim) continue;
    Guard guard(victim->mutex);
    victim->pages_.erase_range(0, PageStore::kEnd);
  }
}

void DataCache::note_listing(Inode9p& inode) {
  RefPtr<Inode9p> victim;
  {
    Guard guard(lock_);
    move_to_end_locked(inode, listed_, CachedInode::List::kListed);
    if (listed_.size() <= kMaxListings) return;
    victim = take_first_locked(listed_);
  }
  if (!victim) return;
  Guard guard(victim->ahead_lock_);
  victim->ahead_ = nullptr;
}

void DataCache::forget(Inode9p& inode) {
  Guard guard(lock_);
  List& list = inode.list_ == CachedInode::List::kByUse ? by_use_ : listed_;
  if (inode.list_ != CachedInode::List::kNone) list.erase(list.iterator_to(inode));
  inode.list_ = CachedInode::List::kNone;
}

}  // namespace nine_p
}  // namespace quire::kernel
