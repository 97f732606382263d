// Shared by the conformance programs: each prints facts, one per line, that must be the same on
// Linux and on Quire. A fact never contains what may differ (numbers of processes, addresses,
// times): it says whether a rule holds.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void fact(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (n > (int)sizeof line - 2) n = sizeof line - 2;
  line[n++] = '\n';
  if (write(1, line, (size_t)n) != n) _exit(99);
}

/// The value of a result, or the name of its error.
static inline long tell(const char* what, long result) {
  if (result < 0) {
    fact("%s: %s", what, strerrorname_np(errno));
  } else {
    fact("%s: %ld", what, result);
  }
  return result;
}
static inline void tell_text(const char* what, const char* text) { fact("%s: %s", what, text); }

/// An address that no program has; volatile, so that the compiler does not reason about it.
static void* volatile bad_address __attribute__((unused)) = (void*)8;

/// "ok" for results of 0 and above, else the error's name.
static inline const char* outcome(long result) {
  return result >= 0 ? "ok" : strerrorname_np(errno);
}

static inline void milliseconds(long n) {
  struct timespec t = {n / 1000, n % 1000 * 1000000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

/// A wait status in words.
static inline const char* in_words(int status) {
  static char text[64];
  if (WIFEXITED(status))
    snprintf(text, sizeof text, "exit %d", WEXITSTATUS(status));
  else if (WIFSIGNALED(status))
    snprintf(text, sizeof text, "killed by %s", sigabbrev_np(WTERMSIG(status)));
  else if (WIFSTOPPED(status))
    snprintf(text, sizeof text, "stopped by %s", sigabbrev_np(WSTOPSIG(status)));
  else if (WIFCONTINUED(status))
    snprintf(text, sizeof text, "continued");
  else
    snprintf(text, sizeof text, "status %#x", status);
  return text;
}

/// Runs `body` in a child and says how that ended.
#define IN_CHILD(what, body)                 \
  do {                                       \
    pid_t child_ = fork();                   \
    if (child_ == 0) {                       \
      body;                                  \
      _exit(0);                              \
    }                                        \
    int status_ = 0;                         \
    waitpid(child_, &status_, 0);            \
    fact("%s: %s", what, in_words(status_)); \
  } while (0)

/// Takes "sd" out of the words behind VmFlags: not every kernel of Linux tracks writes.
static inline void leave_out_tracking(char* flags) {
  char* const tracked = strstr(flags, " sd ");
  if (tracked != NULL) memmove(tracked, tracked + 3, strlen(tracked + 3) + 1);
}
