// Sending and receiving. Behaviour: man7 send(2), recv(2), sendmmsg(2), recvmmsg(2).
#include <asm/unistd.h>

#include <algorithm>

#include "fs/syscalls/common.h"
#include "net/calls.h"
#include "net/control.h"
#include "task/time_arguments.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

/// struct user_msghdr.
struct MessageHeader {
  UserAddr name;
  std::int32_t name_size;
  std::uint32_t padding_1;
  UserAddr pieces;
  std::uint64_t piece_count;
  UserAddr control;
  std::uint64_t control_size;
  std::uint32_t flags;
  std::uint32_t padding_2;
};
static_assert(sizeof(MessageHeader) == 56);

/// struct mmsghdr.
struct ManyHeader {
  MessageHeader header;
  std::uint32_t size;
  std::uint32_t padding;
};

constexpr std::uint32_t kMostPieces = 1024, kMostMessages = 1024;  // UIO_MAXIOV

/// What a message says of its sender if the sender does not.
SocketCredentials real_credentials() {
  const Credentials& own = current_credentials();
  return {current_pid(), own.uid, own.gid};
}

Result<std::size_t> send_message(Socket& socket, OutgoingMessage& message) {
  if (socket.domain == AF_UNIX && !message.ancillary.credentials) message.ancillary.credentials = real_credentials();
  message.data.limit(std::min(message.data.size(), kMaxTransfer));
  return socket.send(message);
}

Result<MessageHeader> header_from_user(UserAddr from) {
  QUIRE_TRY(auto header, get_user<MessageHeader>(from));
  if (header.name == 0) header.name_size = 0;
  if (header.name_size < 0) return fail(Errno::kInval);
  header.name_size = std::min<std::int32_t>(header.name_size, RawAddress::kCapacity);
  if (header.piece_count > kMostPieces) return fail(kMessageTooLong);
  return header;
}

Result<std::size_t> send_one(Socket& socket, UserAddr header_at, std::uint32_t flags) {
  QUIRE_TRY(const MessageHeader header, header_from_user(header_at));
  IoVector vector;
  QUIRE_CHECK(vector.load(header.pieces, header.piece_count));
  OutgoingMessage message{.data = IoBuffer::user(vector.pieces()), .flags = flags, .to = {}, .ancillary = {}};
  if (header.name != 0) {
    QUIRE_TRY(message.to, address_from_user(header.name, static_cast<std::uint64_t>(header.name_size)));
  }
  if (header.control != 0 && header.control_size != 0) {
    QUIRE_CHECK(read_control(socket, header.control, header.control_size, message.ancillary));
  }
  return send_message(socket, message);
}

Result<std::size_t> receive_one(Socket& socket, UserAddr header_at, std::uint32_t flags) {
  QUIRE_TRY(const MessageHeader header, header_from_user(header_at));
  IoVector vector;
  QUIRE_CHECK(vector.load(header.pieces, header.piece_count));
  IncomingMessage message{.data = IoBuffer::user(vector.pieces()), .flags = flags, .from = {}, .ancillary = {}};
  message.data.limit(std::min(message.data.size(), kMaxTransfer));
  QUIRE_TRY(const std::size_t size, socket.receive(message));
  QUIRE_TRY(const std::uint64_t control_size,
            write_control(socket, header.control, header.control == 0 ? 0 : header.control_size, flags, message));
  if (header.name != 0) {
    const std::size_t told = std::min<std::size_t>(message.from.size, static_cast<std::size_t>(header.name_size));
    QUIRE_CHECK(copy_to_user(header.name, message.from.bytes.data(), told));
    QUIRE_CHECK(put_user(header_at + offsetof(MessageHeader, name_size), static_cast<std::int32_t>(message.from.size)));
  }
  QUIRE_CHECK(put_user(header_at + offsetof(MessageHeader, control_size), control_size));
  QUIRE_CHECK(put_user(header_at + offsetof(MessageHeader, flags), message.result_flags | (flags & MSG_CMSG_CLOEXEC)));
  return size;
}

