// userfaultfd(2) and its file. Behaviour: man7 userfaultfd(2), ioctl_userfaultfd(2); Linux v6.12 fs/userfaultfd.c.
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/ioctl.h>
#include <linux/poll.h>

#include <cstddef>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "mm/memory.h"
#include "mm/uaccess.h"
#include "mm/userfault.h"
#include "mm/userfault_file.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t bit(unsigned command) { return std::uint64_t{1} << command; }

/// Linux v6.12 fs/userfaultfd.c:validate_unaligned_range(). Errors: EINVAL.
Result<VirtRange> unaligned_range(std::uint64_t start, std::uint64_t length) {
  const std::uint64_t top = memory().geometry().user_top().raw();
  if (length % kPageSize != 0 || length == 0) return fail(Errno::kInval);
  if (start >= top || length > top - start) return fail(Errno::kInval);
  return VirtRange(VirtAddr(start), ByteCount(length));
}

Result<VirtRange> aligned_range(std::uint64_t start, std::uint64_t length) {
  if (start % kPageSize != 0) return fail(Errno::kInval);
  return unaligned_range(start, length);
}
Result<VirtRange> aligned_range(const uffdio_range& range) { return aligned_range(range.start, range.len); }

/// The argument of a command without its last word, which is only written.
template <typename T>
Result<T> get_all_but_result(UserAddr from) {
  T value{};
  QUIRE_CHECK(copy_from_user(&value, from, sizeof value - sizeof(std::uint64_t)));
  return value;
}
template <typename T>
Result<void> put_result(UserAddr to, std::int64_t value) {
  return put_user(to + sizeof(T) - sizeof value, value);
}

