// System V shared memory: segments, found by key or id, and their attachments (man7 sysvipc(7), shmop(2)).
//
// Life cycle of a segment: made by shmget; in the table until it is removed (IPC_RMID) and the last attachment is gone. Its pages are those
// of a FileObject without a source. Each shmat makes one Attachment, an open file that no descriptor names and that all mappings made of it
// hold: those of forks and the parts of a mapping that was split. How many mappings there are is counted when somebody asks.
// Locks: the table's mutex guards all of it; an attachment ends under none (drop_released_files()).
#pragma once

#include <vector>

#include "fs/vfs.h"
#include "quire/object/file_object.h"
#include "task/task.h"

namespace quire::kernel {

// Linux v6.12 include/linux/shm.h, include/uapi/linux/shm.h (which cannot be included beside sys/stat.h).
inline constexpr std::uint32_t kSegmentRemoved = 01000, kSegmentLocked = 02000;
inline constexpr std::uint64_t kMostSegments = 4096;

class SharedSegment final : public RefCounted {
 public:
  SharedSegment(FileObject& pages, std::int32_t key, std::uint64_t size, std::uint32_t mode, const Credentials& creator);

  [[nodiscard]] FileObject& object() const { return object_; }
  /// As ipcperms of Linux v6.12 ipc/util.c. `wanted`: bits as in a mode, of any class. Errors: EACCES.
  [[nodiscard]] Result<void> check(std::uint32_t wanted) const;
  [[nodiscard]] bool is_owned_by_caller() const;
  [[nodiscard]] bool is_removed() const { return (mode & kSegmentRemoved) != 0; }

  // Guarded by the table's mutex.
  std::int32_t id = -1, key;
  const std::uint64_t size;
  std::uint32_t mode, uid, gid;
  const std::uint32_t creator_uid, creator_gid;
  Pid creator, last;
  std::int64_t attached = 0, detached = 0, changed;  ///< seconds since the epoch
  std::uint64_t attachments = 0;

 private:
  ~SharedSegment() override;

  FileObject& object_;
};

/// What mappings of a segment hold.
class Attachment final : public File {
 public:
  /// Pre: the table's mutex is held.
  Attachment(RefPtr<SharedSegment> segment, std::uint32_t open_flags);
  Result<MemoryObject*> object_to_map(MapAccess) override { return &segment_->object(); }
  Result<void> punch(PageIndex first, PageCount count) override;
  /// shmdt(2) is taking mappings of it away.
  void note_detached();
  [[nodiscard]] std::string anonymous_name() const override;
  [[nodiscard]] Result<Attributes> attributes() override;

 private:
  ~Attachment() override;

  const RefPtr<SharedSegment> segment_;
};

class SegmentTable {
 public:
  Mutex mutex;

  // Pre of all: the mutex is held.
  [[nodiscard]] SharedSegment* find_key(std::int32_t key) const;
  [[nodiscard]] SharedSegment* find_id(std::int32_t id) const;
  [[nodiscard]] bool has_object(const MemoryObject& object) const;
  [[nodiscard]] SharedSegment* at(std::size_t index) const { return index < slots_.size() ? slots_[index].get() : nullptr; }
  /// Errors: ENOSPC.
  Result<std::int32_t> add(RefPtr<SharedSegment> segment);
  /// IPC_RMID: its key and, unless it is attached, itself.
  void remove(SharedSegment& segment);
  /// Takes it out; the caller holds it.
  void drop(SharedSegment& segment);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  [[nodiscard]] std::uint64_t resident() const;
  /// The highest index in use, or 0.
  [[nodiscard]] std::int64_t last_index() const;

 private:
  std::vector<RefPtr<SharedSegment>> slots_;
  std::size_t last_used_ = ~std::size_t{0};
  std::int32_t sequence_ = 0;
  std::uint64_t count_ = 0, pages_ = 0;
};

SegmentTable& segment_table();
/// Drops the segments that nobody removed, at the end of the machine.
void drop_shared_segments();

}  // namespace quire::kernel
