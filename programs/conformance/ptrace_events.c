/* Rules of ptrace: options, the events they ask for, births, execs and ends of tracees. man7 ptrace(2). */
#include "tracer.h"

#include <pthread.h>
#include <sys/user.h>

/* Events. */

static void forks(void) {
  const pid_t pid = fork();
  if (pid == 0) _exit(1);
  waitpid(pid, NULL, 0);
}
static void vforks(void) {
  const pid_t pid = vfork();
  if (pid == 0) _exit(2);
  waitpid(pid, NULL, 0);
}
static void* thread_body(void* argument) { return argument; }
static void makes_thread(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, thread_body, NULL);
  pthread_join(thread, NULL);
}

static void family(const char* what, void (*body)(void), long options) {
  const pid_t pid = start_traced(body);
  fact("%s", what);
  trace(PTRACE_SETOPTIONS, pid, 0, number(options));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the event", pid);
  unsigned long child = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &child);
  next_stop("the child", (pid_t)child);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, (pid_t)child, 0, &info);
  fact("its code %d, sender %d", info.si_code, info.si_pid);
  trace(PTRACE_CONT, (pid_t)child, 0, 0);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the child's end", (pid_t)child);
  int status;
  while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
    fact("the parent: %s", stop_in_words(status));
    trace(PTRACE_CONT, pid, 0, number(status >> 16 ? 0 : WSTOPSIG(status)));
  }
  fact("the parent: %s", stop_in_words(status));
}

static void events(void) {
  family("fork", forks, PTRACE_O_TRACEFORK);
  family("vfork", vforks, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
  family("clone", makes_thread, PTRACE_O_TRACECLONE);
  pid_t pid = start_traced(forks);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("no option, no event", pid);
  trace(PTRACE_CONT, pid, 0, number(SIGCHLD));
  next_stop("the end", pid);
}

static void seized_family(void) {
  int go[2];
  pipe(go);
  const pid_t pid = fork();
  if (pid == 0) {
    char byte;
    read(go[0], &byte, 1);
    forks();
    _exit(0);
  }
  trace(PTRACE_SEIZE, pid, 0, number(PTRACE_O_TRACEFORK));
  write(go[1], "", 1);
  next_stop("the event", pid);
  unsigned long child = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &child);
  next_stop("the child", (pid_t)child);
  tell_info((pid_t)child);
  tell("it was seized, too", trace(PTRACE_INTERRUPT, (pid_t)child, 0, 0));
  trace(PTRACE_DETACH, (pid_t)child, 0, 0);
  trace(PTRACE_DETACH, pid, 0, 0);
  next_stop("the end", pid);
  close(go[0]);
  close(go[1]);
}

static void executes(void) {
  char* const arguments[] = {"self", "done", NULL};
  execv("/proc/self/exe", arguments);
}
static void* executing_thread(void* argument) {
  executes();
  return argument;
}
static void executes_in_thread(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, executing_thread, NULL);
  sleeps();
}

static void execs(void) {
  pid_t pid = start_traced(executes);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("exec of old", pid);
  tell_info(pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
  pid = start_traced(executes);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("exec", pid);
  unsigned long message = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &message);
  struct user_regs_struct r;
  trace(PTRACE_GETREGS, pid, 0, &r);
  fact("was the same: %d, call %lld, rax %lld", (pid_t)message == pid, r.orig_rax, r.rax);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  next_stop("its end", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
  pid = start_traced(executes_in_thread);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a thread", pid);
  unsigned long thread = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &thread);
  next_stop("is born", (pid_t)thread);
  trace(PTRACE_CONT, pid, 0, 0);
  trace(PTRACE_CONT, (pid_t)thread, 0, 0);
  next_stop("it executes and is the leader", pid);
  trace(PTRACE_GETEVENTMSG, pid, 0, &message);
  fact("was the thread: %d", message == thread);
  tell("the thread is no more", trace(PTRACE_CONT, (pid_t)thread, 0, 0));
  tell("nor waited for", waitpid((pid_t)thread, NULL, __WALL));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
}

static void exits(void) {
  pid_t pid = start_traced(exits_7);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACEEXIT));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("exit", pid);
  tell("its memory is there", trace(PTRACE_PEEKTEXT, pid, (void*)exits_7, &(long){0}));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
  pid = start_traced(sleeps);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACEEXIT));
  trace(PTRACE_CONT, pid, 0, 0);
  kill(pid, SIGTERM);
  next_stop("a signal", pid);
  trace(PTRACE_CONT, pid, 0, number(SIGTERM));
  next_stop("it is deadly", pid);
  unsigned long message = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &message);
  fact("message %#lx", message);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
}

static void threads_end(void) {
  const pid_t pid = start_traced(makes_thread);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a thread", pid);
  unsigned long thread = 0;
  trace(PTRACE_GETEVENTMSG, pid, 0, &thread);
  next_stop("is born", (pid_t)thread);
  tell("to a thread that is not the leader", trace(PTRACE_PEEKUSR, (pid_t)thread, 0, &(long){0}));
  trace(PTRACE_CONT, (pid_t)thread, 0, 0);
  next_stop("exits", (pid_t)thread);
  tell("not waited for with WNOHANG", waitpid((pid_t)thread, NULL, WNOHANG | __WALL));
  trace(PTRACE_CONT, (pid_t)thread, 0, 0);
  next_stop("has ended", (pid_t)thread);
  tell("once", waitpid((pid_t)thread, NULL, WNOHANG | __WALL));
  end(pid);
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "done") == 0) return 8;
  events();
  seized_family();
  execs();
  exits();
  threads_end();
  return 0;
}
