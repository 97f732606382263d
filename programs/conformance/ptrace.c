/* Rules of ptrace: how tracing begins and ends, stops and what they tell. man7 ptrace(2). */
#include "tracer.h"

#include <sys/prctl.h>

/* Who may trace whom. */

static void refusals(void) {
  tell("nobody has that number", trace(PTRACE_ATTACH, 0x7ffffff0, 0, 0));
  tell("seizing nobody with an address", trace(PTRACE_SEIZE, 0x7ffffff0, number(1), 0));
  tell("oneself", trace(PTRACE_ATTACH, getpid(), 0, 0));
  tell("seizing oneself with an address", trace(PTRACE_SEIZE, getpid(), number(1), 0));
  tell("a task that is not traced", trace(PTRACE_CONT, getppid(), 0, 0));
  tell("a request that is not there", trace(0x5555, getpid(), 0, 0));
  const pid_t child = start(sleeps);
  tell("a child that is not traced", trace(PTRACE_CONT, child, 0, 0));
  tell("killing a child that is not traced", trace(PTRACE_KILL, child, 0, 0));
  tell("SEIZE with an address", trace(PTRACE_SEIZE, child, number(8), 0));
  tell("SEIZE with an option that is not there", trace(PTRACE_SEIZE, child, 0, number(0x40000000)));
  tell("SEIZE", trace(PTRACE_SEIZE, child, 0, 0));
  tell("SEIZE again", trace(PTRACE_SEIZE, child, 0, 0));
  tell("ATTACH after that", trace(PTRACE_ATTACH, child, 0, 0));
  tell("a tracee that runs", trace(PTRACE_CONT, child, 0, 0));
  tell("peeking at one that runs", trace(PTRACE_PEEKDATA, child, bad_address, &(long){0}));
  tell("LISTEN to one that runs", trace(PTRACE_LISTEN, child, 0, 0));
  const pid_t other = fork();
  if (other == 0) {
    tell("a second tracer", trace(PTRACE_ATTACH, child, 0, 0));
    tell("the first tracer's tracee", trace(PTRACE_INTERRUPT, child, 0, 0));
    _exit(0);
  }
  waitpid(other, NULL, 0);
  tell("KILL", trace(PTRACE_KILL, child, 0, 0));
  next_stop("after KILL", child);
  tell("a tracee that has been waited for", trace(PTRACE_CONT, child, 0, 0));
}

static void needs_rights(void) {
  const pid_t child = start(sleeps);
  const pid_t other = fork();
  if (other == 0) {
    setgid(1234);
    setuid(1234);
    tell("another user's process", trace(PTRACE_ATTACH, child, 0, 0));
    const pid_t own = start(sleeps);
    tell("the own user's process", trace(PTRACE_SEIZE, own, 0, 0));
    end(own);
    int pipes[2];
    pipe(pipes);
    const pid_t shy = fork();
    if (shy == 0) {
      prctl(PR_SET_DUMPABLE, 0);
      write(pipes[1], "", 1);
      sleeps();
    }
    char byte;
    read(pipes[0], &byte, 1);
    tell("one that must not be dumped", trace(PTRACE_ATTACH, shy, 0, 0));
    end(shy);
    _exit(0);
  }
  waitpid(other, NULL, 0);
  end(child);
  IN_CHILD("TRACEME twice", {
    tell("once", trace(PTRACE_TRACEME, 0, 0, 0));
    tell("twice", trace(PTRACE_TRACEME, 0, 0, 0));
  });
}

/* Stops of signals. */

static void raises(void) {
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
  const int first = handled;
  handled = 0;
  raise(SIGUSR1);
  const int second = handled;
  handled = 0;
  signal(SIGUSR2, on_signal);
  raise(SIGUSR1);
  _exit(first * 10 + (second == 0 ? 1 : 2) + (handled == SIGUSR2 ? 4 : 0));
}

