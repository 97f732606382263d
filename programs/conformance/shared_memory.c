// Shared memory without a file: across fork, split, remapped, and /dev/zero.
#include "memory.h"

static void across_fork(void) {
  place(0, 8, kWrite, kShared);
  for (int n = 0; n < 8; ++n) *page(n) = (char)('a' + n);
  int ends[2];
  pipe(ends);
  char byte;
  const pid_t child = fork();
  if (child == 0) {
    *page(1) = 'B';
    *page(7) = 'H';
    IN_CHILD("a grandchild", *page(2) = 'C');
    write(ends[1], "x", 1);
    milliseconds(5);
    _exit(*page(3) == 'D' ? 1 : 0);
  }
  read(ends[0], &byte, 1);
  *page(3) = 'D';
  fact("written by all generations: %c%c%c%c%c", *page(0), *page(1), *page(2), *page(3), *page(7));
  int status;
  waitpid(child, &status, 0);
  fact("outlives the child: %c", *page(1));
  IN_CHILD("a child that never touched it first", {
    place(8, 1, kRead, kPrivate);
    fact("reads: %c%c", *page(7), *page(6));
  });
  clear_arena();
}

static void first_touch(void) {
  place(0, 4, kWrite, kShared);
  IN_CHILD("a child is the first to write", strcpy(page(2), "made by the child"));
  fact("the parent reads: %s", page(2));
  IN_CHILD("a child reads first", fact("zero: %d", *page(3)));
  *page(3) = 3;
  IN_CHILD("the next", fact("reads: %d", *page(3)));
  clear_arena();
}

static void mixed(void) {
  place(0, 4, kWrite, kShared);
  place(4, 4, kWrite, kPrivate);
  memset(page(0), 1, 8 * kPage);
  IN_CHILD("a child", memset(page(0), 2, 8 * kPage));
  fact("shared: %d, private: %d", *page(3), *page(4));
  mprotect(page(0), 8 * kPage, kRead);
  IN_CHILD("to be read only", {
    fact("shared: %s; private: %s", touch('w', page(0)), touch('r', page(7)));
    mprotect(page(0), 8 * kPage, kWrite);
    *page(0) = 5;
    *page(7) = 5;
  });
  fact("shared: %d, private: %d", *page(0), *page(7));
  clear_arena();
}

static void pieces(void) {
  place(0, 8, kWrite, kShared);
  for (int n = 0; n < 8; ++n) *page(n) = (char)n;
  munmap(page(2), 2 * kPage);
  fact("a hole: %s", touch('r', page(2)));
  IN_CHILD("a child", {
    fact("the same hole: %s", touch('r', page(3)));
    munmap(page(0), 2 * kPage);
    *page(5) = 55;
  });
  fact("around it: %d %d %d", *page(1), *page(4), *page(5));
  draw("pieces", 10);
  clear_arena();
}

static void residence(void) {
  mark_resident();
  const long before = status_of("RssShmem:"), anon = status_of("RssAnon:");
  place(0, 16, kWrite, kShared);
  memset(page(0), 1, 16 * kPage);
  fact("RssShmem %+ld, RssAnon %+ld kB", status_of("RssShmem:") - before,
       status_of("RssAnon:") - anon);
  IN_CHILD("a child", {
    // Linux does not copy entries of shared memory; Quire shares the tables: only what was read is
    // compared.
    for (int n = 0; n < 16; ++n) fault_signal += *(volatile char*)page(n);
    tell_resident("after it has read all");
  });
  clear_arena();
  tell_resident("unmapped");
}

/// How /proc/self/maps calls what begins at page `n`.
static const char* name_of(long n) {
  char key[32];
  snprintf(key, sizeof key, "%lx-", (unsigned long)page(n));
  char* line = strstr(text_of("/proc/self/maps"), key);
  if (line == NULL) return "not there";
  char* end = strchr(line, '\n');
  if (end != NULL) *end = 0;
  char* name = strchr(line, '/');
  return name == NULL ? "no name" : name;
}

static void names(void) {
  place(0, 1, kWrite, kShared);
  place(2, 1, kWrite, kPrivate);
  fact("shared memory is called: %s", name_of(0));
  fact("private memory is called: %s", name_of(2));
  clear_arena();
}

int main(void) {
  make_arena(64);
  catch_faults();
  across_fork();
  first_touch();
  mixed();
  pieces();
  residence();
  names();
  return 0;
}
