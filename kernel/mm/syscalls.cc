// Memory system calls: raw arguments into calls of core. All rules are core's.
#include <asm/unistd.h>
#include <linux/mman.h>

#include <algorithm>
#include <array>

#include "fs/vfs.h"
#include "mm/memory.h"
#include "mm/process_vm.h"
#include "mm/uaccess.h"
#include "mm/userfault_file.h"
#include "sched/thread.h"
#include "syscall/syscall.h"
#include "task/task.h"

namespace quire::kernel {
namespace {

AddressSpace& space() { return *current_thread().space; }

SyscallResult zero_or_error(const Result<void>& result) {
  if (!result) return fail(result.error());
  return 0;
}

SyscallResult address_or_error(const Result<VirtAddr>& result) {
  if (!result) return fail(result.error());
  return static_cast<std::int64_t>(result->raw());
}

/// What a mapping of `file` needs of it (Linux v6.12 mm/mmap.c:do_mmap()). Errors: EACCES, ENODEV, EINVAL, EOPNOTSUPP, EPERM.
/// `file` becomes the open file that the mapping holds.
Result<void> map_file(MmapRequest& request, RefPtr<File>& file) {
  // Linux v6.12 include/linux/mman.h:LEGACY_MAP_MASK; MAP_SYNC is for persistent memory, which nothing here is.
  constexpr std::uint32_t kKnown = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |
                                   0x200000 /* MAP_UNINITIALIZED */ | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |
                                   MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_FIXED_NOREPLACE | 0x3f << MAP_HUGE_SHIFT;
  if (request.length.raw() == 0) return fail(Errno::kInval);
  const std::uint32_t type = request.flags & MAP_TYPE;
  if (type == MAP_SHARED_VALIDATE && (request.flags & ~(kKnown | MAP_TYPE)) != 0) return fail(Errno::kOpNotSupp);
  const bool shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
  if (!shared && type != MAP_PRIVATE) return fail(Errno::kInval);
  if (shared && (request.prot & PROT_WRITE) != 0 && !file->writable()) return fail(Errno::kAcces);
  if (!file->readable()) return fail(Errno::kAcces);
  QUIRE_TRY(request.object, file->object_to_map(shared && file->writable() ? MapAccess::kWrites : MapAccess::kReads));
  // The flag alone makes no file one of huge pages.
  const bool is_huge = request.object != nullptr && request.object->is_huge();
  if ((request.flags & MAP_HUGETLB) != 0 && !is_huge) return fail(Errno::kInval);
  if ((request.flags & MAP_GROWSDOWN) != 0) return fail(Errno::kInval);
  if (type == MAP_SHARED_VALIDATE) request.flags = (request.flags & ~std::uint32_t{MAP_TYPE}) | MAP_SHARED;
  if (request.object == nullptr) request.flags |= MAP_ANONYMOUS;
  MapAccess may = file->writable() ? MapAccess::kWrites : MapAccess::kReads;
  if (shared && may == MapAccess::kWrites) {
    const MapAccess first = (request.prot & PROT_WRITE) != 0 ? MapAccess::kWrites : MapAccess::kReads;
    QUIRE_TRY(SharedMapping mapping, file->map_shared(first));
    file = std::move(mapping.keeps);
    may = mapping.may;
  }
  // Shared memory of /dev/zero is anonymous (Linux v6.12 drivers/char/mem.c:mmap_zero()).
  if (!shared || request.object != nullptr) request.label = file.get();
  if (may == MapAccess::kReads) request.file_access = MmapRequest::FileAccess::kReadOnly;
  return {};
}

// Linux v6.12 arch/x86/kernel/sys_x86_64.c:mmap(), mm/mmap.c:ksys_mmap_pgoff().
SyscallResult sys_mmap(const SyscallArgs& args) {
  const auto [address, length, prot, flags, fd, offset] = args.a;
  if (offset % kPageSize != 0) return fail(Errno::kInval);
  MmapRequest request;
  request.address = VirtAddr(address);
  request.length = ByteCount(length);
  request.prot = static_cast<std::uint32_t>(prot);
  request.flags = static_cast<std::uint32_t>(flags);
  request.offset = PageIndex(offset >> kPageShift);
  RefPtr<File> file;
  if ((flags & MAP_ANONYMOUS) == 0) {
    QUIRE_TRY(file, current_files().get(static_cast<int>(fd)));
    QUIRE_CHECK(map_file(request, file));
  }
  return address_or_error(space().mmap(request));
}

SyscallResult sys_remap_file_pages(const SyscallArgs& args) {
  const auto [address, length, prot, offset, flags, _5] = args.a;
  return zero_or_error(space().remap_file_pages(VirtAddr(address), ByteCount(length), prot == 0 ? 0U : 1U, PageIndex(offset),
                                                static_cast<std::uint32_t>(flags)));
}

SyscallResult sys_munmap(const SyscallArgs& args) {
  return zero_or_error(space().munmap(VirtAddr(args.a[0]), ByteCount(args.a[1])));
}

SyscallResult sys_mprotect(const SyscallArgs& args) {
  return zero_or_error(
      space().mprotect(VirtAddr(args.a[0]), ByteCount(args.a[1]), static_cast<std::uint32_t>(args.a[2])));
}

SyscallResult sys_brk(const SyscallArgs& args) {
  return static_cast<std::int64_t>(space().brk(VirtAddr(args.a[0])).raw());
}

SyscallResult sys_madvise(const SyscallArgs& args) {
  return zero_or_error(space().madvise(VirtAddr(args.a[0]), ByteCount(args.a[1]), static_cast<int>(args.a[2])));
}

SyscallResult sys_mremap(const SyscallArgs& args) {
  const MremapRequest request{.old_address = VirtAddr(args.a[0]),
                              .old_length = ByteCount(args.a[1]),
                              .new_length = ByteCount(args.a[2]),
                              .flags = static_cast<std::uint32_t>(args.a[3]),
                              .new_address = VirtAddr(args.a[4])};
  if (args.a[3] != request.flags) return fail(Errno::kInval);  // an unsigned long, with bits nobody knows
  return address_or_error(space().mremap(request));
}

SyscallResult sys_mlock(const SyscallArgs& args) {
  return zero_or_error(space().mlock(VirtAddr(args.a[0]), ByteCount(args.a[1]), LockWhen::kNow));
}

SyscallResult sys_mlock2(const SyscallArgs& args) {
  const auto flags = static_cast<unsigned>(args.a[2]);
  if ((flags & ~unsigned{MLOCK_ONFAULT}) != 0) return fail(Errno::kInval);
  const LockWhen when = flags != 0 ? LockWhen::kOnFault : LockWhen::kNow;
  return zero_or_error(space().mlock(VirtAddr(args.a[0]), ByteCount(args.a[1]), when));
}

SyscallResult sys_munlock(const SyscallArgs& args) {
  return zero_or_error(space().munlock(VirtAddr(args.a[0]), ByteCount(args.a[1])));
}

SyscallResult sys_mlockall(const SyscallArgs& args) {
  return zero_or_error(space().mlockall(static_cast<std::uint32_t>(args.a[0])));
}

SyscallResult sys_munlockall(const SyscallArgs&) { return zero_or_error(space().munlockall()); }

// Linux v6.12 mm/mincore.c:SYSCALL_DEFINE3(mincore).
SyscallResult sys_mincore(const SyscallArgs& args) {
  const auto [address, length, vector, _3, _4, _5] = args.a;
  const std::uint64_t top = memory().geometry().user_top().raw();
  if (address % kPageSize != 0) return fail(Errno::kInval);
  if (address > top || length > top - address) return fail(Errno::kNoMem);
  std::array<std::uint8_t, 512> told;
  for (std::uint64_t done = 0, pages = pages_of(*checked_page_ceil(ByteCount(length))).raw(); done < pages;) {
    const std::uint64_t part = std::min<std::uint64_t>(pages - done, told.size());
    QUIRE_TRY(const PageCount mapped, space().mincore(VirtAddr(address + done * kPageSize), std::span(told).first(part)));
    QUIRE_CHECK(copy_to_user(vector + done, told.data(), mapped.raw()));
    if (mapped.raw() < part) return fail(Errno::kNoMem);
    done += part;
  }
  return 0;
}

SyscallResult sys_msync(const SyscallArgs& args) {
  return zero_or_error(
      space().msync(VirtAddr(args.a[0]), ByteCount(args.a[1]), static_cast<std::uint32_t>(args.a[2])));
}

constexpr std::array kEntries{
    SyscallEntry{__NR_mmap, "mmap", &sys_mmap},
    SyscallEntry{__NR_remap_file_pages, "remap_file_pages", &sys_remap_file_pages},
    SyscallEntry{__NR_munmap, "munmap", &sys_munmap},
    SyscallEntry{__NR_mprotect, "mprotect", &sys_mprotect},
    SyscallEntry{__NR_brk, "brk", &sys_brk},
    SyscallEntry{__NR_madvise, "madvise", &sys_madvise},
    SyscallEntry{__NR_mremap, "mremap", &sys_mremap},
    SyscallEntry{__NR_mlock, "mlock", &sys_mlock},
    SyscallEntry{__NR_mlock2, "mlock2", &sys_mlock2},
    SyscallEntry{__NR_munlock, "munlock", &sys_munlock},
    SyscallEntry{__NR_mlockall, "mlockall", &sys_mlockall},
    SyscallEntry{__NR_munlockall, "munlockall", &sys_munlockall},
    SyscallEntry{__NR_mincore, "mincore", &sys_mincore},
    SyscallEntry{__NR_msync, "msync", &sys_msync},
    SyscallEntry{__NR_process_vm_readv, "process_vm_readv", &sys_process_vm_readv},
    SyscallEntry{__NR_process_vm_writev, "process_vm_writev", &sys_process_vm_writev},
    SyscallEntry{__NR_userfaultfd, "userfaultfd", &sys_userfaultfd},
    SyscallEntry{__NR_process_madvise, "process_madvise", &sys_process_madvise},
};

}  // namespace

std::span<const SyscallEntry> memory_syscalls() { return kEntries; }

}  // namespace quire::kernel
