// Clocks, sleeps, interval timers, limits, identity, names.
#include "facts.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>

static long since(clockid_t clock, const struct timespec* start) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (now.tv_sec - start->tv_sec) * 1000000000L + now.tv_nsec - start->tv_nsec;
}

static volatile sig_atomic_t ticks;
static void tick(int signal) {
  (void)signal;
  ++ticks;
}

static void burn(long ms) {
  struct timespec start;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  while (since(CLOCK_PROCESS_CPUTIME_ID, &start) < ms * 1000000L) {
  }
}

static void clocks(void) {
  static const clockid_t kClocks[] = {
      CLOCK_REALTIME,      CLOCK_MONOTONIC,       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
      CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,   CLOCK_BOOTTIME};
  for (unsigned i = 0; i < sizeof kClocks / sizeof *kClocks; ++i) {
    struct timespec first, resolution;
    const char* how = outcome(clock_gettime(kClocks[i], &first));
    fact("clock %d: %s, never goes back %d, resolution: %s", kClocks[i], how,
         since(kClocks[i], &first) >= 0, outcome(clock_getres(kClocks[i], &resolution)));
  }
  struct timespec t;
  fact("an unknown clock: %s", outcome(clock_gettime(55, &t)));
  struct timeval tv;
  gettimeofday(&tv, NULL);
  clock_gettime(CLOCK_REALTIME, &t);
  fact("gettimeofday and time agree: %d %d", labs(t.tv_sec - tv.tv_sec) <= 1,
       labs(time(NULL) - tv.tv_sec) <= 1);
  clock_gettime(CLOCK_MONOTONIC, &t);
  milliseconds(20);
  fact("nanosleep sleeps long enough: %d", since(CLOCK_MONOTONIC, &t) >= 20000000);
  struct timespec until = t;
  until.tv_nsec += 50000000;
  if (until.tv_nsec >= 1000000000) ++until.tv_sec, until.tv_nsec -= 1000000000;
  const int slept = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  fact("clock_nanosleep until a time: %d, late enough %d", slept,
       since(CLOCK_MONOTONIC, &t) >= 50000000);
  fact("a time that is past: %d", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
  fact("not a time: %s", outcome(nanosleep(&(struct timespec){0, 1000000000}, NULL)));
  fact("a negative one: %s", outcome(nanosleep(&(struct timespec){-1, 0}, NULL)));
}

static void timers(void) {
  signal(SIGALRM, tick);
  signal(SIGVTALRM, tick);
  signal(SIGPROF, tick);
  struct itimerval every = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}}, now;
  ticks = 0;
  setitimer(ITIMER_REAL, &every, NULL);
  while (ticks < 3) pause();
  getitimer(ITIMER_REAL, &now);
  fact("ITIMER_REAL repeats: %d, is on %d", ticks >= 3,
       now.it_value.tv_usec > 0 && now.it_interval.tv_usec == 5000);
  setitimer(ITIMER_REAL, &off, &now);
  fact("the old setting: %d", now.it_interval.tv_usec == 5000);
  int seen = ticks;
  milliseconds(20);
  fact("off is off: %d", ticks == seen);
  ticks = 0;
  setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value = {0, 20000}}, NULL);
  milliseconds(50);
  fact("ITIMER_VIRTUAL does not run while the process sleeps: %d", ticks);
  while (ticks == 0) burn(1);
  fact("but while it computes: %d", ticks);
  ticks = 0;
  setitimer(ITIMER_PROF, &(struct itimerval){.it_value = {0, 20000}}, NULL);
  while (ticks == 0) burn(1);
  fact("ITIMER_PROF: %d", ticks);
  alarm(100);
  const unsigned left = alarm(0);
  fact("alarm tells what was left: %u, then none: %u", left, alarm(0));
  fact("an unknown timer: %s", outcome(setitimer(7, &off, NULL)));
}

