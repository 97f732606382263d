// Sockets: what all families and types have in common. See docs/decisions/0011-sockets.md.
//
// Life cycle: a Socket is its own open file, made by socket(2), socketpair(2) or accept(2), and ends with its last reference. What has
// come for it is in a ReceiveQueue, which its peers keep too. Behaviour: man7 socket(7), unix(7), ip(7), tcp(7), udp(7).
#pragma once

#include <sys/socket.h>

#include <cstring>

#include "net/errors.h"
#include "net/message.h"
#include "net/receive_queue.h"
#include "syscall/syscall.h"

namespace quire::kernel {

/// The value of an option on its way to a program.
struct OptionValue {
  std::array<std::byte, 256> bytes;
  std::size_t size = 0;
  template <typename T>
  void set(const T& value) {
    static_assert(sizeof value <= sizeof bytes);
    std::memcpy(bytes.data(), &value, sizeof value);
    size = sizeof value;
  }
};

/// Options of level SOL_SOCKET that are kept. Times in nanoseconds, kForever for none. Written by setsockopt, read without a lock.
struct SocketOptions {
  std::atomic<bool> reuse_address{false}, reuse_port{false}, keep_alive{false}, broadcast{false}, pass_credentials{false},
      out_of_band_inline{false}, do_not_route{false}, linger_on{false};
  std::atomic<int> send_buffer{kDefaultBuffer}, receive_buffer{kDefaultBuffer}, receive_low{1}, priority{0}, linger_seconds{0};
  std::atomic<std::uint64_t> receive_timeout{kForever}, send_timeout{kForever};
  /// Linux's /proc/sys/net/core/{r,w}mem_default and _max on x86-64.
  static constexpr int kDefaultBuffer = 212992, kLeastSendBuffer = 4608, kLeastReceiveBuffer = 2304;
};

/// The control messages by which a reader is told HeaderFields. Type 0: it is not.
struct HeaderMessages {
  int level = 0, hop_limit = 0, traffic_class = 0;
};

class Socket : public File {
 public:
  Socket(int domain, int type, int protocol, std::uint32_t file_flags);

  virtual Result<void> bind(const RawAddress& address) = 0;
  virtual Result<void> connect(const RawAddress& address) = 0;
  virtual Result<void> listen(int backlog);                                     // EOPNOTSUPP
  virtual Result<RefPtr<Socket>> accept(std::uint32_t file_flags, RawAddress& peer);  // EOPNOTSUPP
  virtual Result<void> shutdown(int how) = 0;
  virtual RawAddress name() = 0;
  virtual Result<RawAddress> peer_name() = 0;
  /// Returns bytes sent. Errors: EPIPE (with SIGPIPE), EAGAIN, EMSGSIZE …
  virtual Result<std::size_t> send(OutgoingMessage& message) = 0;
  virtual Result<std::size_t> receive(IncomingMessage& message) = 0;
  virtual Result<void> set_option(int level, int name, std::span<const std::byte> value);
  virtual Result<void> get_option(int level, int name, OptionValue& value);
  [[nodiscard]] virtual HeaderMessages header_messages() const { return {}; }
  /// Ties two new sockets of one class together (socketpair). EOPNOTSUPP
  virtual Result<void> pair_with(Socket& other);

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override;
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override;
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override;
  [[nodiscard]] bool can_poll() const override { return true; }
  [[nodiscard]] FileKind kind() const override { return FileKind::kSocket; }
  [[nodiscard]] std::string anonymous_name() const override;

  const int domain, type, protocol;
  SocketOptions options;
  const RefPtr<ReceiveQueue> own;

 protected:
  /// Bytes a FIONREAD tells of. Locks: own->lock.
  [[nodiscard]] virtual std::size_t readable_bytes_locked() { return own->bytes_locked(); }
  [[nodiscard]] virtual std::size_t unsent_bytes() { return 0; }
  [[nodiscard]] virtual bool is_listening() { return false; }
  [[nodiscard]] virtual SocketCredentials peer_credentials() { return {0, ~0U, ~0U}; }
  [[nodiscard]] virtual std::vector<std::uint32_t> peer_groups() { return {}; }
  [[nodiscard]] bool has_records() const { return type != SOCK_STREAM; }
  /// Whether this call is not to wait.
  [[nodiscard]] bool must_not_wait(std::uint32_t call_flags) const { return (call_flags & MSG_DONTWAIT) != 0 || nonblocking(); }

  /// Does step(), a function that returns whether it is done, until it is; sleeps on `queue` meanwhile. Errors: step's, EAGAIN (not to
  /// wait, or `timeout` nanoseconds have passed), kRestartSys, EINTR.
  template <typename Step>
  Result<void> wait_for(WaitQueue& queue, bool no_wait, std::uint64_t timeout, Step step) {
    QUIRE_TRY(bool done, step());
    if (done) return {};
    if (no_wait) return fail(Errno::kAgain);
    const Deadline deadline = deadline_in(timeout);
    Sleeper sleeper;
    sleeper.add(queue);
    for (;;) {
      QUIRE_TRY(done, step());
      if (done) return {};
      switch (sleeper.sleep(Interruptible::kYes, deadline)) {
        case WaitResult::kDone:
          break;
        case WaitResult::kTimedOut:
          return fail(Errno::kAgain);
        case WaitResult::kInterrupted:
          return fail(timeout == kForever ? kRestartSys : Errno::kIntr);
      }
    }
  }
  static Deadline deadline_in(std::uint64_t timeout);
  /// EPIPE, and SIGPIPE unless the call asked for none.
  static std::unexpected<Errno> broken_pipe(std::uint32_t call_flags);
  /// Takes the error that waits for the owner.
  [[nodiscard]] Errno take_error();
};

/// A new socket. `type` without SOCK_* flags. Errors: EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM (raw).
Result<RefPtr<Socket>> make_socket(int domain, int type, int protocol, std::uint32_t file_flags);
Result<RefPtr<Socket>> make_unix_socket(int type, int protocol, std::uint32_t file_flags);
Result<RefPtr<Socket>> make_netlink_socket(int type, int protocol, std::uint32_t file_flags);
Result<RefPtr<Socket>> make_inet_socket(int domain, int type, int protocol, std::uint32_t file_flags);

}  // namespace quire::kernel
