// munmap: arguments, what goes and what stays.
#include "memory.h"

static const char* unmap(const void* at, size_t length) {
  return outcome(syscall(SYS_munmap, at, length));
}

static void arguments(void) {
  place(0, 4, kWrite, kPrivate);
  fact("length 0: %s", unmap(page(0), 0));
  fact("address not of a page: %s", unmap(page(0) + 1, kPage));
  fact("length is rounded up: %s", unmap(page(3), 1));
  draw("one byte took a page", 6);
  fact("length -1: %s", unmap(page(0), -1UL));
  fact("length that wraps: %s", unmap(page(0), -(size_t)page(0)));
  fact("address in the kernel's half: %s", unmap((void*)(-2UL << 40), kPage));
  fact("the page above the last: %s", unmap((void*)0x7ffffffff000, kPage));
  fact("two pages across the top: %s", unmap((void*)0x7fffffffe000, 2 * kPage));
  fact("page 0: %s", unmap(NULL, kPage));
  fact("nothing there: %s", unmap(page(20), kPage));
  fact("nothing there, twice: %s", unmap(page(20), 8 * kPage));
  fact("alignment before length 0: %s", unmap(page(0) + 1, 0));
  draw("all else is still there", 6);
  clear_arena();
}

static void parts(void) {
  place(0, 10, kWrite, kPrivate);
  for (int n = 0; n < 10; ++n) *page(n) = (char)('a' + n);
  unmap(page(0), kPage);
  draw("the first page", 12);
  unmap(page(9), kPage);
  draw("the last page", 12);
  unmap(page(4), 2 * kPage);
  draw("the middle", 12);
  unmap(page(3), 4 * kPage);
  draw("more, over the hole", 12);
  fact("what stays: %c%c%c%c", *page(1), *page(2), *page(7), *page(8));
  place(0, 10, kRead, kPrivate | MAP_FIXED_NOREPLACE);
  place(3, 4, kWrite, kPrivate);
  draw("the hole filled", 12);
  fact("with zeros: %d%d%d%d", *page(3), *page(4), *page(5), *page(6));
  unmap(page(0), 12 * kPage);
  draw("all, and more", 12);
}

static void several(void) {
  for (int n = 0; n < 12; n += 2) place(n, 1, kWrite, n % 4 == 0 ? kPrivate : kShared);
  draw("six with holes", 14);
  fact("from hole to hole: %s", unmap(page(1), 9 * kPage));
  draw("is one call", 14);
  clear_arena();
}

static void signals(void) {
  place(2, 2, kWrite, kPrivate);
  memset(page(2), 1, 2 * kPage);
  touch_all("before the mapping", page(2) - 1);
  touch_all("behind the mapping", page(4));
  unmap(page(2), kPage);
  touch_all("the page unmapped", page(2) + 17);
  fact("its neighbour: %s", touch('w', page(3)));
  place(2, 1, kWrite, kPrivate);
  fact("mapped again it is zero: %d", *page(2));
  clear_arena();
}

static void residence(void) {
  mark_resident();
  place(0, 32, kWrite, kPrivate);
  memset(page(0), 1, 32 * kPage);
  tell_resident("32 written");
  unmap(page(8), 16 * kPage);
  tell_resident("the middle half unmapped");
  place(8, 16, kWrite, kPrivate);
  tell_resident("mapped again");
  memset(page(0), 1, 32 * kPage);
  tell_resident("written again");
  IN_CHILD("a child that unmaps all", {
    mark_resident();
    unmap(page(0), 32 * kPage);
    tell_resident("in the child");
    fact("its access: %s", touch('r', page(0)));
  });
  tell_resident("in the parent");
  fact("its page: %d", *page(31));
  place(32, 8, kWrite, kShared);
  memset(page(32), 1, 8 * kPage);
  tell_resident("shared memory written");
  unmap(page(32), 8 * kPage);
  tell_resident("shared memory unmapped");
  clear_arena();
  tell_resident("all gone");
}

int main(void) {
  make_arena(64);
  catch_faults();
  arguments();
  parts();
  several();
  signals();
  residence();
  return 0;
}
