// Waiting for one of many words, and waiting to be sent to a lock: man7 futex(2), futex_waitv.
#include "facts.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

static long futex(void* word, int operation, unsigned value, void* fourth, void* second, unsigned third) {
  return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, fourth, second, third);
}
static long waitv(struct futex_waitv* all, unsigned count, unsigned flags, struct timespec* until, clockid_t clock) {
  return syscall(449, all, count, flags, until, clock);
}
static struct timespec in(long ms, clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

enum { kWords = 130, kPlain = FUTEX_32 | FUTEX_PRIVATE_FLAG };
static unsigned words[kWords];
static struct futex_waitv all[kWords];

static void set_up(void) {
  for (int i = 0; i < kWords; ++i) {
    words[i] = 0;
    all[i] = (struct futex_waitv){.val = 0, .uaddr = (uintptr_t)&words[i], .flags = kPlain};
  }
}

static void* waker(void* word) {
  milliseconds(30);
  *(volatile unsigned*)word = 1;
  while (futex(word, FUTEX_WAKE, 1, NULL, NULL, 0) != 1) milliseconds(1);
  return NULL;
}

static long woken_by(unsigned which, unsigned count) {
  pthread_t thread;
  pthread_create(&thread, NULL, waker, &words[which]);
  const long result = waitv(all, count, 0, NULL, 0);
  pthread_join(thread, NULL);
  words[which] = 0;
  return result;
}

static void on_alarm(int signal) { (void)signal; }

static void many(void) {
  set_up();
  fact("none: %s", outcome(waitv(all, 0, 0, NULL, 0)));
  fact("too many: %s", outcome(waitv(all, 129, 0, NULL, 0)));
  fact("flags: %s", outcome(waitv(all, 1, 1, NULL, 0)));
  fact("nowhere: %s", outcome(waitv(bad_address, 1, 0, NULL, 0)));
  fact("nothing: %s", outcome(waitv(NULL, 1, 0, NULL, 0)));
  struct timespec soon = in(20, CLOCK_MONOTONIC);
  fact("a clock nobody has: %s", outcome(waitv(all, 1, 0, &soon, 7)));
  fact("until then: %s", outcome(waitv(all, 128, 0, &soon, CLOCK_MONOTONIC)));
  soon = in(20, CLOCK_REALTIME);
  fact("until then, by the wall: %s", outcome(waitv(all, 3, 0, &soon, CLOCK_REALTIME)));
  fact("a time that is none: %s", outcome(waitv(all, 3, 0, &(struct timespec){0, -1}, CLOCK_REALTIME)));
  fact("the second: %ld, the last: %ld, the first: %ld", woken_by(1, 3), woken_by(127, 128), woken_by(0, 1));
  words[2] = 5;
  fact("another value: %s", outcome(waitv(all, 3, 0, NULL, 0)));
  set_up();
  all[1].flags = FUTEX_PRIVATE_FLAG;
  fact("no size: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  all[1].flags = kPlain | 0x1000;
  fact("other flags: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  all[1].flags = kPlain;
  all[1].__reserved = 1;
  fact("reserved: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  all[1].__reserved = 0;
  all[1].uaddr += 2;
  fact("not aligned: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  all[1].uaddr = 0x7000;
  fact("a word nowhere: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  set_up();
  struct sigaction action = {.sa_handler = on_alarm};
  sigaction(SIGALRM, &action, NULL);
  ualarm(20000, 0);
  fact("a signal: %s", outcome(waitv(all, 2, 0, NULL, 0)));
  // Shared between processes.
  unsigned* const shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  all[1] = (struct futex_waitv){.uaddr = (uintptr_t)shared, .flags = FUTEX_32};
  const pid_t child = fork();
  if (child == 0) {
    *shared = 1;
    while (syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0) != 1) {
      milliseconds(1);
      *shared = 0;
    }
    _exit(0);
  }
  long result;
  do {
    result = waitv(all, 2, 0, NULL, 0);
  } while (result < 0 && errno == EAGAIN);
  fact("by another process: %ld", result);
  waitpid(child, NULL, 0);
}

// ---- to a lock

static unsigned condition, lock;
static volatile int entered, inside, most;

static void* sleeper(void* unused) {
  __atomic_fetch_add(&entered, 1, __ATOMIC_SEQ_CST);
  if (futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock, 0) != 0) return (void*)1;
  if ((lock & FUTEX_TID_MASK) != (unsigned)gettid()) return (void*)2;
  const int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
  if (now > most) most = now;
  milliseconds(2);
  __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
  unsigned own = (unsigned)gettid();
  if (!__atomic_compare_exchange_n(&lock, &own, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  return unused;
}

static void to_lock(void) {
  enum { kThreads = 4 };
  pthread_t threads[kThreads];
  unsigned other = 0;
  fact("the same word: %s", outcome(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &condition, 0)));
  fact("another value: %s", outcome(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock, 0)));
  struct timespec soon = in(20, CLOCK_MONOTONIC);
  fact("until then: %s", outcome(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &soon, &lock, 0)));
  fact("nobody waits: %ld", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)10, &lock, 0));
  fact("wake two: %s", outcome(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, (void*)10, &lock, 0)));
  fact("to the same word: %s", outcome(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)10, &condition, 0)));
  fact("of another value: %s", outcome(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)10, &lock, 3)));
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, sleeper, NULL);
  while (entered < kThreads) milliseconds(1);
  milliseconds(50);
  fact("wake: %s", outcome(futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0)));
  fact("requeue: %s", outcome(futex(&condition, FUTEX_CMP_REQUEUE, 1, (void*)1, &other, 0)));
  fact("to another lock: %s", outcome(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)10, &other, 0)));
  futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
  fact("sent: %ld", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)1, &lock, 0));
  fact("sent: %ld", futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void*)10, &lock, 0));
  milliseconds(20);
  fact("inside while it is held: %d", inside);
  futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
  long failed = 0;
  for (int i = 0; i < kThreads; ++i) {
    void* result;
    pthread_join(threads[i], &result);
    failed += result != NULL;
  }
  fact("failed: %ld, at once: %d, lock free: %d", failed, most, (lock & FUTEX_TID_MASK) == 0);
}

int main(void) {
  many();
  to_lock();
  return 0;
}
