// madvise(MADV_REMOVE): a hole in shared memory, and what may not have one. man7 madvise(2).
#include "memory.h"

#include <sys/shm.h>
#include <sys/stat.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif

static void say(const char* what, long result) { fact("%s: %s", what, outcome(result)); }
static long remove_pages(long at, size_t pages) { return madvise(page(at), pages * kPage, MADV_REMOVE); }
static void fill(long at, long pages) {
  for (long n = at; n < at + pages; ++n) memset(page(n), 'a' + (int)n, kPage);
}
/// The first byte of each page, a dot for zero.
static const char* contents(long at, long pages) {
  static char text[64];
  for (long n = 0; n < pages; ++n) text[n] = *page(at + n) == 0 ? '.' : *page(at + n);
  text[pages] = 0;
  return text;
}

static void anonymous(void) {
  place(0, 8, kWrite, kShared);
  fill(0, 8);
  mark_resident();
  say("a part of shared memory", remove_pages(2, 3));
  tell_resident("then");
  tell_text("contents", contents(0, 8));
  fill(0, 8);
  IN_CHILD("in a child", { say("the same", remove_pages(1, 2)); });
  tell_text("afterwards in the parent", contents(0, 8));
  mprotect(page(4), kPage, kRead);
  say("what may not be written now", remove_pages(4, 1));
  tell_text("contents", contents(0, 8));
  mlock(page(6), kPage);
  say("up to what is locked", remove_pages(5, 3));
  tell_text("contents", contents(0, 8));
  munlock(page(6), kPage);
  munmap(page(6), kPage);
  say("over a hole", remove_pages(5, 3));
  tell_text("contents behind it", contents(7, 1));
  say("a hole alone", remove_pages(6, 1));
  say("nothing", remove_pages(6, 0));
  say("at an odd address", madvise(page(0) + 1, kPage, MADV_REMOVE));
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  fill(0, 2);
  say("private memory", remove_pages(0, 1));
  tell_text("contents", contents(0, 2));
  clear_arena();
}

static void map_at(long at, size_t pages, int prot, int flags, int fd) {
  mmap(page(at), pages * kPage, prot, flags | MAP_FIXED, fd, 0);
}

static void files(void) {
  const int fd = memfd_create("hole", MFD_ALLOW_SEALING);
  ftruncate(fd, 6 * kPage);
  map_at(0, 6, kWrite, MAP_SHARED, fd);
  map_at(6, 6, kRead, MAP_SHARED, fd);
  map_at(12, 6, kWrite, MAP_PRIVATE, fd);
  fill(0, 6);
  *page(13) = 'P';
  say("a private mapping", remove_pages(12, 2));
  say("through a shared mapping", remove_pages(1, 2));
  tell_text("shared", contents(0, 6));
  tell_text("shared, read-only", contents(6, 6));
  tell_text("private", contents(12, 6));
  struct stat before, after;
  fstat(fd, &before);
  say("what may be written later", remove_pages(9, 1));
  fstat(fd, &after);
  fact("blocks went: %d; size stays: %d", after.st_blocks < before.st_blocks, after.st_size == before.st_size);
  tell_text("shared", contents(0, 6));
  ftruncate(fd, 3 * kPage);
  say("beyond the end", remove_pages(4, 2));
  fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
  say("a sealed file", remove_pages(0, 1));
  tell_text("shared", contents(0, 3));
  clear_arena();

  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", memfd_create("read", 0));
  const int reader = open(path, O_RDONLY);
  map_at(0, 1, kRead, MAP_SHARED, reader);
  say("a file that is open for reading", remove_pages(0, 1));
  clear_arena();

  const int zero = open("/dev/zero", O_RDWR);
  map_at(0, 2, kWrite, MAP_SHARED, zero);
  map_at(2, 2, kWrite, MAP_PRIVATE, zero);
  fill(0, 4);
  say("shared /dev/zero", remove_pages(0, 1));
  say("private /dev/zero", remove_pages(2, 1));
  tell_text("contents", contents(0, 4));
  clear_arena();

  const int id = shmget(IPC_PRIVATE, 4 * kPage, 0600);
  shmat(id, page(0), 0);
  shmctl(id, IPC_RMID, NULL);
  fill(0, 4);
  say("a segment", remove_pages(1, 2));
  tell_text("contents", contents(0, 4));
  shmdt(page(0));
}

int main(void) {
  make_arena(64);
  anonymous();
  files();
  return 0;
}
