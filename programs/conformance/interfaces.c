// Which network interfaces and addresses there are, as netlink tells it: of the loopback, which every machine has. man7 netlink(7),
// rtnetlink(7), if_nameindex(3), getifaddrs(3).
#include "facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/socket.h>

static void by_the_library(void) {
  struct if_nameindex* all = if_nameindex();
  fact("first: %d %s", all[0].if_index, all[0].if_name);
  struct ifaddrs* addresses;
  tell("addresses", getifaddrs(&addresses));
  for (struct ifaddrs* a = addresses; a != NULL; a = a->ifa_next) {
    if (strcmp(a->ifa_name, "lo") != 0 || a->ifa_addr == NULL) continue;
    char text[INET6_ADDRSTRLEN] = "", mask[INET6_ADDRSTRLEN] = "";
    const int six = a->ifa_addr->sa_family == AF_INET6;
    if (six || a->ifa_addr->sa_family == AF_INET) {
      const size_t offset = six ? offsetof(struct sockaddr_in6, sin6_addr) : offsetof(struct sockaddr_in, sin_addr);
      inet_ntop(a->ifa_addr->sa_family, (char*)a->ifa_addr + offset, text, sizeof text);
      inet_ntop(a->ifa_addr->sa_family, (char*)a->ifa_netmask + offset, mask, sizeof mask);
    }
    fact("lo: flags %x family %d %s %s", a->ifa_flags, a->ifa_addr->sa_family, text, mask);
  }
}

static void by_hand(void) {
  const int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  struct sockaddr_nl a = {.nl_family = AF_NETLINK};
  socklen_t size = sizeof a;
  tell("bind", bind(s, (struct sockaddr*)&a, sizeof a));
  tell("name", getsockname(s, (struct sockaddr*)&a, &size));
  fact("size %u, number %s", size, a.nl_pid == (uint32_t)getpid() ? "of the process" : "another");
  tell("too short", bind(s, (struct sockaddr*)&a, 4));
  struct {
    struct nlmsghdr header;
    struct ifinfomsg body;
  } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {0}};
  tell("ask", send(s, &request, sizeof request, 0));
  char reply[65536];
  long got = recv(s, reply, sizeof reply, 0);
  const struct nlmsghdr* first = (struct nlmsghdr*)reply;
  fact("type %d flags %d sequence %u for %s", first->nlmsg_type, first->nlmsg_flags, first->nlmsg_seq,
       first->nlmsg_pid == a.nl_pid ? "this" : "another");
  const struct ifinfomsg* link = NLMSG_DATA(first);
  int left = (int)IFLA_PAYLOAD(first);
  fact("interface %d type %d flags %x", link->ifi_index, link->ifi_type, link->ifi_flags);
  for (struct rtattr* r = IFLA_RTA(link); RTA_OK(r, left); r = RTA_NEXT(r, left)) {
    if (r->rta_type == IFLA_IFNAME) fact("name %s", (char*)RTA_DATA(r));
    if (r->rta_type == IFLA_MTU) fact("mtu %d", *(int*)RTA_DATA(r));
    if (r->rta_type == IFLA_TXQLEN) fact("queue %d", *(int*)RTA_DATA(r));
  }
  while (((struct nlmsghdr*)reply)->nlmsg_type != NLMSG_DONE && got > 0) got = recv(s, reply, sizeof reply, MSG_DONTWAIT);
  fact("the end: %ld bytes", got);
  request.header.nlmsg_type = 4000;
  send(s, &request, sizeof request, 0);
  got = recv(s, reply, sizeof reply, MSG_DONTWAIT);
  fact("what nobody knows: type %d error %d", first->nlmsg_type, ((struct nlmsgerr*)NLMSG_DATA(first))->error);
  a.nl_pid = 1 << 30;
  tell("to nobody", sendto(s, &request, sizeof request, 0, (struct sockaddr*)&a, sizeof a));
  tell("a stream", socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
  tell("no such protocol", socket(AF_NETLINK, SOCK_RAW, 999));
}

int main(void) {
  by_the_library();
  by_hand();
  return 0;
}
