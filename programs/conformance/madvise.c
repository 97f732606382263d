// madvise: arguments, holes, and what each advice does to contents and to what is resident.
#include "memory.h"

static const char* advise(const void* at, size_t length, int advice) {
  return outcome(syscall(SYS_madvise, at, length, advice));
}

static void arguments(void) {
  place(0, 4, kWrite, kPrivate);
  place(6, 2, kWrite, kPrivate);
  fact("advice nobody knows: %s", advise(page(0), kPage, 4711));
  fact("advice -1: %s", advise(page(0), kPage, -1));
  fact("the same, length 0: %s", advise(page(0), 0, 4711));
  fact("the same, nothing there: %s", advise(page(4), kPage, 4711));
  fact("length 0: %s", advise(page(0), 0, MADV_DONTNEED));
  fact("length 0, nothing there: %s", advise(page(4), 0, MADV_DONTNEED));
  fact("address not of a page: %s", advise(page(0) + 1, kPage, MADV_DONTNEED));
  fact("the same, length 0: %s", advise(page(0) + 1, 0, MADV_DONTNEED));
  fact("length is rounded up: %s", advise(page(0), 1, MADV_DONTNEED));
  fact("length -1: %s", advise(page(0), -1UL, MADV_DONTNEED));
  fact("length that wraps: %s", advise(page(1), -4096UL, MADV_DONTNEED));
  fact("kernel half: %s", advise((void*)(-2UL << 40), kPage, MADV_DONTNEED));
  fact("nothing there: %s", advise(page(4), kPage, MADV_DONTNEED));
  fact("over a hole: %s", advise(page(0), 8 * kPage, MADV_DONTNEED));
  fact("beginning in a hole: %s", advise(page(5), 3 * kPage, MADV_DONTNEED));
  fact("ending in a hole: %s", advise(page(6), 3 * kPage, MADV_DONTNEED));
  clear_arena();
}

static void known(void) {
  static const struct {
    const char* name;
    int advice;
  } kAdvice[] = {
      {"NORMAL", MADV_NORMAL},         {"RANDOM", MADV_RANDOM},     {"SEQUENTIAL", MADV_SEQUENTIAL},
      {"DONTNEED", MADV_DONTNEED},     {"DONTFORK", MADV_DONTFORK}, {"DOFORK", MADV_DOFORK},
      {"DONTDUMP", MADV_DONTDUMP},     {"DODUMP", MADV_DODUMP},     {"WIPEONFORK", MADV_WIPEONFORK},
      {"KEEPONFORK", MADV_KEEPONFORK}, {"COLD", MADV_COLD},         {"PAGEOUT", MADV_PAGEOUT},
      {"POPULATE_READ", 22},           {"POPULATE_WRITE", 23}};
  for (size_t n = 0; n < sizeof kAdvice / sizeof *kAdvice; ++n) {
    place(0, 4, kWrite, kPrivate);
    place(6, 2, kWrite, kPrivate);
    strcpy(page(1), "kept");
    strcpy(page(7), "kept");
    const char* whole = advise(page(0), 4 * kPage, kAdvice[n].advice);
    char held[32];
    snprintf(held, sizeof held, "%s", page(1));
    const char* holes = advise(page(2), 6 * kPage, kAdvice[n].advice);
    fact("%s: %s, contents '%s'; over a hole: %s, behind it '%s'", kAdvice[n].name, whole, held,
         holes, page(7));
    clear_arena();
    place(0, 4, kWrite, kShared);
    strcpy(page(1), "kept");
    whole = advise(page(0), 4 * kPage, kAdvice[n].advice);
    fact("%s of shared memory: %s, contents '%s'", kAdvice[n].name, whole, page(1));
    clear_arena();
  }
}

