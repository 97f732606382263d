/* Rules of pseudo-terminals. man7 pty(7), ptmx(4), ioctl_tty(2). */
#include "facts.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

static volatile sig_atomic_t caught;
static void on_signal(int signal) { caught = signal; }

static void says(const char* what, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  poll(&p, 1, 500);
  char text[128] = {0}, shown[300] = {0};
  int old = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, old | O_NONBLOCK);
  long n = read(fd, text, sizeof text - 1);
  int error = errno;
  fcntl(fd, F_SETFL, old);
  if (n < 0) {
    fact("%s: %s", what, strerrorname_np(error));
    return;
  }
  for (long i = 0, at = 0; i < n; ++i) at += sprintf(shown + at, text[i] < ' ' ? "<%d>" : "%c", text[i]);
  fact("%s: %ld '%s'", what, n, shown);
}

static void poll_of(const char* what, int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
  poll(&p, 1, 0);
  fact("%s: %x", what, p.revents);
}

static int master(void) { return open("/dev/ptmx", O_RDWR | O_NOCTTY); }

static int slave_of(int m) {
  char name[64];
  grantpt(m);
  unlockpt(m);
  ptsname_r(m, name, sizeof name);
  return open(name, O_RDWR | O_NOCTTY);
}

static void making(void) {
  int m = master();
  char name[64];
  tell("master", m < 0 ? m : 0);
  tell("name", ptsname_r(m, name, sizeof name));
  fact("in /dev/pts: %d", strncmp(name, "/dev/pts/", 9) == 0);
  tell("locked", open(name, O_RDWR | O_NOCTTY));
  int locked = 7;
  ioctl(m, TIOCGPTLCK, &locked);
  fact("lock %d", locked);
  tell("unlock", unlockpt(m));
  int s = open(name, O_RDWR | O_NOCTTY);
  tell("slave", s < 0 ? s : 0);
  struct stat st;
  fstat(s, &st);
  fact("mode %o mine %d terminal %d %d", st.st_mode & ~0777U, st.st_uid == getuid(), isatty(s), isatty(m));
  char own[64] = {0};
  tell("name of the slave", ttyname_r(s, own, sizeof own));
  fact("the same: %d", strcmp(own, name) == 0);
  int peer = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  tell("peer", peer < 0 ? peer : 0);
  int second = master();
  char other[64];
  ptsname_r(second, other, sizeof other);
  fact("another: %d", strcmp(other, name) != 0);
  close(second);
  tell("its name is gone", stat(other, &st));
  close(m);
  tell("gone while the slave is open", stat(name, &st));
  says("slave without master", s);
  tell("write without master", write(s, "x", 1));
  poll_of("without master", s);
}

static void lines(void) {
  int m = master(), s = slave_of(m);
  says("nothing", m);
  poll_of("master", m);
  poll_of("slave", s);
  tell("write to the slave", write(s, "out\n", 4));
  says("what the master sees", m);
  tell("type", write(m, "typed", 5));
  says("echo", m);
  says("no line yet", s);
  write(m, "\x7f!\n", 3);
  says("echo", m);
  int n = 0;
  ioctl(s, FIONREAD, &n);
  fact("waiting %d", n);
  says("line", s);
  write(m, "\x04", 1);
  says("end of file", s);
  struct termios t;
  tell("settings", tcgetattr(m, &t));
  fact("echo %d canonical %d", (t.c_lflag & ECHO) != 0, (t.c_lflag & ICANON) != 0);
  cfmakeraw(&t);
  tell("raw", tcsetattr(s, TCSANOW, &t));
  write(m, "raw\r", 4);
  says("raw input", s);
  says("no echo", m);
  write(s, "raw\n", 4);
  says("raw output", m);
  struct winsize w = {24, 80, 0, 0}, got = {0};
  tell("size", ioctl(m, TIOCSWINSZ, &w));
  ioctl(s, TIOCGWINSZ, &got);
  fact("%d rows, %d columns", got.ws_row, got.ws_col);
  int epoll = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN};
  tell("in an epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, m, &e));
  tell("nothing", epoll_wait(epoll, &e, 1, 0));
  write(s, "x", 1);
  tell("something", epoll_wait(epoll, &e, 1, 1000));
  says("it", m);
  write(s, "last", 4);
  close(s);
  poll_of("slave closed", m);
  says("what it left", m);
  says("then", m);
  s = slave_of(m);
  poll_of("opened again", m);
  tell("write", write(s, "again", 5));
  says("it", m);
}

static void control(void) {
  int m = master(), s = slave_of(m), p[2];
  pipe(p);
  pid_t child = fork();
  if (child == 0) {
    close(m);
    setsid();
    signal(SIGINT, on_signal);
    signal(SIGWINCH, on_signal);
    int ok = ioctl(s, TIOCSCTTY, 0);
    pid_t group = tcgetpgrp(s);
    fact("controlling: %d, my group in front: %d", ok, group == getpid());
    int tty = open("/dev/tty", O_RDWR);
    fact("/dev/tty: %s", outcome(tty));
    write(p[1], "r", 1);
    while (caught == 0) pause();
    fact("caught %s", sigabbrev_np(caught));
    caught = 0;
    write(p[1], "r", 1);
    while (caught == 0) pause();
    fact("caught %s", sigabbrev_np(caught));
    signal(SIGHUP, on_signal);
    caught = 0;
    write(p[1], "r", 1);
    while (caught == 0) pause();
    fact("caught %s", sigabbrev_np(caught));
    fact("/dev/tty now: %s", outcome(open("/dev/tty", O_RDWR)));
    _exit(0);
  }
  char c;
  read(p[0], &c, 1);
  int group = 0;
  tell("foreground group", ioctl(m, TIOCGPGRP, &group));
  fact("the child's: %d", group == child);
  close(s);
  write(m, "\x03", 1);
  read(p[0], &c, 1);
  struct winsize w = {10, 20, 0, 0};
  ioctl(m, TIOCSWINSZ, &w);
  read(p[0], &c, 1);
  close(m);
  int status;
  waitpid(child, &status, 0);
  fact("child: %s", in_words(status));
}

int main(void) {
  making();
  lines();
  control();
  return 0;
}