static void signals(void) {
  const pid_t pid = start_traced(raises);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a signal", pid);
  tell_info(pid);
  unsigned long message = 77;
  tell("GETEVENTMSG", trace(PTRACE_GETEVENTMSG, pid, 0, &message));
  fact("message %lu", message);
  tell("CONT with a signal that is none", trace(PTRACE_CONT, pid, 0, number(65)));
  tell("DETACH with a signal that is none", trace(PTRACE_DETACH, pid, 0, number(-1)));
  tell("INTERRUPT of one that was not seized", trace(PTRACE_INTERRUPT, pid, 0, 0));
  tell("LISTEN to one that was not seized", trace(PTRACE_LISTEN, pid, 0, 0));
  tell("CONT with the signal", trace(PTRACE_CONT, pid, 0, number(SIGUSR1)));
  next_stop("the second", pid);
  tell("CONT without", trace(PTRACE_CONT, pid, 0, 0));
  next_stop("the third", pid);
  tell("CONT with another", trace(PTRACE_CONT, pid, 0, number(SIGUSR2)));
  next_stop("the end", pid);
}

static void masked(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGUSR2);
  sigpending(&set);
  _exit(sigismember(&set, SIGUSR1));
}

static void masks_and_infos(void) {
  pid_t pid = start_traced(masked);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a signal", pid);
  uint64_t mask = 0;
  tell("GETSIGMASK of a wrong size", trace(PTRACE_GETSIGMASK, pid, number(4), &mask));
  tell("GETSIGMASK", trace(PTRACE_GETSIGMASK, pid, number(8), &mask));
  fact("mask %#lx", (long)mask);
  tell("GETSIGMASK to nowhere", trace(PTRACE_GETSIGMASK, pid, number(8), bad_address));
  tell("a blocked signal instead", trace(PTRACE_CONT, pid, 0, number(SIGUSR1)));
  next_stop("waits for the tracee", pid);
  pid = start_traced(masked);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a signal", pid);
  mask = ~(uint64_t)0;
  tell("SETSIGMASK", trace(PTRACE_SETSIGMASK, pid, number(8), &mask));
  trace(PTRACE_GETSIGMASK, pid, number(8), &mask);
  fact("without KILL and STOP: %#lx", (long)mask);
  siginfo_t info;
  tell("GETSIGINFO to nowhere", trace(PTRACE_GETSIGINFO, pid, 0, bad_address));
  trace(PTRACE_GETSIGINFO, pid, 0, &info);
  info.si_code = SI_QUEUE;
  tell("SETSIGINFO", trace(PTRACE_SETSIGINFO, pid, 0, &info));
  tell_info(pid);
  kill(pid, SIGKILL);
  next_stop("a kill ends the stop", pid);
}

static void blocked_child(void) {
  signal(SIGCHLD, SIG_DFL);
  signal(SIGUSR1, SIG_IGN);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGCHLD);
  kill(getpid(), SIGCONT);
  raise(SIGTERM);
}

static void ignored(void) {
  const pid_t pid = start_traced(blocked_child);
  for (int i = 0; i < 4; ++i) {
    trace(PTRACE_CONT, pid, 0, 0);
    const int status = next_stop("an ignored signal is seen", pid);
    if (i == 3) trace(PTRACE_CONT, pid, 0, number(WSTOPSIG(status)));
  }
  next_stop("a deadly one", pid);
}

/* Stops of the whole group. */

