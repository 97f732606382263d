#include "fs/memory/directory.h"

#include <linux/fs.h>
#include <sys/stat.h>

#include "fs/directory_file.h"
#include "fs/memory/memory_file.h"
#include "fs/memory/special.h"
#include "fs/permission.h"

namespace quire::kernel {
namespace {

class OpenMemoryDirectory final : public DirectoryFile {
 public:
  explicit OpenMemoryDirectory(RefPtr<MemoryDirectory> opened) : directory_(std::move(opened)) {}
  Result<void> read_directory(std::uint64_t& offset, DirectorySink sink, void* context) override {
    return directory_->list(offset, sink, context);
  }

 private:
  RefPtr<MemoryDirectory> directory_;
};

bool is_directory(const RefPtr<MemoryNode>& node) { return *node->type() == S_IFDIR; }

}  // namespace

MemoryDirectory::MemoryDirectory(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid,
                                 std::uint32_t gid)
    : MemoryNode(std::move(fs), mode, uid, gid, 0) {}

MemoryDirectory::MemoryDirectory(RefPtr<MemoryFs> fs) : MemoryNode(std::move(fs), S_IFDIR) {}

MemoryDirectory::~MemoryDirectory() {
  // Level by level instead of destructor in destructor: a program can make trees deeper than a
  // kernel stack.
  NameTable::Removed removed;
  names_.remove_all(removed);
  while (!removed.empty()) {
    NameTable::Entry* entry = &removed.front();
    removed.pop_front();
    const RefPtr<Inode> inode = std::move(entry->inode);
    delete entry;
    if (inode && inode->ref_count() == 1 && *inode->type() == S_IFDIR) {
      static_cast<MemoryDirectory&>(*inode).names_.remove_all(removed);
    }
  }
}

Result<Attributes> MemoryDirectory::attributes() {
  // Linux v6.12 mm/shmem.c: BOGO_DIRENT_SIZE for each name, "." and ".." included.
  constexpr std::uint64_t kSizeOfName = 20;
  QUIRE_TRY(Attributes result, MemoryNode::attributes());
  if (has_below()) return result;
  Guard guard(fs().names_lock);
  result.size = (names_.names() + 2) * kSizeOfName;
  return result;
}

Result<RefPtr<File>> MemoryDirectory::open(std::uint32_t) {
  return make_ref<OpenMemoryDirectory>(RefPtr<MemoryDirectory>(this));
}

MemoryDirectory::Known MemoryDirectory::find(std::string_view name, RefPtr<Inode>& inode) {
  Guard guard(fs().names_lock);
  const NameTable::Entry* entry = names_.find_or_null(name);
  if (entry == nullptr) return Known::kNo;
  if (entry->is_whiteout()) return Known::kWhiteout;
  inode = entry->inode;
  return Known::kYes;
}

Result<RefPtr<Inode>> MemoryDirectory::lookup(std::string_view name) {
  RefPtr<Inode> inode;
  switch (find(name, inode)) {
    case Known::kYes:
      return inode;
    case Known::kWhiteout:
      return fail(Errno::kNoEnt);
    case Known::kNo:
      break;
  }
  return lookup_below(name);
}

Result<RefPtr<MemoryNode>> MemoryDirectory::find_node(std::string_view name) {
  RefPtr<Inode> inode;
  if (find(name, inode) != Known::kYes) return fail(Errno::kNoEnt);
  RefPtr<MemoryNode> node(static_cast<MemoryNode*>(inode.get()));
  QUIRE_CHECK(node->ensure_loaded());
  return node;
}

void MemoryDirectory::remove_name(std::string_view name) {
  const bool whiteout = needs_whiteout(name);
  RefPtr<Inode> before;
  Guard guard(fs().names_lock);
  if (whiteout) {
    before = names_.set(name, nullptr);
  } else if (NameTable::Entry* entry = names_.find_or_null(name)) {
    before = names_.erase(*entry);
  }
}

void MemoryDirectory::add_name(std::string_view name, RefPtr<Inode> node) {
  RefPtr<Inode> before;
  Guard guard(fs().names_lock);
  before = names_.set(name, std::move(node));
}

RefPtr<MemoryNode> MemoryDirectory::new_node(std::uint32_t mode, std::uint32_t uid,
                                             std::uint32_t gid, std::uint64_t rdev) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return make_ref<MemoryFile>(RefPtr<MemoryFs>(&fs()), mode, uid, gid);
    case S_IFDIR:
      return make_ref<MemoryDirectory>(RefPtr<MemoryFs>(&fs()), mode, uid, gid);
    case S_IFLNK:
      return make_ref<MemorySymlink>(RefPtr<MemoryFs>(&fs()), mode, uid, gid);
    default:
      return make_ref<MemorySpecial>(RefPtr<MemoryFs>(&fs()), mode, uid, gid, rdev);
  }
}

Result<RefPtr<MemoryNode>> MemoryDirectory::make_node(std::uint32_t mode, std::uint64_t rdev) {
  QUIRE_TRY(const Attributes here, attributes());
  QUIRE_CHECK(fs().charge_inode());
  const Ownership owner = ownership_for_new(here, mode, filesystem_identity());
  RefPtr<MemoryNode> node = new_node(owner.mode, owner.uid, owner.gid, rdev);
  node->is_charged_ = true;
  return node;
}

