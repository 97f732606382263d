// Making, naming and tying sockets. Behaviour: man7 socket(2), bind(2), listen(2), accept(2), connect(2), getsockopt(2), socketpair(2).
#include <asm/unistd.h>
#include <linux/fcntl.h>

#include <algorithm>

#include "net/calls.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kTypeFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr std::uint32_t kTypeMask = 0xf;  // Linux v6.12 include/linux/net.h: SOCK_TYPE_MASK

int int_of(std::uint64_t argument) { return static_cast<std::int32_t>(argument); }
std::uint32_t uint_of(std::uint64_t argument) { return static_cast<std::uint32_t>(argument); }

SyscallResult zero_or(const Result<void>& result) {
  if (!result) return fail(result.error());
  return 0;
}

Result<RefPtr<Socket>> socket_of_type(const SyscallArgs& args, std::uint32_t& type_flags) {
  const std::uint32_t type = uint_of(args.a[1]);
  type_flags = type & ~kTypeMask;
  if ((type_flags & ~kTypeFlags) != 0) return fail(Errno::kInval);
  return make_socket(int_of(args.a[0]), static_cast<int>(type & kTypeMask), int_of(args.a[2]), type_flags);
}

Result<int> install(RefPtr<Socket> socket, std::uint32_t type_flags) {
  return current_files().install(std::move(socket), 0, (type_flags & SOCK_CLOEXEC) != 0);
}

SyscallResult sys_socket(const SyscallArgs& args) {
  std::uint32_t type_flags = 0;
  QUIRE_TRY(RefPtr<Socket> socket, socket_of_type(args, type_flags));
  QUIRE_TRY(const int fd, install(std::move(socket), type_flags));
  return fd;
}

SyscallResult sys_socketpair(const SyscallArgs& args) {
  std::uint32_t type_flags = 0;
  QUIRE_TRY(const RefPtr<Socket> first, socket_of_type(args, type_flags));
  QUIRE_TRY(const RefPtr<Socket> second, socket_of_type(args, type_flags));
  QUIRE_CHECK(first->pair_with(*second));
  std::array<int, 2> fds{};
  QUIRE_TRY(fds[0], install(first, type_flags));
  const auto other = install(second, type_flags);
  if (!other) {
    (void)current_files().close(fds[0]);
    return fail(other.error());
  }
  fds[1] = *other;
  if (auto told = put_user(args.a[3], fds); !told) {
    for (const int fd : fds) (void)current_files().close(fd);
    return fail(told.error());
  }
  return 0;
}

SyscallResult sys_bind(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  QUIRE_TRY(const RawAddress address, address_from_user(args.a[1], args.a[2]));
  return zero_or(socket->bind(address));
}

SyscallResult sys_connect(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  QUIRE_TRY(const RawAddress address, address_from_user(args.a[1], args.a[2]));
  return zero_or(socket->connect(address));
}

SyscallResult sys_listen(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  return zero_or(socket->listen(int_of(args.a[1])));
}

