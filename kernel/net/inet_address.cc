#include "net/inet_address.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace quire::kernel {

namespace {

constexpr std::size_t kMappedOffset = 12;  // of an IPv4 address in a mapped one
constexpr std::size_t kLeastInet6 = 24;    // Linux v6.12 include/uapi/linux/in6.h: SIN6_LEN_RFC2133

}  // namespace

InetAddress InetAddress::v4(std::uint32_t ip, std::uint16_t port) {
  InetAddress address;
  address.ip[10] = address.ip[11] = 0xff;
  for (std::size_t i = 0; i < 4; ++i) address.ip[kMappedOffset + i] = static_cast<std::uint8_t>(ip >> (24 - 8 * i));
  address.port = port;
  return address;
}

InetAddress InetAddress::any(int domain, std::uint16_t port) {
  if (domain == AF_INET) return v4(INADDR_ANY, port);
  InetAddress address;
  address.port = port;
  return address;
}

InetAddress InetAddress::loopback(int domain, std::uint16_t port) {
  if (domain == AF_INET) return v4(INADDR_LOOPBACK, port);
  InetAddress address = any(domain, port);
  address.ip[15] = 1;
  return address;
}

bool InetAddress::is_v4() const { return same_prefix(v4(0, 0)); }

bool InetAddress::same_prefix(const InetAddress& other) const {
  return std::equal(ip.begin(), ip.begin() + kMappedOffset, other.ip.begin());
}

bool InetAddress::is_any() const { return same_ip(v4(INADDR_ANY, 0)) || same_ip(any(AF_INET6, 0)); }

bool InetAddress::is_here() const { return is_v4() ? ip[kMappedOffset] == IN_LOOPBACKNET : same_ip(loopback(AF_INET6, 0)); }

Result<InetAddress> InetAddress::from(const RawAddress& raw, int domain) {
  if (domain == AF_INET) {
    sockaddr_in given{};
    if (raw.size < sizeof given) return fail(Errno::kInval);
    std::memcpy(&given, raw.bytes.data(), sizeof given);
    // Linux v6.12 net/ipv4/af_inet.c:__inet_bind(): AF_UNSPEC with no address is taken for AF_INET.
    const bool unspecified = given.sin_family == AF_UNSPEC && given.sin_addr.s_addr == INADDR_ANY;
    if (given.sin_family != AF_INET && !unspecified) return fail(Errno::kAfNoSupport);
    return v4(__builtin_bswap32(given.sin_addr.s_addr), __builtin_bswap16(given.sin_port));
  }
  sockaddr_in6 given{};
  if (raw.size < kLeastInet6) return fail(Errno::kInval);
  std::memcpy(&given, raw.bytes.data(), std::min<std::size_t>(raw.size, sizeof given));
  if (given.sin6_family != AF_INET6) return fail(Errno::kAfNoSupport);
  InetAddress address;
  std::memcpy(address.ip.data(), &given.sin6_addr, address.ip.size());
  address.port = __builtin_bswap16(given.sin6_port);
  return address;
}

RawAddress InetAddress::to_raw(int domain) const {
  RawAddress raw;
  if (domain == AF_INET) {
    sockaddr_in told{};
    told.sin_family = AF_INET;
    told.sin_port = __builtin_bswap16(port);
    std::memcpy(&told.sin_addr, ip.data() + kMappedOffset, sizeof told.sin_addr);
    std::memcpy(raw.bytes.data(), &told, sizeof told);
    raw.size = sizeof told;
    return raw;
  }
  sockaddr_in6 told{};
  told.sin6_family = AF_INET6;
  told.sin6_port = __builtin_bswap16(port);
  std::memcpy(&told.sin6_addr, ip.data(), ip.size());
  std::memcpy(raw.bytes.data(), &told, sizeof told);
  raw.size = sizeof told;
  return raw;
}

}  // namespace quire::kernel
