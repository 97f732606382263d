// brk: the break moves, memory comes and goes with it. All distances are from where it stood.
#include "memory.h"

#include <sys/resource.h>

static char* begin;
static char* set_break(char* to) { return (char*)syscall(SYS_brk, to); }
static void move(const char* what, long to) {
  fact("%s: %ld", what, set_break(begin + to) - begin);
}
/// How many mappings are called [heap], and how many pages they have together.
static void heaps(const char* what) {
  int count = 0;
  long pages = 0;
  char rights[64] = "";
  for (char* line = text_of("/proc/self/maps"); line != NULL && *line != 0;) {
    char* next = strchr(line, '\n');
    if (next != NULL) *next++ = 0;
    unsigned long from, to;
    char bits[8];
    if (strstr(line, "[heap]") != NULL && sscanf(line, "%lx-%lx %4s", &from, &to, bits) == 3) {
      ++count;
      pages += (long)((to - from) / kPage);
      if (strlen(rights) < 48) strcat(strcat(rights, " "), bits);
    }
    line = next;
  }
  fact("%s: %d mappings, %ld pages%s", what, count, pages, rights);
}

static void moves(void) {
  fact("0 asks: %d", set_break(NULL) == begin);
  fact("below the beginning: %d", set_break((char*)kPage) == begin);
  fact("the kernel's half: %d", set_break((char*)(-1UL << 47)) == begin);
  fact("the last address: %d", set_break((char*)-1) == begin);
  move("one byte", 1);
  heaps("that is a page");
  move("the rest of the page", kPage);
  heaps("still a page");
  move("a byte more", kPage + 1);
  heaps("two pages");
  move("down a byte", kPage);
  heaps("one page again");
  move("up", 10 * kPage + 100);
  memset(begin, 3, 10 * kPage + 100);
  move("down", 5 * kPage);
  fact("below: %d; above: %s", begin[5 * kPage - 1], touch('r', begin + 5 * kPage));
  move("up again", 10 * kPage);
  fact("fresh pages are zero: %d %d", begin[5 * kPage], begin[10 * kPage - 1]);
  move("within a page", 9 * kPage + 10);
  begin[9 * kPage + 100] = 9;
  fact("the page is there beyond the break: %d", begin[9 * kPage + 100]);
  move("to the same", 9 * kPage + 10);
  move("back", 0);
  heaps("nothing");
}

static void residence(void) {
  mark_resident();
  move("32 pages", 32 * kPage);
  tell_resident("not touched");
  memset(begin, 1, 32 * kPage);
  tell_resident("written");
  move("half", 16 * kPage);
  tell_resident("down");
  move("nothing", 0);
  tell_resident("all the way");
}

static void obstacles(void) {
  char* wall = mmap(begin + 8 * kPage, kPage, kRead, kShared | MAP_FIXED_NOREPLACE, -1, 0);
  fact("a mapping in the way: %d", wall == begin + 8 * kPage);
  move("up to two pages before it", 6 * kPage);
  move("up to one page before it", 7 * kPage);
  move("up to it", 8 * kPage);
  move("into it", 9 * kPage);
  move("beyond it", 20 * kPage);
  munmap(wall, kPage);
  move("without it", 20 * kPage);
  munmap(begin + 4 * kPage, 2 * kPage);
  heaps("with a hole");
  move("down over the hole", 3 * kPage);
  heaps("below the hole");
  move("up", 8 * kPage);
  munmap(begin + 6 * kPage, 2 * kPage);
  move("down to where nothing is", 7 * kPage);
  move("down over nothing", 5 * kPage);
  heaps("after that");
  move("back", 0);
}

static void rights(void) {
  move("eight pages", 8 * kPage);
  mprotect(begin + 2 * kPage, 2 * kPage, kRead);
  heaps("two of them to be read");
  move("twelve", 12 * kPage);
  heaps("grown");
  mprotect(begin + 10 * kPage, 2 * kPage, kRead);
  move("sixteen", 16 * kPage);
  heaps("what is added is writable");
  fact("executable: %s", touch('x', begin + 15 * kPage));
  char* next = mmap(begin + 16 * kPage, kPage, kWrite, kPrivate | MAP_FIXED_NOREPLACE, -1, 0);
  fact("private memory right above: %d", next == begin + 16 * kPage);
  heaps("it is one with the heap");
  move("down", 12 * kPage);
  heaps("what is left of it is no heap");
  munmap(next, kPage);
  move("back", 0);
}

static void forked(void) {
  move("four pages", 4 * kPage);
  memset(begin, 4, 4 * kPage);
  IN_CHILD("a child", {
    move("in the child up", 6 * kPage);
    heaps("what was inherited stays apart");
    memset(begin, 5, 6 * kPage);
    move("down", 2 * kPage);
    move("up", 4 * kPage);
    fact("zero: %d, kept: %d", begin[3 * kPage], begin[kPage]);
  });
  fact("in the parent: %d, %d", set_break(NULL) == begin + 4 * kPage, begin[3 * kPage]);
  move("back", 0);
}

static void limits(void) {
  const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  struct rlimit low = {(rlim_t)status_of("VmSize:") * 1024 + 8 * kPage, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &low);
  move("RLIMIT_AS: too much", 9 * kPage);
  move("as much as fits", 8 * kPage);
  move("back", 0);
  setrlimit(RLIMIT_AS, &all);
  low.rlim_cur = 0;
  setrlimit(RLIMIT_DATA, &low);
  move("RLIMIT_DATA of 0", kPage);
  setrlimit(RLIMIT_DATA, &all);
  move("without limits", kPage);
  low.rlim_cur = 0;
  setrlimit(RLIMIT_DATA, &low);
  move("down is always allowed, but checked as well", 0);
  setrlimit(RLIMIT_DATA, &all);
  move("back", 0);
}

int main(void) {
  make_arena(8);
  catch_faults();
  char* now = set_break(NULL);
  begin = set_break(now + (-(uintptr_t)now & (kPage - 1)));
  // What the C library took before is not counted: the facts begin at the end of the last page.
  heaps("at first");
  moves();
  residence();
  obstacles();
  rights();
  forked();
  limits();
  return 0;
}
