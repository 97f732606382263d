// process_madvise: what may be advised to whom, its pieces, and its errors. man7 process_madvise(2).
//
// To itself a process may advise anything, as since Linux 6.13.
#include "memory.h"

#include <sys/uio.h>

static int self, child_fd;

static struct iovec piece(void* at, size_t size) { return (struct iovec){at, size}; }
static long advise(int fd, const struct iovec* pieces, size_t count, int advice) {
  return syscall(SYS_process_madvise, fd, pieces, count, advice, 0);
}
static long advise_one(int fd, void* at, size_t size, int advice) {
  const struct iovec one = piece(at, size);
  return advise(fd, &one, 1, advice);
}

static void pieces(void) {
  place(0, 8, kWrite, kPrivate);
  memset(page(0), 'x', 8 * kPage);
  const struct iovec three[] = {piece(page(0), kPage), piece(page(3), 0), piece(page(2), 2 * kPage)};
  tell("three pieces", advise(self, three, 3, MADV_DONTNEED));
  fact("contents: %d %d %d %d %d", *page(0), *page(1), *page(2), *page(3), *page(4));
  const struct iovec bad[] = {piece(page(4), kPage), piece(page(5) + 1, kPage), piece(page(6), kPage)};
  tell("up to a bad piece", advise(self, bad, 3, MADV_DONTNEED));
  fact("contents: %d %d", *page(4), *page(6));
  tell("a bad piece first", advise(self, bad + 1, 2, MADV_DONTNEED));
  tell("part of a page", advise_one(self, page(5), 10, MADV_DONTNEED));
  fact("contents: %d", *page(5));
  munmap(page(1), kPage);
  const struct iovec holes[] = {piece(page(0), 3 * kPage), piece(page(6), kPage)};
  tell("over a hole", advise(self, holes, 2, MADV_DONTNEED));
  tell("no pieces", advise(self, NULL, 0, MADV_DONTNEED));
  tell("flags", advise_one(self, page(6), kPage, MADV_DONTFORK));
  tell("unknown advice", advise_one(self, page(6), kPage, 4711));
  tell("unknown advice, no pieces", advise(self, NULL, 0, 4711));
}

static void others(void) {
  tell("cold", advise_one(child_fd, page(2), kPage, MADV_COLD));
  tell("page out", advise_one(child_fd, page(2), 2 * kPage, MADV_PAGEOUT));
  tell("will need", advise_one(child_fd, page(2), kPage, MADV_WILLNEED));
  tell("over a hole", advise_one(child_fd, page(0), 3 * kPage, MADV_COLD));
  tell("not needed", advise_one(child_fd, page(2), kPage, MADV_DONTNEED));
  tell("free", advise_one(child_fd, page(2), kPage, MADV_FREE));
  tell("no fork", advise_one(child_fd, page(2), kPage, MADV_DONTFORK));
  tell("unknown", advise_one(child_fd, page(2), kPage, 4711));
  tell("unknown, no pieces", advise(child_fd, NULL, 0, 4711));
}

static void errors(void) {
  const struct iovec one = piece(page(2), kPage), minus = piece(page(2), ~(size_t)0), high = piece((void*)~0xfffULL, kPage);
  tell("flags of the call", syscall(SYS_process_madvise, self, &one, 1, MADV_COLD, 1));
  tell("flags before the array", syscall(SYS_process_madvise, self, bad_address, 1, MADV_COLD, 1));
  tell("bad array", advise(self, bad_address, 1, MADV_COLD));
  tell("too many", advise(self, &one, 1025, MADV_COLD));
  tell("negative size", advise(self, &minus, 1, MADV_COLD));
  tell("no user address", advise(self, &high, 1, MADV_COLD));
  tell("no descriptor", advise(99, &one, 1, MADV_COLD));
  tell("no descriptor, bad array", advise(99, bad_address, 1, MADV_COLD));
  tell("not a pidfd", advise(1, &one, 1, MADV_COLD));
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  const int fd = (int)syscall(SYS_pidfd_open, gone, 0);
  siginfo_t info;
  waitid(P_PID, (id_t)gone, &info, WEXITED | WNOWAIT);
  tell("a zombie", advise(fd, &one, 1, MADV_COLD));
  waitpid(gone, NULL, 0);
  tell("one that has gone", advise(fd, &one, 1, MADV_COLD));
  tell("one that has gone, unknown advice", advise(fd, &one, 1, 4711));
}

static void as_somebody(void) {
  if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) _exit(9);
  tell("root's process", advise_one(child_fd, page(2), kPage, MADV_COLD));
  tell("root's process, what others may not", advise_one(child_fd, page(2), kPage, MADV_DONTNEED));
  const int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
  tell("itself", advise_one(own, page(2), kPage, MADV_DONTNEED));
}

int main(void) {
  make_arena(16);
  self = (int)syscall(SYS_pidfd_open, getpid(), 0);
  pieces();
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  child_fd = (int)syscall(SYS_pidfd_open, child, 0);
  others();
  errors();
  IN_CHILD("as somebody", as_somebody());
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return 0;
}
