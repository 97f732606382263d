/* Rules of TCP and UDP within a machine. man7 ip(7), tcp(7), udp(7), ipv6(7). */
#include "sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>

static struct sockaddr_in at(const char* ip, int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, ip, &a.sin_addr);
  return a;
}

static int tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int bind_to(int s, const char* ip, int port) {
  struct sockaddr_in a = at(ip, port);
  return bind(s, (struct sockaddr*)&a, sizeof a);
}
static int connect_to(int s, const char* ip, int port) {
  struct sockaddr_in a = at(ip, port);
  return connect(s, (struct sockaddr*)&a, sizeof a);
}
static int port_of(int s) {
  struct sockaddr_in a;
  socklen_t size = sizeof a;
  getsockname(s, (struct sockaddr*)&a, &size);
  return ntohs(a.sin_port);
}
static const char* ip_of(const struct sockaddr_in* a) {
  static char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &a->sin_addr, text, sizeof text);
}
static const char* name_of(int s) {
  struct sockaddr_in a = {0};
  socklen_t size = sizeof a;
  if (getsockname(s, (struct sockaddr*)&a, &size) < 0) return "none";
  return ip_of(&a);
}
static const char* peer_of(int s) {
  struct sockaddr_in a = {0};
  socklen_t size = sizeof a;
  if (getpeername(s, (struct sockaddr*)&a, &size) < 0) return strerrorname_np(errno);
  return ip_of(&a);
}
static int error_of(int s) {
  int error = -1;
  socklen_t size = sizeof error;
  getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

/* A port that nobody listens at. */
static int free_port(void) {
  int s = tcp();
  bind_to(s, "127.0.0.1", 0);
  int port = port_of(s);
  close(s);
  return port;
}

static int listener(int* port) {
  int s = tcp();
  bind_to(s, "127.0.0.1", 0);
  listen(s, 5);
  *port = port_of(s);
  return s;
}

static void connected(int s[2]) {
  int port, l = listener(&port);
  s[0] = tcp();
  connect_to(s[0], "127.0.0.1", port);
  s[1] = accept(l, NULL, NULL);
  close(l);
}

static void creation(void) {
  tell("raw", socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
  tell("packets", socket(AF_INET, SOCK_SEQPACKET, 0));
  int s = tcp();
  fact("unbound '%s' %d", name_of(s), port_of(s));
  tell_text("no peer", peer_of(s));
  says("unconnected", s, 0);
  tell("unconnected send", send(s, "x", 1, MSG_NOSIGNAL));
  tell("unconnected shutdown", shutdown(s, SHUT_WR));
  poll_of("unconnected", s, 0);
  tell("accept", accept(s, NULL, NULL));
  tell("not here", bind_to(s, "10.9.8.7", 0));
  struct sockaddr_in a = at("127.0.0.1", 0);
  tell("too short", bind(s, (struct sockaddr*)&a, 8));
  a.sin_family = AF_UNIX;
  tell("no inet address", bind(s, (struct sockaddr*)&a, sizeof a));
  tell("connect to no inet address", connect(s, (struct sockaddr*)&a, sizeof a));
  tell("bind", bind_to(s, "127.0.0.1", 0));
  fact("bound '%s', port %s", name_of(s), port_of(s) >= 1024 ? "high" : "low");
  tell("bind again", bind_to(s, "127.0.0.1", 0));
  int other = tcp(), one = 1;
  tell("the same port", bind_to(other, "127.0.0.1", port_of(s)));
  tell("on all addresses", bind_to(other, "0.0.0.0", port_of(s)));
  tell("on another address", bind_to(other, "127.0.0.2", port_of(s)));
  int third = tcp();
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(third, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  tell("reused", bind_to(third, "127.0.0.1", port_of(s)));
  tell("listen", listen(s, 1));
  tell("listen beside", listen(third, 1));
  int fourth = tcp();
  setsockopt(fourth, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  tell("reused beside a listener", bind_to(fourth, "127.0.0.1", port_of(s)));
  int fifth = tcp(), sixth = tcp();
  setsockopt(fifth, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(sixth, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  bind_to(fifth, "127.0.0.1", 0);
  tell("port reused", bind_to(sixth, "127.0.0.1", port_of(fifth)));
  tell("both listen", listen(fifth, 1) | listen(sixth, 1));
}

static void connecting(void) {
  int port, l = listener(&port), s = tcp();
  tell("nobody", connect_to(s, "127.0.0.1", free_port()));
  tell("error afterwards", error_of(s));
  tell("connect", connect_to(s, "127.0.0.1", port));
  tell("connect again", connect_to(s, "127.0.0.1", port));
  fact("'%s' to '%s', port %s", name_of(s), peer_of(s), port_of(s) != 0 ? "given" : "none");
  poll_of("listener", l, 1000);
  struct sockaddr_in a;
  socklen_t size = sizeof a;
  int e = accept4(l, (struct sockaddr*)&a, &size, SOCK_NONBLOCK);
  fact("accepted from '%s', right port %d, size %d", ip_of(&a), ntohs(a.sin_port) == port_of(s), (int)size);
  fact("its end '%s', port %d", name_of(e), port_of(e) == port);
  says("nothing yet", e, 0);
  send(s, "hello", 5, 0);
  poll_of("something", e, 1000);
  says("it", e, 0);
  int any = tcp();
  bind_to(any, "0.0.0.0", 0);
  listen(any, 1);
  int c = tcp();
  tell("by another address of the loopback", connect_to(c, "127.1.2.3", port_of(any)));
  e = accept(any, NULL, NULL);
  fact("'%s' and '%s', '%s' and '%s'", name_of(c), peer_of(c), name_of(e), peer_of(e));
  c = tcp();
  tell("to the wildcard", connect_to(c, "0.0.0.0", port_of(any)));
  tell_text("which is", peer_of(c));
  c = tcp();
  bind_to(c, "127.0.0.9", 0);
  tell("from an address", connect_to(c, "127.0.0.1", port_of(any)));
  tell_text("it", name_of(c));
  c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  tell("not blocking", connect_to(c, "127.0.0.1", port));
  poll_of("connected", c, 1000);
  tell("error", error_of(c));
  tell("connect again", connect_to(c, "127.0.0.1", port));
  tell("and again", connect_to(c, "127.0.0.1", port));
  c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  tell("not blocking, nobody", connect_to(c, "127.0.0.1", free_port()));
  poll_of("refused", c, 1000);
  tell("error", error_of(c));
  tell("no error", error_of(c));
  close(l);
  says("listener closed before accepting", s, MSG_DONTWAIT);
}

static void closing(void) {
  int s[2];
  connected(s);
  send(s[0], "last", 4, 0);
  shutdown(s[0], SHUT_WR);
  milliseconds(5);
  poll_of("half closed", s[1], 1000);
  says("last", s[1], 0);
  says("end", s[1], 0);
  poll_of("at the end", s[1], 0);
  send(s[1], "answer", 6, 0);
  says("answer", s[0], 0);
  tell("write after shutdown", send(s[0], "x", 1, MSG_NOSIGNAL));
  shutdown(s[1], SHUT_WR);
  milliseconds(5);
  poll_of("both closed", s[0], 0);
  says("both closed", s[0], 0);

  connected(s);
  close(s[1]);
  milliseconds(5);
  poll_of("closed by the peer", s[0], 1000);
  says("closed by the peer", s[0], 0);
  tell("first write", send(s[0], "x", 1, MSG_NOSIGNAL));
  milliseconds(5);
  poll_of("after it", s[0], 0);
  tell("second write", send(s[0], "x", 1, MSG_NOSIGNAL));
  tell("third write", send(s[0], "x", 1, MSG_NOSIGNAL));
  IN_CHILD("its signal", send(s[0], "x", 1, 0));

  connected(s);
  send(s[0], "unread", 6, 0);
  milliseconds(5);
  close(s[1]);
  milliseconds(5);
  poll_of("reset", s[0], 1000);
  says("reset", s[0], 0);
  says("and then", s[0], 0);
  tell("write", send(s[0], "x", 1, MSG_NOSIGNAL));

  connected(s);
  struct linger l = {1, 0};
  setsockopt(s[1], SOL_SOCKET, SO_LINGER, &l, sizeof l);
  close(s[1]);
  milliseconds(5);
  says("aborted", s[0], 0);

  connected(s);
  shutdown(s[0], SHUT_RD);
  says("reads no more", s[0], 0);
  tell("to who reads no more", send(s[1], "x", 1, MSG_NOSIGNAL));
}

static void* pump(void* fd) {
  static char buffer[100000];
  long total = 0;
  for (int i = 0; i < 40; ++i) {
    long n = send(*(int*)fd, buffer, sizeof buffer, 0);
    if (n > 0) total += n;
  }
  close(*(int*)fd);
  return (void*)total;
}

static void amounts(void) {
  int s[2];
  connected(s);
  pthread_t thread;
  pthread_create(&thread, NULL, pump, &s[0]);
  char buffer[7777];
  long total = 0, n;
  while ((n = recv(s[1], buffer, sizeof buffer, 0)) > 0) total += n;
  void* sent;
  pthread_join(thread, &sent);
  fact("sent %ld, received %ld", (long)sent, total);
  connected(s);
  while (send(s[0], buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
  }
  fact("full: %s", strerrorname_np(errno));
  poll_of("full", s[0], 0);
  connected(s);
  send(s[0], "abcdef", 6, 0);
  milliseconds(5);
  int waiting = 0;
  ioctl(s[1], FIONREAD, &waiting);
  fact("waiting %d", waiting);
  tell("thrown away", recv(s[1], NULL, 2, MSG_TRUNC));
  says("peek", s[1], MSG_PEEK);
  says("the rest", s[1], 0);
  tell("urgent data there is none of", recv(s[1], buffer, 1, MSG_OOB));
  struct timeval t = {0, 20000};
  setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  says("timeout", s[1], 0);
}

static void datagrams(void) {
  int a = udp(), b = udp();
  bind_to(a, "127.0.0.1", 0);
  fact("unbound '%s' %d", name_of(b), port_of(b));
  tell("nowhere to send", send(b, "x", 1, 0));
  struct sockaddr_in to = at("127.0.0.1", port_of(a)), from;
  socklen_t size = sizeof from;
  tell("send", sendto(b, "ping", 4, 0, (struct sockaddr*)&to, sizeof to));
  char text[8] = {0};
  tell("short receive", recvfrom(a, text, 2, 0, (struct sockaddr*)&from, &size));
  fact("'%s' from '%s', right port %d", text, ip_of(&from), ntohs(from.sin_port) == port_of(b));
  tell("answer", sendto(a, "pong", 4, 0, (struct sockaddr*)&from, size));
  says("answer", b, 0);
  says("nothing", b, MSG_DONTWAIT);
  tell("port 0", (to.sin_port = 0, sendto(b, "x", 1, 0, (struct sockaddr*)&to, sizeof to)));
  tell("too big", (to.sin_port = htons((uint16_t)port_of(a)), sendto(b, calloc(1, 70000), 66000, 0, (struct sockaddr*)&to, sizeof to)));
  tell("big", sendto(b, calloc(1, 70000), 65507, 0, (struct sockaddr*)&to, sizeof to));
  tell("empty", sendto(b, NULL, 0, 0, (struct sockaddr*)&to, sizeof to));
  tell("size of the big one", recv(a, text, 4, MSG_TRUNC));
  tell("size of the empty one", recv(a, text, 4, 0));
  tell("connect", connect(b, (struct sockaddr*)&to, sizeof to));
  tell_text("peer", peer_of(b));
  tell_text("own", name_of(b));
  tell("send to the peer", send(b, "yes", 3, 0));
  says("it", a, 0);
  int c = udp();
  struct sockaddr_in to_b = at("127.0.0.1", port_of(b));
  sendto(c, "stranger", 8, 0, (struct sockaddr*)&to_b, sizeof to_b);
  milliseconds(5);
  says("strangers are not heard", b, MSG_DONTWAIT);
  poll_of("connected", b, 0);
  close(a);
  tell("to nobody", send(b, "x", 1, 0));
  milliseconds(5);
  poll_of("refused", b, 0);
  says("refused", b, MSG_DONTWAIT);
  says("told once", b, MSG_DONTWAIT);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  tell("no peer any more", connect(b, &none, sizeof none));
  tell_text("peer", peer_of(b));
  tell("unconnected shutdown", shutdown(c, SHUT_RD));
  int d = udp();
  tell("same port", bind_to(d, "127.0.0.1", port_of(c)));
  tell("stream calls", listen(d, 1));
  tell("accept", accept(d, NULL, NULL));
}

static void option(const char* what, int s, int level, int name) {
  int value = -7;
  socklen_t size = sizeof value;
  if (getsockopt(s, level, name, &value, &size) < 0)
    fact("%s: %s", what, strerrorname_np(errno));
  else
    fact("%s: %d", what, value);
}

static void set(const char* what, int s, int level, int name, int value) {
  fact("%s: %s", what, outcome(setsockopt(s, level, name, &value, sizeof value)));
}

static void options(void) {
  int s = tcp(), u = udp();
  option("domain", s, SOL_SOCKET, SO_DOMAIN);
  option("protocol", s, SOL_SOCKET, SO_PROTOCOL);
  option("protocol", u, SOL_SOCKET, SO_PROTOCOL);
  option("send buffer", s, SOL_SOCKET, SO_SNDBUF);
  option("receive buffer", s, SOL_SOCKET, SO_RCVBUF);
  option("no delay", s, IPPROTO_TCP, TCP_NODELAY);
  set("no delay", s, IPPROTO_TCP, TCP_NODELAY, 5);
  option("no delay", s, IPPROTO_TCP, TCP_NODELAY);
  set("keep idle", s, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  option("keep idle", s, IPPROTO_TCP, TCP_KEEPIDLE);
  set("keep idle 0", s, IPPROTO_TCP, TCP_KEEPIDLE, 0);
  option("keep interval", s, IPPROTO_TCP, TCP_KEEPINTVL);
  option("keep count", s, IPPROTO_TCP, TCP_KEEPCNT);
  set("keep count 200", s, IPPROTO_TCP, TCP_KEEPCNT, 200);
  set("user timeout", s, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
  option("user timeout", s, IPPROTO_TCP, TCP_USER_TIMEOUT);
  option("ttl", s, IPPROTO_IP, IP_TTL);
  set("ttl 300", s, IPPROTO_IP, IP_TTL, 300);
  set("tos", s, IPPROTO_IP, IP_TOS, 16);
  option("tos", s, IPPROTO_IP, IP_TOS);
  set("tcp option of udp", u, IPPROTO_TCP, TCP_NODELAY, 1);
  option("no option", s, IPPROTO_TCP, 999);
  option("no credentials", s, SOL_SOCKET, SO_PASSCRED);
  option("reuse", s, SOL_SOCKET, SO_REUSEADDR);
  option("broadcast", u, SOL_SOCKET, SO_BROADCAST);
  struct ifreq r = {0};
  strcpy(r.ifr_name, "lo");
  tell("index", ioctl(u, SIOCGIFINDEX, &r));
  fact("%d", r.ifr_ifindex);
  tell("address", ioctl(u, SIOCGIFADDR, &r));
  tell_text("it", ip_of((struct sockaddr_in*)&r.ifr_addr));
  tell("flags", ioctl(u, SIOCGIFFLAGS, &r));
  fact("up %d loopback %d", (r.ifr_flags & IFF_UP) != 0, (r.ifr_flags & IFF_LOOPBACK) != 0);
  strcpy(r.ifr_name, "nonesuch0");
  tell("no interface", ioctl(u, SIOCGIFADDR, &r));
  tell("no ioctl", ioctl(u, 0x1234, &r));
}

static void six(void) {
  int l = socket(AF_INET6, SOCK_STREAM, 0);
  if (l < 0) {
    fact("no IPv6: %s", strerrorname_np(errno));
    return;
  }
  option("only", l, IPPROTO_IPV6, IPV6_V6ONLY);
  struct sockaddr_in6 a = {.sin6_family = AF_INET6};
  socklen_t size = sizeof a;
  tell("bind", bind(l, (struct sockaddr*)&a, sizeof a));
  getsockname(l, (struct sockaddr*)&a, &size);
  fact("size %d", (int)size);
  listen(l, 3);
  int port = ntohs(a.sin6_port);
  int old = tcp();
  tell("an old one to the new", connect_to(old, "127.0.0.1", port));
  size = sizeof a;
  int e = accept(l, (struct sockaddr*)&a, &size);
  char text[INET6_ADDRSTRLEN];
  fact("from %s", inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof text));
  send(old, "four to six", 11, 0);
  says("it", e, 0);
  int other = tcp();
  tell("the same port", bind_to(other, "127.0.0.1", port));
  int s = socket(AF_INET6, SOCK_STREAM, 0);
  a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  long result = connect(s, (struct sockaddr*)&a, sizeof a);
  tell("connect", result);
  size = sizeof a;
  e = accept(l, (struct sockaddr*)&a, &size);
  fact("from %s", inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof text));
  int only = socket(AF_INET6, SOCK_STREAM, 0);
  set("only", only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  int taken = tcp();
  bind_to(taken, "0.0.0.0", 0);
  a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port_of(taken))};
  tell("beside the old", bind(only, (struct sockaddr*)&a, sizeof a));
}

static void edges(void) {
  int port, l = listener(&port), epoll = epoll_create1(0), c = tcp();
  struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = l};
  epoll_ctl(epoll, EPOLL_CTL_ADD, l, &e);
  tell("nobody", epoll_wait(epoll, &e, 1, 0));
  connect_to(c, "127.0.0.1", port);
  tell("somebody", epoll_wait(epoll, &e, 1, 1000));
  tell("once", epoll_wait(epoll, &e, 1, 0));
  int s = accept(l, NULL, NULL);
  e = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = s};
  epoll_ctl(epoll, EPOLL_CTL_ADD, s, &e);
  tell("writable", epoll_wait(epoll, &e, 1, 0));
  fact("%x", e.events);
  send(c, "x", 1, 0);
  tell("readable", epoll_wait(epoll, &e, 1, 1000));
  fact("%x", e.events);
  close(c);
  milliseconds(5);
  tell("closed", epoll_wait(epoll, &e, 1, 1000));
  fact("%x", e.events);
}

/* What a packet's header says, sent and told by control messages. */
static char control[256];

static long send_with(int s, int level, int type, const void* data, size_t size) {
  struct iovec piece = {"header", 6};
  memset(control, 0, sizeof control);
  struct cmsghdr* c = (struct cmsghdr*)control;
  *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
  memcpy(CMSG_DATA(c), data, size);
  struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(size)};
  return sendmsg(s, &m, 0);
}

static void told(int s, size_t room) {
  char text[8];
  struct iovec piece = {text, sizeof text};
  memset(control, 0, sizeof control);
  struct msghdr m = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
  const long size = recvmsg(s, &m, 0);
  fact("%ld bytes, %zu of control%s", size, m.msg_controllen, m.msg_flags & MSG_CTRUNC ? ", cut" : "");
  for (struct cmsghdr* c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
    fact("  level %d type %d size %zu: %d", c->cmsg_level, c->cmsg_type, c->cmsg_len, *CMSG_DATA(c));
}

static void headers(int family, int protocol) {
  int r = socket(family, SOCK_DGRAM, protocol), s = socket(family, SOCK_DGRAM, protocol);
  tell_text("socket", outcome(r));
  struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  if (family == AF_INET) {
    bind_to(r, "127.0.0.1", 0);
  } else {
    bind(r, (struct sockaddr*)&a, sizeof a);
  }
  socklen_t size = sizeof a;
  getsockname(r, (struct sockaddr*)&a, &size);
  tell("connect", connect(s, (struct sockaddr*)&a, size));
  const int six = family == AF_INET6, level = six ? IPPROTO_IPV6 : IPPROTO_IP, hops = six ? IPV6_HOPLIMIT : IP_TTL,
            class = six ? IPV6_TCLASS : IP_TOS;
  send(s, "header", 6, 0);
  told(r, sizeof control);
  set("hops", r, level, six ? IPV6_RECVHOPLIMIT : IP_RECVTTL, 1);
  set("class", r, level, six ? IPV6_RECVTCLASS : IP_RECVTOS, 7);
  send(s, "header", 6, 0);
  told(r, sizeof control);
  int value = 5, none = 0, large = 256, odd = -2;
  tell("with hops", send_with(s, level, hops, &value, sizeof value));
  told(r, sizeof control);
  value = 12;
  tell("with a class", send_with(s, level, class, &value, sizeof value));
  told(r, sizeof control);
  set("for all", s, level, six ? IPV6_UNICAST_HOPS : IP_TTL, 9);
  send(s, "header", 6, 0);
  told(r, 0);
  send(s, "header", 6, 0);
  told(r, CMSG_LEN(4) - 1);
  send(s, "header", 6, 0);
  told(r, CMSG_SPACE(4));
  send(s, "header", 6, 0);
  told(r, CMSG_SPACE(4) + CMSG_LEN(0));
  tell("no hops", send_with(s, level, hops, &none, sizeof none));
  tell("too many hops", send_with(s, level, hops, &large, sizeof large));
  tell("few hops", send_with(s, level, hops, &odd, sizeof odd));
  tell("half a number", send_with(s, level, hops, &value, 2));
  tell("too much of a class", send_with(s, level, class, &large, sizeof large));
  tell("another level", send_with(s, IPPROTO_TCP, 1, &value, sizeof value));
  tell("another type", send_with(s, level, 250, &value, sizeof value));
  tell("another type of socket", send_with(s, SOL_SOCKET, 250, &value, sizeof value));
}

static void lite(void) {
  int u = udp(), l = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
  tell("udp", bind_to(u, "127.0.0.1", 0));
  tell("the same port of UDP-Lite", bind_to(l, "127.0.0.1", port_of(u)));
  int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE), protocol = 0;
  socklen_t size = sizeof protocol;
  getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
  fact("protocol %d", protocol);
  connect_to(s, "127.0.0.1", port_of(l));
  send(s, "light", 5, 0);
  says("it", l, 0);
  says("udp", u, MSG_DONTWAIT);
}

int main(void) {
  creation();
  connecting();
  closing();
  amounts();
  datagrams();
  options();
  six();
  edges();
  headers(AF_INET, 0);
  headers(AF_INET6, 0);
  headers(AF_INET6, IPPROTO_UDPLITE);
  lite();
  return 0;
}
