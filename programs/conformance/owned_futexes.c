// Locks whose word names their owner: FUTEX_LOCK_PI and its like, by hand and as the C library uses them (PTHREAD_PRIO_INHERIT).
// man7 futex(2), pthread_mutexattr_setprotocol(3), pthread_mutex_consistent(3).
#include "facts.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static uint32_t* word;

static long futex(int operation, const struct timespec* timeout) { return syscall(SYS_futex, word, operation, 0, timeout, NULL, 0); }

/// The word in words: its owner and its bits.
static void show(const char* when) {
  const uint32_t now = *(volatile uint32_t*)word;
  const uint32_t owner = now & FUTEX_TID_MASK;
  fact("%s: owner %s%s%s", when, owner == 0 ? "none" : owner == (uint32_t)gettid() ? "self" : "another",
       (now & FUTEX_WAITERS) != 0 ? ", waiters" : "", (now & FUTEX_OWNER_DIED) != 0 ? ", died" : "");
}

static void alone(void) {
  *word = 0;
  tell("unlock what nobody has", futex(FUTEX_UNLOCK_PI, NULL));
  tell("lock", futex(FUTEX_LOCK_PI, NULL));
  show("locked");
  tell("lock again", futex(FUTEX_LOCK_PI, NULL));
  tell("try again", futex(FUTEX_TRYLOCK_PI, NULL));
  tell("unlock", futex(FUTEX_UNLOCK_PI, NULL));
  show("unlocked");
  tell("try", futex(FUTEX_TRYLOCK_PI, NULL));
  show("locked");
  tell("unlock", futex(FUTEX_UNLOCK_PI, NULL));
  *word = FUTEX_OWNER_DIED;
  tell("lock what a dead owner left", futex(FUTEX_LOCK_PI, NULL));
  show("locked");
  tell("unlock", futex(FUTEX_UNLOCK_PI, NULL));
  *word = FUTEX_TID_MASK;
  tell("lock what belongs to no thread", futex(FUTEX_LOCK_PI, NULL));
  tell("try what belongs to no thread", futex(FUTEX_TRYLOCK_PI, NULL));
  *word = 1;
  tell("unlock what another has", futex(FUTEX_UNLOCK_PI, NULL));
  *word = 0;
  tell("a word that is not aligned", syscall(SYS_futex, (char*)word + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  tell("no memory", syscall(SYS_futex, bad_address, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
  tell("the wall clock for LOCK_PI", futex(FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, NULL));
  tell("the second form", futex(FUTEX_LOCK_PI2, NULL));
  tell("unlock", futex(FUTEX_UNLOCK_PI, NULL));
  struct timespec wrong = {0, -1};
  tell("a time that is none", futex(FUTEX_LOCK_PI, &wrong));
}

/// Waits until somebody waits for the lock.
static void await_waiter(void) {
  while ((*(volatile uint32_t*)word & FUTEX_WAITERS) == 0) milliseconds(1);
  milliseconds(20);
}

static void between_processes(void) {
  int ready[2];
  char byte = 0;
  pipe(ready);
  *word = 0;
  futex(FUTEX_LOCK_PI, NULL);
  pid_t child = fork();
  if (child == 0) {
    struct timespec past = {1, 0}, soon;
    tell("child: try", futex(FUTEX_TRYLOCK_PI, NULL));
    tell("child: unlock", futex(FUTEX_UNLOCK_PI, NULL));
    tell("child: a time that is past", futex(FUTEX_LOCK_PI, &past));
    clock_gettime(CLOCK_MONOTONIC, &soon);
    soon.tv_sec += (soon.tv_nsec + 20000000) / 1000000000;
    soon.tv_nsec = (soon.tv_nsec + 20000000) % 1000000000;
    tell("child: 20 ms", futex(FUTEX_LOCK_PI2, &soon));
    *word &= ~(uint32_t)FUTEX_WAITERS;
    write(ready[1], &byte, 1);
    tell("child: lock", futex(FUTEX_LOCK_PI, NULL));
    fact("child: owner %s", (*word & FUTEX_TID_MASK) == (uint32_t)gettid() ? "self" : "another");
    tell("child: unlock", futex(FUTEX_UNLOCK_PI, NULL));
    _exit(0);
  }
  read(ready[0], &byte, 1);
  await_waiter();
  const char* unlocked = outcome(futex(FUTEX_UNLOCK_PI, NULL));
  int status;
  waitpid(child, &status, 0);
  fact("child: %s", in_words(status));
  tell_text("unlock for the child", unlocked);
  show("afterwards");
}

static void* die_with_it(void* unused) {
  (void)unused;
  futex(FUTEX_LOCK_PI, NULL);
  await_waiter();
  return NULL;
}

static void left_behind(void) {
  *word = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, die_with_it, NULL);
  while (*(volatile uint32_t*)word == 0) milliseconds(1);
  tell("wait for who ends without unlocking", futex(FUTEX_LOCK_PI, NULL));
  fact("owner %s%s", (*word & FUTEX_TID_MASK) == (uint32_t)gettid() ? "self" : "another", (*word & FUTEX_OWNER_DIED) != 0 ? ", died" : "");
  pthread_join(thread, NULL);
  tell("unlock", futex(FUTEX_UNLOCK_PI, NULL));
}

enum { kThreads = 4, kRounds = 1000 };
static pthread_mutex_t mutex;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int counter, turn;

static void* add(void* unused) {
  (void)unused;
  for (int i = 0; i < kRounds; ++i) {
    pthread_mutex_lock(&mutex);
    ++counter;
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void* take_turns(void* argument) {
  for (int i = 0; i < 50; ++i) {
    pthread_mutex_lock(&mutex);
    while (turn % kThreads != (int)(intptr_t)argument) pthread_cond_wait(&condition, &mutex);
    ++turn;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static volatile int has_mutex;

static void* die_with_mutex(void* unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  has_mutex = 1;
  milliseconds(50);
  return NULL;
}

static void of_the_library(void) {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  fact("protocol: %d", pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT));
  fact("robust: %d", pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST));
  fact("init: %d", pthread_mutex_init(&mutex, &kind));
  pthread_t threads[kThreads];
  for (int i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, add, NULL);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  fact("counted: %d", counter);
  for (long i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, take_turns, (void*)i);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  fact("turns: %d", turn);
  pthread_create(&threads[0], NULL, die_with_mutex, NULL);
  while (!has_mutex) milliseconds(1);
  fact("lock of who ended: %s", strerrorname_np(pthread_mutex_lock(&mutex)));
  fact("made consistent: %d", pthread_mutex_consistent(&mutex));
  fact("unlock: %d", pthread_mutex_unlock(&mutex));
  fact("lock: %d", pthread_mutex_lock(&mutex));
  pthread_join(threads[0], NULL);
}

int main(void) {
  word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  alone();
  between_processes();
  left_behind();
  of_the_library();
  return 0;
}