static void group_stops(void) {
  pid_t pid = start_traced(sleeps);
  trace(PTRACE_CONT, pid, 0, 0);
  kill(pid, SIGSTOP);
  next_stop("SIGSTOP on its way", pid);
  tell("its info", trace(PTRACE_GETSIGINFO, pid, 0, &(siginfo_t){}));
  trace(PTRACE_CONT, pid, 0, number(SIGSTOP));
  next_stop("the group stops", pid);
  tell("no info then", trace(PTRACE_GETSIGINFO, pid, 0, &(siginfo_t){}));
  trace(PTRACE_CONT, pid, 0, 0);
  kill(pid, SIGCONT);
  next_stop("SIGCONT", pid);
  end(pid);
  pid = start(sleeps);
  trace(PTRACE_SEIZE, pid, 0, 0);
  tell("INTERRUPT", trace(PTRACE_INTERRUPT, pid, 0, 0));
  next_stop("INTERRUPT", pid);
  tell_info(pid);
  tell("LISTEN in a stop that is no group's", trace(PTRACE_LISTEN, pid, 0, 0));
  tell("CONT while it is listened to", trace(PTRACE_CONT, pid, 0, 0));
  trace(PTRACE_INTERRUPT, pid, 0, 0);
  next_stop("INTERRUPT again", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  kill(pid, SIGSTOP);
  next_stop("SIGSTOP on its way", pid);
  trace(PTRACE_CONT, pid, 0, number(SIGSTOP));
  next_stop("the group stops", pid);
  tell_info(pid);
  tell("LISTEN", trace(PTRACE_LISTEN, pid, 0, 0));
  tell("a status while it is listened to", waitpid(pid, NULL, WNOHANG | __WALL));
  kill(pid, SIGCONT);
  next_stop("SIGCONT wakes the listener", pid);
  tell_info(pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("and comes itself", pid);
  tell("DETACH", trace(PTRACE_DETACH, pid, 0, 0));
  tell("it goes on", waitpid(pid, NULL, WNOHANG));
  end(pid);
}

static void attach_to_stopped(void) {
  int status;
  pid_t pid = start(sleeps);
  kill(pid, SIGSTOP);
  waitpid(pid, &status, WUNTRACED);
  fact("before: %s", in_words(status));
  tell("SEIZE", trace(PTRACE_SEIZE, pid, 0, 0));
  next_stop("it stops for the tracer", pid);
  tell("DETACH", trace(PTRACE_DETACH, pid, 0, 0));
  kill(pid, SIGCONT);
  waitpid(pid, &status, WCONTINUED);
  fact("stopped until %s", in_words(status));
  end(pid);
  pid = start(sleeps);
  tell("ATTACH", trace(PTRACE_ATTACH, pid, 0, 0));
  next_stop("after ATTACH", pid);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, pid, 0, &info);
  fact("from %s", info.si_code == SI_KERNEL ? "the kernel" : "somebody");
  tell("DETACH with a signal", trace(PTRACE_DETACH, pid, 0, number(SIGTERM)));
  next_stop("DETACH delivers", pid);
}

/* Waiting. */

static void waits(void) {
  const pid_t pid = start_traced(exits_7);
  kill(pid, 0);
  tell("told once", waitpid(pid, NULL, WNOHANG));
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACEEXIT));
  trace(PTRACE_CONT, pid, 0, 0);
  siginfo_t info;
  memset(&info, 0, sizeof info);
  tell("waitid that keeps", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
  fact("code %d, status %#x", info.si_code, info.si_status);
  tell("waitid", waitid(P_PID, (id_t)pid, &info, WEXITED));
  tell("told once", waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
  unsigned long message = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &message);
  fact("exits with %#lx", message);
  trace(PTRACE_CONT, pid, 0, 0);
  memset(&info, 0, sizeof info);
  tell("the end", waitid(P_PID, (id_t)pid, &info, WEXITED));
  fact("code %d, status %d", info.si_code, info.si_status);
}

/// A tracer that is not the parent: it hears first.
static void strangers(void) {
  int pipes[2], go[2];
  pipe(pipes);
  pipe(go);
  const pid_t child = start(sleeps);
  const pid_t tracer = fork();
  if (tracer == 0) {
    tell("SEIZE", trace(PTRACE_SEIZE, child, 0, 0));
    write(pipes[1], "", 1);
    char byte;
    read(go[0], &byte, 1);
    next_stop("the tracer hears of the end", child);
    tell("and that is all", waitpid(child, NULL, __WALL));
    _exit(0);
  }
  char byte;
  read(pipes[0], &byte, 1);
  kill(child, SIGKILL);
  milliseconds(30);
  tell("the parent does not hear yet", waitpid(child, NULL, WNOHANG));
  write(go[1], "", 1);
  int status;
  waitpid(tracer, NULL, 0);
  tell_text("then it does", waitpid(child, &status, 0) == child ? in_words(status) : "no");
}

