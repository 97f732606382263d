// What programs that measure have in common.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

__attribute__((noreturn)) static inline void die(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

/// The time stamp counter, read between what comes before and what comes after.
static inline uint64_t now(void) {
  _mm_lfence();
  const uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}

/// Puts whatever the kernel does periodically at the same distance from what is measured in every run; in exact mode it takes no time.
static inline void sleep_first(void) {
  const struct timespec pause = {.tv_sec = 1};
  nanosleep(&pause, NULL);
}

/// Sets aside `pages` huge pages of 2 MiB.
static inline void set_huge_pages(size_t pages) {
  FILE* const pool = fopen("/proc/sys/vm/nr_hugepages", "w");
  if (pool == NULL || fprintf(pool, "%zu\n", pages) < 0 || fclose(pool) != 0) die("nr_hugepages");
}
