#include "net/inet_ports.h"

#include <netinet/in.h>

#include <vector>

namespace quire::kernel {

namespace {

// Linux's /proc/sys/net/ipv4/ip_local_port_range and ip_unprivileged_port_start.
constexpr unsigned kFirstEphemeral = 32768, kLastEphemeral = 60999, kFirstUnprivileged = 1024;

constinit Mutex ports;
constinit InetBinding *tcp_bindings = nullptr, *udp_bindings = nullptr, *udp_lite_bindings = nullptr;
constinit unsigned next_ephemeral = kFirstEphemeral;
constinit unsigned turn = 0;

/// How well a socket fits; the highest gets it.
enum Fit : unsigned { kNot, kAnyAddress, kThisAddress, kThisPeer };

}  // namespace

InetBinding::InetBinding(Socket& socket, bool takes_both_families)
    : socket_(socket), owner_(current_credentials().euid), takes_both_families_(takes_both_families) {
  local_ = InetAddress::any(socket.domain, 0);
}

InetBinding*& InetBinding::list_of(int protocol) {
  if (protocol == IPPROTO_TCP) return tcp_bindings;
  return protocol == IPPROTO_UDP ? udp_bindings : udp_lite_bindings;
}

InetBinding::~InetBinding() {
  const Guard guard(ports);
  if (!is_listed_) return;
  (previous_ != nullptr ? previous_->next_ : list_of(socket_.protocol)) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

bool InetBinding::receives_at_locked(const InetAddress& to) const {
  if (local_.port != to.port) return false;
  if (!local_.is_any()) return local_.same_ip(to);
  return local_.is_v4() ? to.is_v4() : !to.is_v4() || takes_both_families_.load();
}

bool InetBinding::overlaps_locked(const InetAddress& other_local, bool other_takes_both) const {
  if (local_.port != other_local.port) return false;
  if (local_.same_ip(other_local)) return true;
  const auto covers = [](const InetAddress& wide, bool both, const InetAddress& narrow) {
    if (!wide.is_any()) return false;
    return wide.is_v4() ? narrow.is_v4() : !narrow.is_v4() || both;
  };
  return covers(local_, takes_both_families_.load(), other_local) || covers(other_local, other_takes_both, local_);
}

/// man7 socket(7) SO_REUSEADDR, SO_REUSEPORT; Linux v6.12 net/ipv4/inet_connection_sock.c:inet_bind_conflict().
bool InetBinding::conflicts_locked(const InetBinding& other, const InetAddress& wanted) const {
  if (&other == this || !other.overlaps_locked(wanted, takes_both_families_.load())) return false;
  const SocketOptions &mine = socket_.options, &theirs = other.socket_.options;
  if (mine.reuse_address && theirs.reuse_address && !other.is_listening_) return false;
  return !(mine.reuse_port && theirs.reuse_port && owner_ == other.owner_);
}

bool InetBinding::is_free_locked(const InetAddress& wanted) const {
  for (const InetBinding* other = list_of(socket_.protocol); other != nullptr; other = other->next_) {
    if (conflicts_locked(*other, wanted)) return false;
  }
  return true;
}

Result<void> InetBinding::enter_locked(InetAddress wanted) {
  if (wanted.port != 0) {
    if (!is_free_locked(wanted)) return fail(kAddressInUse);
  } else {
    // A port nobody has at all, whatever may be shared.
    const auto is_taken = [&](unsigned port) {
      for (const InetBinding* other = list_of(socket_.protocol); other != nullptr; other = other->next_) {
        if (other->local_.port == port) return true;
      }
      return false;
    };
    for (unsigned tries = kFirstEphemeral; tries <= kLastEphemeral && wanted.port == 0; ++tries) {
      const unsigned port = next_ephemeral;
      next_ephemeral = port == kLastEphemeral ? kFirstEphemeral : port + 1;
      if (!is_taken(port)) wanted.port = static_cast<std::uint16_t>(port);
    }
    if (wanted.port == 0) return fail(kAddressInUse);
  }
  InetBinding*& first = list_of(socket_.protocol);
  local_ = wanted;
  is_listed_ = true;
  next_ = first;
  if (next_ != nullptr) next_->previous_ = this;
  first = this;
  return {};
}

Result<void> InetBinding::bind(const InetAddress& wanted) {
  if (!wanted.is_any() && !wanted.is_here()) return fail(kAddressNotHere);
  if (only_v6() && wanted.is_v4() && socket_.domain == AF_INET6) return fail(Errno::kInval);
  if (wanted.port != 0 && wanted.port < kFirstUnprivileged && !current_credentials().can(CAP_NET_BIND_SERVICE)) return fail(Errno::kAcces);
  const Guard guard(ports);
  if (is_listed_) return fail(Errno::kInval);
  return enter_locked(wanted);
}

Result<void> InetBinding::bind_to_any() {
  const Guard guard(ports);
  if (is_listed_) return {};
  return enter_locked(InetAddress::any(socket_.domain, 0));
}

void InetBinding::adopt(const InetAddress& its_local, const InetAddress& its_remote) {
  const Guard guard(ports);
  InetBinding*& first = list_of(socket_.protocol);
  local_ = its_local;
  remote_ = its_remote;
  is_listed_ = has_remote_ = true;
  next_ = first;
  if (next_ != nullptr) next_->previous_ = this;
  first = this;
}

Result<void> InetBinding::begin_listening() {
  const Guard guard(ports);
  for (const InetBinding* other = list_of(socket_.protocol); other != nullptr; other = other->next_) {
    if (other->is_listening_ && conflicts_locked(*other, local_)) return fail(kAddressInUse);
  }
  is_listening_ = true;
  return {};
}

void InetBinding::set_remote(const InetAddress& its_remote, const InetAddress& source) {
  const Guard guard(ports);
  remote_ = its_remote;
  has_remote_ = true;
  if (local_.is_any()) local_.ip = source.ip;
}

void InetBinding::clear_remote() {
  const Guard guard(ports);
  has_remote_ = false;
}

Result<void> InetBinding::set_only_v6(bool only) {
  const Guard guard(ports);
  if (is_listed_) return fail(Errno::kInval);
  takes_both_families_ = !only;
  return {};
}

InetAddress InetBinding::local() const {
  const Guard guard(ports);
  return local_;
}

bool InetBinding::has_remote() const {
  const Guard guard(ports);
  return has_remote_;
}

InetAddress InetBinding::remote() const {
  const Guard guard(ports);
  return remote_;
}

RefPtr<Socket> InetBinding::find_listener(const InetAddress& to) {
  const Guard guard(ports);
  std::vector<RefPtr<Socket>> best;
  Fit fit = kNot;
  for (InetBinding* binding = tcp_bindings; binding != nullptr; binding = binding->next_) {
    if (!binding->is_listening_ || !binding->receives_at_locked(to)) continue;
    const Fit its_fit = binding->local_.is_any() ? kAnyAddress : kThisAddress;
    if (its_fit < fit) continue;
    RefPtr<Socket> socket = try_ref(binding->socket_);
    if (!socket) continue;
    if (its_fit > fit) best.clear();
    fit = its_fit;
    best.push_back(std::move(socket));
  }
  return best.empty() ? nullptr : best[turn++ % best.size()];
}

RefPtr<Socket> InetBinding::find_receiver(int protocol, const InetAddress& to, const InetAddress& from) {
  const Guard guard(ports);
  RefPtr<Socket> best;
  Fit fit = kNot;
  for (InetBinding* binding = list_of(protocol); binding != nullptr; binding = binding->next_) {
    if (!binding->receives_at_locked(to)) continue;
    if (binding->has_remote_ && binding->remote_ != from) continue;
    const Fit its_fit = binding->has_remote_ ? kThisPeer : binding->local_.is_any() ? kAnyAddress : kThisAddress;
    if (its_fit <= fit) continue;
    RefPtr<Socket> socket = try_ref(binding->socket_);
    if (!socket) continue;
    fit = its_fit;
    best = std::move(socket);
  }
  return best;
}

}  // namespace quire::kernel
