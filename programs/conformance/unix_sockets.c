/* Rules of unix sockets. man7 unix(7), socket(7), send(2), recv(2), cmsg(3). */
#include "sockets.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

static struct sockaddr_un address(const char* path) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strcpy(a.sun_path, path);
  return a;
}

static socklen_t size_of(const struct sockaddr_un* a) {
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path) + 1);
}

static void pair(int type, int s[2]) { socketpair(AF_UNIX, type, 0, s); }

static void creation(void) {
  tell("no family", socket(1000, SOCK_STREAM, 0));
  tell("no type", socket(AF_UNIX, 9, 0));
  tell("no protocol", socket(AF_UNIX, SOCK_STREAM, 99));
  tell("unknown flag", socket(AF_UNIX, SOCK_STREAM | 0x40, 0));
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  fact("flags %d %x", fcntl(s, F_GETFD), fcntl(s, F_GETFL));
  struct stat st;
  fstat(s, &st);
  fact("mode %o", st.st_mode);
  char link[64] = {0}, path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", s);
  readlink(path, link, sizeof link - 1);
  fact("name %.8s", link);
  tell("seek", lseek(s, 0, SEEK_SET));
  tell("file is no socket", listen(open("/", O_RDONLY), 1));
  tell("not open", listen(99, 1));
  tell("unconnected receive", recv(s, link, 1, 0));
  tell("unconnected send", send(s, link, 1, MSG_NOSIGNAL));
  tell("unconnected listen", listen(s, 1));
  tell("accept", accept(s, NULL, NULL));
  poll_of("unconnected", s, 0);
  struct sockaddr_un a;
  socklen_t size = sizeof a;
  getsockname(s, (struct sockaddr*)&a, &size);
  fact("no name: %d of family %d", (int)size, a.sun_family);
  tell("no peer", getpeername(s, (struct sockaddr*)&a, &size));
  int p[2];
  tell("inet pairs", socketpair(AF_INET, SOCK_STREAM, 0, p));
}

static void streams(void) {
  int s[2];
  pair(SOCK_STREAM, s);
  poll_of("new pair", s[0], 0);
  tell("send", send(s[0], "hello", 5, 0));
  tell("write", write(s[0], " world", 6));
  int n = 0;
  ioctl(s[1], FIONREAD, &n);
  fact("waiting %d", n);
  says("peek", s[1], MSG_PEEK);
  char c[4];
  tell("some", recv(s[1], c, 3, 0));
  says("rest", s[1], 0);
  says("nothing", s[1], MSG_DONTWAIT);
  tell("send to a name", sendto(s[0], "x", 1, 0, (struct sockaddr*)&(struct sockaddr_un){AF_UNIX, "x"}, 4));
  tell("out of band flag on receive", recv(s[1], c, 1, MSG_OOB) < 0 ? -(errno != 0) * 0 - 1 : 0);
  tell("bad address", send(s[0], bad_address, 4, 0));
  tell("bad address to receive to", (send(s[0], "abcd", 4, 0), recv(s[1], bad_address, 4, 0)));
  says("still there", s[1], 0);
  poll_of("empty", s[1], 0);
  send(s[0], "x", 1, 0);
  poll_of("full", s[1], 0);
  tell("shut writing", shutdown(s[0], SHUT_WR));
  poll_of("who shut", s[0], 0);
  poll_of("the other", s[1], 0);
  says("before the end", s[1], 0);
  says("the end", s[1], 0);
  tell("write after shut", send(s[0], "x", 1, MSG_NOSIGNAL));
  tell("the other way", send(s[1], "back", 4, 0));
  says("the other way", s[0], 0);
  tell("shut reading", shutdown(s[0], SHUT_RD));
  tell("write to who reads no more", send(s[1], "x", 1, MSG_NOSIGNAL));
  poll_of("all shut", s[0], 0);
  tell("shut how", shutdown(s[0], 3));
  IN_CHILD("signal of a broken pipe", send(s[1], "x", 1, 0));
  close(s[0]);
  says("closed", s[1], 0);
  poll_of("closed", s[1], 0);
  pair(SOCK_STREAM, s);
  send(s[0], "unread", 6, 0);
  send(s[1], "read", 4, 0);
  close(s[1]);
  poll_of("closed with something unread", s[0], 0);
  says("it left", s[0], 0);
  says("then an error", s[0], 0);
  says("then the end", s[0], 0);
}

static void* late_writer(void* fd) {
  milliseconds(30);
  send(*(int*)fd, "ab", 2, 0);
  milliseconds(30);
  send(*(int*)fd, "cd", 2, 0);
  return NULL;
}

