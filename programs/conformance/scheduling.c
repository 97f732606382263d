/* Rules of CPU affinity, policies and membarrier. man7 sched_setaffinity(2), sched_setscheduler(2), membarrier(2). */
#include "facts.h"

#include <pthread.h>
#include <sched.h>

enum { kGlobal = 1, kGlobalExpedited = 2, kRegisterGlobal = 4, kPrivate = 8, kRegisterPrivate = 16 };

static long membarrier(int command, unsigned flags) { return syscall(SYS_membarrier, command, flags, 0); }

static cpu_set_t only(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return set;
}

static int first_cpu(void) {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  for (int cpu = 0;; ++cpu)
    if (CPU_ISSET(cpu, &set)) return cpu;
}

static int last_cpu(void) {
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  for (int cpu = CPU_SETSIZE - 1;; --cpu)
    if (CPU_ISSET(cpu, &set)) return cpu;
}

/* Runs a while where it is told, giving the CPU up now and then; says whether it was ever elsewhere. */
static int strays(int cpu, int rounds) {
  int elsewhere = 0;
  for (int i = 0; i < rounds; ++i) {
    for (volatile int spin = 0; spin < 20000; ++spin) {
    }
    if (sched_getcpu() != cpu) ++elsewhere;
    if (i % 8 == 0) milliseconds(1);
    if (i % 8 == 4) sched_yield();
  }
  return elsewhere;
}

static volatile int stop, moved_to = -1;

static void* spinner(void* unused) {
  (void)unused;
  while (!stop) moved_to = sched_getcpu();
  return NULL;
}

static void* tied(void* cpu) {
  cpu_set_t set = only(*(int*)cpu);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) return (void*)-1L;
  return (void*)(long)strays(*(int*)cpu, 200);
}

static void affinity(void) {
  cpu_set_t all, set, none;
  CPU_ZERO(&none);
  int first = first_cpu(), last = last_cpu();
  tell_text("get", outcome(sched_getaffinity(0, sizeof all, &all)));
  tell("no CPU", sched_setaffinity(0, sizeof none, &none));
  set = only(1000);
  tell("a CPU that is not there", sched_setaffinity(0, sizeof set, &set));
  tell("nobody", sched_setaffinity(1 << 22, sizeof all, &all));
  tell("bad address", sched_setaffinity(0, sizeof all, bad_address));
  tell("bad size", syscall(SYS_sched_getaffinity, 0, 4, &set));
  int cpus[] = {last, first, last};
  for (int i = 0; i < 3; ++i) {
    set = only(cpus[i]);
    tell("tied", sched_setaffinity(0, sizeof set, &set));
    fact("at once there: %d, strays %d", sched_getcpu() == cpus[i], strays(cpus[i], 50));
  }
  sched_getaffinity(0, sizeof set, &set);
  fact("told back: %d, of them it %d", CPU_COUNT(&set), CPU_ISSET(last, &set) != 0);
  IN_CHILD("inherited", {
    sched_getaffinity(0, sizeof set, &set);
    _exit(CPU_COUNT(&set) == 1 && strays(last, 20) == 0 ? 5 : 6);
  });
  sched_setaffinity(0, sizeof all, &all);
  pthread_t thread[4];
  int where[4] = {first, last, first, last};
  for (int i = 0; i < 4; ++i) pthread_create(&thread[i], NULL, tied, &where[i]);
  for (int i = 0; i < 4; ++i) {
    void* result;
    pthread_join(thread[i], &result);
    fact("thread %d strayed %ld times", i, (long)result);
  }
  pthread_create(&thread[0], NULL, spinner, NULL);
  for (int i = 0; i < 20; ++i) {
    int to = i % 2 ? first : last;
    set = only(to);
    pthread_setaffinity_np(thread[0], sizeof set, &set);
    int waits = 0;
    while (moved_to != to && ++waits < 2000) milliseconds(1);
    milliseconds(2);
    if (moved_to != to) fact("moving another thread: it is not there");
  }
  fact("moved another thread");
  stop = 1;
  pthread_join(thread[0], NULL);
}

static void policies(void) {
  struct sched_param p = {0}, high = {10};
  tell("policy", sched_getscheduler(0));
  tell("batch", sched_setscheduler(0, SCHED_BATCH, &p));
  tell("policy", sched_getscheduler(0));
  IN_CHILD("inherited", _exit(sched_getscheduler(0)));
  tell("reset on fork", sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p));
  fact("policy %x", sched_getscheduler(0));
  IN_CHILD("not inherited", _exit(sched_getscheduler(0)));
  tell("a priority without use for it", sched_setscheduler(0, SCHED_OTHER, &high));
  tell("no policy", sched_setscheduler(0, 77, &p));
  tell("negative policy", sched_setscheduler(0, -1, &p));
  tell("nobody", sched_getscheduler(1 << 22));
}

static int written, seen;

static void* reader(void* unused) {
  (void)unused;
  while (!__atomic_load_n(&written, __ATOMIC_ACQUIRE)) {
  }
  return NULL;
}

static void barriers(void) {
  long offered = membarrier(0, 0);
  long used = kGlobal | kGlobalExpedited | kRegisterGlobal | kPrivate | kRegisterPrivate;
  fact("what programs use is %s", (offered & used) == used ? "offered" : "not offered");
  tell("flags", membarrier(0, 8));
  tell("no command", membarrier(1 << 20, 0));
  tell("private, unregistered", membarrier(kPrivate, 0));
  tell("register", membarrier(kRegisterPrivate, 0));
  tell("private", membarrier(kPrivate, 0));
  tell("register for global", membarrier(kRegisterGlobal, 0));
  tell("global, expedited", membarrier(kGlobalExpedited, 0));
  pthread_t thread;
  pthread_create(&thread, NULL, reader, NULL);
  for (int i = 0; i < 100; ++i) seen += membarrier(kPrivate, 0) == 0;
  __atomic_store_n(&written, 1, __ATOMIC_RELEASE);
  pthread_join(thread, NULL);
  tell("many", seen);
}

int main(void) {
  affinity();
  policies();
  barriers();
  return 0;
}
