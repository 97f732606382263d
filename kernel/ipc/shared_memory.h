// System V shared memory: segments, found by key or id, and their attachments (man7 sysvipc(7), shmop(2)).
//
// Life cycle of a segment: made by shmget; in the table until it is removed (IPC_RMID) and the last attachment is gone. Its pages are those
// of a FileObject without a source, or of a HugeObject. Each shmat makes one Attachment, an open file that no descriptor names and that all
// mappings made of it hold: those of forks and the parts of a mapping that was split. How many mappings there are is counted when somebody
// asks.
// Locks: the table's mutex guards all of it; an attachment ends under none (drop_released_files()).
#pragma once

#include "fs/vfs.h"
#include "ipc/system_v.h"
#include "quire/object/file_object.h"
#include "task/task.h"

namespace quire::kernel {

// Linux v6.12 include/linux/shm.h, include/uapi/linux/shm.h (which cannot be included beside sys/stat.h).
inline constexpr std::uint32_t kSegmentRemoved = 01000, kSegmentLocked = 02000;
inline constexpr std::uint64_t kMostSegments = 4096;
/// Of one segment, and pages of all: no limit (Linux v6.12: SHMMAX, SHMALL).
inline constexpr std::uint64_t kMostSegmentBytes = ~std::uint64_t{0} - (std::uint64_t{1} << 24);

class SharedSegment final : public IpcObject {
 public:
  SharedSegment(MemoryObject& pages, std::int32_t wanted_key, std::uint64_t bytes, std::uint32_t permissions)
      : IpcObject(wanted_key, permissions), size(bytes), creator(current_pid()), object_(pages) {}

  [[nodiscard]] MemoryObject& object() const { return object_; }
  [[nodiscard]] bool is_removed() const { return (mode & kSegmentRemoved) != 0; }

  const std::uint64_t size;
  const Pid creator;
  Pid last = 0;
  std::int64_t attached = 0, detached = 0;  ///< seconds since the epoch
  std::uint64_t attachments = 0;

 private:
  ~SharedSegment() override;

  MemoryObject& object_;
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

class SegmentTable final : public IpcTableOf<SharedSegment> {
 public:
  SegmentTable() : IpcTableOf(kMostSegments) {}

  // Pre of all: the mutex is held.
  [[nodiscard]] bool has_object(const MemoryObject& object) const;
  /// IPC_RMID: its key and, unless it is attached, itself.
  void remove(SharedSegment& segment);
  [[nodiscard]] std::uint64_t pages() const;
  [[nodiscard]] std::uint64_t resident() const;
};

SegmentTable& segment_table();
/// Mappings of a segment in all address spaces: shm_nattch. Takes a while; the mutex is not held.
std::uint64_t count_mappings(const SharedSegment& segment);
/// Drops the segments that nobody removed, at the end of the machine.
void drop_shared_segments();

}  // namespace quire::kernel