static void* drain(void* fd) {
  static char buffer[65536];
  long total = 0, n;
  while ((n = recv(*(int*)fd, buffer, sizeof buffer, 0)) > 0) total += n;
  return (void*)total;
}

static void waits(void) {
  int s[2];
  pair(SOCK_STREAM, s);
  pthread_t thread;
  pthread_create(&thread, NULL, late_writer, &s[0]);
  says("waited for", s[1], 0);
  pthread_join(thread, NULL);
  says("rest", s[1], 0);
  pthread_create(&thread, NULL, late_writer, &s[0]);
  char text[5] = {0};
  tell("all of it", recv(s[1], text, 4, MSG_WAITALL));
  tell_text("text", text);
  pthread_join(thread, NULL);
  struct timeval t = {0, 30000};
  tell("timeout", setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  says("timed out", s[1], 0);
  char* big = calloc(1, 1 << 20);
  pthread_create(&thread, NULL, drain, &s[1]);
  t.tv_usec = 0;
  setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  tell("a megabyte", send(s[0], big, 1 << 20, 0));
  close(s[0]);
  void* total;
  pthread_join(thread, &total);
  tell("arrived", (long)total);
  pair(SOCK_STREAM, s);
  long sent = 0, n;
  while ((n = send(s[0], big, 5000, MSG_DONTWAIT)) > 0) sent += n;
  tell("until it is full", n);
  tell_text("it took", sent > 100000 && sent < 1000000 ? "some" : "too little or too much");
  poll_of("full", s[0], 0);
  t.tv_usec = 20000;
  setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
  tell("send timed out", send(s[0], big, 1 << 20, 0) > 0 ? 1 : 0);
  tell("again", send(s[0], big, 1 << 20, 0));
  while (recv(s[1], big, 65536, MSG_DONTWAIT) > 0) {
  }
  poll_of("drained", s[0], 0);
  free(big);
}

static void packets(int type, const char* name) {
  fact("--- %s", name);
  int s[2];
  pair(type, s);
  send(s[0], "first", 5, 0);
  send(s[0], "", 0, 0);
  send(s[0], "second one", 10, 0);
  char c[4];
  tell("short", recv(s[1], c, 3, 0));
  tell("empty one", recv(s[1], c, 3, 0));
  struct iovec v = {c, 4};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
  tell("peek with its size", recvmsg(s[1], &m, MSG_TRUNC | MSG_PEEK));
  fact("flags %x", m.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
  says("whole", s[1], 0);
  says("nothing", s[1], MSG_DONTWAIT);
  int n = 7;
  send(s[0], "abc", 3, 0);
  send(s[0], "de", 2, 0);
  ioctl(s[1], FIONREAD, &n);
  fact("waiting %d", n);
  char* big = calloc(1, 1 << 20);
  tell("too big", send(s[0], big, 1 << 20, 0));
  tell("big", send(s[0], big, 100000, 0));
  free(big);
  poll_of("reader", s[1], 0);
  shutdown(s[0], SHUT_WR);
  tell("after shut", send(s[0], "x", 1, MSG_NOSIGNAL));
  close(s[1]);
  tell("to nobody", send(s[0], "x", 1, MSG_NOSIGNAL));
}

static void names(void) {
  char directory[] = "/tmp/unix_sockets.XXXXXX";
  mkdtemp(directory);
  chdir(directory);
  struct sockaddr_un a = address("server"), got;
  socklen_t size = sizeof got;
  int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
  tell("no such name", connect(c, (struct sockaddr*)&a, size_of(&a)));
  umask(022);
  tell("bind", bind(s, (struct sockaddr*)&a, size_of(&a)));
  struct stat st;
  stat("server", &st);
  fact("mode %o", st.st_mode);
  tell("opened", open("server", O_RDWR));
  tell("bind again", bind(s, (struct sockaddr*)&a, size_of(&a)));
  tell("another on it", bind(c, (struct sockaddr*)&a, size_of(&a)));
  tell("nobody listens", connect(c, (struct sockaddr*)&a, size_of(&a)));
  tell("listen", listen(s, 1));
  getsockname(s, (struct sockaddr*)&got, &size);
  fact("name %d '%s'", (int)size, got.sun_path);
  int d = socket(AF_UNIX, SOCK_DGRAM, 0);
  tell("wrong type", connect(d, (struct sockaddr*)&a, size_of(&a)));
  tell("a directory", connect(c, (struct sockaddr*)&(struct sockaddr_un){AF_UNIX, "."}, 4));
  tell("too short", connect(c, (struct sockaddr*)&a, 2));
  tell("another family", connect(c, (struct sockaddr*)&(struct sockaddr_un){AF_INET, "server"}, 9));
  poll_of("listening, nobody", s, 0);
  tell("connect", connect(c, (struct sockaddr*)&a, size_of(&a)));
  poll_of("listening, somebody", s, 0);
  tell("connect again", connect(c, (struct sockaddr*)&a, size_of(&a)));
  send(c, "early", 5, 0);
  size = sizeof got;
  int e = accept4(s, (struct sockaddr*)&got, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  fact("accepted %s, flags %d %x, peer %d", outcome(e), fcntl(e, F_GETFD), fcntl(e, F_GETFL), (int)size);
  says("early", e, 0);
  size = sizeof got;
  getpeername(c, (struct sockaddr*)&got, &size);
  fact("peer %d '%s'", (int)size, got.sun_path);
  size = sizeof got;
  getsockname(e, (struct sockaddr*)&got, &size);
  fact("its end %d '%s'", (int)size, got.sun_path);
  struct ucred cred;
  size = sizeof cred;
  tell("peer's credentials", getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &size));
  fact("%s %d %d", cred.pid == getpid() ? "mine" : "not mine", cred.uid == getuid(), cred.gid == getgid());
  fcntl(s, F_SETFL, O_NONBLOCK);
  tell("nobody else", accept(s, NULL, NULL));
  int more[5];
  for (int i = 0; i < 3; ++i) {
    more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    tell("beyond the backlog", connect(more[i], (struct sockaddr*)&a, size_of(&a)));
  }
  close(s);
  says("listener closed", more[0], 0);
  tell("connect to the closed", connect(more[2], (struct sockaddr*)&a, size_of(&a)));
  unlink("server");
  tell("unlinked", connect(more[2], (struct sockaddr*)&a, size_of(&a)));

  struct sockaddr_un hidden = {AF_UNIX, "\0quire.conformance"};
  socklen_t hidden_size = offsetof(struct sockaddr_un, sun_path) + 18;
  s = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  tell("abstract", bind(s, (struct sockaddr*)&hidden, hidden_size));
  c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  tell("abstract again", bind(c, (struct sockaddr*)&hidden, hidden_size));
  listen(s, 5);
  tell("shorter", connect(c, (struct sockaddr*)&hidden, hidden_size - 1));
  tell("abstract connect", connect(c, (struct sockaddr*)&hidden, hidden_size));
  size = sizeof got;
  getpeername(c, (struct sockaddr*)&got, &size);
  fact("peer %d %d '%s'", (int)size, got.sun_path[0], got.sun_path + 1);
  close(s);
  s = socket(AF_UNIX, SOCK_DGRAM, 0);
  tell("after close", bind(s, (struct sockaddr*)&hidden, hidden_size));
  d = socket(AF_UNIX, SOCK_DGRAM, 0);
  sa_family_t family = AF_UNIX;
  tell("any name", bind(d, (struct sockaddr*)&family, sizeof family));
  size = sizeof got;
  getsockname(d, (struct sockaddr*)&got, &size);
  fact("any name %d", (int)size);
  tell("to", sendto(d, "ping", 4, 0, (struct sockaddr*)&hidden, hidden_size));
  char text[16] = {0};
  size = sizeof got;
  tell("from", recvfrom(s, text, 15, 0, (struct sockaddr*)&got, &size));
  tell("answer", sendto(s, "pong", 4, 0, (struct sockaddr*)&got, size));
  says("answer", d, 0);
  tell("not connected", send(d, "x", 1, 0));
  tell("connect to it", connect(d, (struct sockaddr*)&hidden, hidden_size));
  int third = socket(AF_UNIX, SOCK_DGRAM, 0);
  tell("from a third", sendto(third, "x", 1, 0, (struct sockaddr*)&got, size));
  for (int i = 0; i < 20; ++i) {
    if (send(d, "x", 1, MSG_DONTWAIT) < 0) {
      fact("full after %d: %s", i, strerrorname_np(errno));
      break;
    }
  }
  poll_of("full", d, 0);
  close(s);
  tell("gone", send(d, "x", 1, 0));
  tell("forgotten", send(d, "x", 1, 0));
  chdir("/");
  rmdir(directory);
}

static long send_files(int s, const int* fds, int count, const char* text, size_t size) {
  union {
    char bytes[CMSG_SPACE(sizeof(int) * 4)];
    struct cmsghdr align;
  } control = {0};
  struct iovec v = {(void*)text, size};
  struct msghdr m = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
  struct cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
  memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
  return sendmsg(s, &m, 0);
}

static int receive_files(const char* what, int s, int* fds, size_t control_size, int flags) {
  char control[256] = {0}, text[32] = {0};
  struct iovec v = {text, sizeof text - 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = control_size};
  long n = recvmsg(s, &m, flags);
  int count = 0;
  for (struct cmsghdr* c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred u;
      memcpy(&u, CMSG_DATA(c), sizeof u);
      fact("%s: credentials %s %d", what, u.pid == getpid() ? "mine" : u.pid == 0 ? "nobody's" : "another's", u.uid == getuid());
    } else {
      count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)count);
    }
  }
  fact("%s: %ld '%s' with %d files, flags %x, control %d", what, n, text, count, m.msg_flags & ~MSG_CMSG_CLOEXEC, (int)m.msg_controllen);
  return count;
}

