// Measures fork from inside a guest whose time stamp counter counts instructions (quire bench fork).
//
//   fork_probe anon MIB     a parent with so much touched anonymous memory
//   fork_probe huge MIB     … in huge pages, from a pool that the probe sets up
//   fork_probe maps N       a parent with N mappings of one page each
//
// Prints one line per figure: its name and a value per repetition. Tables are counted by the guest's /proc/vmstat; where there is no such
// counter (on Linux) those lines are missing. Order of parent and child: the child of a measured fork at once blocks on a pipe, and the
// parent lets it go on; a repetition in which the child ran before fork returned shows as an outlier, so the reader takes the median.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { kPage = 4096, kRepetitions = 5 };

// Reads a small file whole; 0 if it cannot.
static size_t read_file(const char* path, char* to, size_t size) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  size_t length = 0;
  ssize_t count;
  while (length < size - 1 && (count = read(fd, to + length, size - 1 - length)) > 0) length += (size_t)count;
  close(fd);
  to[length] = '\0';
  return length;
}

// The number after `key` at the beginning of a line of a file, or -1.
static long figure(const char* path, const char* key) {
  static char text[16384];
  if (read_file(path, text, sizeof text) == 0) return -1;
  const size_t length = strlen(key);
  for (const char* line = text; line != NULL; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (strncmp(line, key, length) == 0) return atol(line + length);
  }
  return -1;
}

static long tables_allocated(void) { return figure("/proc/vmstat", "pgtable_alloc "); }

static volatile char* map_anonymous(size_t pages, int flags) {
  volatile char* memory = mmap(NULL, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  for (size_t i = 0; i < pages; ++i) memory[i * kPage] = 1;
  return memory;
}

// Every second page read-only, so that no two neighbours merge.
static void split_mappings(volatile char* memory, size_t pages) {
  for (size_t i = 1; i < pages; i += 2) {
    if (mprotect((char*)memory + i * kPage, kPage, PROT_READ) != 0) die("mprotect");
  }
}

struct Sample {
  int64_t fork, parent_write, child_write, tables, child_vmpte_kb;
};

static uint64_t overhead;  // of one measurement

static int64_t elapsed(uint64_t begin) { return (int64_t)(now() - begin - overhead); }

static int64_t time_store(volatile char* at) {
  const uint64_t begin = now();
  *at = 2;
  return elapsed(begin);
}

static void pass(int fd, const void* data, size_t size) {
  if (write(fd, data, size) != (ssize_t)size) die("write to a pipe");
}

static void take(int fd, void* data, size_t size) {
  if (read(fd, data, size) != (ssize_t)size) die("read from a pipe");
}

// One fork whose child stays, idle first, then writing one byte.
static struct Sample sample_fork(volatile char* at) {
  struct Sample sample;
  int64_t written = 0;
  int to_child[2], to_parent[2];
  char byte = 0, path[64];
  if (pipe(to_child) != 0 || pipe(to_parent) != 0) die("pipe");
  const long tables_before = tables_allocated();
  const uint64_t begin = now();
  const pid_t child = fork();
  if (child == 0) {
    pass(to_parent[1], &byte, 1);
    take(to_child[0], &byte, 1);
    written = time_store(at);
    pass(to_parent[1], &written, sizeof written);
    _exit(0);
  }
  sample.fork = elapsed(begin);
  if (child < 0) die("fork");
  take(to_parent[0], &byte, 1);
  const long tables_after = tables_allocated();
  sample.tables = tables_before < 0 ? -1 : tables_after - tables_before;
  snprintf(path, sizeof path, "/proc/%d/status", (int)child);
  sample.child_vmpte_kb = figure(path, "VmPTE:");
  sample.parent_write = time_store(at);
  pass(to_child[1], &byte, 1);
  take(to_parent[0], &sample.child_write, sizeof sample.child_write);
  if (waitpid(child, NULL, 0) != child) die("waitpid");
  for (int i = 0; i < 2; ++i) {
    close(to_child[i]);
    close(to_parent[i]);
  }
  return sample;
}

static int64_t sample_fork_exit_wait(void) {
  const uint64_t begin = now();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  if (child < 0 || waitpid(child, NULL, 0) != child) die("fork");
  return elapsed(begin);
}

static void print(const char* name, const int64_t* values, size_t stride) {
  if (*values < 0) return;
  fputs(name, stdout);
  for (int i = 0; i < kRepetitions; ++i) printf(" %lld", (long long)values[(size_t)i * stride]);
  putchar('\n');
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: fork_probe anon MIB | huge MIB | maps N\n", stderr);
    return 2;
  }
  const size_t count = strtoul(argv[2], NULL, 10);
  const int in_mappings = strcmp(argv[1], "maps") == 0;
  const size_t pages = in_mappings ? count : count * (1024 * 1024 / kPage);
  const int in_huge_pages = strcmp(argv[1], "huge") == 0;
  if (in_huge_pages) set_huge_pages(count / 2 + 4);  // and some for copies
  volatile char* memory = map_anonymous(pages, in_huge_pages ? MAP_HUGETLB : 0);
  if (in_mappings) split_mappings(memory, pages);
  volatile char* middle = memory + pages / 4 * 2 * kPage;  // an even page: writable

  const uint64_t begin = now();
  overhead = now() - begin;
  tables_allocated();  // its buffer is touched now
  sleep_first();  // from here on nothing waits for the host
  struct Sample samples[kRepetitions];
  int64_t round_trips[kRepetitions];
  for (int i = 0; i < kRepetitions; ++i) samples[i] = sample_fork(middle);
  for (int i = 0; i < kRepetitions; ++i) round_trips[i] = sample_fork_exit_wait();

  const size_t stride = sizeof samples[0] / sizeof(int64_t);
  print("fork", &samples[0].fork, stride);
  print("fork_exit_wait", round_trips, 1);
  print("first_write_parent", &samples[0].parent_write, stride);
  print("first_write_child", &samples[0].child_write, stride);
  print("tables", &samples[0].tables, stride);
  print("child_vmpte_kb", &samples[0].child_vmpte_kb, stride);
  return 0;
}
