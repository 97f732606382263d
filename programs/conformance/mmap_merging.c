// Which mappings become one: pictures read back from /proc/self/maps after mmap, munmap, mprotect
// and madvise. Whether pages were written matters on Linux: two neighbours that each had pages of
// their own before they touched stay two (Linux v6.12 mm/vma.c:is_mergeable_anon_vma()).
#include "memory.h"

static void new_neighbours(void) {
  place(2, 2, kWrite, kPrivate);
  place(4, 2, kWrite, kPrivate);
  draw("one after the other", 12);
  place(0, 2, kWrite, kPrivate);
  draw("one before the other", 12);
  place(8, 2, kWrite, kPrivate);
  place(6, 2, kWrite, kPrivate);
  draw("between two", 12);
  place(3, 1, kRead, kPrivate);
  draw("other rights", 12);
  place(3, 1, kWrite, kPrivate);
  draw("the same again", 12);
  place(3, 1, kWrite, kShared);
  draw("shared", 12);
  place(4, 1, kWrite, kShared);
  draw("two shared do not merge", 12);
  place(3, 2, kWrite, kPrivate | MAP_NORESERVE);
  draw("NORESERVE does not merge with what is accounted", 12);
  place(3, 2, kWrite, kPrivate | MAP_STACK | MAP_DENYWRITE);
  draw("flags without meaning do not matter", 12);
  place(3, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  draw("a stack is alone", 12);
  clear_arena();
  place(0, 2, kRead, kPrivate | MAP_NORESERVE);
  place(2, 2, kRead, kPrivate);
  draw("NORESERVE matters where nothing is accounted, too", 12);
  clear_arena();
  place(0, 4, kWrite, kPrivate | MAP_LOCKED);
  place(4, 4, kWrite, kPrivate);
  draw("locked memory is another", 12);
  clear_arena();
}

static void shared_objects(void) {
  place(0, 6, kWrite, kShared);
  mprotect(page(2), 2 * kPage, kRead);
  draw("one object split", 12);
  mprotect(page(2), 2 * kPage, kWrite);
  draw("and whole again", 12);
  munmap(page(2), kPage);
  draw("with a hole", 12);
  place(2, 1, kWrite, kShared);
  draw("filled with another object", 12);
  clear_arena();
}

static void protections(void) {
  place(0, 12, kWrite, kPrivate);
  mprotect(page(4), 4 * kPage, kRead);
  draw("the middle", 12);
  mprotect(page(0), 4 * kPage, kRead);
  draw("the first joins it, without pages", 12);
  mprotect(page(8), 4 * kPage, kRead);
  draw("the last joins it, without pages", 12);
  mprotect(page(2), 8 * kPage, kNone);
  mprotect(page(2), 8 * kPage, kRead);
  draw("away and back", 12);
  clear_arena();
  place(0, 12, kWrite, kPrivate);
  memset(page(0), 1, 12 * kPage);
  mprotect(page(4), 4 * kPage, kRead);
  draw("the middle of written memory", 12);
  mprotect(page(4), 4 * kPage, kWrite);
  draw("and back", 12);
  mprotect(page(0), 6 * kPage, kRead);
  mprotect(page(6), 6 * kPage, kRead);
  draw("in two steps", 12);
  mprotect(page(0), 12 * kPage, kWrite);
  mprotect(page(3), kPage, kRead);
  mprotect(page(5), kPage, kRead);
  mprotect(page(7), kPage, kNone);
  draw("three islands", 12);
  mprotect(page(2), 7 * kPage, kRead);
  draw("one right over all of them", 12);
  mprotect(page(0), 12 * kPage, kWrite);
  draw("all again", 12);
  clear_arena();
}

// Memory that was written, then lost PROT_WRITE, keeps its accounting; memory mapped without it has
// none.
static void accounting(void) {
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kRead, kPrivate);
  mprotect(page(0), 2 * kPage, kRead);
  draw("never written: accounting is given back", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  *page(0) = 1;
  mprotect(page(0), 2 * kPage, kRead);
  place(2, 2, kRead, kPrivate);
  draw("written: accounted for ever", 8);
  mprotect(page(2), 2 * kPage, kWrite);
  mprotect(page(2), 2 * kPage, kRead);
  draw("the neighbour accounted and given back", 8);
  mprotect(page(2), 2 * kPage, kWrite);
  *page(2) = 1;
  mprotect(page(2), 2 * kPage, kRead);
  draw("the neighbour written as well", 8);
  clear_arena();
}

static void pages_of_their_own(void) {
  place(0, 2, kWrite, kPrivate);
  place(4, 2, kWrite, kPrivate);
  *page(0) = 1;
  *page(4) = 1;
  place(2, 2, kWrite, kPrivate);
  draw("between two that were written apart", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(4, 2, kWrite, kPrivate);
  *page(4) = 1;
  place(2, 2, kWrite, kPrivate);
  draw("between two of which one was written", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(4, 2, kWrite, kPrivate);
  (void)*(volatile char*)page(0);
  (void)*(volatile char*)page(4);
  place(2, 2, kWrite, kPrivate);
  draw("between two that were read", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kRead, kPrivate);
  *page(0) = 1;
  mprotect(page(2), 2 * kPage, kWrite);
  draw("made equal to one that was written", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kRead | PROT_WRITE | PROT_EXEC, kPrivate);
  *page(0) = 1;
  *page(2) = 1;
  mprotect(page(2), 2 * kPage, kWrite);
  draw("written side by side, then made equal", 8);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(4, 2, kWrite, kPrivate);
  *page(0) = 1;
  *page(4) = 1;
  madvise(page(0), 6 * kPage, MADV_DONTNEED);
  place(2, 2, kWrite, kPrivate);
  draw("DONTNEED does not make it unwritten", 8);
  clear_arena();
}

static void after_fork(void) {
  place(0, 4, kWrite, kPrivate);
  *page(0) = 1;
  place(8, 4, kWrite, kPrivate);
  IN_CHILD("a child", {
    place(4, 1, kWrite, kPrivate);
    draw("next to what was inherited with pages", 16);
    place(12, 1, kWrite, kPrivate);
    draw("next to what was inherited without", 16);
    mprotect(page(1), kPage, kRead);
    mprotect(page(1), kPage, kWrite);
    draw("split and whole again", 16);
    *page(3) = 1;
    *page(4) = 1;
    mprotect(page(4), kPage, kRead);
    mprotect(page(4), kPage, kWrite);
    draw("both written", 16);
  });
  place(4, 1, kWrite, kPrivate);
  draw("in the parent", 16);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kRead | PROT_WRITE | PROT_EXEC, kPrivate);
  *page(0) = 1;
  *page(2) = 1;
  IN_CHILD("a second child", {
    mprotect(page(2), 2 * kPage, kWrite);
    draw("inherited neighbours made equal", 8);
  });
  mprotect(page(2), 2 * kPage, kWrite);
  draw("in the parent of that", 8);
  clear_arena();
}

static void advice(void) {
  place(0, 8, kWrite, kPrivate);
  static const int kAdvice[] = {MADV_RANDOM,     MADV_SEQUENTIAL, MADV_NORMAL,   MADV_DONTFORK,
                                MADV_DOFORK,     MADV_DONTDUMP,   MADV_DODUMP,   MADV_WIPEONFORK,
                                MADV_KEEPONFORK, MADV_WILLNEED,   MADV_DONTNEED, MADV_COLD};
  for (size_t n = 0; n < sizeof kAdvice / sizeof *kAdvice; ++n) {
    char what[32];
    snprintf(what, sizeof what, "advice %d", kAdvice[n]);
    madvise(page(2), 3 * kPage, kAdvice[n]);
    draw(what, 8);
  }
  clear_arena();
}

int main(void) {
  make_arena(64);
  new_neighbours();
  shared_objects();
  protections();
  accounting();
  pages_of_their_own();
  after_fork();
  advice();
  return 0;
}