static void files(void) {
  int s[2], p[2], got[8];
  pair(SOCK_STREAM, s);
  pipe(p);
  tell("plain bytes", send(s[0], "ab", 2, 0));
  tell("with a file", send_files(s[0], &p[1], 1, "cd", 2));
  tell("plain bytes", send(s[0], "ef", 2, 0));
  close(p[1]);
  receive_files("up to the file", s[1], got, 64, MSG_CMSG_CLOEXEC);
  fact("closed by exec: %d", fcntl(got[0], F_GETFD));
  tell("it is the pipe", write(got[0], "through", 7));
  char text[8] = {0};
  read(p[0], text, 7);
  tell_text("read", text);
  receive_files("the rest", s[1], got + 1, 64, 0);
  close(got[0]);
  tell("the last one is closed", read(p[0], text, 7));
  pipe(p);
  int both[2] = {p[0], p[1]};
  send_files(s[0], both, 2, "two", 3);
  receive_files("room for one", s[1], got, CMSG_SPACE(sizeof(int)) - 4, 0);
  send_files(s[0], both, 2, "two", 3);
  receive_files("no room", s[1], got, 0, 0);
  send_files(s[0], both, 1, "x", 1);
  close(p[0]);
  close(got[0]);
  says("read without control", s[1], 0);
  IN_CHILD("dropped with the message", { _exit(write(p[1], "x", 1) < 0 ? 3 : 4); });
  int none = 99;
  tell("not open", send_files(s[0], &none, 1, "x", 1));
  int epoll = epoll_create1(0);
  tell("an epoll", send_files(s[0], &epoll, 1, "x", 1));
  receive_files("an epoll", s[1], got, 64, 0);
  // A socket through itself, left there.
  send_files(s[0], s, 2, "self", 4);

  int one = 1;
  pair(SOCK_DGRAM, s);
  tell("pass credentials", setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
  send(s[0], "who", 3, 0);
  receive_files("credentials", s[1], got, 128, 0);
  send_files(s[0], &one, 1, "both", 4);
  receive_files("both", s[1], got, 128, 0);
  pair(SOCK_STREAM, s);
  tell("on a stream", setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
  send(s[0], "mine", 4, 0);
  pid_t child = fork();
  if (child == 0) {
    send(s[0], "child", 5, 0);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  receive_files("mine", s[1], got, 128, 0);
  receive_files("the child's", s[1], got, 128, 0);
  struct ucred false_one = {1, 0, 0};
  char control[CMSG_SPACE(sizeof false_one)] = {0};
  struct iovec v = {"x", 1};
  struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_CREDENTIALS;
  c->cmsg_len = CMSG_LEN(sizeof false_one);
  struct ucred true_one = {getpid(), getuid(), getgid()};
  memcpy(CMSG_DATA(c), &true_one, sizeof true_one);
  tell("own credentials", sendmsg(s[0], &m, 0));
  c->cmsg_type = 77;
  tell("unknown control", sendmsg(s[0], &m, 0));
  c->cmsg_len = 3;
  tell("bad control", sendmsg(s[0], &m, 0));
}

static void many(void) {
  int s[2];
  pair(SOCK_DGRAM, s);
  struct iovec v[3] = {{"one", 3}, {"two!", 4}, {"three", 5}};
  struct mmsghdr m[3] = {0};
  for (int i = 0; i < 3; ++i) m[i].msg_hdr.msg_iov = &v[i], m[i].msg_hdr.msg_iovlen = 1;
  tell("sendmmsg", sendmmsg(s[0], m, 3, 0));
  fact("sizes %d %d %d", m[0].msg_len, m[1].msg_len, m[2].msg_len);
  char text[3][8] = {0};
  for (int i = 0; i < 3; ++i) v[i] = (struct iovec){text[i], 7};
  tell("recvmmsg", recvmmsg(s[1], m, 2, 0, NULL));
  tell("the rest", recvmmsg(s[1], m + 2, 1, MSG_WAITFORONE, NULL));
  fact("'%s' '%s' '%s' %d", text[0], text[1], text[2], m[2].msg_len);
  tell("nothing", recvmmsg(s[1], m, 2, MSG_DONTWAIT, NULL));
  m[0].msg_hdr.msg_iovlen = 2000;
  tell("too many pieces", sendmmsg(s[0], m, 1, 0));
}

static void option(const char* what, int s, int level, int name) {
  int value = -7;
  socklen_t size = sizeof value;
  if (getsockopt(s, level, name, &value, &size) < 0)
    fact("%s: %s", what, strerrorname_np(errno));
  else
    fact("%s: %d (%d bytes)", what, value, (int)size);
}

static void options(void) {
  int s[2], one = 1;
  pair(SOCK_STREAM, s);
  option("type", s[0], SOL_SOCKET, SO_TYPE);
  option("domain", s[0], SOL_SOCKET, SO_DOMAIN);
  option("protocol", s[0], SOL_SOCKET, SO_PROTOCOL);
  option("error", s[0], SOL_SOCKET, SO_ERROR);
  option("listening", s[0], SOL_SOCKET, SO_ACCEPTCONN);
  option("low water", s[0], SOL_SOCKET, SO_RCVLOWAT);
  option("credentials", s[0], SOL_SOCKET, SO_PASSCRED);
  option("keep alive", s[0], SOL_SOCKET, SO_KEEPALIVE);
  tell("set", setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
  option("keep alive", s[0], SOL_SOCKET, SO_KEEPALIVE);
  tell("type cannot be set", setsockopt(s[0], SOL_SOCKET, SO_TYPE, &one, sizeof one));
  tell("no option", setsockopt(s[0], SOL_SOCKET, 9999, &one, sizeof one));
  tell("no level", setsockopt(s[0], 9999, SO_TYPE, &one, sizeof one));
  tell("no option to read", getsockopt(s[0], SOL_SOCKET, 9999, &one, &(socklen_t){4}));
  tell("too short", setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, &one, 2));
  tell("bad address", setsockopt(s[0], SOL_SOCKET, SO_KEEPALIVE, bad_address, 4));
  int small = 5000;
  setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  option("send buffer", s[0], SOL_SOCKET, SO_SNDBUF);
  small = 1;
  setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  option("least send buffer", s[0], SOL_SOCKET, SO_SNDBUF);
  setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  option("least receive buffer", s[0], SOL_SOCKET, SO_RCVBUF);
  struct timeval t = {1, 500000}, back = {0};
  socklen_t size = sizeof back;
  setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &back, &size);
  fact("timeout %ld %ld", (long)back.tv_sec, (long)back.tv_usec);
  t.tv_usec = 1000000;
  tell("bad timeout", setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
  struct linger l = {1, 3}, lb = {0};
  size = sizeof lb;
  setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof l);
  getsockopt(s[0], SOL_SOCKET, SO_LINGER, &lb, &size);
  fact("linger %d %d", lb.l_onoff, lb.l_linger);
}

static void edges(void) {
  int s[2], epoll = epoll_create1(0);
  pair(SOCK_STREAM, s);
  struct epoll_event e = {.events = EPOLLIN | EPOLLET};
  epoll_ctl(epoll, EPOLL_CTL_ADD, s[0], &e);
  tell("nothing", epoll_wait(epoll, &e, 1, 0));
  send(s[1], "a", 1, 0);
  tell("edge", epoll_wait(epoll, &e, 1, 0));
  tell("once", epoll_wait(epoll, &e, 1, 0));
  send(s[1], "b", 1, 0);
  tell("edge", epoll_wait(epoll, &e, 1, 0));
  close(s[1]);
  tell("hang-up", epoll_wait(epoll, &e, 1, 0));
  fact("events %x", e.events);
}

int main(void) {
  creation();
  streams();
  waits();
  packets(SOCK_DGRAM, "datagrams");
  packets(SOCK_SEQPACKET, "sequential packets");
  names();
  files();
  many();
  options();
  edges();
  return 0;
}
