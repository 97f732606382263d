// Processes: fork, wait in all its forms, groups and sessions, stop and continue, orphans, vfork.
#include "facts.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static volatile sig_atomic_t count, last_code, last_status;
static volatile pid_t last_pid;
static void note(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  ++count;
  last_code = info->si_code;
  last_status = info->si_status;
  last_pid = info->si_pid;
}
static void on_child(int flags) {
  struct sigaction action = {.sa_sigaction = note, .sa_flags = flags | SA_SIGINFO | SA_RESTART};
  sigaction(SIGCHLD, &action, NULL);
}

/// A pipe from a child: what it writes there is waited for.
static int ends[2];
static void say(char c) {
  if (write(ends[1], &c, 1) != 1) _exit(97);
}
static char hear(void) {
  char c = '?';
  if (read(ends[0], &c, 1) != 1) return '!';
  return c;
}

static void statuses(void) {
  IN_CHILD("exit 0", _exit(0));
  IN_CHILD("exit 300", _exit(300));
  IN_CHILD("abort", abort());
  IN_CHILD("SIGKILL", kill(getpid(), SIGKILL));
  IN_CHILD("SIGTERM", raise(SIGTERM));
  IN_CHILD("SIGCHLD is ignored by default", raise(SIGCHLD));
  IN_CHILD("a real-time signal kills by default", raise(SIGRTMIN + 3));
  int status = 0;
  fact("wait without children: %s", outcome(wait(&status)));
  fact("waitpid with bad options: %s", outcome(waitpid(-1, &status, 0x4000)));
  pid_t child = fork();
  if (child == 0) {
    hear();
    _exit(7);
  }
  fact("WNOHANG while it runs: %d", waitpid(child, &status, WNOHANG));
  fact("wait for another: %s", outcome(waitpid(1, &status, 0)));
  say('x');
  siginfo_t info = {0};
  const char* how = outcome(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
  fact("waitid WNOWAIT: %s, code is CLD_EXITED %d, status %d", how, info.si_code == CLD_EXITED,
       info.si_status);
  struct rusage usage;
  memset(&usage, 0xff, sizeof usage);
  int right = wait4(child, &status, 0, &usage) == child;
  fact("wait4 after that: right one %d, %s", right, in_words(status));
  fact("its usage is plausible: %d",
       usage.ru_utime.tv_sec == 0 && usage.ru_maxrss > 0 && usage.ru_minflt > 0);
  fact("waitid without events: %s", outcome(waitid(P_ALL, 0, &info, WNOHANG)));
}

static void child_signals(void) {
  on_child(0);
  count = 0;
  pid_t child = fork();
  if (child == 0) _exit(3);
  int status;
  waitpid(child, &status, 0);
  fact("SIGCHLD: handled %d, from the child %d, CLD_EXITED %d, status %d", count, last_pid == child,
       last_code == CLD_EXITED, last_status);
  child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  setpgid(child, child);  // a group of its own is no orphan, whoever started this program
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  fact("WUNTRACED: %s; SIGCHLD code is CLD_STOPPED %d, status is SIGSTOP %d", in_words(status),
       last_code == CLD_STOPPED, last_status == SIGSTOP);
  fact("reported once: %d", waitpid(child, &status, WUNTRACED | WNOHANG));
  kill(child, SIGCONT);
  waitpid(child, &status, WCONTINUED);
  fact("WCONTINUED: %s", in_words(status));
  kill(child, SIGTSTP);
  waitpid(child, &status, WUNTRACED);
  fact("SIGTSTP: %s", in_words(status));
  kill(child, SIGTERM);
  milliseconds(10);
  fact("a stopped process does not take SIGTERM: %d", waitpid(child, &status, WNOHANG));
  kill(child, SIGCONT);
  waitpid(child, &status, 0);
  fact("after SIGCONT it does: %s", in_words(status));
  child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  fact("SIGKILL ends a stopped process: %s", in_words(status));

  on_child(SA_NOCLDSTOP);
  count = 0;
  child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  kill(child, SIGSTOP);
  waitpid(child, &status, WUNTRACED);
  fact("SA_NOCLDSTOP: handled %d", count);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);

  signal(SIGCHLD, SIG_IGN);
  child = fork();
  if (child == 0) _exit(1);
  fact("SIGCHLD ignored: wait %s", outcome(waitpid(child, &status, 0)));
  signal(SIGCHLD, SIG_DFL);
}

