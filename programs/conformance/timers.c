/* Rules of timer_create and its relatives. man7 timer_create(2), timer_settime(2), timer_getoverrun(2). */
#include "facts.h"

#include <pthread.h>
#include <sys/uio.h>
#include <fcntl.h>

static volatile sig_atomic_t count, last_value, last_code, last_overrun;
static pid_t volatile who;

static void on_signal(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)context;
  ++count;
  last_value = info->si_value.sival_int;
  last_code = info->si_code;
  last_overrun = info->si_overrun;
  who = gettid();
}

static void wait_for(int n) {
  for (int i = 0; i < 2000 && count < n; ++i) milliseconds(1);
}

static long make(clockid_t clock, int notify, int signal, int value, int* id) {
  struct sigevent e = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = value};
  return syscall(SYS_timer_create, clock, &e, id);
}
static long set(int id, int flags, long first_ms, long interval_ms) {
  struct itimerspec s = {.it_value = {first_ms / 1000, first_ms % 1000 * 1000000},
                         .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000}};
  return syscall(SYS_timer_settime, id, flags, &s, NULL);
}

static void* other_thread(void* tid) {
  *(pid_t volatile*)tid = gettid();
  milliseconds(400);
  return NULL;
}

int main(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGRTMIN + 1, &action, NULL);
  sigaction(SIGALRM, &action, NULL);
  int a = -1, b = -1;
  tell("no clock", make(77, SIGEV_SIGNAL, SIGUSR1, 0, &a));
  tell("no signal", make(CLOCK_MONOTONIC, SIGEV_SIGNAL, 99, 0, &a));
  tell("no way to tell", make(CLOCK_MONOTONIC, 77, SIGUSR1, 0, &a));
  tell("bad address", make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 0, bad_address));
  tell("make", make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 42, &a));
  tell("make another", make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 43, &b));
  fact("different %d", a != b);
  tell("set no timer", set(1234, 0, 10, 0));
  struct itimerspec bad = {.it_value = {0, 1000000000}}, now;
  tell("bad time", syscall(SYS_timer_settime, a, 0, &bad, NULL));
  tell("once", set(a, 0, 10, 0));
  wait_for(1);
  milliseconds(30);
  fact("signals %d value %d code %d overrun %d", (int)count, (int)last_value, (int)last_code, (int)last_overrun);
  count = 0;
  tell("again and again", set(b, 0, 5, 5));
  wait_for(5);
  fact("value %d code %d", (int)last_value, (int)last_code);
  tell("get", syscall(SYS_timer_gettime, b, &now));
  fact("interval %ld, some left %d", now.it_interval.tv_nsec, now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 5000000);
  tell("off", set(b, 0, 0, 0));
  milliseconds(10);
  count = 0;
  milliseconds(20);
  fact("silent %d", count == 0);

  sigset_t set_of;
  sigemptyset(&set_of);
  sigaddset(&set_of, SIGRTMIN + 1);
  sigprocmask(SIG_BLOCK, &set_of, NULL);
  set(b, 0, 2, 2);
  milliseconds(60);
  sigset_t waiting;
  sigpending(&waiting);
  fact("waits %d", sigismember(&waiting, SIGRTMIN + 1));
  count = 0;
  set_of = (sigset_t){0};
  sigaddset(&set_of, SIGRTMIN + 1);
  siginfo_t info;
  tell("taken", sigwaitinfo(&set_of, &info) == SIGRTMIN + 1);
  fact("overruns %s, code %d", info.si_overrun >= 10 ? "counted" : "not counted", info.si_code);
  fact("told again %d", syscall(SYS_timer_getoverrun, b) >= info.si_overrun);
  set(b, 0, 0, 0);
  struct timespec none = {0};
  while (sigtimedwait(&set_of, &info, &none) > 0) {
  }
  sigprocmask(SIG_UNBLOCK, &set_of, NULL);

  int quiet = -1;
  tell("that tells nobody", make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, &quiet));
  set(quiet, 0, 50, 0);
  syscall(SYS_timer_gettime, quiet, &now);
  fact("runs %d", now.it_value.tv_nsec > 0);
  milliseconds(60);
  syscall(SYS_timer_gettime, quiet, &now);
  fact("ran %d", now.it_value.tv_nsec == 0);

  pid_t volatile tid = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, other_thread, (void*)&tid);
  while (tid == 0) milliseconds(1);
  struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
  e._sigev_un._tid = tid;
  int to_thread = -1;
  tell("to a thread", syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &to_thread));
  count = 0;
  set(to_thread, 0, 5, 0);
  wait_for(1);
  fact("it got it %d", who == tid);
  pthread_join(thread, NULL);
  e._sigev_un._tid = 1;
  tell("to a stranger", syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &to_thread));

  int plain = -1;
  tell("without an event", syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &plain));
  count = 0;
  set(plain, 0, 5, 0);
  wait_for(1);
  fact("its number %d", last_value == plain);
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  count = 0;
  struct itimerspec absolute = {.it_value = {t.tv_sec, t.tv_nsec}};
  tell("a time that has passed", syscall(SYS_timer_settime, plain, TIMER_ABSTIME, &absolute, NULL));
  wait_for(1);
  fact("at once %d", (int)count);
  IN_CHILD("not inherited", _exit(syscall(SYS_timer_gettime, a, &now) < 0 ? 1 : 2));
  tell("delete", syscall(SYS_timer_delete, a));
  tell("delete again", syscall(SYS_timer_delete, a));

  char name[] = "/tmp/timers.XXXXXX", text[4] = {0};
  int fd = mkstemp(name);
  unlink(name);
  struct iovec v = {"abc", 3};
  tell("write, and sync", pwritev2(fd, &v, 1, 0, RWF_SYNC));
  v.iov_base = text;
  tell("read in a hurry", preadv2(fd, &v, 1, 1, RWF_HIPRI));
  tell_text("text", text);
  tell("unknown flag", preadv2(fd, &v, 1, 1, 0x4000));
  return 0;
}
