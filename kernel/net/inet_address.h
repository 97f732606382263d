// IPv4 and IPv6 addresses: all as IPv6 has them, IPv4's mapped (::ffff:a.b.c.d), so that both families share one space of ports.
#pragma once

#include <array>
#include <cstdint>

#include "net/message.h"

namespace quire::kernel {

struct InetAddress {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0;
  friend bool operator==(const InetAddress&, const InetAddress&) = default;

  static InetAddress v4(std::uint32_t ip, std::uint16_t port);
  static InetAddress any(int domain, std::uint16_t port);
  static InetAddress loopback(int domain, std::uint16_t port);
  [[nodiscard]] bool is_v4() const;
  /// 0.0.0.0 or ::
  [[nodiscard]] bool is_any() const;
  /// 127.0.0.0/8 or ::1: the addresses this machine has.
  [[nodiscard]] bool is_here() const;
  [[nodiscard]] bool same_prefix(const InetAddress& other) const;
  [[nodiscard]] bool same_ip(const InetAddress& other) const { return ip == other.ip; }

  /// struct sockaddr_in or sockaddr_in6. Errors: EINVAL (too short), EAFNOSUPPORT.
  static Result<InetAddress> from(const RawAddress& address, int domain);
  [[nodiscard]] RawAddress to_raw(int domain) const;
};

}  // namespace quire::kernel
