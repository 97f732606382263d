// Names of unix sockets: in the file system, and abstract ones.
//
// A bound socket is in one list as long as it lives. A name in the file system is an inode, which the list keeps; unlinking it, as the
// program must itself, leaves the socket unreachable. Locks: the list's Mutex.
#pragma once

#include <string>
#include <string_view>

#include "net/socket.h"

namespace quire::kernel {

/// The name of one socket, bound at most once. Part of its socket.
class UnixBinding {
 public:
  explicit UnixBinding(Socket& socket) : socket_(socket) {}
  UnixBinding(const UnixBinding&) = delete;
  UnixBinding& operator=(const UnixBinding&) = delete;
  ~UnixBinding();

  /// Errors: EINVAL (bound already, or no address), EADDRINUSE, and those of making a name.
  Result<void> bind(const RawAddress& address);
  /// A free abstract name, unless it has one.
  Result<void> bind_to_any();
  [[nodiscard]] bool is_bound() const { return is_bound_.load(std::memory_order_acquire); }
  /// As getsockname() tells it: only the family if there is none.
  [[nodiscard]] RawAddress name() const;
  /// A socket accepted by `listener` goes by the same name, but is not found by it.
  void borrow(const UnixBinding& listener);

 private:
  friend Result<RefPtr<Socket>> find_unix_socket(const RawAddress& address, int type);
  Result<void> enter(RefPtr<Inode> inode, const RawAddress& address);

  Socket& socket_;
  Mutex binding_;  ///< one bind at a time
  RefPtr<Inode> inode_;
  RawAddress address_;
  std::atomic<bool> is_bound_{false};
  bool is_listed_ = false;
  UnixBinding *next_ = nullptr, *previous_ = nullptr;
};

/// Errors: EINVAL.
Result<void> check_unix_address(const RawAddress& address);
/// The socket of that name. Errors: ECONNREFUSED, EPROTOTYPE, EINVAL, ENOENT, EACCES, and those of walking a path.
Result<RefPtr<Socket>> find_unix_socket(const RawAddress& address, int type);

}  // namespace quire::kernel
