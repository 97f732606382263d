#include "net/interfaces.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "mm/uaccess.h"

namespace quire::kernel {

namespace {

/// An address as ifreq has it.
template <typename Request>
void put_address(Request& request, std::uint32_t ip) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = __builtin_bswap32(ip);
  std::memcpy(&request.ifr_ifru, &address, sizeof address);
}

/// SIOCGIFCONF: all addresses.
Result<std::int64_t> list_interfaces(UserAddr at) {
  QUIRE_TRY(auto list, get_user<ifconf>(at));
  ifreq request{};
  std::memcpy(request.ifr_name, kLoopbackName, sizeof kLoopbackName);
  put_address(request, INADDR_LOOPBACK);
  const auto to = reinterpret_cast<UserAddr>(list.ifc_buf);
  if (to == 0 || list.ifc_len >= static_cast<int>(sizeof request)) {
    if (to != 0) QUIRE_CHECK(put_user(to, request));
    list.ifc_len = sizeof request;
  } else {
    list.ifc_len = 0;
  }
  QUIRE_CHECK(put_user(at, list));
  return 0;
}

}  // namespace

Result<std::int64_t> interface_ioctl(std::uint32_t command, std::uint64_t argument) {
  if (command == SIOCGIFCONF) return list_interfaces(argument);
  switch (command) {
    case SIOCGIFNAME:
    case SIOCGIFINDEX:
    case SIOCGIFFLAGS:
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFMTU:
    case SIOCGIFMETRIC:
    case SIOCGIFTXQLEN:
    case SIOCGIFHWADDR:
      break;
    default:
      return fail(Errno::kNotTty);
  }
  QUIRE_TRY(auto request, get_user<ifreq>(argument));
  if (command == SIOCGIFNAME) {
    if (request.ifr_ifindex != kLoopbackIndex) return fail(Errno::kNoDev);
    std::memcpy(request.ifr_name, kLoopbackName, sizeof kLoopbackName);
    QUIRE_CHECK(put_user(argument, request));
    return 0;
  }
  request.ifr_name[IFNAMSIZ - 1] = '\0';
  if (std::strcmp(request.ifr_name, kLoopbackName) != 0) return fail(Errno::kNoDev);
  std::memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
  switch (command) {
    case SIOCGIFINDEX:
      request.ifr_ifindex = kLoopbackIndex;
      break;
    case SIOCGIFFLAGS:
      request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
      break;
    case SIOCGIFADDR:
    case SIOCGIFDSTADDR:
      put_address(request, INADDR_LOOPBACK);
      break;
    case SIOCGIFNETMASK:
      put_address(request, IN_CLASSA_NET);
      break;
    case SIOCGIFBRDADDR:
      put_address(request, INADDR_ANY);
      break;
    case SIOCGIFMTU:
      request.ifr_mtu = kLoopbackMtu;
      break;
    case SIOCGIFTXQLEN:
      request.ifr_qlen = kLoopbackQueue;
      break;
    case SIOCGIFHWADDR:
      request.ifr_hwaddr.sa_family = ARPHRD_LOOPBACK;
      break;
    default:  // SIOCGIFMETRIC: 0
      break;
  }
  QUIRE_CHECK(put_user(argument, request));
  return 0;
}

}  // namespace quire::kernel
