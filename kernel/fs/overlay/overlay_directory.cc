#include "fs/overlay/overlay_directory.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include "fs/directory_file.h"
#include "fs/overlay/overlay_file.h"
#include "fs/overlay/overlay_special.h"

namespace quire::kernel {
namespace {

/// Reads both layers when it is read from the start, and keeps the result.
class OpenOverlayDirectory final : public DirectoryFile {
 public:
  explicit OpenOverlayDirectory(RefPtr<OverlayDirectory> opened) : directory_(std::move(opened)) {}
  Result<void> read_directory(std::uint64_t& offset, DirectorySink sink, void* context) override {
    Guard guard(listing_lock_);
    if (offset == 0 || !listing_) {
      QUIRE_TRY(listing_, directory_->merged());
      cursor_ = {};
    }
    listing_->read(cursor_, offset, sink, context);
    return {};
  }

 private:
  RefPtr<OverlayDirectory> directory_;
  Mutex listing_lock_;
  RefPtr<DirectoryListing> listing_;
  DirectoryListing::Cursor cursor_;
};

}  // namespace

OverlayDirectory::OverlayDirectory(RefPtr<OverlayFs> fs, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid)
    : OverlayNode(std::move(fs), mode, uid, gid) {}

OverlayDirectory::OverlayDirectory(RefPtr<OverlayDirectory> directory, std::string_view name, RefPtr<Inode> lower,
                                   RefPtr<OverlayFs> fs)
    : OverlayNode(std::move(directory), name, std::move(lower), std::move(fs)) {}

Result<RefPtr<File>> OverlayDirectory::open(std::uint32_t flags) {
  if (!lower_) return MemoryDirectory::open(flags);
  return make_ref<OpenOverlayDirectory>(RefPtr<OverlayDirectory>(this));
}

Result<RefPtr<Inode>> OverlayDirectory::wrap(std::string_view name, RefPtr<Inode> lower) {
  QUIRE_TRY(const std::uint32_t type, lower->type());
  const RefPtr<OverlayDirectory> self(this);
  const RefPtr<OverlayFs> fs(&overlay());
  switch (type) {
    case S_IFREG:
      return make_ref<OverlayFile>(self, name, std::move(lower), fs);
    case S_IFDIR:
      return make_ref<OverlayDirectory>(self, name, std::move(lower), fs);
    case S_IFLNK:
      return make_ref<OverlaySymlink>(self, name, std::move(lower), fs);
    default:
      return make_ref<OverlaySpecial>(self, name, std::move(lower), fs, type);
  }
}

Result<RefPtr<Inode>> OverlayDirectory::lookup_below(std::string_view name) {
  if (!lower_) return fail(Errno::kNoEnt);
  QUIRE_TRY(RefPtr<Inode> lower, lower_->lookup(name));
  return wrap(name, std::move(lower));
}

Result<void> OverlayDirectory::lookup_ahead(std::span<const std::string_view> names, std::vector<RefPtr<Inode>>& found) {
  RefPtr<Inode> known;
  if (!lower_ || find(names.front(), known) != Known::kNo) return Inode::lookup_ahead(names, found);
  std::vector<RefPtr<Inode>> lower_found;
  QUIRE_CHECK(lower_->lookup_ahead(names, lower_found));
  OverlayDirectory* directory = this;
  for (std::size_t i = 0; i < lower_found.size() && directory != nullptr; ++i) {
    QUIRE_TRY(const std::uint32_t type, lower_found[i]->type());
    QUIRE_TRY(RefPtr<Inode> node, directory->wrap(names[i], std::move(lower_found[i])));
    directory = type == S_IFDIR ? static_cast<OverlayDirectory*>(node.get()) : nullptr;
    found.push_back(std::move(node));
  }
  return {};
}

bool OverlayDirectory::needs_whiteout(std::string_view name) {
  // An answer other than "not there" hides too much rather than too little.
  if (!lower_) return false;
  const Result<RefPtr<Inode>> below = lower_->lookup(name);
  return below || below.error() != Errno::kNoEnt;
}

RefPtr<MemoryNode> OverlayDirectory::new_node(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid, std::uint64_t rdev) {
  const RefPtr<OverlayFs> fs(&overlay());
  switch (mode & S_IFMT) {
    case S_IFREG:
      return make_ref<OverlayFile>(fs, mode, uid, gid);
    case S_IFDIR:
      return make_ref<OverlayDirectory>(fs, mode, uid, gid);
    case S_IFLNK:
      return make_ref<OverlaySymlink>(fs, mode, uid, gid);
    default:
      return make_ref<OverlaySpecial>(fs, mode, uid, gid, rdev);
  }
}

/// Whether the table knew the name when its next cookie was `end_cookie`.
bool OverlayDirectory::hides(std::string_view name, std::uint64_t end_cookie) {
  Guard guard(fs().names_lock);
  const NameTable::Entry* entry = names_.find_or_null(name);
  return entry != nullptr && entry->cookie < end_cookie;
}

std::uint64_t OverlayDirectory::next_cookie() {
  Guard guard(fs().names_lock);
  return names_.next_cookie();
}

template <typename Visit>
Result<void> OverlayDirectory::for_each_below(std::uint64_t end_cookie, Visit visit) {
  if (!lower_) return {};
  struct Context {
    OverlayDirectory& directory;
    std::uint64_t end_cookie;
    Visit& visit;
  } context{.directory = *this, .end_cookie = end_cookie, .visit = visit};
  QUIRE_TRY(const RefPtr<File> below, lower_->open(O_RDONLY | O_DIRECTORY));
  std::uint64_t offset = 0;
  return below->read_directory(
      offset,
      [](void* argument, const DirectoryEntry& entry, std::uint64_t) {
        auto& c = *static_cast<Context*>(argument);
        return c.directory.hides(entry.name, c.end_cookie) || c.visit(entry) == Next::kGoOn;
      },
      &context);
}

Result<void> OverlayDirectory::check_empty() {
  QUIRE_CHECK(MemoryDirectory::check_empty());
  bool has_name = false;
  QUIRE_CHECK(for_each_below(next_cookie(), [&has_name](const DirectoryEntry&) {
    has_name = true;
    return Next::kStop;
  }));
  if (has_name) return fail(Errno::kNotEmpty);
  return {};
}

Result<RefPtr<DirectoryListing>> OverlayDirectory::merged() {
  RefPtr<DirectoryListing> listing = make_ref<DirectoryListing>();
  // The mutex keeps names from being removed meanwhile. Names may still be pinned, which adds them to the table: those come after
  // `end_cookie` and are listed as what is below.
  Guard guard(mutex);
  const std::uint64_t end_cookie = next_cookie();
  QUIRE_CHECK(for_each_below(end_cookie, [&listing](const DirectoryEntry& entry) {
    listing->append(entry);
    return Next::kGoOn;
  }));
  std::uint64_t offset = 0;
  QUIRE_CHECK(list_locked(
      offset, end_cookie,
      [](void* to, const DirectoryEntry& entry, std::uint64_t) {
        static_cast<DirectoryListing*>(to)->append(entry);
        return true;
      },
      listing.get()));
  return listing;
}

RefPtr<Inode> make_overlay_root(RefPtr<OverlayFs> fs, RefPtr<Inode> lower) {
  return make_ref<OverlayDirectory>(nullptr, "", std::move(lower), std::move(fs));
}

}  // namespace quire::kernel
