// Threads: creation, locks, thread-local storage, signals to one thread, ends of all kinds; futexes
// by hand.
#include "facts.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { kThreads = 4, kRounds = 2000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int counter, turn;
static __thread int local = 1;

static void* add(void* argument) {
  local += (int)(intptr_t)argument;
  for (int i = 0; i < kRounds; ++i) {
    pthread_mutex_lock(&mutex);
    ++counter;
    pthread_mutex_unlock(&mutex);
  }
  return (void*)(intptr_t)local;
}

static void* take_turns(void* argument) {
  int me = (int)(intptr_t)argument;
  for (int i = 0; i < 100; ++i) {
    pthread_mutex_lock(&mutex);
    while (turn % kThreads != me) pthread_cond_wait(&condition, &mutex);
    ++turn;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void basics(void) {
  pthread_t threads[kThreads];
  long sum = 0;
  for (long i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, add, (void*)i);
  for (int i = 0; i < kThreads; ++i) {
    void* result;
    pthread_join(threads[i], &result);
    sum += (long)result;
  }
  fact("a mutex keeps count: %d; thread-local values: sum %ld, mine %d", counter, sum, local);
  for (long i = 0; i < kThreads; ++i) pthread_create(&threads[i], NULL, take_turns, (void*)i);
  for (int i = 0; i < kThreads; ++i) pthread_join(threads[i], NULL);
  fact("condition variables: turns %d", turn);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 10000000;
  if (until.tv_nsec >= 1000000000) ++until.tv_sec, until.tv_nsec -= 1000000000;
  pthread_mutex_lock(&mutex);
  fact("timed wait: %s", strerrorname_np(pthread_cond_timedwait(&condition, &mutex, &until)));
  pthread_mutex_unlock(&mutex);
}

static volatile pid_t handled_by;
static void note(int signal) {
  (void)signal;
  handled_by = gettid();
}
static void* wait_for_signal(void* tid) {
  *(volatile pid_t*)tid = gettid();
  while (handled_by == 0) milliseconds(1);
  return NULL;
}

static void signals(void) {
  static volatile pid_t tid;
  signal(SIGUSR1, note);
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for_signal, (void*)&tid);
  while (tid == 0) milliseconds(1);
  fact("threads have numbers of their own: %d", tid != getpid());
  pthread_kill(thread, SIGUSR1);
  pthread_join(thread, NULL);
  fact("a signal to a thread runs there: %d", handled_by == tid);
  handled_by = 0;
  tid = 0;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  pthread_create(&thread, NULL, wait_for_signal, (void*)&tid);
  while (tid == 0) milliseconds(1);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  kill(getpid(), SIGUSR1);
  pthread_join(thread, NULL);
  fact("one to the process goes to a thread that does not block it: %d", handled_by == tid);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void* sleep_long(void* unused) {
  for (;;) milliseconds(1000);
  return unused;
}
static void* exit_process(void* unused) {
  milliseconds(10);
  _exit(33);
  return unused;
}
static void* kill_process(void* unused) {
  milliseconds(10);
  kill(getpid(), SIGTERM);
  return sleep_long(unused);
}
static void* fault(void* unused) {
  milliseconds(10);
  *(volatile char*)8 = 0;
  return unused;
}
static void* exec_from_here(void* path) {
  pid_t me = getpid();
  char number[16];
  snprintf(number, sizeof number, "%d", me);
  execl(path, path, "after-exec", number, NULL);
  _exit(96);
}
static void with_sleepers(void* (*body)(void*), void* argument) {
  pthread_t thread;
  for (int i = 0; i < 3; ++i) pthread_create(&thread, NULL, sleep_long, NULL);
  pthread_create(&thread, NULL, body, argument);
  sleep_long(NULL);
}

static void ends(const char* self) {
  IN_CHILD("_exit in a thread ends all", with_sleepers(exit_process, NULL));
  IN_CHILD("a fatal signal ends all", with_sleepers(kill_process, NULL));
  IN_CHILD("so does a fault", with_sleepers(fault, NULL));
  IN_CHILD("exec in a thread", with_sleepers(exec_from_here, (void*)self));
  IN_CHILD("the first thread may end before the others", {
    pthread_t thread;
    pthread_create(&thread, NULL, exit_process, NULL);
    pthread_exit(NULL);
  });
  IN_CHILD("stop and continue of all threads", {
    pid_t child = fork();
    if (child == 0) with_sleepers(sleep_long, NULL);
    milliseconds(20);
    int status;
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    _exit(WIFSIGNALED(status) ? 3 : 4);
  });
}

static void* die_holding(void* lock) {
  pthread_mutex_lock(lock);
  return NULL;
}
static void robust(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_t* lock =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutex_init(lock, &attributes);
  pthread_t thread;
  pthread_create(&thread, NULL, die_holding, lock);
  pthread_join(thread, NULL);
  fact("a robust mutex of a dead thread: %s", strerrorname_np(pthread_mutex_lock(lock)));
  pthread_mutex_consistent(lock);
  pthread_mutex_unlock(lock);
  volatile int* held = (int*)((char*)lock + 2048);
  if (fork() == 0) {
    pthread_mutex_lock(lock);
    *held = 1;
    milliseconds(20);
    kill(getpid(), SIGKILL);
  }
  while (*held == 0) milliseconds(1);
  fact("of a killed process, waited for: %s", strerrorname_np(pthread_mutex_lock(lock)));
  wait(NULL);
}

static long futex(volatile uint32_t* word, int operation, uint32_t value, const void* fourth,
                  volatile uint32_t* second, uint32_t third) {
  return syscall(SYS_futex, word, operation, value, fourth, second, third);
}
static volatile uint32_t* words;
static volatile uint32_t started, woken_up;
static void* wait_on_word(void* unused) {
  __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
  futex(&words[0], FUTEX_WAIT, 0, NULL, NULL, 0);
  __atomic_fetch_add(&woken_up, 1, __ATOMIC_SEQ_CST);
  return unused;
}

static void futexes(void) {
  words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct timespec soon = {0, 10000000};
  fact("FUTEX_WAIT on another value: %s", outcome(futex(&words[0], FUTEX_WAIT, 1, NULL, NULL, 0)));
  fact("FUTEX_WAIT with a timeout: %s", outcome(futex(&words[0], FUTEX_WAIT, 0, &soon, NULL, 0)));
  fact("FUTEX_WAKE of nobody: %ld", futex(&words[0], FUTEX_WAKE, 10, NULL, NULL, 0));
  fact("not aligned: %s",
       outcome(futex((uint32_t*)((char*)words + 1), FUTEX_WAIT, 0, NULL, NULL, 0)));
  fact("nothing there: %s", outcome(futex((uint32_t*)8, FUTEX_WAKE, 1, NULL, NULL, 0)));
  fact("FUTEX_WAIT_BITSET without bits: %s",
       outcome(futex(&words[0], FUTEX_WAIT_BITSET, 0, NULL, NULL, 0)));
  fact("an unknown operation: %s", outcome(futex(&words[0], 99, 0, NULL, NULL, 0)));
  pthread_t threads[3];
  for (int i = 0; i < 3; ++i) pthread_create(&threads[i], NULL, wait_on_word, NULL);
  while (started != 3) milliseconds(1);
  milliseconds(20);
  fact("FUTEX_CMP_REQUEUE on another value: %s",
       outcome(futex(&words[0], FUTEX_CMP_REQUEUE, 1, (void*)9, &words[1], 7)));
  fact("FUTEX_CMP_REQUEUE wakes one and moves two: %ld",
       futex(&words[0], FUTEX_CMP_REQUEUE, 1, (void*)9, &words[1], 0));
  fact("nobody is left at the first: %ld", futex(&words[0], FUTEX_WAKE, 9, NULL, NULL, 0));
  fact("the others wait at the second: %ld", futex(&words[1], FUTEX_WAKE, 9, NULL, NULL, 0));
  for (int i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  fact("all are back: %u", woken_up);
  words[1] = 5;
  long woke = futex(&words[0], FUTEX_WAKE_OP, 1, (void*)1, &words[1],
                    FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5));
  fact("FUTEX_WAKE_OP: woke %ld, word %u", woke, words[1]);
  if (fork() == 0) {
    futex(&words[2], FUTEX_WAIT, 0, NULL, NULL, 0);
    _exit(words[2] == 1 ? 8 : 9);
  }
  milliseconds(20);
  words[2] = 1;
  fact("a shared word wakes a child: %ld", futex(&words[2], FUTEX_WAKE, 1, NULL, NULL, 0));
  int status;
  wait(&status);
  fact("the child saw it: %s", in_words(status));
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "after-exec") == 0)
    return getpid() == atoi(argv[2]) && gettid() == getpid() ? 17 : 18;
  basics();
  signals();
  ends(argv[0]);
  robust();
  futexes();
  return 0;
}
