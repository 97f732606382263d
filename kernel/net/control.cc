#include "net/control.h"

#include <asm/resource.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace quire::kernel {

namespace {

/// struct cmsghdr.
struct ControlHeader {
  std::uint64_t size;
  int level, type;
};
constexpr std::uint64_t kMostControl = 20480;  // Linux's /proc/sys/net/core/optmem_max
constexpr std::size_t kMostFiles = 253;        // Linux v6.12 include/net/scm.h: SCM_MAX_FD

std::uint64_t aligned(std::uint64_t size) { return (size + 7) & ~std::uint64_t{7}; }

Result<void> read_rights(UserAddr from, std::uint64_t size, std::vector<RefPtr<File>>& files) {
  const std::uint64_t count = size / sizeof(int);
  if (count + files.size() > kMostFiles) return fail(Errno::kInval);
  for (std::uint64_t i = 0; i < count; ++i) {
    QUIRE_TRY(const int fd, get_user<int>(from + i * sizeof(int)));
    QUIRE_TRY(RefPtr<File> file, current_files().get(fd));
    files.push_back(std::move(file));
  }
  return {};
}

/// Linux v6.12 net/core/scm.c:scm_check_creds().
Result<SocketCredentials> read_credentials(UserAddr from, std::uint64_t size) {
  if (size != sizeof(SocketCredentials)) return fail(Errno::kInval);
  QUIRE_TRY(const auto given, get_user<SocketCredentials>(from));
  const Credentials& own = current_credentials();
  const bool may_pid = given.pid == current_pid() || own.can(CAP_SYS_ADMIN);
  const bool may_uid = given.uid == own.uid || given.uid == own.euid || given.uid == own.suid || own.can(CAP_SETUID);
  const bool may_gid = given.gid == own.gid || given.gid == own.egid || given.gid == own.sgid || own.can(CAP_SETGID);
  if (!may_pid || !may_uid || !may_gid) return fail(Errno::kPerm);
  return given;
}

struct ControlMessage {
  int level, type;
  UserAddr data;
  std::uint64_t size;
};

/// A number that must have the size of an int. Errors: EINVAL, EFAULT.
Result<int> read_number(const ControlMessage& message, int least, int most) {
  if (message.size != sizeof(int)) return fail(Errno::kInval);
  QUIRE_TRY(const int number, get_user<int>(message.data));
  return number < least || number > most ? Result<int>(fail(Errno::kInval)) : number;
}

/// Linux v6.12 net/ipv4/ip_sockglue.c:ip_cmsg_send(), net/ipv6/datagram.c:ip6_datagram_send_ctl(), net/core/sock.c:__sock_cmsg_send().
/// Errors: EINVAL, EFAULT.
Result<void> read_inet_message(const Socket& socket, const ControlMessage& message, HeaderFields& header) {
  constexpr int kMostOfByte = 255;
  if (message.level == SOL_SOCKET) {
    return message.type == SCM_RIGHTS || message.type == SCM_CREDENTIALS ? Result<void>() : fail(Errno::kInval);
  }
  if (socket.type != SOCK_DGRAM || message.level != (socket.domain == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP)) return {};
  if (message.level == IPPROTO_IPV6 && message.type == IPV6_HOPLIMIT) {
    QUIRE_TRY(header.hop_limit, read_number(message, -1, kMostOfByte));
  } else if (message.level == IPPROTO_IPV6 && message.type == IPV6_TCLASS) {
    QUIRE_TRY(header.traffic_class, read_number(message, -1, kMostOfByte));
  } else if (message.level == IPPROTO_IP && message.type == IP_TTL) {
    QUIRE_TRY(header.hop_limit, read_number(message, 1, kMostOfByte));
  } else if (message.level == IPPROTO_IP && message.type == IP_TOS && message.size == 1) {
    QUIRE_TRY(header.traffic_class, get_user<std::uint8_t>(message.data));
  } else if (message.level == IPPROTO_IP && message.type == IP_TOS) {
    QUIRE_TRY(header.traffic_class, read_number(message, 0, kMostOfByte));
  } else {
    return fail(Errno::kInval);  // IP_PKTINFO and its like are not there
  }
  return {};
}

/// Writes control messages one after the other.
class ControlWriter {
 public:
  ControlWriter(UserAddr to, std::uint64_t size) : to_(to), left_(size) {}

