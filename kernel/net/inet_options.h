// Options of TCP, IP and IPv6 that are kept for who asks: on a loopback nothing but a packet's header depends on them.
#pragma once

#include <vector>

#include "net/socket.h"

namespace quire::kernel {

class InetOptions {
 public:
  /// Errors: ENOPROTOOPT, EINVAL.
  Result<void> set(const Socket& socket, int level, int name, int value);
  Result<int> get(const Socket& socket, int level, int name) const;
  /// The value of an option that every socket of this type and domain has.
  [[nodiscard]] int value(const Socket& socket, int level, int name) const { return get(socket, level, name).value_or(0); }
  /// What an accepted socket takes over.
  void copy_from(const InetOptions& other);

 private:
  struct Kept {
    int level, name, value;
  };
  mutable Mutex lock_;
  std::vector<Kept> kept_;
};

}  // namespace quire::kernel