static void usage(void) {
  struct rusage before, after, children;
  getrusage(RUSAGE_SELF, &before);
  burn(30);
  static volatile char touched[200 * 4096];
  for (unsigned i = 0; i < sizeof touched; i += 4096) touched[i] = 1;
  getrusage(RUSAGE_SELF, &after);
  long cpu = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
             before.ru_utime.tv_usec + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
             after.ru_stime.tv_usec - before.ru_stime.tv_usec;
  fact("CPU time counts: %d; faults: %d; peak memory: %d", cpu >= 25000,
       after.ru_minflt > before.ru_minflt, after.ru_maxrss > 800);
  if (fork() == 0) {
    burn(30);
    _exit(0);
  }
  wait(NULL);
  getrusage(RUSAGE_CHILDREN, &children);
  fact("children's time counts: %d",
       children.ru_utime.tv_usec + children.ru_stime.tv_usec >= 25000);
  struct tms times_now;
  const clock_t elapsed = times(&times_now);
  fact("times: %d, children %d", elapsed > 0 && times_now.tms_utime + times_now.tms_stime >= 2,
       times_now.tms_cutime + times_now.tms_cstime >= 2);
}

static void limits(void) {
  struct rlimit limit, again;
  getrlimit(RLIMIT_NOFILE, &limit);
  struct rlimit lower = {64, limit.rlim_max};
  fact("setrlimit: %s", outcome(setrlimit(RLIMIT_NOFILE, &lower)));
  getrlimit(RLIMIT_NOFILE, &again);
  fact("it holds: %d", again.rlim_cur == 64);
  int last = -1, next;
  while ((next = dup(0)) >= 0) last = next;
  fact("files up to the limit: last %d, then %s", last, strerrorname_np(errno));
  for (int i = 3; i <= last; ++i) close(i);
  setrlimit(RLIMIT_NOFILE, &limit);
  fact("soft above hard: %s", outcome(setrlimit(RLIMIT_NOFILE, &(struct rlimit){20, 10})));
  fact("an unknown limit: %s", outcome(getrlimit(99, &limit)));
  IN_CHILD("limits are inherited", {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (fork() == 0) {
      getrlimit(RLIMIT_CORE, &again);
      _exit(again.rlim_max == 0 ? 5 : 6);
    }
    int status;
    wait(&status);
    _exit(WEXITSTATUS(status));
  });
  IN_CHILD("RLIMIT_AS", {
    setrlimit(RLIMIT_AS, &(struct rlimit){64 << 20, 64 << 20});
    _exit(malloc(128 << 20) == NULL ? 5 : 6);
  });
}

static void names(void) {
  char name[16] = "";
  prctl(PR_SET_NAME, "a name that is too long");
  prctl(PR_GET_NAME, name);
  fact("PR_SET_NAME cuts at 15: %s", name);
  int signal = 9;
  prctl(PR_SET_PDEATHSIG, SIGHUP);
  prctl(PR_GET_PDEATHSIG, &signal);
  fact("PR_SET_PDEATHSIG: %d", signal == SIGHUP);
  fact("an unknown prctl: %s", outcome(prctl(0x7fffffff, 0, 0, 0, 0)));
  fact("PR_SET_NO_NEW_PRIVS: %s", outcome(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
  fact("it stays: %d, off: %s", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
       outcome(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)));
  uid_t real, effective, saved;
  getresuid(&real, &effective, &saved);
  fact("user ids agree: %d", real == getuid() && effective == geteuid() && saved == effective);
  struct utsname uts;
  uname(&uts);
  fact("uname: %s %s", uts.sysname, uts.machine);
  errno = 0;
  int priority = getpriority(PRIO_PROCESS, 0);
  fact("getpriority: %d %d", priority, errno);
  const char* how = outcome(setpriority(PRIO_PROCESS, 0, 5));
  fact("setpriority: %s, now %d", how, getpriority(PRIO_PROCESS, 0));
}

int main(void) {
  clocks();
  timers();
  usage();
  limits();
  names();
  return 0;
}
