// remap_file_pages: pages of a shared mapping in another order. man7 remap_file_pages(2).
#include "memory.h"

static void say(const char* what, long result) { fact("%s: %s", what, outcome(result)); }
static long remap(long at, size_t pages, size_t offset) { return remap_file_pages(page(at), pages * kPage, 0, offset, 0); }
static void fill(long pages) {
  for (long n = 0; n < pages; ++n) memset(page(n), 'a' + (int)n, kPage);
}
static const char* contents(long pages) {
  static char text[64];
  for (long n = 0; n < pages; ++n) text[n] = *page(n) == 0 ? '.' : *page(n);
  text[pages] = 0;
  return text;
}

static void order(void) {
  place(0, 8, kWrite, kShared);
  fill(8);
  mark_resident();
  say("two pages", remap(1, 2, 5));
  draw("then", 8);
  tell_text("contents", contents(8));
  tell_resident("then");
  *page(1) = 'Z';
  tell_text("the same page twice", contents(8));
  IN_CHILD("in a child", { say("back again", remap(1, 2, 1)); draw("there", 8); tell_text("there", contents(8)); });
  draw("here", 8);
  say("over both parts", remap(0, 8, 0));
  draw("then", 8);
  tell_text("contents", contents(8));
  say("an address within a page, a size with a rest", remap_file_pages(page(3) + 5, kPage + 7, 0, 0, 0));
  tell_text("contents", contents(8));
  say("beyond the object", remap(0, 1, 100));
  tell_text("touched", touch('r', page(0)));
  clear_arena();
}

static void rights(void) {
  place(0, 4, kWrite, kShared);
  fill(4);
  mprotect(page(0), 4 * kPage, kRead);
  say("read-only", remap(0, 1, 3));
  touch_all("then", page(0));
  draw("then", 4);
  mprotect(page(1), kPage, kWrite);
  say("over different rights", remap(0, 4, 0));
  madvise(page(3), kPage, MADV_DONTFORK);
  say("over different advice", remap(2, 2, 0));
  say("advised", remap(3, 1, 0));
  IN_CHILD("in a child", tell_text("it is there", touch('r', page(3))));
  mlock(page(2), kPage);
  say("locked", remap(2, 1, 0));
  fact("locked: %ld kB", status_of("VmLck:"));
  clear_arena();
}

static void errors(void) {
  place(0, 4, kWrite, kPrivate);
  say("private memory", remap(0, 1, 0));
  place(4, 2, kWrite, kShared);
  place(7, 1, kWrite, kShared);
  say("over a hole", remap(4, 4, 0));
  say("up to a hole", remap(4, 3, 0));
  say("over another object", remap(3, 2, 0));
  say("a hole", remap(6, 1, 0));
  say("rights", remap_file_pages(page(4), kPage, PROT_READ, 0, 0));
  say("nothing", remap(4, 0, 0));
  say("less than a page", remap_file_pages(page(4), 100, 0, 0, 0));
  say("too much", remap_file_pages(page(4), ~(size_t)0, 0, 0, 0));
  say("an offset that wraps", remap(4, 2, ~(size_t)0));
  say("flags nobody knows", remap_file_pages(page(4), kPage, 0, 1, ~0x10000));
  say("without reading ahead", remap_file_pages(page(4), kPage, 0, 1, MAP_NONBLOCK));
  clear_arena();
}

static void files(void) {
  const int fd = memfd_create("pages", 0);
  ftruncate(fd, 4 * kPage);
  mmap(page(0), 4 * kPage, kWrite, MAP_SHARED | MAP_FIXED, fd, 0);
  fill(4);
  say("a file", remap(0, 2, 2));
  tell_text("contents", contents(4));
  close(fd);
  say("when it is closed", remap(0, 2, 0));
  tell_text("contents", contents(4));
  clear_arena();
}

int main(void) {
  make_arena(16);
  catch_faults();
  order();
  rights();
  errors();
  files();
  return 0;
}
