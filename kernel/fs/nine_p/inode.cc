#include "fs/nine_p/inode.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs/nine_p/open_file.h"
#include "fs/release_chain.h"

namespace quire::kernel::nine_p {

Inode9p::Inode9p(RefPtr<FileSystem9p> fs, RefPtr<Inode9p> directory, std::string_view name,
                 const Qid& qid, FidHandle fid)
    : fs_(std::move(fs)),
      directory_(std::move(directory)),
      name_(name),
      qid_(qid),
      fid_(std::move(fid)) {}

Inode9p::~Inode9p() {
  fs_->listings().forget(*this);
  release_chain(std::move(directory_), [](Inode9p& above) { return std::move(above.directory_); });
}

Result<Fid> Inode9p::fid() {
  Guard guard(state_lock_);
  return fid_locked();
}

Result<Fid> Inode9p::fid_locked() {
  if (fid_) return fid_.get();
  // Up to a directory that has one, and down again in one walk. Names are collected backwards.
  std::array<std::string_view, kMaxWalk> names;
  std::size_t begin = names.size();
  names[--begin] = name_;
  RefPtr<Inode9p> from = directory_;
  Fid start = kNoFid;
  while (from) {
    if (begin == 0) {
      QUIRE_TRY(start, from->fid());
      break;
    }
    {
      Guard guard(from->state_lock_);
      if (from->fid_) start = from->fid_.get();
    }
    if (start != kNoFid) break;
    names[--begin] = from->name_;
    from = from->directory_;
  }
  if (start == kNoFid) return fail(Errno::kNoEnt);
  std::array<Qid, kMaxWalk> qids;
  QUIRE_TRY(Client::Walk walk, client().walk(start, std::span(names).subspan(begin), qids));
  if (!walk.fid) return fail(Errno::kNoEnt);
  if (qids[walk.found - 1].path != qid_.path) return fail(Errno::kIo);  // a stable tree has changed
  fid_ = std::move(walk.fid);
  return fid_.get();
}

Result<Attributes> Inode9p::attributes_locked() {
  if (attributes_ && fs_->is_stable()) return *attributes_;
  QUIRE_TRY(const Fid fid, fid_locked());
  Result<Attributes> fresh = client().getattr(fid);
  if (!fresh) {
    if (fresh.error() == Errno::kNoEnt || fresh.error() == Errno::kBadF) is_stale_ = true;
    // A file that was removed while it is open has no path for the server to ask by.
    if (!attributes_ || !is_stale_) return fail(fresh.error());
    attributes_->links = 0;
    return *attributes_;
  }
  QUIRE_CHECK(accept_attributes(*fresh));
  return *attributes_;
}

/// Takes over what the server says, if it is the same kind of file as before.
Result<void> Inode9p::accept_attributes(const Attributes& fresh) {
  if (((fresh.mode & S_IFMT) == S_IFDIR) != is_directory()) return fail(Errno::kIo);
  attributes_ = fresh;
  attributes_->device = fs_->device();
  return {};
}

Result<Attributes> Inode9p::attributes() {
  Guard guard(state_lock_);
  return attributes_locked();
}

void Inode9p::note_end(std::uint64_t end) {
  Guard guard(state_lock_);
  if (attributes_) attributes_->size = std::max(attributes_->size, end);
}

Result<std::uint32_t> Inode9p::type() {
  if (is_directory()) return S_IFDIR;
  if ((qid_.type & Qid::kSymlink) != 0) return S_IFLNK;
  Guard guard(state_lock_);
  // Devices, pipes and sockets have no bit of their own.
  if (attributes_) return attributes_->mode & S_IFMT;
  QUIRE_TRY(const Attributes fresh, attributes_locked());
  return fresh.mode & S_IFMT;
}

Result<std::string> Inode9p::read_link() {
  Guard guard(state_lock_);
  if (target_) return *target_;
  QUIRE_TRY(const Fid fid, fid_locked());
  QUIRE_TRY(std::string target, client().readlink(fid));
  if (fs_->is_stable()) target_ = target;
  return target;
}

RefPtr<Inode9p> Inode9p::make_child(std::string_view name, const Qid& qid, FidHandle fid) {
  const RefPtr<Inode9p> directory = fs_->is_stable() ? RefPtr<Inode9p>(this) : nullptr;
  return make_ref<Inode9p>(fs_, directory, name, qid, std::move(fid));
}

Result<FidHandle> Inode9p::open_fid(std::uint32_t flags) {
  QUIRE_TRY(const Fid file, fid());
  QUIRE_TRY(FidHandle opened, client().clone(file));
  QUIRE_CHECK(client().open(opened.get(), flags));
  return opened;
}

Result<RefPtr<DirectoryListing>> Inode9p::fetch_listing() {
  // A server that never comes to an end must not fill memory.
  constexpr std::uint64_t kMaxEntries = 4U << 20;
  QUIRE_TRY(const FidHandle opened, open_fid(O_RDONLY | O_DIRECTORY));
  RefPtr<DirectoryListing> listing = make_ref<DirectoryListing>();
  std::uint64_t offset = 0;
  for (Client::More more = Client::More::kPerhaps; more == Client::More::kPerhaps;) {
    QUIRE_TRY(more, client().readdir(opened.get(), offset, *listing));
    if (listing->size() > kMaxEntries) return fail(Errno::kIo);
  }
  return listing;
}

Result<RefPtr<DirectoryListing>> Inode9p::listing() {
  if (!fs_->is_stable()) return fetch_listing();
  fs_->listings().note_use(*this);
  Guard guard(ahead_lock_);
  if (!ahead_) {
    QUIRE_TRY(RefPtr<DirectoryListing> fresh, fetch_listing());
    ahead_ = std::make_unique<NamesAhead>(std::move(fresh));
  }
  return ahead_->listing();
}

RefPtr<Inode9p> Inode9p::take_ahead(std::string_view name) {
  Guard guard(ahead_lock_);
  if (!ahead_) return nullptr;
  const Result<Fid> directory = fid();
  if (!directory) return nullptr;
  NamesAhead::Found found = ahead_->take(client(), *directory, name);
  if (!found.fid) return nullptr;
  RefPtr<Inode9p> child = make_child(name, found.qid, std::move(found.fid));
  if (!child->accept_attributes(found.attributes)) return nullptr;
  return child;
}

Result<RefPtr<Inode>> Inode9p::lookup(std::string_view name) {
  std::vector<RefPtr<Inode>> found;
  QUIRE_CHECK(lookup_ahead(std::span(&name, 1), found));
  return found.front();
}

Result<void> Inode9p::lookup_ahead(std::span<const std::string_view> names,
                                   std::vector<RefPtr<Inode>>& found) {
  if (!is_directory()) return fail(Errno::kNotDir);
  if (!fs_->is_stable()) names = names.first(1);
  names = names.first(std::min(names.size(), kMaxWalk));
  if (RefPtr<Inode9p> child = take_ahead(names.front())) {
    found.push_back(std::move(child));
    return {};
  }
  QUIRE_TRY(const Fid from, fid());
  std::array<Qid, kMaxWalk> qids;
  QUIRE_TRY(Client::Walk walk, client().walk(from, names, qids));
  RefPtr<Inode9p> directory(this);
  for (std::size_t i = 0; i < walk.found; ++i) {
    const bool is_last = i + 1 == names.size();
    RefPtr<Inode9p> child =
        directory->make_child(names[i], qids[i], is_last ? std::move(walk.fid) : FidHandle());
    found.push_back(child);
    directory = std::move(child);
  }
  return {};  // why the server stopped early is not known
}

FifoState* Inode9p::fifo() {
  const Result<std::uint32_t> kind = type();
  if (!kind || *kind != S_IFIFO) return nullptr;
  Guard guard(state_lock_);
  if (!fifo_) fifo_ = std::make_unique<FifoState>();
  return fifo_.get();
}

}  // namespace quire::kernel::nine_p
