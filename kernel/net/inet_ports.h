// Ports: which socket has which local address. A list each for TCP, UDP and UDP-Lite; the addresses of both families are in the same space.
//
// A binding is part of its socket and in the list from bind (or the first use) until the socket ends. There is no TIME_WAIT: a port is
// free as soon as its last socket is gone. Locks: one Mutex over the lists and all addresses.
#pragma once

#include "net/inet_address.h"
#include "net/socket.h"

namespace quire::kernel {

class InetBinding {
 public:
  InetBinding(Socket& socket, bool takes_both_families);
  InetBinding(const InetBinding&) = delete;
  InetBinding& operator=(const InetBinding&) = delete;
  ~InetBinding();

  /// Port 0 takes a free one. Errors: EINVAL (bound already), EADDRINUSE, EADDRNOTAVAIL, EACCES.
  Result<void> bind(const InetAddress& local);
  /// Sees to it that there is a port. Errors: EADDRINUSE (none is free).
  Result<void> bind_to_any();
  /// The end of a connection that `listener` has accepted.
  void adopt(const InetAddress& local, const InetAddress& remote);
  /// Errors: EADDRINUSE (another one listens there).
  Result<void> begin_listening();
  /// Ties it to a peer; a local address that was any becomes `source`.
  void set_remote(const InetAddress& remote, const InetAddress& source);
  void clear_remote();
  /// Only IPv6 from now on, or both. Errors: EINVAL (bound already).
  Result<void> set_only_v6(bool only);

  [[nodiscard]] InetAddress local() const;
  [[nodiscard]] bool has_remote() const;
  [[nodiscard]] InetAddress remote() const;
  [[nodiscard]] bool only_v6() const { return !takes_both_families_.load(); }

  /// The socket that listens at `to`; among several that share the port they take turns. Null if there is none.
  static RefPtr<Socket> find_listener(const InetAddress& to);
  /// The socket of UDP or UDP-Lite that is to get what `from` sends to `to`, or null.
  static RefPtr<Socket> find_receiver(int protocol, const InetAddress& to, const InetAddress& from);

 private:
  [[nodiscard]] bool receives_at_locked(const InetAddress& to) const;
  [[nodiscard]] bool overlaps_locked(const InetAddress& other_local, bool other_takes_both) const;
  [[nodiscard]] bool conflicts_locked(const InetBinding& other, const InetAddress& wanted) const;
  [[nodiscard]] bool is_free_locked(const InetAddress& wanted) const;
  Result<void> enter_locked(InetAddress wanted);
  [[nodiscard]] static InetBinding*& list_of(int protocol);

  Socket& socket_;
  const std::uint32_t owner_;
  std::atomic<bool> takes_both_families_;
  InetAddress local_, remote_;
  bool is_listed_ = false, is_listening_ = false, has_remote_ = false;
  InetBinding *next_ = nullptr, *previous_ = nullptr;
};

}  // namespace quire::kernel