static void groups(void) {
  IN_CHILD("groups", {
    pid_t me = getpid();
    const char* how = outcome(setpgid(0, 0));
    fact("setpgid(0, 0): %s, now my own group %d", how, getpgrp() == me);
    fact("setsid as a group leader: %s", outcome(setsid()));
    fact("setpgid into a group that is not there: %s", outcome(setpgid(0, 0x3ffffff)));
    fact("setpgid of a stranger: %s", outcome(setpgid(getppid(), 0)));
    fact("getpgid of nobody: %s", outcome(getpgid(0x3ffffff)));
    pid_t child = fork();
    if (child == 0) {
      fact("child is in its parent's group %d", getpgrp() == me);
      fact("setsid: new session %d", setsid() == getpid());
      fact("group and session are mine: %d %d", getpgrp() == getpid(), getsid(0) == getpid());
      fact("setpgid as a session leader: %s", outcome(setpgid(0, 0)));
      _exit(0);
    }
    waitpid(child, NULL, 0);
    // A signal to a group reaches all of it.
    for (int i = 0; i < 3; ++i) {
      if (fork() == 0) {
        setpgid(0, 0);
        alarm(1);
        for (;;) pause();
      }
    }
    signal(SIGTERM, SIG_IGN);
    pid_t first = fork();
    if (first == 0) {
      signal(SIGTERM, SIG_DFL);
      for (;;) pause();
    }
    milliseconds(20);
    fact("kill of the own group: %s", outcome(kill(0, SIGTERM)));
    int status;
    int right = waitpid(-me, &status, 0) == first;
    fact("it reached the member: %d, %s", right, in_words(status));
    fact("no child in a group: %s", outcome(waitpid(-me, &status, 0)));
    fact("kill of no group: %s", outcome(kill(-0x3ffffff, SIGTERM)));
    signal(SIGTERM, SIG_DFL);
  });
}

static void orphans(void) {
  pid_t me = getpid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t middle = fork();
  if (middle == 0) {
    pid_t parent = getpid();
    pid_t leaf = fork();
    if (leaf == 0) {
      prctl(PR_SET_PDEATHSIG, SIGUSR1);
      signal(SIGUSR1, SIG_IGN);
      say('r');
      while (getppid() == parent) milliseconds(1);
      say(getppid() == me ? 'y' : 'n');
      _exit(9);
    }
    hear();
    _exit(0);
  }
  waitpid(middle, NULL, 0);
  fact("an orphan goes to the subreaper: %c", hear());
  int status;
  wait(&status);
  fact("who can wait for it: %s", in_words(status));
  prctl(PR_SET_CHILD_SUBREAPER, 0);

  // A stopped member of a group that becomes an orphan gets SIGHUP and SIGCONT.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  middle = fork();
  if (middle == 0) {
    setsid();
    pid_t leaf = fork();
    if (leaf == 0) {
      setpgid(0, 0);
      raise(SIGSTOP);
      _exit(1);
    }
    waitpid(leaf, NULL, WUNTRACED);
    _exit(0);
  }
  waitpid(middle, NULL, 0);
  wait(&status);
  fact("a stopped orphaned group: %s", in_words(status));
  middle = fork();
  if (middle == 0) {
    setsid();
    raise(SIGTSTP);  // the group is an orphan: no effect
    _exit(4);
  }
  waitpid(middle, &status, WUNTRACED);
  fact("SIGTSTP in an orphaned group: %s", in_words(status));
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static volatile int shared_word;
static int clone_body(void* argument) {
  shared_word = *(int*)argument;
  return 21;
}

static void sharing(void) {
  shared_word = 1;
  pid_t child = fork();
  if (child == 0) {
    shared_word = 2;
    _exit(0);
  }
  waitpid(child, NULL, 0);
  fact("fork copies memory: %d", shared_word);
  volatile int mark = 0;
  child = vfork();
  if (child == 0) {
    mark = 1;
    _exit(0);
  }
  fact("vfork shares memory and waits: %d", mark);
  waitpid(child, NULL, 0);
  static char stack[65536] __attribute__((aligned(16)));
  int value = 5, status;
  child = clone(clone_body, stack + sizeof stack, CLONE_VM | SIGCHLD, &value);
  waitpid(child, &status, 0);
  fact("clone with CLONE_VM: %d, %s", shared_word, in_words(status));
  child = clone(clone_body, stack + sizeof stack, CLONE_VM, &value);
  fact("without an exit signal plain wait does not see it: %s",
       outcome(waitpid(child, &status, 0)));
  fact("__WALL does: %d", waitpid(child, &status, __WALL) == child);
  fact("CLONE_SIGHAND without CLONE_VM: %s",
       outcome(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0)));
  fact("CLONE_THREAD without CLONE_SIGHAND: %s",
       outcome(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0)));
  int* map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t tid_in_parent = -1;
  child = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0,
                         &tid_in_parent, &map[0], 0);
  if (child == 0) _exit(map[0] == syscall(SYS_getpid) ? 11 : 12);
  waitpid(child, &status, 0);
  fact("CLONE_PARENT_SETTID %d, CLONE_CHILD_SETTID %s", tid_in_parent == child, in_words(status));
}

static void many(void) {
  enum { kMany = 200 };
  int right = 0;
  for (int i = 0; i < kMany; ++i) {
    if (fork() == 0) _exit(i % 100);
  }
  int sum = 0, status;
  while (wait(&status) > 0) {
    ++right;
    sum += WEXITSTATUS(status);
  }
  fact("%d children: reaped %d, sum %d", kMany, right, sum);
}

int main(void) {
  if (pipe(ends) != 0) return 98;
  statuses();
  child_signals();
  groups();
  orphans();
  sharing();
  many();
  return 0;
}