SyscallResult accept_with(const SyscallArgs& args, std::uint32_t type_flags) {
  if ((type_flags & ~kTypeFlags) != 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  RawAddress peer;
  QUIRE_TRY(RefPtr<Socket> accepted, socket->accept(type_flags, peer));
  QUIRE_TRY(const int fd, install(std::move(accepted), type_flags));
  if (auto told = address_to_user(peer, args.a[1], args.a[2]); !told) {
    (void)current_files().close(fd);
    return fail(told.error());
  }
  return fd;
}

SyscallResult sys_accept(const SyscallArgs& args) { return accept_with(args, 0); }
SyscallResult sys_accept4(const SyscallArgs& args) { return accept_with(args, uint_of(args.a[3])); }

SyscallResult sys_getsockname(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  return zero_or(address_to_user(socket->name(), args.a[1], args.a[2]));
}

SyscallResult sys_getpeername(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  QUIRE_TRY(const RawAddress peer, socket->peer_name());
  return zero_or(address_to_user(peer, args.a[1], args.a[2]));
}

SyscallResult sys_shutdown(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  const int how = int_of(args.a[1]);
  if (how < SHUT_RD || how > SHUT_RDWR) return fail(Errno::kInval);
  return zero_or(socket->shutdown(how));
}

SyscallResult sys_setsockopt(const SyscallArgs& args) {
  const int size = int_of(args.a[4]);
  if (size < 0) return fail(Errno::kInval);
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  std::array<std::byte, 256> value;
  const std::size_t used = std::min(value.size(), static_cast<std::size_t>(size));
  QUIRE_CHECK(copy_from_user(value.data(), args.a[3], used));
  return zero_or(socket->set_option(int_of(args.a[1]), int_of(args.a[2]), std::span(value).first(used)));
}

SyscallResult sys_getsockopt(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  QUIRE_TRY(int size, get_user<int>(args.a[4]));
  if (size < 0) return fail(Errno::kInval);
  OptionValue value;
  QUIRE_CHECK(socket->get_option(int_of(args.a[1]), int_of(args.a[2]), value));
  size = std::min(size, static_cast<int>(value.size));
  QUIRE_CHECK(copy_to_user(args.a[3], value.bytes.data(), static_cast<std::size_t>(size)));
  QUIRE_CHECK(put_user(args.a[4], size));
  return 0;
}

constexpr SyscallEntry kCalls[] = {
    {__NR_socket, "socket", sys_socket},
    {__NR_socketpair, "socketpair", sys_socketpair},
    {__NR_bind, "bind", sys_bind},
    {__NR_connect, "connect", sys_connect},
    {__NR_listen, "listen", sys_listen},
    {__NR_accept, "accept", sys_accept},
    {__NR_accept4, "accept4", sys_accept4},
    {__NR_getsockname, "getsockname", sys_getsockname},
    {__NR_getpeername, "getpeername", sys_getpeername},
    {__NR_shutdown, "shutdown", sys_shutdown},
    {__NR_setsockopt, "setsockopt", sys_setsockopt},
    {__NR_getsockopt, "getsockopt", sys_getsockopt},
    {__NR_sendto, "sendto", sys_sendto},
    {__NR_recvfrom, "recvfrom", sys_recvfrom},
    {__NR_sendmsg, "sendmsg", sys_sendmsg},
    {__NR_recvmsg, "recvmsg", sys_recvmsg},
    {__NR_sendmmsg, "sendmmsg", sys_sendmmsg},
    {__NR_recvmmsg, "recvmmsg", sys_recvmmsg},
};

}  // namespace

Result<RefPtr<Socket>> socket_argument(std::uint64_t fd) {
  QUIRE_TRY(const RefPtr<File> file, current_files().get(int_of(fd)));
  if ((file->flags.load() & O_PATH) != 0) return fail(Errno::kBadF);
  if (file->kind() != FileKind::kSocket) return fail(Errno::kNotSock);
  return RefPtr<Socket>(static_cast<Socket*>(file.get()));
}

Result<RawAddress> address_from_user(UserAddr from, std::uint64_t size) {
  RawAddress address;
  const int signed_size = int_of(size);
  if (signed_size < 0 || static_cast<std::size_t>(signed_size) > RawAddress::kCapacity) return fail(Errno::kInval);
  address.size = static_cast<std::uint32_t>(signed_size);
  QUIRE_CHECK(copy_from_user(address.bytes.data(), from, address.size));
  return address;
}

Result<void> address_to_user(const RawAddress& address, UserAddr to, UserAddr size_at) {
  if (to == 0) return {};
  QUIRE_TRY(const int room, get_user<int>(size_at));
  if (room < 0) return fail(Errno::kInval);
  QUIRE_CHECK(copy_to_user(to, address.bytes.data(), std::min<std::size_t>(static_cast<std::size_t>(room), address.size)));
  return put_user(size_at, static_cast<int>(address.size));
}

std::span<const SyscallEntry> net_syscalls() { return kCalls; }

}  // namespace quire::kernel