Result<RefPtr<Inode>> MemoryDirectory::add_new(std::string_view name,
                                               Result<RefPtr<MemoryNode>> node) {
  if (!node) return fail(node.error());
  QUIRE_CHECK(before_change());
  if (is_directory(*node)) add_link();
  add_name(name, *node);
  touch(Touch::kModify);
  return *node;
}

Result<RefPtr<Inode>> MemoryDirectory::create(std::string_view name, std::uint32_t mode,
                                              std::uint64_t rdev) {
  return add_new(name, make_node(mode, rdev));
}

Result<RefPtr<Inode>> MemoryDirectory::symlink(std::string_view name, std::string_view target) {
  QUIRE_TRY(const RefPtr<MemoryNode> node, make_node(S_IFLNK | 0777U, 0));
  static_cast<MemorySymlink&>(*node).set_target(target);
  return add_new(name, node);
}

Result<void> MemoryDirectory::link(std::string_view name, Inode& target) {
  auto& node = static_cast<MemoryNode&>(target);
  QUIRE_CHECK(node.ensure_loaded());
  QUIRE_CHECK(node.before_change());
  QUIRE_CHECK(before_change());
  node.add_link();
  add_name(name, RefPtr<Inode>(&target));
  touch(Touch::kModify);
  return {};
}

Result<void> MemoryDirectory::unlink(std::string_view name) {
  QUIRE_TRY(const RefPtr<MemoryNode> node, find_node(name));
  QUIRE_CHECK(before_change());
  remove_name(name);
  touch(Touch::kModify);
  node->drop_link();
  return {};
}

Result<void> MemoryDirectory::rmdir(std::string_view name) {
  QUIRE_TRY(const RefPtr<MemoryNode> node, find_node(name));
  QUIRE_CHECK(static_cast<MemoryDirectory&>(*node).check_empty());
  QUIRE_CHECK(before_change());
  remove_name(name);
  touch(Touch::kModify);
  drop_link();
  node->drop_link();  // its name
  node->drop_link();  // its "."
  return {};
}

Result<void> MemoryDirectory::check_empty() {
  Guard guard(fs().names_lock);
  if (names_.names() != 0) return fail(Errno::kNotEmpty);
  return {};
}

Result<void> MemoryDirectory::exchange(std::string_view name, MemoryDirectory& other,
                                       std::string_view other_name) {
  QUIRE_TRY(const RefPtr<MemoryNode> mine, find_node(name));
  QUIRE_TRY(const RefPtr<MemoryNode> theirs, other.find_node(other_name));
  if (&other != this && is_directory(mine) != is_directory(theirs)) {
    MemoryDirectory& loser = is_directory(mine) ? *this : other;
    MemoryDirectory& winner = is_directory(mine) ? other : *this;
    loser.drop_link();
    winner.add_link();
  }
  add_name(name, theirs);
  other.add_name(other_name, mine);
  return {};
}

Result<void> MemoryDirectory::rename(std::string_view name, Inode& new_parent,
                                     std::string_view new_name, std::uint32_t flags) {
  if ((flags & ~static_cast<std::uint32_t>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
    return fail(Errno::kInval);
  auto& target = static_cast<MemoryDirectory&>(new_parent);
  QUIRE_CHECK(before_change());
  QUIRE_CHECK(target.before_change());
  if ((flags & RENAME_EXCHANGE) != 0) {
    QUIRE_CHECK(exchange(name, target, new_name));
  } else {
    QUIRE_TRY(const RefPtr<MemoryNode> node, find_node(name));
    RefPtr<Inode> replaced;
    if (target.find(new_name, replaced) == Known::kYes) {
      const Result<void> removed =
          is_directory(node) ? target.rmdir(new_name) : target.unlink(new_name);
      if (!removed) return removed;
    }
    if (is_directory(node)) {
      drop_link();
      target.add_link();
    }
    target.add_name(new_name, node);
    remove_name(name);
    node->touch(Touch::kChange);
  }
  touch(Touch::kModify);
  target.touch(Touch::kModify);
  return {};
}

Result<void> MemoryDirectory::list(std::uint64_t& offset, DirectorySink sink, void* context) {
  Guard guard(mutex);
  return list_locked(offset, ~std::uint64_t{0}, sink, context);
}

Result<void> MemoryDirectory::list_locked(std::uint64_t& offset, std::uint64_t end,
                                          DirectorySink sink, void* context) {
  for (;;) {
    DirectoryEntry entry;
    RefPtr<Inode> inode;
    std::uint64_t cookie = 0;
    {
      Guard names(fs().names_lock);
      const NameTable::Entry* found = names_.from_cookie_or_null(offset + 1);
      while (found != nullptr && found->is_whiteout())
        found = names_.from_cookie_or_null(found->cookie + 1);
      if (found == nullptr || found->cookie >= end) return {};
      entry.name = found->name;
      inode = found->inode;
      cookie = found->cookie;
    }
    QUIRE_TRY(const Attributes attributes, inode->attributes());
    entry.inode = attributes.inode;
    entry.type = directory_entry_type(attributes.mode);
    if (!sink(context, entry, cookie)) return {};
    offset = cookie;
  }
}

}  // namespace quire::kernel