static void dontneed(void) {
  place(0, 16, kWrite, kPrivate);
  place(16, 16, kWrite, kShared);
  memset(page(0), 1, 32 * kPage);
  mark_resident();
  advise(page(4), 4 * kPage, MADV_DONTNEED);
  tell_resident("private memory given back");
  fact("it is zero: %d; its neighbours are not: %d %d", *page(4), *page(3), *page(8));
  tell_resident("read again");
  memset(page(4), 2, 4 * kPage);
  tell_resident("written again");
  advise(page(16), 16 * kPage, MADV_DONTNEED);
  tell_resident("shared memory given back");
  // Linux maps the pages around a fault as well: all of them are read before they are counted.
  for (int n = 16; n < 32; ++n) fault_signal = *(volatile char*)page(n);
  fact("it is kept: %d", fault_signal);
  tell_resident("all of it read again");
  mprotect(page(0), 16 * kPage, kNone);
  fact("without rights: %s", advise(page(0), 16 * kPage, MADV_DONTNEED));
  tell_resident("given back without rights");
  mprotect(page(0), 16 * kPage, kWrite);
  fact("and zero: %d", *page(0));
  memset(page(0), 3, 16 * kPage);
  IN_CHILD("a child", {
    mark_resident();
    advise(page(0), 16 * kPage, MADV_DONTNEED);
    tell_resident("inherited memory given back");
    fact("zero in the child: %d", *page(1));
  });
  fact("kept in the parent: %d", *page(1));
  clear_arena();
}

static void populate(void) {
  mark_resident();
  place(0, 8, kWrite, kPrivate);
  fact("read: %s", advise(page(0), 8 * kPage, 22));
  tell_resident("populated to be read");
  fact("write: %s", advise(page(0), 8 * kPage, 23));
  tell_resident("populated to be written");
  mprotect(page(2), 2 * kPage, kRead);
  mprotect(page(4), 2 * kPage, kNone);
  fact("write where only reading is allowed: %s", advise(page(2), 2 * kPage, 23));
  fact("read there: %s", advise(page(2), 2 * kPage, 22));
  fact("read without rights: %s", advise(page(4), kPage, 22));
  fact("write without rights: %s", advise(page(4), kPage, 23));
  fact("up to where rights end: %s", advise(page(0), 8 * kPage, 22));
  fact("nothing there: %s", advise(page(10), kPage, 22));
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  place(6, 2, kWrite, kPrivate);
  mark_resident();
  fact("write over a hole: %s", advise(page(0), 8 * kPage, 23));
  tell_resident("as far as the hole");
  clear_arena();
  mark_resident();
  place(0, 8, kWrite, kShared);
  fact("shared, read: %s", advise(page(0), 4 * kPage, 22));
  tell_resident("shared memory is resident at once");
  fact("shared, write: %s", advise(page(0), 8 * kPage, 23));
  tell_resident("all of it");
  clear_arena();
}

static void special(void) {
  place(0, 4, kWrite, kShared);
  fact("WIPEONFORK on shared memory: %s", advise(page(0), kPage, MADV_WIPEONFORK));
  fact("KEEPONFORK on shared memory: %s", advise(page(0), kPage, MADV_KEEPONFORK));
  place(4, 2, kWrite, kPrivate);
  fact("WIPEONFORK, private then shared: %s",
       (place(2, 2, kWrite, kPrivate), advise(page(2), 2 * kPage, MADV_WIPEONFORK)));
  place(6, 2, kWrite, kShared);
  fact("the private part before it: %s", advise(page(4), 4 * kPage, MADV_WIPEONFORK));
  draw("private parts and shared ones", 10);
  IN_CHILD("a child", {
    fact("what was advised is wiped: %d", *page(4));
    _exit(0);
  });
  clear_arena();
  place(0, 8, kWrite, kPrivate | MAP_GROWSDOWN);
  fact("a stack, DONTNEED: %s", advise(page(0), 8 * kPage, MADV_DONTNEED));
  fact("a stack, DONTFORK: %s", advise(page(0), kPage, MADV_DONTFORK));
  draw("a stack in two parts", 10);
  clear_arena();
}

int main(void) {
  make_arena(64);
  catch_faults();
  arguments();
  known();
  dontneed();
  populate();
  special();
  return 0;
}
