/* For programs about ptrace: calls, tracees, and what stops say in words. */
#pragma once
#include "facts.h"

#include <linux/ptrace.h>
#include <stddef.h>

static inline long trace(long request, pid_t pid, void* address, void* data) { return syscall(SYS_ptrace, request, pid, address, data); }
static inline void* number(long n) { return (void*)n; }

/// A status of wait with what ptrace puts above the signal.
static inline const char* stop_in_words(int status) {
  static char text[96];
  static const char* const kEvents[] = {"", " fork", " vfork", " clone", " exec", " vfork done", " exit"};
  if (!WIFSTOPPED(status)) return in_words(status);
  const int event = status >> 16, signal = WSTOPSIG(status);
  const char* const name = event == PTRACE_EVENT_STOP ? " stop" : event < 7 ? kEvents[event] : " ?";
  snprintf(text, sizeof text, "stopped by %s%s%s", sigabbrev_np(signal & 0x7f), (signal & 0x80) != 0 ? " (call)" : "", name);
  return text;
}

static inline int next_stop(const char* what, pid_t pid) {
  int status = 0;
  const pid_t found = waitpid(pid, &status, __WALL);
  fact("%s: %s", what, found == pid ? stop_in_words(status) : found < 0 ? strerrorname_np(errno) : "another");
  return status;
}

static inline void tell_info(pid_t pid) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  if (tell("GETSIGINFO", trace(PTRACE_GETSIGINFO, pid, 0, &info)) < 0) return;
  fact("signal %d, code %#x, from the tracee: %d", info.si_signo, info.si_code, info.si_pid == pid);
}

static inline pid_t start_traced(void (*body)(void)) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (trace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(98);
    raise(SIGSTOP);
    body();
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  return pid;
}

static inline pid_t start(void (*body)(void)) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

static inline void end(pid_t pid) {
  int status;
  kill(pid, SIGKILL);
  while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) trace(PTRACE_CONT, pid, 0, 0);
}

static inline void sleeps(void) {
  for (;;) pause();
}
static inline void ends(void) {}
static inline void exits_7(void) { _exit(7); }

static volatile int handled __attribute__((unused));
static inline void on_signal(int signal) { handled = signal; }
