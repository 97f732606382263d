/* Rules of mremap: sizes, places, what stays and what goes, errors and their order. man7 mremap(2). */
#include "memory.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum { kFixed = MREMAP_MAYMOVE | MREMAP_FIXED, kKeep = MREMAP_MAYMOVE | MREMAP_DONTUNMAP };

static void* move(long from, size_t old_pages, size_t new_pages, int flags, long to) {
  return mremap(page(from), old_pages * kPage, new_pages * kPage, flags, page(to));
}

/* Writes its number into each page. */
static void number(long first, long pages) {
  for (long n = first; n < first + pages; ++n) *page(n) = (char)('a' + n % 26);
}

static void tell_contents(const char* what, long first, long pages) {
  char text[64];
  for (long n = 0; n < pages; ++n) {
    const char* seen = touch('r', page(first + n));
    text[n] = strcmp(seen, "ok") != 0 ? '!' : *page(first + n) == 0 ? '0' : *page(first + n);
  }
  text[pages] = 0;
  fact("%s: %s", what, text);
}

static void in_place(void) {
  clear_arena();
  place(0, 3, kWrite, kPrivate);
  place(6, 1, kRead, kPrivate);
  number(0, 3);
  tell_place("the same size", move(0, 3, 3, 0, 0));
  tell_place("smaller", move(0, 3, 2, 0, 0));
  draw("smaller", 8);
  tell_place("larger, where there is room", move(0, 2, 6, 0, 0));
  draw("larger", 8);
  tell_contents("larger", 0, 6);
  tell_place("larger, where there is none", move(0, 6, 7, 0, 0));
  tell_place("a part cannot grow over the rest", move(0, 2, 3, 0, 0));
  tell_place("the last part grows not", move(4, 2, 3, 0, 0));
  tell_place("to nothing", move(0, 6, 0, 0, 0));
  tell_place("a part shrinks", move(1, 3, 1, 0, 0));
  draw("a part shrank", 8);
  tell_place("shrinks over a hole", move(0, 6, 2, 0, 0));
  draw("shrank over a hole", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(3, 2, kWrite, kPrivate);
  tell_place("grows up to its like", move(0, 2, 3, 0, 0));
  draw("grew up to its like", 6);
}

static void moves(void) {
  clear_arena();
  place(0, 6, kWrite, kPrivate);
  number(0, 6);
  tell_place("a part, fixed", move(1, 2, 2, kFixed, 10));
  draw("a part moved", 14);
  tell_contents("a part moved", 0, 14);
  tell_place("onto another", move(10, 2, 2, kFixed, 4));
  draw("onto another", 14);
  tell_contents("onto another", 0, 8);
  tell_place("larger", move(4, 2, 4, kFixed, 12));
  tell_contents("larger", 12, 4);
  tell_place("smaller", move(12, 4, 1, kFixed, 20));
  draw("smaller", 24);
  tell_contents("smaller", 20, 2);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 1, kRead, kPrivate);
  number(0, 2);
  char* moved = move(0, 2, 4, MREMAP_MAYMOVE, 0);
  fact("may move: %s, %c%c%c", moved == page(0) ? "stayed" : "moved", moved[0], moved[kPage],
       moved[3 * kPage] == 0 ? '0' : '1');
  munmap(moved, 4 * kPage);
  draw("may move", 4);
  place(8, 1, kWrite, kPrivate);
  tell_place("stays if it can", move(8, 1, 2, MREMAP_MAYMOVE, 0));
}

static void keeps(void) {
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  number(0, 4);
  tell_place("keeping", move(1, 2, 2, kKeep | MREMAP_FIXED, 10));
  draw("kept", 12);
  tell_contents("kept", 0, 12);
  tell_place("keeping, of another size", move(0, 1, 2, kKeep, 10));
  tell_place("keeping, of another size in the same pages", mremap(page(0), kPage - 5, kPage - 7, kKeep | MREMAP_FIXED, page(14)));
  tell_place("keeping, not to move", move(0, 1, 1, MREMAP_DONTUNMAP, 10));
  tell_place("keeping, with a hint", move(3, 1, 1, kKeep, 20));
  tell_contents("with a hint", 20, 1);
}

static void several(void) {
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kRead, kPrivate);
  place(5, 2, kWrite, kShared);
  place(8, 2, kWrite, kPrivate);
  number(0, 2);
  number(5, 2);
  number(8, 2);
  tell_place("several, with holes", move(1, 9, 9, kFixed, 20));
  draw("several moved", 32);
  tell_contents("several moved", 20, 10);
  tell_place("over several", move(20, 9, 9, kFixed, 10));
  draw("over several", 32);
  place(30, 1, kWrite, kPrivate);
  tell_place("what is in the way of a hole stays", move(10, 9, 9, kFixed, 27));
  draw("what was in the way", 40);
  tell_place("beginning with a hole", move(26, 9, 9, kFixed, 2));
  tell_place("nothing but a hole", move(50, 4, 4, kFixed, 2));
  tell_place("of another size", move(27, 9, 8, kFixed, 2));
  tell_place("larger", move(27, 9, 10, kFixed, 2));
  place(60, 2, kWrite, kPrivate);
  place(62, 2, kRead, kPrivate);
  place(66, 2, kWrite, kPrivate);
  tell_place("one of several, the others cut off", move(60, 7, 2, kFixed, 70));
  tell_place("a part of one", (place(60, 2, kWrite, kPrivate), place(62, 2, kRead, kPrivate), move(61, 3, 1, kFixed, 74)));
  draw("cut off", 80);
  tell_place("without a place", move(27, 9, 9, MREMAP_MAYMOVE, 0));
  tell_place("kept", move(27, 9, 9, kKeep | MREMAP_FIXED, 2));
  draw("kept", 40);
  tell_contents("kept", 0, 40);
  tell_place("overlapping", move(27, 9, 9, kFixed, 30));
  mlock(page(2), kPage);
  tell_place("one of them locked", move(2, 9, 9, kFixed, 44));
  draw("one of them locked", 56);
  munlockall();
}