/* How it ends. */

/// What becomes of the tracee of a tracer that ends.
static void tracer_ends(const char* what, long options, int stops) {
  int pipes[2];
  pipe(pipes);
  const pid_t pid = start(sleeps);
  const pid_t tracer = fork();
  if (tracer == 0) {
    trace(PTRACE_SEIZE, pid, 0, number(options));
    if (stops) {
      trace(PTRACE_INTERRUPT, pid, 0, 0);
      waitpid(pid, NULL, __WALL);
    }
    write(pipes[1], "", 1);
    sleeps();
  }
  char byte;
  read(pipes[0], &byte, 1);
  kill(tracer, SIGKILL);
  waitpid(tracer, NULL, 0);
  if ((options & PTRACE_O_EXITKILL) == 0) {
    milliseconds(20);
    tell(what, waitpid(pid, NULL, WNOHANG));
    tell("it may be traced again", trace(PTRACE_SEIZE, pid, 0, 0));
    kill(pid, SIGTERM);
    next_stop("a signal", pid);
    trace(PTRACE_CONT, pid, 0, number(SIGTERM));
  }
  next_stop(what, pid);
  close(pipes[0]);
  close(pipes[1]);
}

static void word_of_status(pid_t pid, const char* key, char* to, size_t size) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE* file = fopen(path, "r");
  to[0] = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, key, strlen(key)) == 0) snprintf(to, size, "%s", line + strlen(key));
  }
  if (file != NULL) fclose(file);
  to[strcspn(to, "\n")] = 0;
}

static void shown(void) {
  const pid_t pid = start_traced(sleeps);
  char text[64];
  word_of_status(pid, "State:\t", text, sizeof text);
  fact("state: %s", text);
  word_of_status(pid, "TracerPid:\t", text, sizeof text);
  fact("tracer shown: %d", atoi(text) == getpid());
  trace(PTRACE_CONT, pid, 0, 0);
  for (int i = 0; i < 500 && text[0] != 'S'; ++i) {
    milliseconds(10);
    word_of_status(pid, "State:\t", text, sizeof text);
  }
  fact("state: %s", text);
  kill(pid, SIGSTOP);
  waitpid(pid, NULL, 0);
  trace(PTRACE_DETACH, pid, 0, number(SIGSTOP));
  int status;
  waitpid(pid, &status, WUNTRACED);
  word_of_status(pid, "TracerPid:\t", text, sizeof text);
  fact("then %s, tracer %s", in_words(status), text);
  word_of_status(pid, "State:\t", text, sizeof text);
  fact("state: %s", text);
  end(pid);
}

/// What the kernel tells the tracer's SIGCHLD handler.
static volatile siginfo_t told;
static void on_child(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  told.si_code = info->si_code;
  told.si_status = info->si_status;
}
static void tells_by_signal(void) {
  struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
  sigaction(SIGCHLD, &action, &old);
  const pid_t pid = start_traced(exits_7);
  fact("a stop: code %d, status %d", told.si_code, told.si_status);
  trace(PTRACE_CONT, pid, 0, 0);
  waitpid(pid, NULL, 0);
  fact("an end: code %d, status %d", told.si_code, told.si_status);
  sigaction(SIGCHLD, &old, NULL);
}

int main(void) {
  refusals();
  needs_rights();
  signals();
  masks_and_infos();
  ignored();
  group_stops();
  attach_to_stopped();
  waits();
  strangers();
  tracer_ends("a tracer ends", 0, 0);
  tracer_ends("a tracer ends, its tracee stopped", 0, 1);
  tracer_ends("a tracer ends and kills", PTRACE_O_EXITKILL, 0);
  tracer_ends("a tracer ends and kills the stopped", PTRACE_O_EXITKILL, 1);
  shown();
  tells_by_signal();
  return 0;
}
