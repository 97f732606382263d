// mmap: where a mapping goes. The arena is the highest free place after the holes above it have
// been filled, so that what goes by default goes there.
#include "memory.h"

#include <sys/personality.h>

static void fill_above(void) {
  for (int n = 0; n < 4096; ++n) {
    char* got = mmap(NULL, kPage, kRead, kShared, -1, 0);
    if (got < arena) {
      munmap(got, kPage);
      return;
    }
    if (got < page((long)arena_pages)) munmap(got, kPage);
    if (got >= arena && got < page((long)arena_pages)) return;
  }
}

static void* get(size_t pages, int flags) { return mmap(NULL, pages * kPage, kRead, flags, -1, 0); }
static void* hint(long at, size_t pages) {
  return mmap(page(at), pages * kPage, kRead, kShared, -1, 0);
}

static void top_down(void) {
  tell_place("the first goes to the top", get(3, kShared));
  tell_place("the next below", get(5, kShared));
  draw("so far", 64);
  munmap(page(61), kPage);
  tell_place("a hole that is wide enough", get(1, kShared));
  munmap(page(57), 2 * kPage);
  tell_place("a hole that is too narrow", get(3, kShared));
  tell_place("the hole again", get(2, kShared));
  munmap(page(62), kPage);
  munmap(page(58), kPage);
  tell_place("the highest of two holes", get(1, kShared));
  tell_place("the other", get(1, kShared));
  draw("afterwards", 64);
  clear_arena();
  place(20, 1, kRead, kShared);
  tell_place("as long as the gap above", get(43, kShared));
  tell_place("one page does not fit there", get(1, kShared));
  tell_place("what fits nowhere goes below the arena", get(20, kShared));
  draw("full but for the first pages", 64);
  munmap(page(-21), 20 * kPage);
  clear_arena();
}

static void hints(void) {
  tell_place("a hint that is free", hint(10, 3));
  tell_place("a hint that is taken", hint(11, 1));
  tell_place("a hint whose end is taken", hint(8, 3));
  tell_place("a hint right below", hint(8, 2));
  tell_place("a hint right above", hint(13, 2));
  tell_place("a hint not of a page is rounded down",
             mmap(page(30) + 123, kPage, kRead, kShared, -1, 0));
  tell_place("a hint in the last byte of a page",
             mmap(page(31) + kPage - 1, kPage, kRead, kShared, -1, 0));
  tell_place("a hint that reaches over the arena", hint(63, 2));
  tell_place("a hint of page 0 is no hint", mmap((void*)123, kPage, kRead, kShared, -1, 0));
  draw("all", 64);
  fact("a low hint goes to the floor or above: %d",
       mmap((void*)4096, kPage, kRead, kShared, -1, 0) >= (void*)65536);
  clear_arena();
}

static void fixed(void) {
  tell_place("fixed", place(5, 4, kRead, kShared));
  tell_place("fixed over it", place(6, 2, kWrite, kPrivate));
  draw("the middle replaced", 16);
  tell_place("fixed over holes and mappings", place(2, 12, kNone, kPrivate));
  draw("all replaced", 16);
  tell_place("NOREPLACE on a mapping",
             mmap(page(5), kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("NOREPLACE that only ends in one",
             mmap(page(0), 3 * kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("NOREPLACE that only begins in one",
             mmap(page(13), 3 * kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("NOREPLACE around one",
             mmap(page(1), 14 * kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("NOREPLACE between",
             mmap(page(0), 2 * kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("NOREPLACE and FIXED together",
             mmap(page(14), kPage, kRead, kPrivate | MAP_FIXED | MAP_FIXED_NOREPLACE, -1, 0));
  tell_place("the two together on a mapping",
             mmap(page(14), kPage, kRead, kPrivate | MAP_FIXED | MAP_FIXED_NOREPLACE, -1, 0));
  draw("all", 16);
  strcpy(place(3, 1, kWrite, kPrivate), "old");
  strcpy(place(4, 1, kWrite, kPrivate), "other");
  place(3, 1, kWrite, kPrivate);
  fact("a page replaced is empty: %d; its neighbour is not: %s", page(3)[0], page(4));
  clear_arena();
}

static void with_stacks(void) {
  char* stack = place(40, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  tell_place("a stack", stack);
  tell_place("above it", get(22, kShared));
  char* below = get(1, kShared);
  fact("below it lies its guard gap: %ld pages", (stack - below) / kPage);
  munmap(below, kPage);
  tell_place("a hint in the gap is not heeded", hint(39, 1) < (void*)arena ? stack : arena);
  tell_place("fixed in the gap", place(38, 1, kRead, kShared));
  draw("a stack and its neighbours", 64);
  clear_arena();
}

static void low(void) {
  const int flags = kShared | MAP_32BIT;
  char* first = get(3, flags);
  char* second = get(1, flags);
  fact("MAP_32BIT: above 1 GiB %d, below 2 GiB %d", first >= (char*)(1UL << 30),
       first + 3 * kPage <= (char*)(1UL << 31));
  fact("from below upward: %d", second == first + 3 * kPage);
  munmap(first + kPage, kPage);
  fact("the first hole: %d", (char*)get(1, flags) == first + kPage);
  fact("too large: %s", get(300000, flags | MAP_NORESERVE) == MAP_FAILED ? "no place" : "ok");
  fact("a hint is heeded before the flag: %d",
       mmap(page(7), kPage, kRead, flags, -1, 0) == page(7));
  tell_place("fixed is fixed", mmap(page(9), kPage, kRead, flags | MAP_FIXED, -1, 0));
  munmap(first, 4 * kPage);
  clear_arena();
}

static void populated(void) {
  mark_resident();
  place(0, 8, kWrite, kPrivate);
  tell_resident("a mapping");
  place(8, 8, kWrite, kPrivate | MAP_POPULATE);
  tell_resident("MAP_POPULATE");
  place(16, 8, kRead, kPrivate | MAP_POPULATE);
  tell_resident("of memory that may only be read");
  place(24, 8, kNone, kPrivate | MAP_POPULATE);
  tell_resident("of memory without rights");
  place(32, 8, kWrite, kPrivate | MAP_POPULATE | MAP_NONBLOCK);
  tell_resident("with MAP_NONBLOCK");
  place(40, 8, kWrite, kShared | MAP_POPULATE);
  tell_resident("of shared memory");
  place(48, 8, kWrite, kPrivate | MAP_LOCKED);
  tell_resident("MAP_LOCKED");
  draw("these", 56);
  clear_arena();
  tell_resident("unmapped");
}

int main(int count, char** arguments) {
  // Without randomization MAP_32BIT begins at 1 GiB exactly, and nothing of the program's lies
  // there.
  if (count == 1 && personality(ADDR_NO_RANDOMIZE) >= 0) {
    char* again[] = {arguments[0], "again", NULL};
    execv("/proc/self/exe", again);
  }
  make_arena(64);
  fill_above();
  top_down();
  hints();
  fixed();
  with_stacks();
  low();
  populated();
  return 0;
}
