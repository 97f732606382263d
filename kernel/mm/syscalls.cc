// Memory system calls: raw arguments into calls of core. All rules are core's.
#include <asm/unistd.h>
#include <linux/mman.h>

#include <array>

#include "fs/vfs.h"
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

// Linux v6.12 arch/x86/kernel/sys_x86_64.c:mmap(), mm/mmap.c:ksys_mmap_pgoff().
SyscallResult sys_mmap(const SyscallArgs& args) {
  const auto [address, length, prot, flags, fd, offset] = args.a;
  if (offset % kPageSize != 0) return fail(Errno::kInval);
  if ((flags & MAP_ANONYMOUS) == 0) {
    QUIRE_CHECK(current_files().get(static_cast<int>(fd)));
    return fail(Errno::kNoDev);  // file objects are not there yet
  }
  MmapRequest request;
  request.address = VirtAddr(address);
  request.length = ByteCount(length);
  request.prot = static_cast<std::uint32_t>(prot);
  request.flags = static_cast<std::uint32_t>(flags);
  request.offset = PageIndex(offset >> kPageShift);
  return address_or_error(space().mmap(request));
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

// Linux v6.12 mm/msync.c. No mapping has a file behind it yet, so there is nothing to write.
SyscallResult sys_msync(const SyscallArgs& args) {
  const VirtAddr begin(args.a[0]);
  const auto flags = static_cast<int>(args.a[2]);
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 || !begin.is_page_aligned()) return fail(Errno::kInval);
  if ((flags & MS_ASYNC) != 0 && (flags & MS_SYNC) != 0) return fail(Errno::kInval);
  const auto length = checked_page_ceil(ByteCount(args.a[1]));
  const auto end = length ? checked_add(begin, *length) : std::nullopt;
  if (!end) return fail(Errno::kNoMem);
  VirtAddr mapped_to = begin;
  space().map().for_each_in(VirtRange(begin, *end), [&](const Vma& vma) {
    if (vma.range.begin() <= mapped_to) mapped_to = vma.range.end();
  });
  if (mapped_to < *end) return fail(Errno::kNoMem);
  return 0;
}

constexpr std::array kEntries{
    SyscallEntry{__NR_mmap, "mmap", &sys_mmap},
    SyscallEntry{__NR_munmap, "munmap", &sys_munmap},
    SyscallEntry{__NR_mprotect, "mprotect", &sys_mprotect},
    SyscallEntry{__NR_brk, "brk", &sys_brk},
    SyscallEntry{__NR_madvise, "madvise", &sys_madvise},
    SyscallEntry{__NR_msync, "msync", &sys_msync},
};

}  // namespace

std::span<const SyscallEntry> memory_syscalls() { return kEntries; }

}  // namespace quire::kernel
