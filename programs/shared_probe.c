// Measures what it costs to map memory that others have mapped before, from inside a guest whose time stamp counter counts instructions
// (quire bench shared): shared_probe MIB.
//
// The first process writes all of a shared memory file; then others, one after another, map it anew and write or read all of it. Prints one
// line per figure: its name and a value per repetition. Passes are instructions a page, rounded down; faults and page tables (KiB) are
// totals.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { kPage = 4096, kRepetitions = 3 };

static size_t size;
static int file;

static long faults(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

static long table_kib(void) {
  char line[256];
  long kib = -1;
  FILE* status = fopen("/proc/self/status", "r");
  if (status == NULL) die("/proc/self/status");
  while (fgets(line, sizeof line, status) != NULL) sscanf(line, "VmPTE: %ld", &kib);
  fclose(status);
  return kib;
}

static volatile char* map(void) {
  char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) die("mmap");
  return at;
}

enum Pass { kWrite, kRead };
struct Cost {
  uint64_t per_page;
  long faults, table_kib;
};

static struct Cost pass(enum Pass what) {
  volatile char* at = map();
  const long tables = table_kib(), before = faults();
  const uint64_t begin = now();
  if (what == kWrite) {
    for (size_t n = 0; n < size; n += kPage) at[n] = 1;
  } else {
    for (size_t n = 0; n < size; n += kPage) (void)at[n];
  }
  const struct Cost cost = {(now() - begin) / (size / kPage), faults() - before, table_kib() - tables};
  munmap((void*)at, size);
  return cost;
}

// By a process that has never mapped it.
static struct Cost later(enum Pass what) {
  int result[2];
  struct Cost cost;
  if (pipe(result) != 0) die("pipe");
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    cost = pass(what);
    _exit(write(result[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
  }
  if (read(result[0], &cost, sizeof cost) != sizeof cost) die("read");
  waitpid(child, NULL, 0);
  close(result[0]);
  close(result[1]);
  return cost;
}

static void print(const char* name, const uint64_t* values) {
  fputs(name, stdout);
  for (int n = 0; n < kRepetitions; ++n) printf(" %llu", (unsigned long long)values[n]);
  putchar('\n');
}

int main(int argc, char** argv) {
  if (argc != 2 || (size = strtoul(argv[1], NULL, 10) << 20) == 0) {
    fputs("usage: shared_probe MIB\n", stderr);
    return 2;
  }
  file = memfd_create("shared", 0);
  if (file < 0 || ftruncate(file, (off_t)size) != 0) die("memfd");
  sleep_first();
  uint64_t first[kRepetitions], write_pass[kRepetitions], read_pass[kRepetitions], write_faults[kRepetitions], read_faults[kRepetitions],
      tables[kRepetitions];
  first[0] = pass(kWrite).per_page;
  for (int n = 1; n < kRepetitions; ++n) first[n] = first[0];
  for (int n = 0; n < kRepetitions; ++n) {
    const struct Cost written = later(kWrite), was_read = later(kRead);
    write_pass[n] = written.per_page;
    read_pass[n] = was_read.per_page;
    write_faults[n] = (uint64_t)written.faults;
    read_faults[n] = (uint64_t)was_read.faults;
    tables[n] = (uint64_t)written.table_kib;
  }
  print("first_write_page", first);
  print("later_write_page", write_pass);
  print("later_read_page", read_pass);
  print("later_write_faults", write_faults);
  print("later_read_faults", read_faults);
  print("later_vmpte_kib", tables);
  return 0;
}
