#include "fs/page_cache.h"

#include <algorithm>

#include "fs/memory/machine_memory.h"

namespace quire::kernel {

/// All cached files, least recently read first.
class PageCache {
 public:
  static PageCache& the() {
    static PageCache& cache = *new PageCache;  // never destroyed, see dentry_cache()
    return cache;
  }

  void note_read(CachedFile& file, std::uint64_t pages) {
    Guard guard(lock_);
    if (file.is_listed_) files_.erase(files_.iterator_to(file));
    files_.push_back(file);
    file.is_listed_ = true;
    read_ += pages;
    if (read_ < limit_ / kTrimShare) return;
    read_ = 0;
    trim_locked(file);
  }

  std::uint64_t drop_all() {
    Guard guard(lock_);  // keeps the files: they take it to leave
    std::uint64_t dropped = 0;
    for (CachedFile& file : files_) dropped += drop(file);
    return dropped;
  }

  /// Mapped pages, too: those that are not used much, of the files that were not read for longest first.
  std::uint64_t reclaim() {
    const std::uint64_t wanted = memory_pages() / kReclaimShare;
    std::uint64_t freed = 0;
    std::size_t files = 0;
    {
      Guard guard(lock_);
      files = files_.size();
    }
    for (; files > 0 && freed < wanted; --files) {
      FileObject* const object = take_turn();
      if (object == nullptr) continue;
      freed += object->reclaim(PageCount(wanted - freed)).raw();
      object->drop_user();
    }
    return freed;
  }

  void forget(CachedFile& file) {
    Guard guard(lock_);
    if (file.is_listed_) files_.erase(files_.iterator_to(file));
    file.is_listed_ = false;
  }

 private:
  static constexpr std::uint64_t kMemoryShare = 4, kTrimShare = 8, kReclaimShare = 64;

  PageCache() : limit_(memory_pages() / kMemoryShare) {}

  static std::uint64_t clean_pages(CachedFile& file) {
    const FileObject* const object = file.cached_pages();
    if (object == nullptr) return 0;
    const std::uint64_t all = object->resident().raw(), owned = object->owned().raw();
    return all - std::min(all, owned);
  }
  static std::uint64_t drop(CachedFile& file) {
    FileObject* const object = file.cached_pages();
    return object == nullptr ? 0 : object->drop_clean().raw();
  }
  /// The object of the first file, which becomes the last, with one user more; it may outlive the file. Null: there is none.
  FileObject* take_turn() {
    Guard guard(lock_);
    if (files_.empty()) return nullptr;
    files_.splice(files_.end(), files_, files_.begin());
    FileObject* const object = files_.back().cached_pages();
    if (object != nullptr) object->add_user();
    return object;
  }
  // Mapped pages stay; so may more than the limit.
  void trim_locked(const CachedFile& current) {
    std::uint64_t kept = 0;
    for (CachedFile& file : files_) kept += clean_pages(file);
    for (CachedFile& file : files_) {
      if (kept <= limit_ || &file == &current) return;
      kept -= std::min(kept, drop(file));
    }
  }

  SpinLock lock_;
  const std::uint64_t limit_;
  std::uint64_t read_ = 0;  ///< since the last look
  boost::intrusive::list<CachedFile> files_;
};

CachedFile::~CachedFile() { leave_cache(); }

void CachedFile::leave_cache() { PageCache::the().forget(*this); }

void CachedFile::note_read(std::uint64_t pages) { PageCache::the().note_read(*this, pages); }

Result<Frame*> page_to_read(FileObject& object, std::uint64_t index) {
  Result<Frame*> page = object.page_for_read(PageIndex(index));
  if (!page && page.error() == Errno::kNoMem && drop_file_caches()) page = object.page_for_read(PageIndex(index));
  return page;
}

void drop_unused_file_caches() { PageCache::the().drop_all(); }

bool drop_file_caches() { return PageCache::the().drop_all() != 0 || PageCache::the().reclaim() != 0; }

}  // namespace quire::kernel
