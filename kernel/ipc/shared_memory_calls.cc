// shmget(2), shmat(2), shmdt(2), shmctl(2). Linux v6.12 ipc/shm.c.
#include <asm/resource.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/shm.h>

#include <algorithm>

#include "fs/memory/machine_memory.h"
#include "ipc/calls.h"
#include "ipc/shared_memory.h"
#include "mm/memory.h"
#include "mm/uaccess.h"
#include "sched/thread.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kMostBytes = ~std::uint64_t{0} - (std::uint64_t{1} << 24), kMostPages = kMostBytes;

AddressSpace& space() { return *current_thread().space; }

Result<std::int32_t> new_segment(std::int32_t key, std::uint64_t size, std::uint32_t flags) {
  if (size < SHMMIN || size > kMostBytes) return fail(Errno::kInval);
  const std::uint64_t pages = (size + kPageSize - 1) / kPageSize;
  if (pages > kMostPages - segment_table().pages()) return fail(Errno::kNoSpc);
  // Huge pages: a pool of none. Others: more than the machine has is refused at once, as overcommit does.
  if ((flags & SHM_HUGETLB) != 0 || pages > memory_pages()) return fail(Errno::kNoMem);
  QUIRE_TRY(FileObject* const object, FileObject::create(memory(), {.size = ByteCount(size)}));
  return segment_table().add(make_ref<SharedSegment>(*object, key, size, flags, current_credentials()));
}

/// Whether `mapped`, which has a mapping, is a segment's: the mapping's label is an Attachment then.
bool is_segment(const MemoryObject& mapped) {
  Guard guard(segment_table().mutex);
  return segment_table().has_object(mapped);
}

/// Mappings of a segment in all address spaces: shm_nattch.
std::uint64_t count_mappings(const SharedSegment& segment) {
  std::vector<AddressSpace*> seen;
  std::uint64_t count = 0;
  for (const Pid pid : all_pids()) {
    const auto process = snapshot_process(pid);
    if (!process || (*process)->space == nullptr || std::find(seen.begin(), seen.end(), (*process)->space) != seen.end()) continue;
    seen.push_back((*process)->space);
    const VmaMap map = (*process)->space->map();
    map.for_each([&](const Vma& vma) { count += vma.object == &segment.object() ? 1 : 0; });
  }
  return count;
}

SyscallResult tell_limits(UserAddr to) {
  shminfo64 limits{};
  limits.shmmax = kMostBytes;
  limits.shmmin = SHMMIN;
  limits.shmmni = limits.shmseg = kMostSegments;
  limits.shmall = kMostPages;
  Guard guard(segment_table().mutex);
  QUIRE_CHECK(put_user(to, limits));
  return segment_table().last_index();
}

SyscallResult tell_use(UserAddr to) {
  SegmentTable& table = segment_table();
  Guard guard(table.mutex);
  shm_info use{};
  use.used_ids = static_cast<int>(table.count());
  use.shm_tot = table.pages();
  use.shm_rss = table.resident();
  QUIRE_CHECK(put_user(to, use));
  return table.last_index();
}

/// IPC_STAT, SHM_STAT, SHM_STAT_ANY.
SyscallResult tell_segment(std::int32_t id, std::uint32_t command, UserAddr to) {
  RefPtr<SharedSegment> segment;
  shmid64_ds told{};
  {
    SegmentTable& table = segment_table();
    Guard guard(table.mutex);
    segment = RefPtr<SharedSegment>(command == IPC_STAT ? table.find_id(id) : table.at(static_cast<std::size_t>(id)));
    if (!segment) return fail(Errno::kInval);
    if (command != SHM_STAT_ANY) QUIRE_CHECK(segment->check(0444));
    told.shm_perm = {.key = segment->key,
                     .uid = segment->uid,
                     .gid = segment->gid,
                     .cuid = segment->creator_uid,
                     .cgid = segment->creator_gid,
                     .mode = segment->mode,
                     .__pad1 = {},
                     .seq = static_cast<unsigned short>(segment->id >> 15),
                     .__pad2 = 0,
                     .__unused1 = 0,
                     .__unused2 = 0};
    told.shm_segsz = segment->size;
    told.shm_atime = segment->attached;
    told.shm_dtime = segment->detached;
    told.shm_ctime = segment->changed;
    told.shm_cpid = segment->creator;
    told.shm_lpid = segment->last;
    id = segment->id;
  }
  told.shm_nattch = count_mappings(*segment);
  QUIRE_CHECK(put_user(to, told));
  return command == IPC_STAT ? 0 : id;
}

SyscallResult change_segment(std::int32_t id, std::uint32_t command, UserAddr from) {
  shmid64_ds wanted{};
  if (command == IPC_SET) {
    QUIRE_TRY(wanted, get_user<shmid64_ds>(from));
  }
  Guard guard(segment_table().mutex);
  SharedSegment* const segment = segment_table().find_id(id);
  if (segment == nullptr) return fail(Errno::kInval);
  if (!segment->is_owned_by_caller()) return fail(Errno::kPerm);
  switch (command) {
    case IPC_RMID:
      segment_table().remove(*segment);
      return 0;
    case IPC_SET:
      if (static_cast<std::int32_t>(wanted.shm_perm.uid) == -1 || static_cast<std::int32_t>(wanted.shm_perm.gid) == -1) {
        return fail(Errno::kInval);
      }
      segment->uid = wanted.shm_perm.uid;
      segment->gid = wanted.shm_perm.gid;
      segment->mode = (segment->mode & ~0777U) | (wanted.shm_perm.mode & 0777U);
      segment->changed = static_cast<std::int64_t>(realtime_ns() / 1'000'000'000);
      return 0;
    case SHM_LOCK:
      if (!current_credentials().can(CAP_IPC_LOCK) && current_rlimit(RLIMIT_MEMLOCK) == 0) return fail(Errno::kPerm);
      segment->mode |= kSegmentLocked;  // nothing is ever paged out
      return 0;
    default:  // SHM_UNLOCK
      segment->mode &= ~kSegmentLocked;
      return 0;
  }
}

}  // namespace

