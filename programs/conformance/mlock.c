/* mlock and its relatives, mincore and msync: what is resident, what is counted, errors and their order. man7 mlock(2), mincore(2),
 * msync(2). */
#include "memory.h"

#include <sys/resource.h>

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static const char* residency(long first, size_t pages) {
  static char text[64];
  unsigned char bytes[64];
  memset(bytes, '?', sizeof bytes);
  if (mincore(page(first), pages * kPage, bytes) != 0 && errno != ENOMEM) return strerrorname_np(errno);
  for (size_t n = 0; n < pages; ++n) text[n] = bytes[n] == '?' ? '?' : (char)('0' + (bytes[n] & 1));
  text[pages] = 0;
  return text;
}
static void tell_residency(const char* what, size_t pages) { fact("%s: %s", what, residency(0, pages)); }

static long locked(void) { return status_of("VmLck:") / (kPage / 1024); }
static void tell_locked(const char* what) { fact("%s: %ld locked", what, locked()); }

static void locking(void) {
  clear_arena();
  place(0, 6, kWrite, kPrivate);
  tell_residency("nothing touched", 6);
  tell("lock", mlock(page(1), 2 * kPage));
  tell_residency("locked", 6);
  draw("locked", 6);
  tell_locked("two");
  tell("lock again", mlock(page(1), 2 * kPage));
  tell_locked("two still");
  tell("an odd address locks all it touches", mlock(page(3) + 100, 1));
  tell_residency("odd", 6);
  tell("unlock", munlock(page(2), kPage));
  tell_locked("one unlocked");
  tell_residency("unlocked pages stay", 6);
  tell("when touched", (long)syscall(SYS_mlock2, page(4), 2 * kPage, MLOCK_ONFAULT));
  tell_residency("when touched", 6);
  tell_locked("when touched");
  tell("unknown flag", (long)syscall(SYS_mlock2, page(4), kPage, 8));
  tell("nothing", mlock(page(0), 0));
  tell("a hole", mlock(page(5), 3 * kPage));
  tell_locked("before the hole");
  tell("only a hole", mlock(page(8), kPage));
  tell("a length that wraps", mlock(page(0), ~(size_t)0 - kPage));
  tell("drop what is locked", madvise(page(1), kPage, MADV_DONTNEED));
  tell("drop all the same", madvise(page(1), kPage, MADV_DONTNEED_LOCKED));
  tell("page it out", madvise(page(1), kPage, MADV_PAGEOUT));
  tell("unlock all", munlockall());
  tell_locked("none");
  draw("none", 6);
  clear_arena();
  place(0, 2, kNone, kPrivate);
  tell("no rights", mlock(page(0), kPage));
  tell_locked("no rights");
  place(0, 2, kRead, kPrivate);
  tell("read-only", mlock(page(0), kPage));
  tell_residency("read-only", 2);
  munmap(page(0), kPage);
  tell_locked("unmapped");
}

static void mapping(void) {
  clear_arena();
  tell_place("locked from the start", place(0, 2, kWrite, kPrivate | MAP_LOCKED));
  tell_residency("locked from the start", 2);
  tell_locked("locked from the start");
  char* moved = mremap(page(0), 2 * kPage, 4 * kPage, 0);
  tell_place("grows", moved);
  tell_residency("grown", 4);
  tell_locked("grown");
  tell_place("moves", mremap(page(0), 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, page(8)));
  tell_locked("moved");
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    tell_locked("in a child");
    draw("in a child", 14);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  munlockall();
}

static void all(void) {
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  tell("no flags", mlockall(0));
  tell("unknown flags", mlockall(64));
  tell("only when touched", mlockall(MCL_ONFAULT));
  tell("what comes", mlockall(MCL_FUTURE));
  tell_residency("what was there", 2);
  place(4, 2, kWrite, kPrivate);
  fact("what came: %s", residency(4, 2));
  tell("when touched", mlockall(MCL_FUTURE | MCL_ONFAULT));
  place(6, 2, kWrite, kPrivate);
  fact("when touched: %s", residency(6, 2));
  tell("unlock all", munlockall());
  place(8, 2, kWrite, kPrivate);
  fact("no more: %s", residency(8, 2));
}

