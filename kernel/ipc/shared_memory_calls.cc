// shmget(2), shmat(2), shmdt(2), shmctl(2). Linux v6.12 ipc/shm.c.
#include <asm/resource.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/shm.h>

#include "fs/memory/machine_memory.h"
#include "ipc/calls.h"
#include "ipc/shared_memory.h"
#include "mm/memory.h"
#include "mm/uaccess.h"
#include "quire/object/huge_object.h"
#include "sched/thread.h"

namespace quire::kernel {
namespace {

AddressSpace& space() { return *current_thread().space; }

/// Linux v6.12 ipc/shm.c:newseg(), fs/hugetlbfs/inode.c:hugetlb_file_setup(): promised at once, to whoever may lock memory.
Result<HugeObject*> huge_pages(std::uint64_t size, std::uint32_t flags) {
  constexpr unsigned kSizeShift = 26, kSizeMask = 63;
  const auto level = memory().huge().level_of((flags >> kSizeShift) & kSizeMask);
  if (!level) return fail(Errno::kInval);
  if (!current_credentials().can(CAP_IPC_LOCK)) return fail(Errno::kPerm);
  const std::uint64_t unit = memory().geometry().span(*level).raw();
  const ByteCount whole((size + unit - 1) / unit * unit);
  QUIRE_TRY(HugeObject* const object, HugeObject::create(memory(), {*level, whole}));
  if ((flags & SHM_NORESERVE) == 0 && !object->reserve(PageIndex(0), pages_of(whole))) {
    object->drop_user();
    return fail(Errno::kNoMem);
  }
  return object;
}

Result<std::int32_t> new_segment(std::int32_t key, std::uint64_t size, std::uint32_t flags) {
  if (size < SHMMIN || size > kMostSegmentBytes) return fail(Errno::kInval);
  const std::uint64_t pages = (size + kPageSize - 1) / kPageSize;
  if (pages > kMostSegmentBytes - segment_table().pages()) return fail(Errno::kNoSpc);
  if ((flags & SHM_HUGETLB) != 0) {
    QUIRE_TRY(HugeObject* const huge, huge_pages(size, flags));
    return segment_table().add(make_ref<SharedSegment>(*huge, key, size, flags));
  }
  // More than the machine has is refused at once, as overcommit does.
  if (pages > memory_pages()) return fail(Errno::kNoMem);
  QUIRE_TRY(FileObject* const object, FileObject::create(memory(), {.size = ByteCount(size)}));
  return segment_table().add(make_ref<SharedSegment>(*object, key, size, flags));
}

/// Whether `mapped`, which has a mapping, is a segment's: the mapping's label is an Attachment then.
bool is_segment(const MemoryObject& mapped) {
  Guard guard(segment_table().mutex);
  return segment_table().has_object(mapped);
}

SyscallResult tell_limits(UserAddr to) {
  shminfo64 limits{};
  limits.shmmax = kMostSegmentBytes;
  limits.shmmin = SHMMIN;
  limits.shmmni = limits.shmseg = kMostSegments;
  limits.shmall = kMostSegmentBytes;
  return tell_of_table(segment_table(), to, [&] { return limits; });
}

SyscallResult tell_use(UserAddr to) {
  SegmentTable& table = segment_table();
  return tell_of_table(table, to, [&] {
    shm_info use{};
    use.used_ids = static_cast<int>(table.count());
    use.shm_tot = table.pages();
    use.shm_rss = table.resident();
    return use;
  });
}

/// IPC_STAT, SHM_STAT, SHM_STAT_ANY.
SyscallResult tell_segment(std::int32_t id, std::uint32_t command, UserAddr to) {
  RefPtr<SharedSegment> segment;
  shmid64_ds told{};
  {
    SegmentTable& table = segment_table();
    Guard guard(table.mutex);
    QUIRE_TRY(SharedSegment* const found, table.find_to_tell(id, command == IPC_STAT, command == SHM_STAT_ANY));
    segment = RefPtr<SharedSegment>(found);
    segment->tell_permissions(told.shm_perm);
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
      QUIRE_CHECK(segment->set_owner(wanted.shm_perm.uid, wanted.shm_perm.gid, wanted.shm_perm.mode));
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
  const std::uint64_t size = args.a[1];
  Guard guard(segment_table().mutex);
  return get_ipc(
      segment_table(), key, flags, [&] { return new_segment(key, size, flags); },
      [&](const SharedSegment& found) -> Result<void> {
        if (found.size < size) return fail(Errno::kInval);
        return {};
      });
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