class UserfaultFile final : public File {
 public:
  UserfaultFile(RefPtr<Userfault> userfault, std::uint32_t creation_flags) : userfault_(std::move(userfault)) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDONLY | (creation_flags & O_NONBLOCK);
  }
  ~UserfaultFile() override { userfault_->end(); }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    if (!userfault_->is_initialized() || buffer.size() < sizeof(uffd_msg)) return fail(Errno::kInval);
    std::optional<uffd_msg> message;
    const auto take = [&] { return (message = userfault_->take_message()).has_value(); };
    if (!take()) {
      if (nonblocking()) return fail(Errno::kAgain);
      if (wait_until(userfault_->readers, take, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
    }
    std::size_t done = 0;
    do {
      QUIRE_CHECK(buffer.copy_out(&*message, sizeof *message));
      done += sizeof *message;
    } while (buffer.size() >= sizeof *message && take());
    return done;
  }

  // Who blocks cannot be told that nothing is there any more (Linux v6.12 fs/userfaultfd.c:userfaultfd_poll()).
  PollMask poll(Listener* listener) override {
    if (listener != nullptr) listener->add(userfault_->readers);
    if (!userfault_->is_initialized() || !nonblocking()) return POLLERR;
    return userfault_->has_message() ? POLLIN : 0;
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[userfaultfd]"; }

  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    if (command != UFFDIO_API && !userfault_->is_initialized()) return fail(Errno::kInval);
    switch (command) {
      case UFFDIO_API: return as_result(set_api(argument));
      case UFFDIO_REGISTER: return as_result(register_range(argument));
      case UFFDIO_UNREGISTER: return as_result(unregister_range(argument));
      case UFFDIO_WAKE: return as_result(wake(argument));
      case UFFDIO_COPY: return as_result(copy(argument));
      case UFFDIO_ZEROPAGE: return as_result(zero(argument));
      case UFFDIO_WRITEPROTECT: return as_result(write_protect(argument));
      default: return fail(Errno::kInval);
    }
  }

 private:
  static Result<std::int64_t> as_result(const Result<void>& done) {
    if (!done) return fail(done.error());
    return 0;
  }

  Result<void> set_api(UserAddr argument) {
    QUIRE_TRY(auto api, get_user<uffdio_api>(argument));
    const std::uint64_t wanted = api.features;
    Errno error{0};
    if (api.api != UFFD_API || (wanted & ~Userfault::kFeatures & ~std::uint64_t{UFFD_FEATURE_EVENT_FORK}) != 0) {
      error = Errno::kInval;
    } else if ((wanted & UFFD_FEATURE_EVENT_FORK) != 0) {
      error = current_credentials().can(CAP_SYS_PTRACE) ? Errno::kInval : Errno::kPerm;
    } else {
      api.features = Userfault::kFeatures;
      api.ioctls = bit(_UFFDIO_REGISTER) | bit(_UFFDIO_UNREGISTER) | bit(_UFFDIO_API);
      QUIRE_CHECK(put_user(argument, api));
      if (userfault_->initialize(wanted)) return {};
      error = Errno::kInval;
    }
    QUIRE_CHECK(put_user(argument, uffdio_api{}));
    return fail(error);
  }

  Result<void> register_range(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_all_but_result<uffdio_register>(argument));
    constexpr std::uint64_t kModes = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP;
    if (wanted.mode == 0 || (wanted.mode & ~kModes) != 0) return fail(Errno::kInval);
    QUIRE_TRY(const VirtRange range, aligned_range(wanted.range));
    const Userfault::HeldSpace space = userfault_->space();
    if (space == nullptr) return fail(Errno::kNoMem);
    VmaFlags modes;
    if ((wanted.mode & UFFDIO_REGISTER_MODE_MISSING) != 0) modes = modes.with(VmaFlag::kAsksMissing);
    if ((wanted.mode & UFFDIO_REGISTER_MODE_WP) != 0) modes = modes.with(VmaFlag::kAsksGuarded);
    QUIRE_CHECK(space->register_handler(range, *userfault_, modes));
    std::uint64_t ioctls = bit(_UFFDIO_WAKE) | bit(_UFFDIO_COPY) | bit(_UFFDIO_ZEROPAGE);
    if (modes.has(VmaFlag::kAsksGuarded)) ioctls |= bit(_UFFDIO_WRITEPROTECT);
    return put_result<uffdio_register>(argument, static_cast<std::int64_t>(ioctls));
  }

  Result<void> unregister_range(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_user<uffdio_range>(argument));
    QUIRE_TRY(const VirtRange range, aligned_range(wanted));
    const Userfault::HeldSpace space = userfault_->space();
    if (space == nullptr) return fail(Errno::kNoMem);
    QUIRE_CHECK(space->unregister_handler(range, *userfault_));
    userfault_->wake(range);
    return {};
  }

  Result<void> wake(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_user<uffdio_range>(argument));
    QUIRE_TRY(const VirtRange range, aligned_range(wanted));
    userfault_->wake(range);
    return {};
  }

  /// Supplies page by page: one(space, page, n) does the n-th. What could be done is told; if that is not all, EAGAIN.
  template <typename T, typename One>
  Result<void> supply(UserAddr argument, VirtRange range, bool wakes, One one) {
    const Userfault::HeldSpace space = userfault_->space();
    if (space == nullptr) return fail(Errno::kSrch);
    const auto vma = space->find(range.begin());
    Errno error{0};
    std::uint64_t done = 0;
    if (!vma || vma->handler == nullptr || !vma->range.contains(range)) error = Errno::kNoEnt;
    for (; error == Errno{0} && done < range.size().raw(); done += kPageSize) {
      if (const Result<void> result = one(*space, range.begin() + ByteCount(done), done); !result) error = result.error();
      if (error != Errno{0}) break;
    }
    QUIRE_CHECK(put_result<T>(argument, done != 0 ? static_cast<std::int64_t>(done) : -static_cast<std::int64_t>(error)));
    if (done == 0) return fail(error);
    if (wakes) userfault_->wake(VirtRange(range.begin(), ByteCount(done)));
    if (done != range.size().raw()) return fail(Errno::kAgain);
    return {};
  }

  Result<void> copy(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_all_but_result<uffdio_copy>(argument));
    QUIRE_CHECK(unaligned_range(wanted.src, wanted.len));
    QUIRE_TRY(const VirtRange range, aligned_range(wanted.dst, wanted.len));
    if ((wanted.mode & ~(UFFDIO_COPY_MODE_DONTWAKE | UFFDIO_COPY_MODE_WP)) != 0) return fail(Errno::kInval);
    const Guarded guarded = (wanted.mode & UFFDIO_COPY_MODE_WP) != 0 ? Guarded::kYes : Guarded::kNo;
    const auto contents = std::make_unique_for_overwrite<std::byte[]>(kPageSize);
    const bool wakes = (wanted.mode & UFFDIO_COPY_MODE_DONTWAKE) == 0;
    return supply<uffdio_copy>(argument, range, wakes, [&](AddressSpace& space, VirtAddr page, std::uint64_t at) -> Result<void> {
      QUIRE_CHECK(copy_from_user(contents.get(), wanted.src + at, kPageSize));
      return space.supply(page, std::span(contents.get(), kPageSize), guarded);
    });
  }

  Result<void> zero(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_all_but_result<uffdio_zeropage>(argument));
    QUIRE_TRY(const VirtRange range, aligned_range(wanted.range));
    if ((wanted.mode & ~UFFDIO_ZEROPAGE_MODE_DONTWAKE) != 0) return fail(Errno::kInval);
    return supply<uffdio_zeropage>(argument, range, wanted.mode == 0, [](AddressSpace& space, VirtAddr page, std::uint64_t) {
      return space.supply(page, {}, Guarded::kNo);
    });
  }

  Result<void> write_protect(UserAddr argument) {
    QUIRE_TRY(const auto wanted, get_user<uffdio_writeprotect>(argument));
    QUIRE_TRY(const VirtRange range, aligned_range(wanted.range));
    const bool guards = (wanted.mode & UFFDIO_WRITEPROTECT_MODE_WP) != 0;
    const bool wakes = (wanted.mode & UFFDIO_WRITEPROTECT_MODE_DONTWAKE) == 0;
    if ((wanted.mode & ~(UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE)) != 0) return fail(Errno::kInval);
    if (guards && !wakes) return fail(Errno::kInval);
    const Userfault::HeldSpace space = userfault_->space();
    if (space == nullptr) return fail(Errno::kSrch);
    const Unpopulated unpopulated = userfault_->has(Userfault::kFeatureUnpopulated) ? Unpopulated::kMarked : Unpopulated::kLeft;
    QUIRE_CHECK(space->guard(range, guards ? Guarded::kYes : Guarded::kNo, unpopulated));
    if (!guards && wakes) userfault_->wake(range);
    return {};
  }

  const RefPtr<Userfault> userfault_;
};

}  // namespace

SyscallResult sys_userfaultfd(const SyscallArgs& args) {
  const std::uint64_t flags = args.a[0] & 0xffffffff;
  const bool of_user_mode = (flags & UFFD_USER_MODE_ONLY) != 0;
  if (!of_user_mode && !current_credentials().can(CAP_SYS_PTRACE)) return fail(Errno::kPerm);
  if ((flags & ~std::uint64_t{UFFD_USER_MODE_ONLY | O_CLOEXEC | O_NONBLOCK}) != 0) return fail(Errno::kInval);
  auto userfault = make_ref<Userfault>(*current_thread().space, of_user_mode ? Userfault::Faults::kOfUserMode : Userfault::Faults::kAll);
  auto file = make_ref<UserfaultFile>(std::move(userfault), static_cast<std::uint32_t>(flags));
  QUIRE_TRY(const int fd, current_files().install(std::move(file), 0, (flags & O_CLOEXEC) != 0));
  return fd;
}

}  // namespace quire::kernel
