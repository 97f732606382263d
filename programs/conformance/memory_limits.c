// RLIMIT_AS and RLIMIT_DATA, and the figures of /proc/self/status that they bound.
#include "memory.h"

#include <sys/resource.h>

static long size_before, data_before;
static void mark(void) {
  size_before = status_of("VmSize:");
  data_before = status_of("VmData:");
}
static void figures(const char* what) {
  const long size = status_of("VmSize:"), data = status_of("VmData:");
  fact("%s: VmSize %+ld, VmData %+ld kB", what, size - size_before, data - data_before);
}
static const char* map(long at, size_t pages, int prot, int flags) {
  return place(at, pages, prot, flags) == MAP_FAILED ? strerrorname_np(errno) : "ok";
}
static void bound(int which, long pages) {
  const long now = status_of(which == RLIMIT_AS ? "VmSize:" : "VmData:") * 1024;
  const struct rlimit limit = {(rlim_t)(now + pages * kPage), RLIM_INFINITY};
  setrlimit(which, &limit);
}
static void unbound(int which) {
  const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(which, &limit);
}

static void sizes(void) {
  mark();
  place(0, 10, kWrite, kPrivate);
  figures("ten private writable pages");
  mprotect(page(0), 4 * kPage, kRead);
  figures("four may not be written");
  mprotect(page(0), 4 * kPage, kRead | PROT_WRITE | PROT_EXEC);
  figures("or executed and written");
  place(10, 10, kWrite, kShared);
  figures("ten shared pages");
  place(20, 10, kNone, kPrivate);
  figures("ten pages without rights");
  place(30, 10, kWrite, kPrivate | MAP_NORESERVE);
  figures("ten that are not reserved");
  place(40, 10, kWrite, kPrivate | MAP_GROWSDOWN);
  figures("a stack of ten");
  munmap(page(5), 40 * kPage);
  figures("forty of them unmapped");
  clear_arena();
  figures("all");
}

static void peak(void) {
  const long before = status_of("VmPeak:");
  for (int n = 0; n < 4; ++n) {
    place(0, 60, kRead, kPrivate);
    clear_arena();
  }
  fact("VmPeak is VmSize or more: %d", status_of("VmPeak:") >= status_of("VmSize:"));
  char* large = mmap(NULL, 256UL << 20, kNone, kPrivate, -1, 0);
  munmap(large, 256UL << 20);
  fact("VmPeak keeps what was: %d", status_of("VmPeak:") >= before + (200 << 10));
  fact("VmSize does not: %d", status_of("VmSize:") < before + (200 << 10));
}

static void address_space(void) {
  bound(RLIMIT_AS, 10);
  fact("eleven pages: %s", map(0, 11, kRead, kPrivate));
  fact("without rights: %s", map(0, 11, kNone, kPrivate | MAP_NORESERVE));
  fact("shared: %s", map(0, 11, kRead, kShared));
  fact("ten: %s", map(0, 10, kRead, kPrivate));
  fact("one more: %s", map(20, 1, kRead, kPrivate));
  fact("in place of others: %s", map(0, 10, kWrite, kPrivate));
  fact("in place of others and one more: %s", map(0, 11, kWrite, kPrivate));
  draw("what was there stays", 12);
  fact("five elsewhere after five are gone: %s",
       (munmap(page(0), 5 * kPage), map(20, 5, kRead, kPrivate)));
  fact("rights may change: %s", outcome(mprotect(page(5), 5 * kPage, kNone)));
  bound(RLIMIT_AS, -4);
  fact("below what is used, nothing more: %s", map(30, 1, kRead, kPrivate));
  fact("but less: %s", outcome(munmap(page(20), kPage)));
  fact("in place of another: %s", map(21, 1, kWrite, kPrivate));
  unbound(RLIMIT_AS);
  clear_arena();
}

static void data(void) {
  bound(RLIMIT_DATA, 10);
  fact("eleven pages of data: %s", map(0, 11, kWrite, kPrivate));
  fact("eleven to be read: %s", map(0, 11, kRead, kPrivate));
  fact("eleven shared: %s", map(20, 11, kWrite, kShared));
  fact("a stack of eleven: %s", map(40, 11, kWrite, kPrivate | MAP_GROWSDOWN));
  clear_arena();
  fact("ten of data: %s", map(0, 10, kWrite, kPrivate));
  fact("one more: %s", map(20, 1, kWrite, kPrivate));
  fact("in place of others: %s", map(0, 10, kRead | PROT_WRITE | PROT_EXEC, kPrivate));
  fact("in place of others and one more: %s", map(0, 11, kWrite, kPrivate));
  fact("five become read-only: %s", outcome(mprotect(page(0), 5 * kPage, kRead)));
  fact("then five fit: %s", map(20, 5, kWrite, kPrivate));
  fact("the five back: %s", outcome(mprotect(page(0), 5 * kPage, kWrite)));
  draw("in the end", 26);
  unbound(RLIMIT_DATA);
  clear_arena();
}

// As far as a program sees it: unless everything is granted (mode 1), what is more than the machine
// has is refused if it is reserved.
static const char* as_the_mode_says(int refused) {
  const int grants_all = atoi(text_of("/proc/sys/vm/overcommit_memory")) == 1;
  return refused == !grants_all ? "as the mode says" : "not as the mode says";
}

static void overcommit(void) {
  const size_t much = 64UL << 40;
  char* at = mmap(NULL, 64UL << 20, kWrite, kPrivate, -1, 0);
  fact("64 MiB: %s", at == MAP_FAILED ? "refused" : "ok");
  munmap(at, 64UL << 20);
  at = mmap(NULL, much, kWrite, kPrivate | MAP_NORESERVE, -1, 0);
  fact("64 TiB, not reserved: %s", at == MAP_FAILED ? "refused" : "ok");
  fact("the last page: %s", touch('w', at + much - 1));
  fact("the first page: %s", touch('r', at));
  munmap(at, much);
  at = mmap(NULL, much, kRead, kPrivate, -1, 0);
  fact("64 TiB to be read: %s", at == MAP_FAILED ? "refused" : "ok");
  fact("a page in the middle: %s", touch('r', at + much / 2));
  fact("made writable: %s", as_the_mode_says(mprotect(at, much, kWrite) != 0));
  munmap(at, much);
  at = mmap(NULL, much, kWrite, kPrivate, -1, 0);
  fact("64 TiB, reserved: %s", as_the_mode_says(at == MAP_FAILED));
  if (at != MAP_FAILED) munmap(at, much);
  at = mmap(NULL, much, kWrite, kShared, -1, 0);
  fact("64 TiB, shared: %s", as_the_mode_says(at == MAP_FAILED));
  if (at != MAP_FAILED) munmap(at, much);
}

int main(void) {
  make_arena(64);
  catch_faults();
  sizes();
  peak();
  address_space();
  data();
  overcommit();
  return 0;
}
