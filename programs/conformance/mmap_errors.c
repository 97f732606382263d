// mmap: which arguments are wrong, and which error comes first when several are.
#include "memory.h"

#include <sys/resource.h>

static const char* map(unsigned long at, size_t length, int prot, int flags, int fd, off_t offset) {
  void* got = (void*)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
  if (got == MAP_FAILED) return strerrorname_np(errno);
  munmap(got, length);
  return "ok";
}

static void lengths(void) {
  const size_t top = 0x800000000000;
  fact("length 0: %s", map(0, 0, kRead, kPrivate, -1, 0));
  fact("length 1: %s", map(0, 1, kRead, kPrivate, -1, 0));
  fact("length -1 is rounded to 0: %s", map(0, -1UL, kRead, kPrivate, -1, 0));
  fact("length -4096: %s", map(0, -4096UL, kRead, kPrivate, -1, 0));
  fact("length of all user space: %s", map(0, top, kRead, kPrivate | MAP_NORESERVE, -1, 0));
  fact("length 2^63: %s", map(0, 1UL << 63, kRead, kPrivate | MAP_NORESERVE, -1, 0));
  fact("fixed, over the top: %s",
       map(top - 2 * kPage, 3 * kPage, kRead, kPrivate | MAP_FIXED, -1, 0));
  fact("fixed, the top page: %s", map(top - kPage, kPage, kRead, kPrivate | MAP_FIXED, -1, 0));
  fact("fixed, above: %s", map(top, kPage, kRead, kPrivate | MAP_FIXED, -1, 0));
  fact("fixed, kernel half: %s", map(-2UL << 40, kPage, kRead, kPrivate | MAP_FIXED, -1, 0));
  fact("fixed, address not of a page: %s",
       map((unsigned long)page(0) + 1, kPage, kRead, kPrivate | MAP_FIXED, -1, 0));
  fact("hint not of a page: %s", map((unsigned long)page(0) + 1, kPage, kRead, kPrivate, -1, 0));
  fact("hint in the kernel's half: %s", map(-2UL << 40, kPage, kRead, kPrivate, -1, 0));
  fact("hint at the top: %s", map(top - kPage, kPage, kRead, kPrivate, -1, 0));
}

