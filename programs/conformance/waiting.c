/* Rules of poll, ppoll, select and pselect: timeouts, masks, interruptions. man7 poll(2), select(2). */
#include "facts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms;

static void on_alarm(int signal) {
  (void)signal;
  ++alarms;
}

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void alarm_in_ms(long ms) {
  struct itimerval timer = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
}

static void polls(int readable, int empty) {
  struct pollfd p[4] = {{.fd = readable, .events = POLLIN},
                        {.fd = -1, .events = POLLIN, .revents = 99},
                        {.fd = 999, .events = POLLIN},
                        {.fd = empty, .events = POLLIN}};
  tell("poll", poll(p, 4, -1));
  printf("events %x %x %x %x\n", p[0].revents, p[1].revents, p[2].revents, p[3].revents);
  tell("nothing wanted", poll(p + 3, 1, 0));
  tell("no descriptors", poll(NULL, 0, 0));
  long begin = now_ms();
  tell("timeout", poll(p + 3, 1, 50));
  tell_text("waited", now_ms() - begin >= 50 ? "long enough" : "too short");
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  tell("more than there may be", poll(p, (nfds_t)limit.rlim_cur + 1, 0));
  tell("bad address", poll(bad_address, 1, 0));
  struct timespec bad = {.tv_nsec = 1000000000};
  tell("bad time", ppoll(p, 1, &bad, NULL));
}

static void selects(int readable, int empty, int writable) {
  fd_set r, w, e;
  FD_ZERO(&r);
  FD_ZERO(&w);
  FD_ZERO(&e);
  FD_SET(readable, &r);
  FD_SET(empty, &r);
  FD_SET(writable, &w);
  FD_SET(readable, &e);
  tell("select", select(64, &r, &w, &e, NULL));
  printf("sets %d %d %d %d\n", FD_ISSET(readable, &r) != 0, FD_ISSET(empty, &r) != 0, FD_ISSET(writable, &w) != 0,
         FD_ISSET(readable, &e) != 0);
  FD_ZERO(&r);
  FD_SET(empty, &r);
  struct timeval t = {.tv_usec = 30000};
  tell("timeout", select(64, &r, NULL, NULL, &t));
  printf("set %d, time left %ld %ld\n", FD_ISSET(empty, &r) != 0, (long)t.tv_sec, (long)t.tv_usec);
  FD_SET(60, &r);
  tell("a descriptor that is not open", select(64, &r, NULL, NULL, &t));
  tell("negative count", select(-1, NULL, NULL, NULL, &t));
  t.tv_sec = -1;
  tell("negative time", select(0, NULL, NULL, NULL, &t));
  t.tv_sec = 0;
  t.tv_usec = 20000;
  tell("only time", select(0, NULL, NULL, NULL, &t));
}

static void interruptions(int empty) {
  struct pollfd p = {.fd = empty, .events = POLLIN};
  signal(SIGALRM, on_alarm);
  alarm_in_ms(30);
  tell("poll and a signal", poll(&p, 1, 10000));
  alarm_in_ms(30);
  fd_set r;
  FD_ZERO(&r);
  FD_SET(empty, &r);
  struct timeval t = {.tv_sec = 10};
  tell("select and a signal", select(64, &r, NULL, NULL, &t));
  tell_text("time left", t.tv_sec == 9 ? "told" : "not told");
  printf("alarms %d\n", (int)alarms);
}

static void masks(int empty) {
  struct pollfd p = {.fd = empty, .events = POLLIN};
  sigset_t blocked, none, now;
  sigemptyset(&none);
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGALRM);
  sigprocmask(SIG_BLOCK, &blocked, NULL);
  alarms = 0;
  raise(SIGALRM);
  printf("held back: %d\n", (int)alarms);
  struct timespec t = {.tv_sec = 10};
  tell("ppoll lets it in", ppoll(&p, 1, &t, &none));
  printf("alarms %d\n", (int)alarms);
  sigprocmask(SIG_BLOCK, NULL, &now);
  printf("blocked again: %d\n", sigismember(&now, SIGALRM));
  raise(SIGALRM);
  struct timespec moment = {.tv_nsec = 1000000};
  tell("ppoll without a mask", ppoll(&p, 1, &moment, NULL));
  printf("alarms %d\n", (int)alarms);
  tell("pselect lets it in", pselect(0, NULL, NULL, NULL, &t, &none));
  printf("alarms %d\n", (int)alarms);
  tell("pselect with nothing pending", pselect(0, NULL, NULL, NULL, &moment, &none));
  sigprocmask(SIG_BLOCK, NULL, &now);
  printf("blocked again: %d\n", sigismember(&now, SIGALRM));
}

/* A stop and a continue are not seen by the program, and do not lengthen its wait. */
static void stopped(int empty) {
  pid_t child = fork();
  if (child == 0) {
    struct pollfd p = {.fd = empty, .events = POLLIN};
    long begin = now_ms();
    int n = poll(&p, 1, 400);
    _exit(n == 0 && now_ms() - begin >= 400 && now_ms() - begin < 700 ? 0 : 1);
  }
  usleep(100000);
  kill(child, SIGSTOP);
  usleep(200000);
  kill(child, SIGCONT);
  int status;
  waitpid(child, &status, 0);
  tell("a poll that was stopped", WEXITSTATUS(status));
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  int full[2], empty[2];
  pipe(full);
  pipe(empty);
  write(full[1], "x", 1);
  polls(full[0], empty[0]);
  selects(full[0], empty[0], empty[1]);
  interruptions(empty[0]);
  masks(empty[0]);
  stopped(empty[0]);
  return 0;
}
