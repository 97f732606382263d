// The page cache: files whose pages can be read again, and how many of those the machine keeps.
//
// The pages are those of the files' objects (core, quire/object/file_object.h); here is only the
// order in which files were used. Pages that nobody uses go, of the files that were not read for
// longest first, when there are too many of them or memory runs short.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "quire/object/file_object.h"
#include "sync/lock.h"

namespace quire::kernel {

/// A file with such pages. Leaves the cache when it ends.
class CachedFile : public boost::intrusive::list_base_hook<> {
 protected:
  CachedFile() = default;
  ~CachedFile();
  /// The object with the pages, or null if there is none yet. May be asked while the file ends.
  [[nodiscard]] virtual FileObject* cached_pages() = 0;
  /// `pages` are about to be read. Other files may lose theirs.
  void note_read(std::uint64_t pages);

 private:
  friend class PageCache;
  bool is_listed_ = false;
};

/// Gives back memory that only holds what can be read again. Returns whether there was any. Takes
/// no lock that it would have to wait for: may be called wherever memory runs out, but not under
/// spin locks.
bool drop_file_caches();

}  // namespace quire::kernel
