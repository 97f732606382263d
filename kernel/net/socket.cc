#include "net/socket.h"

#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/sockios.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>

#include "fs/dentry.h"
#include "ipc/anonymous_inode.h"
#include "mm/uaccess.h"
#include "net/interfaces.h"
#include "syscall/syscall.h"
#include "time/clock.h"

namespace quire::kernel {

std::uint16_t RawAddress::family() const {
  std::uint16_t value = AF_UNSPEC;
  if (size >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

SocketCredentials SocketCredentials::of_current() {
  const Credentials& own = current_credentials();
  return {current_pid(), own.euid, own.egid};
}

Socket::Socket(int its_domain, int its_type, int its_protocol, std::uint32_t file_flags)
    : domain(its_domain),
      type(its_type),
      protocol(its_protocol),
      own(make_ref<ReceiveQueue>(its_type == SOCK_STREAM ? ReceiveQueue::Kind::kStream : ReceiveQueue::Kind::kPackets)) {
  const Credentials& owner = current_credentials();
  inode = make_ref<AnonymousInode>(S_IFSOCK | 0777U, owner.fsuid, owner.fsgid);
  flags = O_RDWR | (file_flags & O_NONBLOCK);
}

Result<void> Socket::listen(int) { return fail(Errno::kOpNotSupp); }
Result<RefPtr<Socket>> Socket::accept(std::uint32_t, RawAddress&) { return fail(Errno::kOpNotSupp); }
Result<void> Socket::pair_with(Socket&) { return fail(Errno::kOpNotSupp); }

Result<std::size_t> Socket::read(IoBuffer& buffer, std::uint64_t) {
  // Linux v6.12 net/socket.c:sock_read_iter(): as recv, but a read of nothing is not asked.
  if (buffer.size() == 0) return 0;
  IncomingMessage message{.data = buffer, .from = {}, .ancillary = {}};
  return receive(message);
}

Result<std::size_t> Socket::write(IoBuffer& buffer, std::uint64_t) {
  OutgoingMessage message{.data = buffer, .to = {}, .ancillary = {}};
  return send(message);
}

std::string Socket::anonymous_name() const { return static_cast<AnonymousInode&>(*inode).link_name("socket"); }

Result<std::int64_t> Socket::ioctl(std::uint32_t command, std::uint64_t argument) {
  switch (command) {
    case FIONREAD: {
      if (is_listening()) return fail(Errno::kInval);
      std::size_t bytes = 0;
      {
        const Guard guard(own->lock);
        bytes = readable_bytes_locked();
      }
      QUIRE_CHECK(put_user(argument, static_cast<int>(bytes)));
      return 0;
    }
    case TIOCOUTQ:
      QUIRE_CHECK(put_user(argument, static_cast<int>(unsent_bytes())));
      return 0;
    case SIOCATMARK:
      if (domain == AF_UNIX || type != SOCK_STREAM) return fail(Errno::kInval);
      QUIRE_CHECK(put_user(argument, int{0}));  // there is no urgent data
      return 0;
    default:
      return interface_ioctl(command, argument);
  }
}

Deadline Socket::deadline_in(std::uint64_t timeout) {
  Deadline deadline = kForever;
  if (timeout == kForever || __builtin_add_overflow(monotonic_ns(), timeout, &deadline)) return kForever;
  return deadline;
}

std::unexpected<Errno> Socket::broken_pipe(std::uint32_t message_flags) {
  if ((message_flags & MSG_NOSIGNAL) == 0) signal_current(SIGPIPE);
  return fail(Errno::kPipe);
}

Errno Socket::take_error() {
  const Guard guard(own->lock);
  return std::exchange(own->error, kNoError);
}

Result<RefPtr<Socket>> make_socket(int domain, int type, int protocol, std::uint32_t file_flags) {
  if (type < 0 || type > SOCK_PACKET) return fail(Errno::kInval);
  switch (domain) {
    case AF_UNIX:
      return make_unix_socket(type, protocol, file_flags);
    case AF_INET:
    case AF_INET6:
      return make_inet_socket(domain, type, protocol, file_flags);
    case AF_NETLINK:
      return make_netlink_socket(type, protocol, file_flags);
    default:
      return fail(Errno::kAfNoSupport);
  }
}

}  // namespace quire::kernel
