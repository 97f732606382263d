// eventfd(2): a counter as a file.
#include <linux/fcntl.h>
#include <linux/poll.h>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "ipc/calls.h"
#include "task/task.h"

namespace quire::kernel {

namespace {

/// Linux v6.12 include/uapi/linux/eventfd.h, which linux-libc-dev 6.1 does not have.
constexpr std::uint32_t kSemaphoreFlag = 1, kCloseOnExecFlag = O_CLOEXEC,
                        kNonblockFlag = O_NONBLOCK;

class EventCounter final : public File {
 public:
  EventCounter(std::uint64_t value, std::uint32_t creation_flags)
      : value_(value), is_semaphore_((creation_flags & kSemaphoreFlag) != 0) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDWR | (creation_flags & kNonblockFlag);
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    if (buffer.size() < sizeof value_) return fail(Errno::kInval);
    std::uint64_t taken = 0;
    const auto take = [&] {
      Guard guard(lock_);
      taken = is_semaphore_ && value_ != 0 ? 1 : value_;
      value_ -= taken;
      return taken != 0;
    };
    QUIRE_CHECK(wait_for(readers_, take));
    writers_.wake_all(POLLOUT);
    QUIRE_CHECK(buffer.copy_out(&taken, sizeof taken));
    return sizeof taken;
  }

  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    if (buffer.size() < sizeof value_) return fail(Errno::kInval);
    std::uint64_t added = 0;
    QUIRE_CHECK(buffer.copy_in(&added, sizeof added));
    if (added > kLargest) return fail(Errno::kInval);
    const auto add = [&] {
      Guard guard(lock_);
      if (added > kLargest - value_) return false;
      value_ += added;
      return true;
    };
    QUIRE_CHECK(wait_for(writers_, add));
    readers_.wake_all(POLLIN);
    return sizeof added;
  }

  [[nodiscard]] bool can_poll() const override { return true; }
  PollMask poll(Listener* listener) override {
    if (listener != nullptr) {
      listener->add(readers_);
      listener->add(writers_);
    }
    Guard guard(lock_);
    return static_cast<PollMask>((value_ != 0 ? POLLIN : 0) | (value_ < kLargest ? POLLOUT : 0));
  }

  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[eventfd]"; }

 private:
  static constexpr std::uint64_t kLargest = ~std::uint64_t{0} - 1;

  /// Does step() when it can, else as the file's blocking mode says. Errors: EAGAIN, kRestartSys.
  template <typename Step>
  Result<void> wait_for(WaitQueue& queue, Step step) {
    if (step()) return {};
    if (nonblocking()) return fail(Errno::kAgain);
    if (wait_until(queue, step, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
    return {};
  }

  Mutex lock_;
  std::uint64_t value_;
  const bool is_semaphore_;
  WaitQueue readers_, writers_;
};

}  // namespace

SyscallResult sys_eventfd2(const SyscallArgs& args) {
  const auto flags = static_cast<std::uint32_t>(args.a[1]);
  if ((flags & ~(kSemaphoreFlag | kCloseOnExecFlag | kNonblockFlag)) != 0)
    return fail(Errno::kInval);
  auto file = make_ref<EventCounter>(static_cast<std::uint32_t>(args.a[0]), flags);
  QUIRE_TRY(const int fd,
            current_files().install(std::move(file), 0, (flags & kCloseOnExecFlag) != 0));
  return fd;
}

SyscallResult sys_eventfd(const SyscallArgs& args) {
  return sys_eventfd2({{args.a[0], 0}, args.frame});
}

}  // namespace quire::kernel