static void shared(void) {
  clear_arena();
  place(0, 3, kWrite, kShared);
  number(0, 3);
  tell_place("shared, fixed", move(1, 1, 1, kFixed, 8));
  tell_contents("shared", 0, 9);
  tell_place("a second mapping", move(0, 0, 1, kFixed, 12));
  *page(12) = 'Z';
  tell_contents("the first mapping", 0, 1);
  draw("a second mapping", 14);
  tell_place("a second mapping of private memory", (place(16, 1, kWrite, kPrivate), move(16, 0, 1, kFixed, 20)));
  tell_place("a second mapping in place of the first", (place(30, 1, kWrite, kShared), move(30, 0, 1, kFixed, 30)));
  tell_text("then it is gone", touch('r', page(30)));
  tell_place("beyond its object", move(2, 1, 2, kFixed, 24));
  tell_text("within", touch('r', page(24)));
  tell_text("beyond", touch('r', page(25)));
}

static void rights(void) {
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  number(0, 2);
  mprotect(page(0), 2 * kPage, kRead);
  tell_place("read-only", move(0, 2, 2, kFixed, 8));
  tell_text("write", touch('w', page(8)));
  tell_text("read", touch('r', page(9)));
  place(0, 2, kNone, kPrivate);
  tell_place("no rights", move(0, 2, 2, kFixed, 4));
  tell_text("read", touch('r', page(4)));
  draw("rights", 12);
}

static void errors(void) {
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  place(5, 1, kWrite, kPrivate);
  tell_place("unknown flag", move(0, 1, 1, 16, 0));
  tell_place("unknown flag and a hole", move(4, 1, 1, 16, 0));
  tell_place("fixed, not to move", move(0, 1, 1, MREMAP_FIXED, 8));
  tell_place("odd address", mremap(page(0) + 1, kPage, kPage, 0, NULL));
  tell_place("odd address in a hole", mremap(page(4) + 1, kPage, 0, 0, NULL));
  tell_place("odd target", mremap(page(0), kPage, kPage, kFixed, page(8) + 1));
  tell_place("a hole", move(4, 1, 1, 0, 0));
  tell_place("a hole, to nothing", move(4, 1, 0, 0, 0));
  tell_place("over a hole", move(3, 3, 4, MREMAP_MAYMOVE, 0));
  tell_place("over a hole, the same size", move(3, 3, 3, 0, 0));
  // The same size over several mappings, fixed, is an error up to Linux v6.16 only.
  tell_place("over a hole, fixed", move(3, 3, 4, kFixed, 20));
  tell_place("onto itself", move(0, 2, 2, kFixed, 1));
  tell_place("onto its own place", move(0, 2, 2, kFixed, 0));
  tell_place("next to itself", move(0, 1, 1, kFixed, 1));
  draw("errors", 8);
  tell_place("target gone although the source is none", (place(12, 2, kWrite, kPrivate), move(20, 1, 1, kFixed, 12)));
  draw("target", 14);
  tell_place("target gone although the source has a hole", move(3, 3, 4, kFixed, 12));
  draw("target", 14);
  tell_place("beyond user space", mremap(page(1), kPage, kPage, kFixed, (void*)0x7ffffffff000));
  tell_place("huge", mremap(page(0), kPage, (size_t)1 << 47, MREMAP_MAYMOVE, NULL));
  tell_place("a length that wraps", mremap(page(0), kPage, ~(size_t)0, MREMAP_MAYMOVE, NULL));
  tell_place("an old length that wraps", mremap(page(0), ~(size_t)0, kPage, MREMAP_MAYMOVE, NULL));
}

/* What has been shared by fork moves in one of the two only. */
static void forked(void) {
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  number(0, 4);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    tell_place("in the child", move(1, 2, 2, kFixed, 8));
    *page(8) = 'C';
    tell_contents("in the child", 0, 10);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  tell_contents("in the parent", 0, 10);
}

/* As many pages as a table has, and more. */
static void large(void) {
  clear_arena();
  place(0, 1500, kWrite, kPrivate);
  for (long n = 0; n < 1500; ++n) *(long*)page(n) = n;
  mark_resident();
  tell_place("many pages", move(0, 1500, 1500, kFixed, 2048));
  long wrong = 0;
  for (long n = 0; n < 1500; ++n) wrong += *(long*)page(2048 + n) != n;
  fact("many pages: %ld wrong", wrong);
  tell_resident("many pages");
  tell_place("many pages, oddly", move(2048, 1500, 1500, kFixed, 7));
  wrong = 0;
  for (long n = 0; n < 1500; ++n) wrong += *(long*)page(7 + n) != n;
  fact("many pages, oddly: %ld wrong", wrong);
  tell_resident("many pages, oddly");
}

int main(void) {
  make_arena(4096);
  catch_faults();
  in_place();
  moves();
  keeps();
  several();
  shared();
  rights();
  errors();
  forked();
  large();
  return 0;
}
