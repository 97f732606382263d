#include "fs/memory/node.h"

#include <sys/stat.h>

#include "fs/permission.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

std::int64_t now() { return static_cast<std::int64_t>(realtime_ns()); }

}  // namespace

MemoryNode::MemoryNode(RefPtr<MemoryFs> fs, std::uint32_t mode, std::uint32_t uid,
                       std::uint32_t gid, std::uint64_t rdev)
    : fs_(std::move(fs)), type_(mode & S_IFMT), is_loaded_(true) {
  attributes_.device = fs_->device();
  attributes_.inode = fs_->next_inode_number();
  attributes_.mode = mode;
  attributes_.uid = uid;
  attributes_.gid = gid;
  attributes_.links = type_ == S_IFDIR ? 2 : 1;
  attributes_.rdev = rdev;
  attributes_.times = {.access_ns = now(), .modify_ns = now(), .change_ns = now()};
}

MemoryNode::MemoryNode(RefPtr<MemoryFs> fs, std::uint32_t type)
    : fs_(std::move(fs)), type_(type), is_loaded_(false) {}

MemoryNode::~MemoryNode() {
  if (is_charged_) fs_->uncharge_inode();
}

Result<void> MemoryNode::ensure_loaded() {
  if (is_loaded_.load(std::memory_order_acquire)) return {};
  QUIRE_TRY(Attributes loaded, load());
  loaded.device = fs_->device();
  Guard guard(attributes_lock_);
  if (!is_loaded_.load(std::memory_order_relaxed)) {
    attributes_ = loaded;
    on_loaded(loaded);
    is_loaded_.store(true, std::memory_order_release);
  }
  return {};
}

ExtendedAttributes* MemoryNode::extended_attributes() {
  if (!fs_->has_extended_attributes()) return nullptr;
  if (extended_ == nullptr) extended_ = std::make_unique<ExtendedAttributes>();
  return extended_.get();
}

Result<Attributes> MemoryNode::attributes() {
  QUIRE_CHECK(ensure_loaded());
  Guard guard(attributes_lock_);
  Attributes result = attributes_;
  result.blocks = blocks();
  return result;
}

Result<void> MemoryNode::set_attributes(const AttributeChange& change) {
  QUIRE_CHECK(ensure_loaded());
  QUIRE_CHECK(before_change());
  if (change.size) {
    Guard guard(mutex);
    QUIRE_CHECK(resize(*change.size));
    touch(Touch::kModify);
  }
  Guard guard(attributes_lock_);
  if (change.mode) attributes_.mode = (attributes_.mode & S_IFMT) | (*change.mode & 07777U);
  if (change.uid) attributes_.uid = *change.uid;
  if (change.gid) attributes_.gid = *change.gid;
  if (change.access_ns) attributes_.times.access_ns = *change.access_ns;
  if (change.modify_ns) attributes_.times.modify_ns = *change.modify_ns;
  attributes_.times.change_ns = now();
  return {};
}

void MemoryNode::add_link() {
  Guard guard(attributes_lock_);
  ++attributes_.links;
  attributes_.times.change_ns = now();
}

void MemoryNode::drop_link() {
  std::uint64_t left = 0;
  {
    Guard guard(attributes_lock_);
    if (attributes_.links > 0) left = --attributes_.links;
    attributes_.times.change_ns = now();
  }
  if (left == 0) on_unlinked();
}

void MemoryNode::touch(Touch what) {
  constexpr std::int64_t kDay = 86'400'000'000'000;
  const std::int64_t time = now();
  Guard guard(attributes_lock_);
  FileTimes& times = attributes_.times;
  switch (what) {
    case Touch::kModify:
      times.modify_ns = times.change_ns = time;
      break;
    case Touch::kChange:
      times.change_ns = time;
      break;
    case Touch::kAccess:
      if (times.access_ns <= times.modify_ns || times.access_ns <= times.change_ns ||
          time - times.access_ns >= kDay) {
        times.access_ns = time;
      }
      break;
  }
}

std::uint64_t MemoryNode::size() {
  Guard guard(attributes_lock_);
  return attributes_.size;
}

void MemoryNode::set_size(std::uint64_t size) {
  Guard guard(attributes_lock_);
  attributes_.size = size;
}

void MemoryNode::drop_privileges() {
  constexpr std::uint32_t kSetGroup = S_ISGID | S_IXGRP;
  if (filesystem_identity().can(CAP_FSETID)) return;
  Guard guard(attributes_lock_);
  attributes_.mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if ((attributes_.mode & kSetGroup) == kSetGroup)
    attributes_.mode &= ~static_cast<std::uint32_t>(S_ISGID);
}

}  // namespace quire::kernel