/* For who is not root: root may lock what it likes. */
static void limits(void) {
  fflush(stdout);
  const pid_t child = fork();
  if (child != 0) {
    waitpid(child, NULL, 0);
    return;
  }
  clear_arena();
  place(0, 8, kWrite, kPrivate);
  if (setresuid(65534, 65534, 65534) != 0) fact("cannot be another");
  struct rlimit limit = {3 * kPage, 3 * kPage};
  tell("limit", setrlimit(RLIMIT_MEMLOCK, &limit));
  tell("beyond", mlock(page(0), 4 * kPage));
  tell("within", mlock(page(0), 3 * kPage));
  tell("what is locked counts once", mlock(page(1), 2 * kPage));
  tell("one more", mlock(page(3), kPage));
  tell("all", mlockall(MCL_CURRENT));
  tell_place("a new one", mmap(page(10), kPage, kWrite, kPrivate | MAP_FIXED | MAP_LOCKED, -1, 0));
  tell_place("a larger one", mremap(page(2), kPage, 2 * kPage, MREMAP_MAYMOVE));
  tell("unlock", munlock(page(0), 3 * kPage));
  limit.rlim_cur = 0;
  setrlimit(RLIMIT_MEMLOCK, &limit);
  tell("with none", mlock(page(0), kPage));
  tell("all, with none", mlockall(MCL_CURRENT));
  tell_place("a new one, with none", mmap(page(10), kPage, kWrite, kPrivate | MAP_FIXED | MAP_LOCKED, -1, 0));
  tell("unlocking needs none", munlock(page(0), kPage));
  _exit(0);
}

static void resident_or_not(void) {
  clear_arena();
  place(0, 4, kWrite, kPrivate);
  *page(1) = 1;
  tell_residency("one written", 4);
  tell("odd address", mincore(page(0) + 1, kPage, (unsigned char*)page(0)));
  tell("bad vector", mincore(page(0), kPage, bad_address));
  tell("kernel addresses", mincore((void*)0xffff800000000000, kPage, (unsigned char*)page(0)));
  tell("a length that wraps", mincore(page(0), ~(size_t)0, (unsigned char*)page(0)));
  tell("nothing", mincore(page(0), 0, bad_address));
  tell("a byte", mincore(page(1), 1, (unsigned char*)page(0)));
  munmap(page(2), kPage);
  unsigned char bytes[4];
  tell("a hole", mincore(page(0), 4 * kPage, bytes));
  place(8, 2, kWrite, kShared);
  *page(8) = 1;
  fact("shared: %s", residency(8, 2));
  madvise(page(8), 2 * kPage, MADV_DONTNEED);
  fact("shared, dropped: %s", residency(8, 2));
  madvise(page(1), kPage, MADV_DONTNEED);
  fact("private, dropped: %s", residency(0, 2));
}

static void syncing(void) {
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(3, 2, kWrite, kShared);
  tell("sync", msync(page(0), 2 * kPage, MS_SYNC));
  tell("async", msync(page(3), 2 * kPage, MS_ASYNC));
  tell("neither", msync(page(3), 2 * kPage, 0));
  tell("both", msync(page(0), kPage, MS_SYNC | MS_ASYNC));
  tell("unknown", msync(page(0), kPage, 8));
  tell("odd", msync(page(0) + 1, kPage, MS_SYNC));
  tell("a hole", msync(page(0), 5 * kPage, MS_SYNC));
  tell("nothing", msync(page(2), 0, MS_SYNC));
  tell("wraps", msync(page(0), ~(size_t)0 - kPage, MS_SYNC));
  mlock(page(0), kPage);
  tell("invalidate what is locked", msync(page(0), kPage, MS_INVALIDATE));
  tell("invalidate", msync(page(1), kPage, MS_INVALIDATE));
  munlockall();
}

int main(void) {
  make_arena(64);
  catch_faults();
  locking();
  mapping();
  all();
  limits();
  resident_or_not();
  syncing();
  return 0;
}
