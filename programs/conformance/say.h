/* One line per rule: what was done, what came back. Numbers that differ from run to run are not printed. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the programs do only to get somewhere is not checked: the comparison would show it. */
#pragma GCC diagnostic ignored "-Wunused-result"

/* An address that no program has; volatile, so that the compiler does not reason about it. */
static void *volatile bad_address = (void *)8;

/* Says the result of a call: its value, or the name of its error. */
static inline long say(const char *what, long result) {
  if (result < 0)
    printf("%s: %s\n", what, strerrorname_np(errno));
  else
    printf("%s: %ld\n", what, result);
  return result;
}

static inline void say_text(const char *what, const char *text) { printf("%s: %s\n", what, text); }
