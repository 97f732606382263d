// What a program reads about its memory: figures of smaps, words of pagemap. Shared by the
// conformance programs about them.
#pragma once
#include "facts.h"

#include <fcntl.h>
#include <sys/mman.h>

#define PAGE 4096UL

/// Pages between two of shared memory that nobody may touch, so that they are a mapping of their
/// own whatever is done to them.
static inline char* area(size_t pages, int flags) {
  char* all = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return mmap(all + PAGE, pages * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_ANONYMOUS | flags,
              -1, 0);
}
static inline void fill(char* at, size_t pages) {
  for (size_t n = 0; n < pages; ++n) at[n * PAGE] = 1;
}
static inline int sum(const volatile char* at, size_t pages) {
  int total = 0;
  for (size_t n = 0; n < pages; ++n) total += at[n * PAGE];
  return total;
}

static const char* const kFigures[] = {"Rss",           "Pss",          "Pss_Dirty",
                                       "Shared_Clean",  "Shared_Dirty", "Private_Clean",
                                       "Private_Dirty", "Anonymous",    "Locked"};
#define FIGURES (sizeof kFigures / sizeof *kFigures)

/// A fact: the figures of the mappings inside a range, in kB, as /proc/PID/smaps has them.
static inline void smaps_fact_of(pid_t pid, const char* what, char* at, size_t pages) {
  char path[64], line[512], text[256] = "";
  snprintf(path, sizeof path, "/proc/%d/smaps", pid);
  FILE* file = fopen(path, "r");
  long figures[FIGURES] = {0};
  int inside = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    unsigned long begin, end;
    char separator;
    if (sscanf(line, "%lx-%lx%c", &begin, &end, &separator) == 3 && separator == ' ') {
      inside = begin >= (unsigned long)at && end <= (unsigned long)at + pages * PAGE;
      continue;
    }
    for (size_t n = 0; n < FIGURES && inside; ++n) {
      const size_t length = strlen(kFigures[n]);
      if (strncmp(line, kFigures[n], length) == 0 && line[length] == ':')
        figures[n] += strtol(line + length + 1, NULL, 10);
    }
  }
  if (file != NULL) fclose(file);
  for (size_t n = 0; n < FIGURES; ++n) {
    if (figures[n] != 0) {
      snprintf(text + strlen(text), sizeof text - strlen(text), " %s %ld", kFigures[n], figures[n]);
    }
  }
  fact("%s:%s", what, text);
}
static inline void smaps_fact(const char* what, char* at, size_t pages) {
  smaps_fact_of(getpid(), what, at, pages);
}

/// The word of pagemap for an address, with the bits that depend on how Linux was built left out.
static inline uint64_t pagemap_word(pid_t pid, const void* at) {
  char path[64];
  uint64_t word = 0;
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  const int fd = open(path, O_RDONLY);
  if (pread(fd, &word, sizeof word, (off_t)((uintptr_t)at / PAGE * 8)) != sizeof word) word = ~0UL;
  close(fd);
  return word & ~(1UL << 55);
}

/// A fact: a letter for each page. '.' nothing, 'p' present, 'E' private and exclusive, 's' of a
/// file or shared memory, 'S' that and exclusive.
static inline void pagemap_fact_of(pid_t pid, const char* what, const char* at, size_t pages) {
  char text[128] = "";
  for (size_t n = 0; n < pages; ++n) {
    const uint64_t word = pagemap_word(pid, at + n * PAGE);
    const int shared = (word >> 61 & 1) != 0, exclusive = (word >> 56 & 1) != 0;
    text[n] = (word >> 63) == 0 ? (word == 0 ? '.' : '?')
              : shared          ? (exclusive ? 'S' : 's')
                                : (exclusive ? 'E' : 'p');
  }
  fact("%s: %s", what, text);
}
static inline void pagemap_fact(const char* what, const char* at, size_t pages) {
  pagemap_fact_of(getpid(), what, at, pages);
}

/// Two processes that take turns: each waits for the other's byte.
struct Turns {
  int to_child[2], to_parent[2];
};
static inline void begin_turns(struct Turns* turns) {
  if (pipe(turns->to_child) != 0 || pipe(turns->to_parent) != 0) _exit(98);
}
static inline void give(const int* ends) {
  if (write(ends[1], "", 1) != 1) _exit(97);
}
static inline void await(const int* ends) {
  char byte;
  if (read(ends[0], &byte, 1) != 1) _exit(96);
}
