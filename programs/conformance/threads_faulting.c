// Threads and processes that share a memory: faults at once, rights that change under others' feet,
// vfork and clone(CLONE_VM).
#include "memory.h"

#include <pthread.h>
#include <sched.h>

enum { kThreads = 6, kPages = 192 };

static pthread_barrier_t barrier;
static volatile int wrong;

static void run(void* (*body)(void*)) {
  pthread_t threads[kThreads];
  wrong = 0;
  pthread_barrier_init(&barrier, NULL, kThreads);
  for (long n = 0; n < kThreads; ++n) pthread_create(&threads[n], NULL, body, (void*)n);
  for (int n = 0; n < kThreads; ++n) pthread_join(threads[n], NULL);
}

static void* count_up(void* argument) {
  (void)argument;
  pthread_barrier_wait(&barrier);
  for (int n = 0; n < kPages; ++n) __atomic_fetch_add((int*)page(n), 1, __ATOMIC_RELAXED);
  return NULL;
}
static int all_are(int value) {
  int good = 0;
  for (int n = 0; n < kPages; ++n) good += *(int*)page(n) == value;
  return good;
}

static void* own_word(void* argument) {
  const long mine = (long)argument;
  pthread_barrier_wait(&barrier);
  for (int n = 0; n < kPages; ++n) ((long*)page(n))[mine] = mine + n;
  for (int n = 0; n < kPages; ++n) wrong |= ((long*)page(n))[mine] != mine + n;
  return NULL;
}

static void* map_own(void* argument) {
  const long first = (long)argument * 32;
  pthread_barrier_wait(&barrier);
  for (int round = 0; round < 50; ++round) {
    char* at = place(first, 8, kWrite, kPrivate);
    for (int n = 0; n < 8; ++n) wrong |= at[n * kPage] != 0;
    memset(at, 1, 8 * kPage);
    mprotect(at, 4 * kPage, kRead);
    wrong |= at[3 * kPage] != 1;
    munmap(at + 2 * kPage, 2 * kPage);
    madvise(at + 4 * kPage, 4 * kPage, MADV_DONTNEED);
    wrong |= at[5 * kPage] != 0;
  }
  return NULL;
}

static void* fork_and_write(void* argument) {
  const long mine = (long)argument;
  pthread_barrier_wait(&barrier);
  for (int round = 0; round < 4; ++round) {
    for (int n = 0; n < kPages; n += 7) ((long*)page(n))[mine] = round;
    const pid_t child = fork();
    if (child == 0) {
      int bad = 0;
      for (int n = 0; n < kPages; n += 7) bad |= ((long*)page(n))[mine] != round;
      memset(page(0), 0x55, 16 * kPage);
      _exit(bad);
    }
    for (int n = 0; n < kPages; n += 7) ((long*)page(n))[mine] = -1;
    int status = 1;
    waitpid(child, &status, 0);
    wrong |= status != 0;
  }
  return NULL;
}

static void together(void) {
  place(0, kPages, kWrite, kPrivate);
  run(count_up);
  fact("all threads fault the same pages: %d of %d pages right", all_are(kThreads), kPages);
  run(count_up);
  fact("and again: %d", all_are(2 * kThreads));
  IN_CHILD("threads in a child, on inherited pages", {
    run(count_up);
    fact("right: %d", all_are(3 * kThreads));
  });
  fact("the parent's are as they were: %d", all_are(2 * kThreads));
  clear_arena();
  place(0, kPages, kWrite, kShared);
  run(count_up);
  fact("shared memory: %d", all_are(kThreads));
  IN_CHILD("threads in a child, on shared pages", run(count_up));
  fact("seen by the parent: %d", all_are(2 * kThreads));
  clear_arena();
  place(0, kPages, kWrite, kPrivate);
  run(own_word);
  fact("a word each: %s", wrong ? "wrong" : "right");
  clear_arena();
  run(map_own);
  fact("a region each, mapped and unmapped: %s", wrong ? "wrong" : "right");
  draw("in the end", 40);
  clear_arena();
  place(0, kPages, kWrite, kPrivate);
  run(fork_and_write);
  fact("all fork at once: %s", wrong ? "wrong" : "right");
  clear_arena();
}

static volatile int stage;
static void* see_fault(void* argument) {
  (void)argument;
  while (stage == 0) sched_yield();
  fault_signal = 0;
  fact("a thread's access: %s", touch('w', page(0)));
  stage = 2;
  while (stage == 2) sched_yield();
  fact("after its unmapping: %s", touch('r', page(0)));
  return NULL;
}
static void rights(void) {
  place(0, 1, kWrite, kPrivate);
  *page(0) = 1;
  pthread_t thread;
  pthread_create(&thread, NULL, see_fault, NULL);
  mprotect(page(0), kPage, kRead);
  stage = 1;
  while (stage == 1) sched_yield();
  munmap(page(0), kPage);
  stage = 3;
  pthread_join(thread, NULL);
}

static int in_the_same_memory(void* argument) {
  char* at = argument;
  strcpy(at, "written by it");
  place(4, 2, kWrite, kPrivate);
  mprotect(page(1), kPage, kRead);
  munmap(page(2), kPage);
  return 3;
}
static void cloned(void) {
  place(0, 4, kWrite, kPrivate);
  static char stack[65536] __attribute__((aligned(16)));
  const int pid = clone(in_the_same_memory, stack + sizeof stack, CLONE_VM | SIGCHLD, page(0));
  int status = 0;
  waitpid(pid, &status, 0);
  fact("clone(CLONE_VM): %s", in_words(status));
  fact("what it wrote: %s", page(0));
  draw("what it mapped", 8);
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  const int copy = clone(in_the_same_memory, stack + sizeof stack, SIGCHLD, page(0));
  waitpid(copy, &status, 0);
  fact("without CLONE_VM: %s, '%s'", in_words(status), page(0));
  draw("mapped nothing here", 8);
  clear_arena();
}

static void vforked(void) {
  place(0, 2, kWrite, kPrivate);
  const pid_t child = vfork();
  if (child == 0) {
    strcpy(page(0), "by the vforked child");
    munmap(page(1), kPage);
    _exit(5);
  }
  fact("vfork: what the child wrote: %s", page(0));
  draw("what it unmapped", 4);
  int status;
  waitpid(child, &status, 0);
  fact("%s", in_words(status));
  clear_arena();
}

int main(void) {
  make_arena(256);
  catch_faults();
  together();
  rights();
  cloned();
  vforked();
  return 0;
}
