#include <algorithm>

#include "fs/dentry.h"
#include "fs/file_locks.h"
#include "fs/vfs.h"

namespace quire::kernel {
namespace {

/// The table's chunk list stays a small block of the heap. Linux's own ceiling is
/// /proc/sys/fs/nr_open, 2^20.
constexpr std::uint64_t kMaxDescriptors = 65536;

}  // namespace

FdTable::~FdTable() { close_all(); }

FdTable::Slot* FdTable::slot_locked(int fd) {
  if (fd < 0) return nullptr;
  const auto index = static_cast<std::size_t>(fd);
  const std::size_t chunk = index / kChunkSlots;
  if (chunk >= chunks_.size() || !chunks_[chunk]) return nullptr;
  return &(*chunks_[chunk])[index % kChunkSlots];
}

FdTable::Slot* FdTable::make_slot_locked(int fd) {
  const std::size_t chunk = static_cast<std::size_t>(fd) / kChunkSlots;
  if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
  if (!chunks_[chunk]) chunks_[chunk] = std::make_unique<Chunk>();
  return slot_locked(fd);
}

RefPtr<File> FdTable::take(Slot& slot) {
  slot.close_on_exec = false;
  return std::exchange(slot.file, nullptr);
}

void FdTable::put(Slot& slot, RefPtr<File> file, bool close_on_exec) {
  hold_open(*file);
  slot.file = std::move(file);
  slot.close_on_exec = close_on_exec;
  slot.reserved = false;
}

/// Without the table's lock: the end of a file may sleep.
void FdTable::drop(RefPtr<File> file) {
  if (!file) return;
  release_process_locks(*this, *file);
  let_go_open(std::move(file));
}

Result<int> FdTable::find_free_locked(int lowest) {
  const std::uint64_t end = std::min(limit, kMaxDescriptors);
  if (lowest < 0 || static_cast<std::uint64_t>(lowest) >= end) return fail(Errno::kInval);
  for (auto fd = static_cast<std::uint64_t>(lowest); fd < end; ++fd) {
    const Slot* slot = slot_locked(static_cast<int>(fd));
    if (slot == nullptr || (!slot->file && !slot->reserved)) return static_cast<int>(fd);
  }
  return fail(Errno::kMFile);
}

Result<int> FdTable::reserve(int lowest) {
  Guard guard(mutex_);
  QUIRE_TRY(const int fd, find_free_locked(lowest));
  make_slot_locked(fd)->reserved = true;
  return fd;
}

void FdTable::fill(int fd, RefPtr<File> file, bool close_on_exec) {
  Guard guard(mutex_);
  put(*slot_locked(fd), std::move(file), close_on_exec);
}

void FdTable::release(int fd) {
  Guard guard(mutex_);
  slot_locked(fd)->reserved = false;
}

Result<int> FdTable::install(RefPtr<File> file, int lowest, bool close_on_exec) {
  Guard guard(mutex_);
  QUIRE_TRY(const int fd, find_free_locked(lowest));
  put(*make_slot_locked(fd), std::move(file), close_on_exec);
  return fd;
}

Result<RefPtr<File>> FdTable::get(int fd) {
  Guard guard(mutex_);
  const Slot* slot = slot_locked(fd);
  if (slot == nullptr || !slot->file) return fail(Errno::kBadF);
  return slot->file;
}

Result<void> FdTable::close(int fd) {
  RefPtr<File> file;
  {
    Guard guard(mutex_);
    Slot* slot = slot_locked(fd);
    if (slot == nullptr || !slot->file) return fail(Errno::kBadF);
    file = take(*slot);
  }
  const Result<void> flushed = file->flush();
  drop(std::move(file));
  return flushed;
}

Result<int> FdTable::dup_to(int from, int to, bool close_on_exec) {
  RefPtr<File> replaced;
  {
    Guard guard(mutex_);
    const Slot* source = slot_locked(from);
    if (source == nullptr || !source->file) return fail(Errno::kBadF);
    if (to < 0 || static_cast<std::uint64_t>(to) >= std::min(limit, kMaxDescriptors))
      return fail(Errno::kBadF);
    RefPtr<File> file = source->file;
    Slot* target = make_slot_locked(to);
    // An open(2) that has reserved the slot but not filled it: Linux v6.12 fs/file.c:do_dup2().
    if (target->reserved) return fail(Errno::kBusy);
    replaced = take(*target);
    put(*target, std::move(file), close_on_exec);
  }
  drop(std::move(replaced));
  return to;
}

RefPtr<FdTable> FdTable::clone() {
  RefPtr<FdTable> copy = make_ref<FdTable>();
  Guard guard(mutex_);
  copy->limit = limit;
  copy->chunks_.resize(chunks_.size());
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!chunks_[chunk]) continue;
    copy->chunks_[chunk] = std::make_unique<Chunk>();
    for (std::size_t i = 0; i < kChunkSlots; ++i) {
      const Slot& slot = (*chunks_[chunk])[i];
      if (slot.file) put((*copy->chunks_[chunk])[i], slot.file, slot.close_on_exec);
    }
  }
  return copy;
}

void FdTable::close_on_exec() {
  for (const int fd : open_fds()) {
    const Result<bool> flag = close_on_exec_flag(fd);
    if (flag && *flag) static_cast<void>(close(fd));
  }
}

void FdTable::close_all() {
  for (const int fd : open_fds()) static_cast<void>(close(fd));
}

Result<bool> FdTable::close_on_exec_flag(int fd) {
  Guard guard(mutex_);
  const Slot* slot = slot_locked(fd);
  if (slot == nullptr || !slot->file) return fail(Errno::kBadF);
  return slot->close_on_exec;
}

Result<void> FdTable::set_close_on_exec_flag(int fd, bool on) {
  Guard guard(mutex_);
  Slot* slot = slot_locked(fd);
  if (slot == nullptr || !slot->file) return fail(Errno::kBadF);
  slot->close_on_exec = on;
  return {};
}

std::vector<int> FdTable::open_fds() {
  std::vector<int> fds;
  Guard guard(mutex_);
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (!chunks_[chunk]) continue;
    for (std::size_t i = 0; i < kChunkSlots; ++i) {
      if ((*chunks_[chunk])[i].file) fds.push_back(static_cast<int>(chunk * kChunkSlots + i));
    }
  }
  return fds;
}

}  // namespace quire::kernel
