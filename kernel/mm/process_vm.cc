#include "mm/process_vm.h"

#include <linux/mman.h>

#include <algorithm>
#include <memory>

#include "fs/permission.h"
#include "fs/procfs/observe_access.h"
#include "fs/syscalls/common.h"
#include "mm/memory.h"
#include "task/calls.h"
#include "task/process.h"
#include "task/process_file.h"

namespace quire::kernel {

namespace {

enum class Direction : std::uint8_t { kRead, kWrite };

std::uint64_t bytes_of(const IoVector& vector) {
  std::uint64_t total = 0;
  for (const IoPiece& piece : vector.pieces()) total += piece.size;
  return total;
}

std::uint64_t to_end_of_page(std::uint64_t address) { return kPageSize - address % kPageSize; }

/// The caller's side: its pieces one after the other, copied page by page, so that what comes
/// before a bad page is not lost.
class Local {
 public:
  explicit Local(const IoVector& vector) : pieces_(vector.pieces()), left_(bytes_of(vector)) {}
  [[nodiscard]] std::uint64_t left() const { return left_; }
  /// Both move `size` bytes, or as many as come before a bad page.
  std::size_t put(const std::byte* from, std::size_t size) {
    return move(size, [from](UserAddr to, std::size_t at, std::size_t part) {
      return copy_to_user(to, from + at, part);
    });
  }
  std::size_t get(std::byte* to, std::size_t size) {
    return move(size, [to](UserAddr from, std::size_t at, std::size_t part) {
      return copy_from_user(to + at, from, part);
    });
  }

 private:
  template <typename Copy>
  std::size_t move(std::size_t size, Copy copy) {
    std::size_t done = 0;
    while (done < size) {
      while (pieces_.front().size == offset_) {
        pieces_ = pieces_.subspan(1);
        offset_ = 0;
      }
      const UserAddr at = pieces_.front().address + offset_;
      const auto part = static_cast<std::size_t>(
          std::min({std::uint64_t{size - done}, std::uint64_t{pieces_.front().size - offset_},
                    to_end_of_page(at)}));
      if (!copy(at, done, part)) break;
      done += part;
      offset_ += part;
      left_ -= part;
    }
    return done;
  }

  std::span<const IoPiece> pieces_;
  std::size_t offset_ = 0;  ///< in the first piece
  std::uint64_t left_;
};

/// The process that a task belongs to. Errors: ESRCH.
Result<Pid> process_of(Pid tid) {
  const TaskGuard guard(task_lock);
  const Task* const task = tree().find_task(tid);
  if (task == nullptr) return fail(Errno::kSrch);
  return task->process->pid;
}

/// Copies one page's part. Returns how many bytes were copied; fewer than asked for: the rest
/// cannot be.
std::size_t copy_part(AddressSpace& space, Direction direction, VirtAddr remote, Local& local,
                      std::span<std::byte> bytes) {
  if (direction == Direction::kRead) {
    return space.read(remote, bytes) ? local.put(bytes.data(), bytes.size()) : 0;
  }
  const std::size_t got = local.get(bytes.data(), bytes.size());
  return got != 0 && space.write(remote, bytes.first(got)) ? got : 0;
}

// Linux v6.12 mm/process_vm_access.c:process_vm_rw().
SyscallResult transfer(const SyscallArgs& args, Direction direction) {
  const auto [tid, local_address, local_count, remote_address, remote_count, flags] = args.a;
  if (flags != 0) return fail(Errno::kInval);
  IoVector ours, theirs;
  QUIRE_CHECK(ours.load(local_address, local_count));
  if (bytes_of(ours) == 0) return 0;
  QUIRE_CHECK(theirs.load(remote_address, remote_count));
  if (bytes_of(theirs) == 0) return 0;
  QUIRE_TRY(const Pid pid, process_of(static_cast<Pid>(tid)));
  QUIRE_TRY(const auto process, snapshot_process(pid));
  if (!may_access(*process, real_identity())) return fail(Errno::kPerm);
  if (process->space == nullptr) return fail(Errno::kSrch);

  const auto page = std::make_unique<std::byte[]>(kPageSize);
  Local local(ours);
  std::int64_t done = 0;
  for (const IoPiece& piece : theirs.pieces()) {
    for (std::uint64_t offset = 0; offset < piece.size && local.left() != 0;) {
      const std::uint64_t at = piece.address + offset;
      const std::uint64_t part = std::min({piece.size - offset, to_end_of_page(at), local.left()});
      const std::size_t copied =
          copy_part(*process->space, direction, VirtAddr(at), local, std::span(page.get(), part));
      done += static_cast<std::int64_t>(copied);
      offset += copied;
      if (copied < part) return done != 0 ? SyscallResult(done) : fail(Errno::kFault);
    }
  }
  return done;
}

/// What may be advised to another process (Linux v6.13 mm/madvise.c:process_madvise_remote_valid()); only what destroys nothing.
bool is_advice_for_others(std::int32_t advice) {
  return advice == MADV_COLD || advice == MADV_PAGEOUT || advice == MADV_WILLNEED || advice == MADV_COLLAPSE;
}

/// Whether all of `vector` lies where programs' memory may (Linux v6.12 lib/iov_iter.c:__import_iovec()).
bool is_in_user_space(const IoVector& vector) {
  const std::uint64_t top = memory().geometry().user_top().raw();
  return std::ranges::all_of(vector.pieces(), [top](const IoPiece& piece) {
    return piece.size <= top && piece.address <= top - piece.size;
  });
}

}  // namespace

SyscallResult sys_process_vm_readv(const SyscallArgs& args) {
  return transfer(args, Direction::kRead);
}
SyscallResult sys_process_vm_writev(const SyscallArgs& args) {
  return transfer(args, Direction::kWrite);
}


// Linux v6.13 mm/madvise.c:SYSCALL_DEFINE5(process_madvise). To itself a process may advise anything since then.
SyscallResult sys_process_madvise(const SyscallArgs& args) {
  const std::int32_t advice = int_argument(args, 3);
  if (uint_argument(args, 4) != 0) return fail(Errno::kInval);
  IoVector ranges;
  QUIRE_CHECK(ranges.load(args.a[1], args.a[2]));
  if (!is_in_user_space(ranges)) return fail(Errno::kFault);
  QUIRE_TRY(const SpaceUser advised, space_of_file(int_argument(args, 0)));
  if (advised.get() != current_thread().space) {
    if (!is_advice_for_others(advice)) return fail(Errno::kInval);
    if (!current_credentials().can(CAP_SYS_NICE)) return fail(Errno::kPerm);
  }
  std::uint64_t done = 0;
  for (const IoPiece& piece : ranges.pieces()) {
    const std::uint64_t size = std::min<std::uint64_t>(piece.size, kMaxTransfer - done);
    const Result<void> result = advised->madvise(VirtAddr(piece.address), ByteCount(size), advice);
    if (!result) return done != 0 ? SyscallResult(static_cast<std::int64_t>(done)) : fail(result.error());
    done += size;
  }
  return static_cast<std::int64_t>(done);
}

}  // namespace quire::kernel