static void types(void) {
  fact("no type: %s", map(0, kPage, kRead, MAP_ANONYMOUS, -1, 0));
  fact("type 3 without file: %s", map(0, kPage, kRead, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
  for (int type = 4; type <= 15; ++type) {
    if (type == 8) continue;  // MAP_DROPPABLE of Linux 6.11
    fact("type %d: %s", type, map(0, kPage, kRead, type | MAP_ANONYMOUS, -1, 0));
  }
  fact("shared that grows down: %s", map(0, kPage, kRead, kShared | MAP_GROWSDOWN, -1, 0));
  fact("private that grows down: %s", map(0, kPage, kRead, kPrivate | MAP_GROWSDOWN, -1, 0));
  fact("flags that old programs give: %s",
       map(0, kPage, kRead, kPrivate | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_STACK, -1, 0));
  fact("flags nobody knows: %s", map(0, kPage, kRead, kPrivate | 0x10000000, -1, 0));
  fact("MAP_SYNC without file: %s", map(0, kPage, kRead, kPrivate | MAP_SYNC, -1, 0));
  fact("MAP_UNINITIALIZED: %s", map(0, kPage, kRead, kPrivate | 0x4000000, -1, 0));
  fact("rights nobody knows: %s", map(0, kPage, 0x40, kPrivate, -1, 0));
  fact("PROT_SEM: %s", map(0, kPage, kRead | 8, kPrivate, -1, 0));
  fact("PROT_GROWSDOWN: %s", map(0, kPage, kRead | PROT_GROWSDOWN, kPrivate, -1, 0));
  fact("both grows: %s", map(0, kPage, kRead | PROT_GROWSDOWN | PROT_GROWSUP, kPrivate, -1, 0));
}

static void files(void) {
  fact("fd that is not open: %s", map(0, kPage, kRead, MAP_PRIVATE, 99, 0));
  fact("fd -1: %s", map(0, kPage, kRead, MAP_PRIVATE, -1, 0));
  fact("fd is ignored for anonymous memory: %s", map(0, kPage, kRead, kPrivate, 99, 0));
  fact("offset not of a page: %s", map(0, kPage, kRead, MAP_PRIVATE, 99, 1));
  fact("the same, anonymous: %s", map(0, kPage, kRead, kPrivate, -1, 1));
  fact("offset of a page, anonymous: %s", map(0, kPage, kRead, kPrivate, -1, 5 * kPage));
  fact("the same, shared: %s", map(0, kPage, kRead, kShared, -1, 5 * kPage));
  fact("the last offset: %s", map(0, kPage, kRead, kPrivate, -1, -4096L));
  fact("offset that wraps with the length: %s", map(0, 2 * kPage, kRead, kPrivate, -1, -4096L));
  int ends[2];
  pipe(ends);
  fact("a pipe: %s", map(0, kPage, kRead, MAP_PRIVATE, ends[0], 0));
  fact("a directory: %s", map(0, kPage, kRead, MAP_SHARED, open("/", O_RDONLY), 0));
}

static void precedence(void) {
  fact("offset before length: %s", map(0, 0, kRead, kPrivate, -1, 1));
  fact("fd before length: %s", map(0, 0, kRead, MAP_PRIVATE, 99, 0));
  fact("length before type: %s", map(0, -1UL, kRead, MAP_ANONYMOUS, -1, 0));
  fact("length 0 before type: %s", map(0, 0, kRead, MAP_ANONYMOUS, -1, 0));
  fact("offset overflow before type: %s", map(0, 2 * kPage, kRead, MAP_ANONYMOUS, -1, -4096L));
  fact("alignment before type: %s",
       map((unsigned long)page(0) + 1, kPage, kRead, MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  fact("place before type: %s", map(0, 1UL << 62, kRead, MAP_ANONYMOUS, -1, 0));
  fact("place before alignment: %s",
       map((unsigned long)page(0) + 1, 1UL << 62, kRead, kPrivate | MAP_FIXED, -1, 0));
  place(0, 1, kRead, kPrivate);
  fact("NOREPLACE before type: %s",
       map((unsigned long)page(0), kPage, kRead, MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  fact("alignment before NOREPLACE: %s",
       map((unsigned long)page(0) + 1, kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  fact("type before what is there goes: %s",
       map((unsigned long)page(0), kPage, kRead, MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  draw("so it is still there", 2);
  const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY}, low = {1 << 20, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &low);
  fact("type before RLIMIT_AS: %s", map(0, 1 << 21, kRead, MAP_ANONYMOUS, -1, 0));
  fact("NOREPLACE before RLIMIT_AS: %s",
       map((unsigned long)page(0), kPage, kRead, kPrivate | MAP_FIXED_NOREPLACE, -1, 0));
  fact("RLIMIT_AS: %s", map(0, 1 << 21, kRead, kPrivate, -1, 0));
  setrlimit(RLIMIT_AS, &old);
  fact("the floor without a hint: %d",
       mmap((void*)1, kPage, kRead, kPrivate, -1, 0) >= (void*)65536);
}

static void many(void) {
  // Every second page, so that nothing merges: each is a mapping of its own.
  clear_arena();
  for (long n = 0; n < 64; n += 2) place(n, 1, kRead, kPrivate);
  draw("every second page", 64);
  for (long n = 1; n < 64; n += 2) place(n, 1, kRead, kPrivate);
  draw("the others as well", 64);
  for (long n = 0; n < 64; n += 3) place(n, 1, kWrite, kPrivate);
  draw("every third replaced", 64);
}

int main(void) {
  make_arena(64);
  lengths();
  types();
  files();
  precedence();
  many();
  return 0;
}
