// Everything at once: threads, execs, stops, kills, timers, forks and pipes under a rain of
// signals. Each child has one right end; what differs is printed with the round it happened in.
#include "facts.h"

#include <pthread.h>
#include <sched.h>
#include <sys/time.h>

enum { kRounds = 10, kKinds = 6 };
static const char* self = "/proc/self/exe";
static volatile sig_atomic_t handled;

static void count(int signal) {
  (void)signal;
  ++handled;
}

static void* work(void* yields) {
  for (;;) {
    if (yields != NULL)
      sched_yield();
    else
      usleep(100);
  }
  return NULL;
}
static void start_workers(int n) {
  pthread_t thread;
  for (intptr_t i = 0; i < n; ++i) pthread_create(&thread, NULL, work, (void*)(i & 1));
}
static void* exec_soon(void* unused) {
  usleep((useconds_t)(rand() % 3000));
  execl(self, "storm", "leaf", NULL);
  return unused;
}

/// Threads that are stopped, continued and killed from outside.
static void threads(void) {
  start_workers(4);
  for (;;) pause();
}
/// One thread executes a program while others run.
static void exec_among_threads(void) {
  pthread_t thread;
  start_workers(3);
  pthread_create(&thread, NULL, exec_soon, NULL);
  for (;;) usleep(50);
}
/// Forks that a timer keeps interrupting.
static void forks_under_alarms(void) {
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 700}, {0, 700}}, NULL);
  for (int i = 0; i < 20; ++i) {
    pid_t child = fork();
    if (child == 0) _exit(i);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
  }
  _exit(5);
}
/// A group that kills itself.
static void group(void) {
  setpgid(0, 0);
  for (int i = 0; i < 5; ++i) {
    if (fork() == 0) {
      for (;;) pause();
    }
  }
  usleep(500);
  kill(0, SIGKILL);
  for (;;) pause();
}
static void vforks(void) {
  for (int i = 0; i < 10; ++i) {
    int status;
    pid_t child = vfork();
    if (child == 0) {
      execl(self, "storm", "leaf", NULL);
      _exit(1);
    }
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) != 7) _exit(1);
  }
  _exit(6);
}
static void pipe_under_signals(void) {
  int ends[2], total = 0;
  ssize_t got;
  char bytes[64];
  if (pipe(ends) != 0) _exit(1);
  if (fork() == 0) {
    for (int i = 0; i < 50; ++i) {
      if (write(ends[1], "abcdef", 6) != 6) _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  while ((got = read(ends[0], bytes, sizeof bytes)) != 0) {
    if (got > 0) total += (int)got;
  }
  while (wait(NULL) < 0 && errno == EINTR) {
  }
  _exit(total == 300 ? 4 : 9);
}

static const struct {
  const char* name;
  void (*run)(void);
  const char* end;
} kinds[kKinds] = {
    {"threads", threads, "killed by KILL"},
    {"exec among threads", exec_among_threads, "exit 7"},
    {"forks", forks_under_alarms, "exit 5"},
    {"a group", group, "killed by KILL"},
    {"vforks", vforks, "exit 6"},
    {"a pipe", pipe_under_signals, "exit 4"},
};

static void rain(const pid_t* children) {
  for (int i = 0; i < 30; ++i) {
    kill(children[0], SIGUSR1);
    kill(children[2], SIGUSR2);
    kill(children[5], SIGUSR1);
    if (i % 10 == 3) kill(children[0], SIGSTOP);
    if (i % 10 == 6) kill(children[0], SIGCONT);
    usleep(50);
  }
  usleep(1000);
  kill(children[0], SIGKILL);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "leaf") == 0) return 7;
  const int rounds = argc > 1 ? atoi(argv[1]) : kRounds;
  int wrong = 0;
  signal(SIGUSR1, count);
  signal(SIGUSR2, count);
  signal(SIGALRM, count);
  for (int round = 0; round < rounds; ++round) {
    pid_t children[kKinds];
    for (int i = 0; i < kKinds; ++i) {
      children[i] = fork();
      if (children[i] == 0) {
        srand((unsigned)(round * kKinds + i));
        kinds[i].run();
      }
    }
    rain(children);
    for (int i = 0; i < kKinds; ++i) {
      int status = 0;
      waitpid(children[i], &status, 0);
      if (strcmp(in_words(status), kinds[i].end) == 0) continue;
      ++wrong;
      fact("round %d, %s: %s", round, kinds[i].name, in_words(status));
    }
  }
  fact("ends that were wrong: %d", wrong);
  return wrong != 0;
}
