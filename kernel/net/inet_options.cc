#include "net/inet_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace quire::kernel {

namespace {

/// An option: its default, and what it may be.
struct Known {
  int level, name, value, least, most;
};
constexpr int kDays = 32767;  // Linux v6.12 include/net/tcp.h: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
constexpr Known kKnown[] = {
    {IPPROTO_TCP, TCP_NODELAY, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_TCP, TCP_CORK, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, kDays},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, kDays},
    {IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127},
    {IPPROTO_TCP, TCP_SYNCNT, 6, 1, 127},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT32_MAX},
    {IPPROTO_TCP, TCP_QUICKACK, 1, INT32_MIN, INT32_MAX},
    {IPPROTO_IP, IP_TOS, 0, 0, 255},
    {IPPROTO_IP, IP_TTL, 64, 1, 255},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT},
    {IPPROTO_IP, IP_RECVTTL, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_IP, IP_RECVTOS, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, INT32_MIN, INT32_MAX},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, 0, 255},
    {IPPROTO_IPV6, IPV6_TCLASS, 0, 0, 255},
};

bool is_switch(const Known& known) { return known.least == INT32_MIN; }

/// Errors: ENOPROTOOPT.
Result<const Known*> find(const Socket& socket, int level, int name) {
  if (level == IPPROTO_TCP && socket.type != SOCK_STREAM) return fail(kNoSuchOption);
  for (const Known& known : kKnown) {
    if (known.level != level || known.name != name) continue;
    if (level == IPPROTO_IPV6 && socket.domain != AF_INET6) break;
    return &known;
  }
  return fail(kNoSuchOption);
}

}  // namespace

Result<void> InetOptions::set(const Socket& socket, int level, int name, int value) {
  QUIRE_TRY(const Known* const known, find(socket, level, name));
  if (value < known->least || value > known->most) return fail(Errno::kInval);
  if (is_switch(*known)) value = value != 0 ? 1 : 0;
  const Guard guard(lock_);
  for (Kept& kept : kept_) {
    if (kept.level != level || kept.name != name) continue;
    kept.value = value;
    return {};
  }
  kept_.push_back({level, name, value});
  return {};
}

Result<int> InetOptions::get(const Socket& socket, int level, int name) const {
  QUIRE_TRY(const Known* const known, find(socket, level, name));
  const Guard guard(lock_);
  for (const Kept& kept : kept_) {
    if (kept.level == level && kept.name == name) return kept.value;
  }
  return known->value;
}

void InetOptions::copy_from(const InetOptions& other) {
  std::vector<Kept> theirs;
  {
    const Guard guard(other.lock_);
    theirs = other.kept_;
  }
  const Guard guard(lock_);
  kept_ = std::move(theirs);
}

}  // namespace quire::kernel
