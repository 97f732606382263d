// Measures single operations on memory from inside a guest whose time stamp counter counts instructions (quire bench memory).
//
// Prints one line per figure: its name and a value per repetition, each the mean over kPages pages (or calls) rounded down. Faults of one
// page cost the same within an untouched 2 MiB span but for the first, so the spans are entered before measuring. Of huge pages, of 2 MiB,
// the mean is over kHugePages.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { kPage = 4096, kPages = 256, kRepetitions = 5, kSpan = 512 * kPage, kHugePages = 8 };

static uint64_t overhead;  // of one measurement
static int64_t mean_of(int count, uint64_t begin) { return (int64_t)(now() - begin - overhead) / count; }
static int64_t mean(uint64_t begin) { return mean_of(kPages, begin); }

static char* map(size_t size) {
  char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) die("mmap");
  return at;
}

// Fresh memory that fills a span of its own; its last page is written.
static char* fresh_span(void) {
  char* all = map(2 * kSpan);
  char* at = (char*)(((uintptr_t)all + kSpan - 1) & ~(uintptr_t)(kSpan - 1));
  at[kSpan - kPage] = 1;
  return at;
}

static int64_t write_all(volatile char* at) {
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) at[n * kPage] = 1;
  return mean(begin);
}

static int64_t read_all(volatile char* at) {
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) (void)at[n * kPage];
  return mean(begin);
}

static int64_t system_call(void) {
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) syscall(SYS_getppid);
  return mean(begin);
}

static int64_t clock_gettime_call(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);  // its pages are there
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) clock_gettime(CLOCK_MONOTONIC, &time);
  return mean(begin);
}

static int64_t write_fault(void) { return write_all(fresh_span()); }
static int64_t zero_read(void) { return read_all(fresh_span()); }

static int64_t write_over_zero(void) {
  char* at = fresh_span();
  read_all(at);
  return write_all(at);
}

// Memory to be measured, and a page beside it, written, whose tables are the same.
struct Area {
  char* at;
  char* beside;
  int64_t (*write_all)(volatile char* at);
};

static struct Area small_area(void) {
  char* at = fresh_span();
  return (struct Area){at, at + kSpan - kPage, write_all};
}

// Leaves the pages shared with a child, which lives until the returned descriptor is closed; or with one that is gone.
static int64_t write_after_fork(struct Area area, int child_lives) {
  area.write_all(area.at);
  int gate[2], ready[2];
  char byte = 0;
  if (pipe(gate) != 0 || pipe(ready) != 0) die("pipe");
  const pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    close(gate[1]);
    *area.beside = 2;  // its own copy of the table
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
  }
  if (read(ready[0], &byte, 1) != 1) die("read");
  *area.beside = 3;  // and ours
  if (!child_lives) {
    close(gate[1]);
    waitpid(child, NULL, 0);
  }
  const int64_t result = area.write_all(area.at);
  if (child_lives) {
    close(gate[1]);
    waitpid(child, NULL, 0);
  }
  close(gate[0]);
  close(ready[0]);
  close(ready[1]);
  return result;
}

static int64_t cow_copy(void) { return write_after_fork(small_area(), 1); }
static int64_t cow_reuse(void) { return write_after_fork(small_area(), 0); }

static int64_t munmap_populated(void) {
  char* at = fresh_span();
  write_all(at);
  const uint64_t begin = now();
  munmap(at, kPages * kPage);
  return mean(begin);
}

static int64_t dontneed_populated(void) {
  char* at = fresh_span();
  write_all(at);
  const uint64_t begin = now();
  madvise(at, kPages * kPage, MADV_DONTNEED);
  return mean(begin);
}

static int64_t mmap_touch_munmap(void) {
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) {
    char* at = map(kPage);
    *(volatile char*)at = 1;
    munmap(at, kPage);
  }
  return mean(begin);
}

static int64_t mmap_munmap(void) {
  const uint64_t begin = now();
  for (int n = 0; n < kPages; ++n) munmap(map(kPage), kPage);
  return mean(begin);
}

// Of half a span to another place in its tables: leaf by leaf.
static int64_t mremap_leaves(void) {
  char* at = fresh_span();
  write_all(at);
  char* to = fresh_span() + kPage;
  const uint64_t begin = now();
  if (mremap(at, kPages * kPage, kPages * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) die("mremap");
  return mean(begin);
}

static int64_t write_huge_pages(volatile char* at) {
  const uint64_t begin = now();
  for (int n = 0; n < kHugePages; ++n) at[(size_t)n * kSpan] = 1;
  return mean_of(kHugePages, begin);
}

static struct Area huge_area(void) {
  char* at = mmap(NULL, (size_t)(kHugePages + 1) * kSpan, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (at == MAP_FAILED) die("mmap of huge pages");
  char* beside = at + (size_t)kHugePages * kSpan;
  *beside = 1;
  return (struct Area){at, beside, write_huge_pages};
}

static int64_t unmap_huge(struct Area area) {
  const uint64_t begin = now();
  munmap(area.at, (size_t)kHugePages * kSpan);
  const int64_t result = mean_of(kHugePages, begin);
  munmap(area.beside, kSpan);
  return result;
}

static int64_t huge_write_fault(void) {
  const struct Area area = huge_area();
  const int64_t result = write_huge_pages(area.at);
  unmap_huge(area);
  return result;
}

static int64_t huge_write_after_fork(int child_lives) {
  const struct Area area = huge_area();
  const int64_t result = write_after_fork(area, child_lives);
  unmap_huge(area);
  return result;
}

static int64_t huge_cow_copy(void) { return huge_write_after_fork(1); }
static int64_t huge_cow_reuse(void) { return huge_write_after_fork(0); }

static int64_t huge_munmap(void) {
  const struct Area area = huge_area();
  write_huge_pages(area.at);
  return unmap_huge(area);
}

static void measure(const char* name, int64_t (*operation)(void)) {
  fputs(name, stdout);
  for (int n = 0; n < kRepetitions; ++n) printf(" %lld", (long long)operation());
  putchar('\n');
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 4096);
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  const uint64_t begin = now();
  overhead = now() - begin;
  sleep_first();
  measure("system_call", system_call);
  measure("clock_gettime", clock_gettime_call);
  measure("write_fault", write_fault);
  measure("zero_read", zero_read);
  measure("write_over_zero", write_over_zero);
  measure("cow_copy", cow_copy);
  measure("cow_reuse", cow_reuse);
  measure("munmap_populated", munmap_populated);
  measure("dontneed_populated", dontneed_populated);
  measure("mmap_touch_munmap", mmap_touch_munmap);
  measure("mmap_munmap", mmap_munmap);
  measure("mremap_leaves", mremap_leaves);
  set_huge_pages(3 * (kHugePages + 1));
  measure("huge_write_fault", huge_write_fault);
  measure("huge_cow_copy", huge_cow_copy);
  measure("huge_cow_reuse", huge_cow_reuse);
  measure("huge_munmap", huge_munmap);
  return 0;
}