SyscallResult sys_shmget(const SyscallArgs& args) {
  const auto key = static_cast<std::int32_t>(args.a[0]);
  const auto flags = static_cast<std::uint32_t>(args.a[2]);
  SegmentTable& table = segment_table();
  Guard guard(table.mutex);
  SharedSegment* const found = key == IPC_PRIVATE ? nullptr : table.find_key(key);
  if (found == nullptr) {
    if (key != IPC_PRIVATE && (flags & IPC_CREAT) == 0) return fail(Errno::kNoEnt);
    QUIRE_TRY(const std::int32_t made, new_segment(key, args.a[1], flags));
    return made;
  }
  if ((flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0) return fail(Errno::kExist);
  if (found->size < args.a[1]) return fail(Errno::kInval);
  QUIRE_CHECK(found->check(flags));
  return found->id;
}

SyscallResult sys_shmat(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]);
  const auto flags = static_cast<std::uint32_t>(args.a[2]);
  const bool replaces = (flags & SHM_REMAP) != 0, reads_only = (flags & SHM_RDONLY) != 0;
  std::uint64_t address = args.a[1];
  if (id < 0) return fail(Errno::kInval);
  if (address % kPageSize != 0) {
    if ((flags & SHM_RND) == 0) return fail(Errno::kInval);
    address -= address % kPageSize;
    if (address == 0 && replaces) return fail(Errno::kInval);
  } else if (address == 0 && replaces) {
    return fail(Errno::kInval);
  }
  MmapRequest request;
  request.address = VirtAddr(address);
  request.prot = PROT_READ | (reads_only ? 0U : std::uint32_t{PROT_WRITE}) | ((flags & SHM_EXEC) != 0 ? std::uint32_t{PROT_EXEC} : 0U);
  request.flags = MAP_SHARED;
  if (args.a[1] != 0) request.flags |= replaces ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  RefPtr<Attachment> attachment;
  {
    Guard guard(segment_table().mutex);
    SharedSegment* const segment = segment_table().find_id(id);
    if (segment == nullptr) return fail(Errno::kInval);
    QUIRE_CHECK(segment->check(0444U | (reads_only ? 0U : 0222U) | ((flags & SHM_EXEC) != 0 ? 0111U : 0U)));
    attachment = make_ref<Attachment>(RefPtr<SharedSegment>(segment), reads_only ? std::uint32_t{O_RDONLY} : std::uint32_t{O_RDWR});
    request.length = ByteCount(segment->size);
    request.object = &segment->object();
  }
  request.label = attachment.get();
  if (reads_only) request.file_access = MmapRequest::FileAccess::kReadOnly;
  const Result<VirtAddr> at = space().mmap(request);
  if (!at) return fail(at.error() == Errno::kExist ? Errno::kInval : at.error());
  return static_cast<std::int64_t>(at->raw());
}

// What begins at `address` and is left of that attachment. Each part goes by itself: other threads may map meanwhile.
SyscallResult sys_shmdt(const SyscallArgs& args) {
  const VirtAddr address(args.a[0]);
  if (!address.is_page_aligned()) return fail(Errno::kInval);
  const VmaMap map = space().map();
  VmaLabel* label = nullptr;  // held by `map`
  bool found = false;
  Result<void> result{};
  map.for_each([&](const Vma& vma) {
    if (!result || vma.range.begin() < address || vma.label == nullptr || vma.object == nullptr) return;
    const bool fits = vma.offset.raw() == (vma.range.begin() - address).raw() >> kPageShift;
    if (!fits || (found && vma.label != label)) return;
    if (!found && !is_segment(*vma.object)) return;
    found = true;
    label = vma.label;
    result = space().munmap(vma.range.begin(), vma.range.size());
  });
  if (!found) return fail(Errno::kInval);
  if (!result) return fail(result.error());
  static_cast<Attachment*>(label)->note_detached();
  return 0;
}

SyscallResult sys_shmctl(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]);
  const auto command = static_cast<std::uint32_t>(args.a[1]);
  if (id < 0 || static_cast<std::int32_t>(command) < 0) return fail(Errno::kInval);
  switch (command) {
    case IPC_INFO:
      return tell_limits(args.a[2]);
    case SHM_INFO:
      return tell_use(args.a[2]);
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
      return tell_segment(id, command, args.a[2]);
    case IPC_SET:
    case IPC_RMID:
    case SHM_LOCK:
    case SHM_UNLOCK:
      return change_segment(id, command, args.a[2]);
    default:
      return fail(Errno::kInval);
  }
}

}  // namespace quire::kernel