  /// As much of `size` bytes as fits. False if it did not. Errors: EFAULT.
  Result<bool> put(int level, int type, const void* data, std::uint64_t size) {
    if (left_ < sizeof(ControlHeader)) return false;
    const std::uint64_t whole = sizeof(ControlHeader) + size, part = std::min(whole, left_);
    QUIRE_CHECK(put_user(to_, ControlHeader{part, level, type}));
    QUIRE_CHECK(copy_to_user(to_ + sizeof(ControlHeader), data, part - sizeof(ControlHeader)));
    const std::uint64_t step = std::min(aligned(part), left_);
    to_ += step;
    left_ -= step;
    written_ += step;
    return part == whole;
  }
  /// Bytes of data that the next message may have.
  [[nodiscard]] std::uint64_t room() const { return left_ < sizeof(ControlHeader) ? 0 : left_ - sizeof(ControlHeader); }
  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  UserAddr to_;
  std::uint64_t left_, written_ = 0;
};

/// Descriptors for as many files as fit and may be opened. Returns whether those were all. Errors: EFAULT.
Result<bool> put_rights(ControlWriter& writer, const Rights& rights, bool close_on_exec) {
  std::vector<int> fds;
  const std::uint64_t room = writer.room() / sizeof(int);
  for (const RefPtr<File>& file : rights.files()) {
    if (fds.size() == room) break;
    const auto fd = current_files().install(file, 0, close_on_exec);
    if (!fd) break;
    fds.push_back(*fd);
  }
  if (fds.empty()) return rights.empty();
  QUIRE_CHECK(writer.put(SOL_SOCKET, SCM_RIGHTS, fds.data(), fds.size() * sizeof(int)));
  return fds.size() == rights.files().size();
}

}  // namespace

Result<void> read_control(const Socket& socket, UserAddr from, std::uint64_t size, Ancillary& into) {
  if (size > kMostControl) return fail(kNoBuffers);
  std::vector<RefPtr<File>> files;
  for (std::uint64_t at = 0; at + sizeof(ControlHeader) <= size;) {
    QUIRE_TRY(const auto header, get_user<ControlHeader>(from + at));
    if (header.size < sizeof(ControlHeader) || header.size > size - at) return fail(Errno::kInval);
    const UserAddr data = from + at + sizeof(ControlHeader);
    const std::uint64_t data_size = header.size - sizeof(ControlHeader);
    at += aligned(header.size);
    if (socket.domain != AF_UNIX) {
      QUIRE_CHECK(read_inet_message(socket, {header.level, header.type, data, data_size}, into.header));
      continue;
    }
    if (header.level != SOL_SOCKET) continue;
    switch (header.type) {
      case SCM_RIGHTS:
        QUIRE_CHECK(read_rights(data, data_size, files));
        break;
      case SCM_CREDENTIALS: {
        QUIRE_TRY(into.credentials, read_credentials(data, data_size));
        break;
      }
      default:
        return fail(Errno::kInval);
    }
  }
  if (files.empty()) return {};
  const bool are_too_many = Rights::on_their_way() > current_rlimit(RLIMIT_NOFILE);
  if (are_too_many && !current_credentials().can(CAP_SYS_RESOURCE)) return fail(kTooManyReferences);
  into.rights = Rights(std::move(files));
  return {};
}

namespace {

/// What the reader wants to know of a packet's header. Returns whether all of it fitted. Errors: EFAULT.
Result<bool> put_header(ControlWriter& writer, const HeaderMessages& wanted, const HeaderFields& header) {
  bool all = true;
  if (wanted.hop_limit != 0 && header.hop_limit >= 0) {
    QUIRE_TRY(all, writer.put(wanted.level, wanted.hop_limit, &header.hop_limit, sizeof header.hop_limit));
  }
  if (wanted.traffic_class != 0 && header.traffic_class >= 0) {
    // As a byte for IPv4.
    const std::size_t size = wanted.level == IPPROTO_IP ? 1 : sizeof header.traffic_class;
    QUIRE_TRY(const bool whole, writer.put(wanted.level, wanted.traffic_class, &header.traffic_class, size));
    all = all && whole;
  }
  return all;
}

}  // namespace

Result<std::uint64_t> write_control(const Socket& socket, UserAddr to, std::uint64_t size, std::uint32_t flags, IncomingMessage& message) {
  ControlWriter writer(to, size);
  QUIRE_TRY(bool all, put_header(writer, socket.header_messages(), message.ancillary.header));
  if (socket.options.pass_credentials && message.ancillary.credentials) {
    QUIRE_TRY(all, writer.put(SOL_SOCKET, SCM_CREDENTIALS, &*message.ancillary.credentials, sizeof(SocketCredentials)));
  }
  if (!message.ancillary.rights.empty()) {
    QUIRE_TRY(const bool all_files, put_rights(writer, message.ancillary.rights, (flags & MSG_CMSG_CLOEXEC) != 0));
    all = all && all_files;
  }
  if (!all) message.result_flags |= MSG_CTRUNC;
  return writer.written();
}

}  // namespace quire::kernel
