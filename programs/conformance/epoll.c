/* Rules of epoll, eventfd, timerfd and signalfd. man7 epoll(7), epoll_ctl(2), timerfd_create(2), signalfd(2). */
#include "facts.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int make(void) { return epoll_create1(EPOLL_CLOEXEC); }

static long ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event e = {.events = events, .data.u64 = data};
  return epoll_ctl(epoll, operation, fd, &e);
}

static void show(const char* what, int epoll) {
  struct epoll_event e[4] = {0};
  int n = epoll_wait(epoll, e, 4, 0);
  if (n <= 0) {
    fact("%s: %s", what, n == 0 ? "nothing" : strerrorname_np(errno));
    return;
  }
  for (int i = 0; i < n; ++i) fact("%s: %d of %d: %x of %d", what, i, n, e[i].events, (int)e[i].data.u64);
}

static void arguments(void) {
  int epoll = make(), p[2];
  pipe(p);
  tell("create of size 0", epoll_create(0));
  tell_text("create", outcome(epoll_create(1)));
  tell("unknown flag", epoll_create1(1));
  int file = open("/proc/self/exe", O_RDONLY), directory = open("/", O_RDONLY), null = open("/dev/null", O_RDWR);
  tell("a regular file", ctl(epoll, EPOLL_CTL_ADD, file, EPOLLIN, 0));
  tell("a directory", ctl(epoll, EPOLL_CTL_ADD, directory, EPOLLIN, 0));
  tell("/dev/null", ctl(epoll, EPOLL_CTL_ADD, null, EPOLLIN, 0));
  tell("itself", ctl(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 0));
  tell("not open", ctl(epoll, EPOLL_CTL_ADD, 999, EPOLLIN, 0));
  tell("in no epoll", ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN, 0));
  tell("add", ctl(epoll, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
  tell("add again", ctl(epoll, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
  tell("a duplicate", ctl(epoll, EPOLL_CTL_ADD, dup(p[0]), EPOLLIN, 2));
  tell("change what is not there", ctl(epoll, EPOLL_CTL_MOD, p[1], EPOLLIN, 1));
  tell("remove what is not there", ctl(epoll, EPOLL_CTL_DEL, p[1], 0, 0));
  tell("no operation", ctl(epoll, 17, p[0], EPOLLIN, 1));
  tell("bad address", epoll_ctl(epoll, EPOLL_CTL_ADD, p[1], bad_address));
  tell("remove", epoll_ctl(epoll, EPOLL_CTL_DEL, p[0], NULL));
  struct epoll_event e;
  tell("no room", epoll_wait(epoll, &e, 0, 0));
  tell("negative room", syscall(SYS_epoll_wait, epoll, &e, -1, 0));
  tell("wait on a pipe", epoll_wait(p[0], &e, 1, 0));
  ctl(epoll, EPOLL_CTL_ADD, p[1], EPOLLOUT, 3);
  tell("bad address of events", epoll_wait(epoll, bad_address, 1, 0));
  show("still there afterwards", epoll);
  tell("read", read(epoll, &e, sizeof e));
}

static void levels_and_edges(void) {
  int epoll = make(), p[2];
  char c[8];
  pipe2(p, O_NONBLOCK);
  ctl(epoll, EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
  show("empty", epoll);
  write(p[1], "ab", 2);
  show("level", epoll);
  show("level again", epoll);
  read(p[0], c, 1);
  show("level, some read", epoll);
  read(p[0], c, 8);
  show("level, all read", epoll);
  ctl(epoll, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2);
  write(p[1], "ab", 2);
  show("edge", epoll);
  show("edge again", epoll);
  read(p[0], c, 1);
  show("edge, some read", epoll);
  write(p[1], "c", 1);
  show("edge, more written", epoll);
  ctl(epoll, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2);
  show("edge, changed", epoll);
  ctl(epoll, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3);
  show("once", epoll);
  write(p[1], "d", 1);
  show("once, again", epoll);
  ctl(epoll, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4);
  show("once, armed again", epoll);
  ctl(epoll, EPOLL_CTL_MOD, p[0], 0, 5);
  show("nothing wanted", epoll);
  close(p[1]);
  show("hang-up is always told", epoll);
  close(p[0]);
  show("closed", epoll);
}

static void closing(void) {
  int epoll = make(), p[2];
  pipe(p);
  write(p[1], "x", 1);
  int copy = dup(p[0]);
  ctl(epoll, EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
  close(p[0]);
  show("closed, but for a duplicate", epoll);
  tell("removal by the closed number", ctl(epoll, EPOLL_CTL_DEL, p[0], 0, 0));
  close(copy);
  show("the last one closed", epoll);
}

static void nesting(void) {
  int chain[12];
  for (int i = 0; i < 12; ++i) chain[i] = make();
  int p[2];
  pipe(p);
  tell("pipe in the first", ctl(chain[0], EPOLL_CTL_ADD, p[0], EPOLLIN, 7));
  tell("first in the second", ctl(chain[1], EPOLL_CTL_ADD, chain[0], EPOLLIN, 8));
  tell("second in the third", ctl(chain[2], EPOLL_CTL_ADD, chain[1], EPOLLIN, 9));
  tell("a loop", ctl(chain[0], EPOLL_CTL_ADD, chain[2], EPOLLIN, 9));
  show("nothing yet", chain[2]);
  write(p[1], "x", 1);
  show("outer", chain[2]);
  show("inner", chain[0]);
  char c;
  read(p[0], &c, 1);
  show("outer, read", chain[2]);
  tell("exclusive epoll", ctl(chain[5], EPOLL_CTL_ADD, chain[4], EPOLLIN | EPOLLEXCLUSIVE, 0));
  tell("exclusive, once", ctl(chain[5], EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 0));
  tell("exclusive", ctl(chain[5], EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLEXCLUSIVE, 0));
  tell("exclusive, changed", ctl(chain[5], EPOLL_CTL_MOD, p[0], EPOLLIN, 0));
}

static void* writer(void* fd) {
  milliseconds(50);
  write(*(int*)fd, "12345678", 8);
  return NULL;
}

static void on_alarm(int signal) { (void)signal; }

static void waiting(void) {
  int epoll = make(), p[2];
  pipe(p);
  ctl(epoll, EPOLL_CTL_ADD, p[0], EPOLLIN | EPOLLET, 5);
  pthread_t thread;
  pthread_create(&thread, NULL, writer, &p[1]);
  struct epoll_event e;
  tell("woken", epoll_wait(epoll, &e, 1, 10000));
  tell("its data", (long)e.data.u64);
  pthread_join(thread, NULL);
  tell("timeout", epoll_wait(epoll, &e, 1, 20));
  struct timespec t = {0, 20000000}, bad = {0, 1000000000};
  tell("timeout of pwait2", epoll_pwait2(epoll, &e, 1, &t, NULL));
  tell("bad time", epoll_pwait2(epoll, &e, 1, &bad, NULL));
  signal(SIGALRM, on_alarm);
  sigset_t blocked, none;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGALRM);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  raise(SIGALRM);
  tell("pwait lets the signal in", epoll_pwait(epoll, &e, 1, 10000, &none));
  sigprocmask(SIG_BLOCK, NULL, &none);
  tell("blocked again", sigismember(&none, SIGALRM));
  tell("pwait with nothing pending", epoll_pwait(epoll, &e, 1, 10, &blocked));
  sigprocmask(SIG_UNBLOCK, &blocked, NULL);
}

static void events(void) {
  int epoll = make(), event = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
  uint64_t two = 2, got = 0;
  ctl(epoll, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLET, 1);
  show("eventfd at 0", epoll);
  write(event, &two, 8);
  show("eventfd at 2", epoll);
  tell("read", read(event, &got, 8));
  show("eventfd at 1, which is not news", epoll);
  read(event, &got, 8);
  tell("read of 0", read(event, &got, 8));
}

static void timers(void) {
  tell("no clock", timerfd_create(17, 0));
  tell("unknown flag", timerfd_create(CLOCK_MONOTONIC, 1));
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), epoll = make();
  uint64_t count = 0;
  tell("read while disarmed", read(timer, &count, 8));
  tell("short read", read(timer, &count, 4));
  struct itimerspec s = {.it_value = {0, 20000000}, .it_interval = {0, 10000000}}, now = {0};
  struct itimerspec bad = {.it_value = {0, 1000000000}};
  tell("bad time", timerfd_settime(timer, 0, &bad, NULL));
  tell("unknown flag of settime", timerfd_settime(timer, 64, &s, NULL));
  tell("no timer", timerfd_settime(epoll, 0, &s, NULL));
  tell("set", timerfd_settime(timer, 0, &s, NULL));
  tell("get", timerfd_gettime(timer, &now));
  fact("interval %ld, left %s", now.it_interval.tv_nsec, now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000 ? "as set" : "wrong");
  ctl(epoll, EPOLL_CTL_ADD, timer, EPOLLIN, 3);
  struct epoll_event e;
  tell("it expires", epoll_wait(epoll, &e, 1, 10000));
  milliseconds(60);
  tell("read", read(timer, &count, 8));
  tell_text("several expirations", count >= 5 && count < 1000 ? "counted" : "wrong");
  fcntl(timer, F_SETFL, 0);
  tell("blocking read", read(timer, &count, 8));
  tell_text("expirations", count >= 1 ? "counted" : "wrong");
  struct itimerspec off = {0}, old;
  tell("disarm", timerfd_settime(timer, 0, &off, &old));
  fact("interval before %ld", old.it_interval.tv_nsec);
  timerfd_gettime(timer, &now);
  fact("left %ld", now.it_value.tv_nsec);
  int wall = timerfd_create(CLOCK_REALTIME, 0);
  struct itimerspec past = {.it_value = {1, 0}};
  timerfd_settime(wall, TFD_TIMER_ABSTIME, &past, NULL);
  tell("a time that has passed", read(wall, &count, 8));
  tell("expirations of it", (long)count);
  tell("write", write(timer, &count, 8));
}

static void signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  tell("unknown flag", signalfd(-1, &set, 1));
  int fd = signalfd(-1, &set, SFD_NONBLOCK), epoll = make();
  struct signalfd_siginfo info[3];
  tell("nothing waits", read(fd, info, sizeof info));
  tell("short read", read(fd, info, 100));
  ctl(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, 4);
  show("no signal", epoll);
  raise(SIGUSR1);
  sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42});
  show("two signals", epoll);
  tell("read", read(fd, info, sizeof info) / (long)sizeof info[0]);
  fact("first %d code %d from %s", info[0].ssi_signo == SIGUSR1, info[0].ssi_code,
       info[0].ssi_pid == (unsigned)getpid() ? "myself" : "elsewhere");
  fact("second %d code %d value %d", info[1].ssi_signo == (unsigned)SIGRTMIN, info[1].ssi_code, info[1].ssi_int);
  show("all read", epoll);
  pid_t child = fork();
  if (child == 0) _exit(7);
  struct epoll_event e;
  tell("a child's end", epoll_wait(epoll, &e, 1, 10000));
  tell("read", read(fd, info, sizeof info) / (long)sizeof info[0]);
  fact("status %d code %d pid %s", info[0].ssi_status, info[0].ssi_code, info[0].ssi_pid == (unsigned)child ? "right" : "wrong");
  waitpid(child, NULL, 0);
  sigdelset(&set, SIGUSR1);
  tell_text("another mask", signalfd(fd, &set, 0) == fd ? "same descriptor" : "wrong");
  raise(SIGUSR1);
  tell("a signal that is not in it", read(fd, info, sizeof info));
  tell("no signalfd", signalfd(epoll, &set, 0));
  sigset_t waiting;
  sigpending(&waiting);
  tell("it waits still", sigismember(&waiting, SIGUSR1));
  signal(SIGUSR1, SIG_IGN);
}

int main(void) {
  arguments();
  levels_and_edges();
  closing();
  nesting();
  waiting();
  events();
  timers();
  signals();
  return 0;
}
