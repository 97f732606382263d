// signalfd: signals that wait, as a file to read. Behaviour: man7 signalfd(2); Linux v6.12 fs/signalfd.c.
//
// A signalfd shows the signals of whoever reads or polls it. All of them are in one list, and whoever sends a signal wakes those that
// care for its number; who is woken for another process's signal finds nothing. Locks: task_lock, for the list and the masks.
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/signalfd.h>

#include <cstring>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "task/calls.h"
#include "task/signal_file.h"
#include "task/signals.h"

namespace quire::kernel {

class SignalFile final : public File {
 public:
  SignalFile(SignalSet mask, std::uint32_t creation_flags) : mask_(mask) {
    const Credentials& owner = current_credentials();
    inode = make_ref<AnonymousInode>(0600U, owner.fsuid, owner.fsgid);
    flags = O_RDWR | (creation_flags & SFD_NONBLOCK);
    const TaskGuard guard(task_lock);
    next_ = first_;
    if (next_ != nullptr) next_->previous_ = this;
    first_ = this;
  }

  void set_mask(SignalSet mask) {
    {
      const TaskGuard guard(task_lock);
      mask_ = mask;
    }
    readers_.wake_all(POLLIN);
  }

  /// As many of the waiting signals as there is room for. Errors: EINVAL (not even one), EAGAIN, kRestartSys.
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    std::size_t done = 0;
    if (buffer.size() < sizeof(signalfd_siginfo)) return fail(Errno::kInval);
    while (buffer.size() >= sizeof(signalfd_siginfo)) {
      SignalInfo info;
      if (!take(info)) {
        if (done != 0) break;
        if (nonblocking()) return fail(Errno::kAgain);
        const auto taken = [&] { return take(info); };
        if (wait_until(readers_, taken, Interruptible::kYes) != WaitResult::kDone) return fail(kRestartSys);
      }
      const signalfd_siginfo told = describe(info);
      if (const auto copied = buffer.copy_out(&told, sizeof told); !copied) {
        if (done != 0) break;
        return fail(copied.error());
      }
      done += sizeof told;
    }
    return done;
  }

  PollMask poll(Listener* listener) override {
    if (listener != nullptr) listener->add(readers_);
    Task& task = current();
    const TaskGuard guard(task_lock);
    return ((task.pending.set() | task.process->pending.set()) & mask_) != 0 ? POLLIN : 0;
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kSignals; }
  [[nodiscard]] std::string anonymous_name() const override { return "anon_inode:[signalfd]"; }

  /// Locks: task_lock.
  static void announce_locked(int signal) {
    for (SignalFile* file = first_; file != nullptr; file = file->next_) {
      if ((file->mask_ & signal_bit(signal)) != 0) file->readers_.wake_all(POLLIN);
    }
  }

 protected:
  ~SignalFile() override {
    const TaskGuard guard(task_lock);
    (previous_ != nullptr ? previous_->next_ : first_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }

 private:
  bool take(SignalInfo& info) {
    Task& task = current();
    std::unique_ptr<QueuedSignal> node;
    const TaskGuard guard(task_lock);
    const bool taken = take_signal_locked(task, mask_, info, node);
    if (taken) update_attention_locked(task);
    return taken;
  }

  /// Linux v6.12 fs/signalfd.c:signalfd_copyinfo(), with the layouts of kernel/signal.c:siginfo_layout().
  static signalfd_siginfo describe(const SignalInfo& info) {
    signalfd_siginfo to{};
    to.ssi_signo = static_cast<__u32>(info.signal);
    to.ssi_errno = info.error;
    to.ssi_code = info.code;
    if (info.code == SI_TIMER) {
      to.ssi_tid = static_cast<__u32>(info.timer.id);
      to.ssi_overrun = static_cast<__u32>(info.timer.overrun);
      to.ssi_ptr = info.timer.value;
      to.ssi_int = static_cast<__s32>(info.timer.value);
    } else if (info.signal == SIGCHLD && info.code > 0 && info.code <= CLD_CONTINUED) {
      to.ssi_pid = static_cast<__u32>(info.child.pid);
      to.ssi_uid = info.child.uid;
      to.ssi_status = info.child.status;
      to.ssi_utime = static_cast<__u64>(info.child.user_ticks);
      to.ssi_stime = static_cast<__u64>(info.child.kernel_ticks);
    } else if ((kSynchronous & signal_bit(info.signal)) != 0 && info.code > 0 && info.code != SI_KERNEL) {
      to.ssi_addr = info.fault.address;
    } else {
      to.ssi_pid = static_cast<__u32>(info.sender.pid);
      to.ssi_uid = info.sender.uid;
      if (info.code < 0 && info.code != SI_TKILL) {
        to.ssi_ptr = info.sender.value;
        to.ssi_int = static_cast<__s32>(info.sender.value);
      }
    }
    return to;
  }

  SignalSet mask_;
  WaitQueue readers_;
  /// All there are.
  static constinit inline SignalFile* first_ = nullptr;
  SignalFile *next_ = nullptr, *previous_ = nullptr;
};

void announce_to_signal_files_locked(int signal) { SignalFile::announce_locked(signal); }

namespace {

SyscallResult signal_file_call(const SyscallArgs& args, std::uint32_t flags) {
  if (args.a[2] != sizeof(SignalSet)) return fail(Errno::kInval);
  QUIRE_TRY(SignalSet mask, get_user<SignalSet>(address_argument(args, 1)));
  if ((flags & ~std::uint32_t{SFD_CLOEXEC | SFD_NONBLOCK}) != 0) return fail(Errno::kInval);
  mask &= ~kUnblockable;
  const int fd = int_argument(args, 0);
  if (fd == -1) {
    QUIRE_TRY(const int made, current_files().install(make_ref<SignalFile>(mask, flags), 0, (flags & SFD_CLOEXEC) != 0));
    return made;
  }
  QUIRE_TRY(const RefPtr<File> file, current_files().get(fd));
  if (file->kind() != FileKind::kSignals) return fail(Errno::kInval);
  static_cast<SignalFile&>(*file).set_mask(mask);
  return fd;
}

}  // namespace

SyscallResult sys_signalfd(const SyscallArgs& args) { return signal_file_call(args, 0); }
SyscallResult sys_signalfd4(const SyscallArgs& args) { return signal_file_call(args, uint_argument(args, 3)); }

}  // namespace quire::kernel