SyscallResult to_syscall(const Result<std::size_t>& moved) {
  if (!moved) return fail(moved.error());
  return static_cast<std::int64_t>(*moved);
}

std::uint32_t flags_of(std::uint64_t argument) { return static_cast<std::uint32_t>(argument); }

/// Moves messages one after the other with move(header address), until one fails or `count` are done, and tells the size of each. An
/// error counts only if it is the first's.
template <typename Move>
SyscallResult move_many(UserAddr headers, std::uint64_t count, Move move) {
  count = std::min<std::uint64_t>(static_cast<std::uint32_t>(count), kMostMessages);
  std::int64_t done = 0;
  while (static_cast<std::uint64_t>(done) < count) {
    const UserAddr at = headers + static_cast<std::uint64_t>(done) * sizeof(ManyHeader);
    bool last = false;
    const Result<std::size_t> moved = move(at, done, last);
    if (!moved && done == 0) return fail(moved.error());
    if (!moved) break;
    if (const auto told = put_user(at + offsetof(ManyHeader, size), static_cast<std::uint32_t>(*moved)); !told) {
      if (done == 0) return fail(told.error());
      break;
    }
    ++done;
    if (last) break;
  }
  return done;
}

}  // namespace

SyscallResult sys_sendto(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  OutgoingMessage message{.data = IoBuffer::user(args.a[1], args.a[2]), .flags = flags_of(args.a[3]), .to = {}, .ancillary = {}};
  if (args.a[4] != 0) {
    QUIRE_TRY(message.to, address_from_user(args.a[4], args.a[5]));
  }
  return to_syscall(send_message(*socket, message));
}

SyscallResult sys_recvfrom(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  IncomingMessage message{.data = IoBuffer::user(args.a[1], args.a[2]), .flags = flags_of(args.a[3]), .from = {}, .ancillary = {}};
  message.data.limit(std::min(message.data.size(), kMaxTransfer));
  QUIRE_TRY(const std::size_t size, socket->receive(message));
  QUIRE_CHECK(address_to_user(message.from, args.a[4], args.a[5]));
  return static_cast<std::int64_t>(size);
}

SyscallResult sys_sendmsg(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  return to_syscall(send_one(*socket, args.a[1], flags_of(args.a[2])));
}

SyscallResult sys_recvmsg(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  return to_syscall(receive_one(*socket, args.a[1], flags_of(args.a[2])));
}

SyscallResult sys_sendmmsg(const SyscallArgs& args) {
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  const std::uint32_t flags = flags_of(args.a[3]);
  return move_many(args.a[1], args.a[2], [&](UserAddr at, std::int64_t, bool&) { return send_one(*socket, at, flags); });
}

/// The timeout is looked at after each message only, as man7 recvmmsg(2) says under BUGS.
SyscallResult sys_recvmmsg(const SyscallArgs& args) {
  Deadline deadline = kForever;
  if (args.a[4] != 0) {
    QUIRE_TRY(const std::uint64_t timeout, get_duration(args.a[4]));
    deadline = deadline_after(timeout);
  }
  QUIRE_TRY(const RefPtr<Socket> socket, socket_argument(args.a[0]));
  const std::uint32_t flags = flags_of(args.a[3]);
  const auto receive = [&](UserAddr at, std::int64_t done, bool& last) {
    const bool waits_not = (flags & MSG_WAITFORONE) != 0 && done != 0;
    auto received = receive_one(*socket, at, (flags & ~std::uint32_t{MSG_WAITFORONE}) | (waits_not ? MSG_DONTWAIT : 0));
    last = deadline != kForever && monotonic_ns() >= deadline;
    return received;
  };
  QUIRE_TRY(const std::int64_t done, move_many(args.a[1], args.a[2], receive));
  if (args.a[4] != 0) {
    const std::uint64_t now = monotonic_ns();
    QUIRE_CHECK(put_user(args.a[4], to_timespec(deadline > now ? deadline - now : 0)));
  }
  return done;
}

}  // namespace quire::kernel
