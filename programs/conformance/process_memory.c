// Another process's memory: process_vm_readv, process_vm_writev and /proc/PID/mem; what they move, up to where, and their errors.
#include "memory.h"

#include <fcntl.h>
#include <sys/uio.h>

enum { kFirst, kReadOnly, kNoRights, kHole, kAfter, kPages };

static char here[4 * kPage];
static pid_t other;

static struct iovec piece(void* at, size_t size) { return (struct iovec){at, size}; }

static long from(struct iovec local, struct iovec remote) { return process_vm_readv(other, &local, 1, &remote, 1, 0); }
static long to(struct iovec local, struct iovec remote) { return process_vm_writev(other, &local, 1, &remote, 1, 0); }

// Page n of the arena is full of '0' + n, but for the hole.
static void furnish(void) {
  make_arena(kPages);
  for (long n = 0; n < kPages; ++n) {
    place(n, 1, kWrite, kPrivate);
    memset(page(n), '0' + (int)n, kPage);
  }
  mprotect(page(kReadOnly), kPage, kRead);
  mprotect(page(kNoRights), kPage, kNone);
  munmap(page(kHole), kPage);
}

static void moves(void) {
  tell("read a page", from(piece(here, kPage), piece(page(kFirst), kPage)));
  fact("what was read: %c %c", here[0], here[kPage - 1]);
  tell("read over an edge", from(piece(here, 20), piece(page(kReadOnly) - 10, 20)));
  fact("what was read: %.20s", here);
  tell("read more than there is room for", from(piece(here, 10), piece(page(kFirst), kPage)));
  tell("read less than there is room for", from(piece(here, kPage), piece(page(kFirst), 10)));
  tell("read without rights", from(piece(here, 10), piece(page(kNoRights), 10)));
  tell("read a hole", from(piece(here, 10), piece(page(kHole), 10)));
  tell("read up to what has no rights", from(piece(here, 3 * kPage), piece(page(kFirst) + 100, 3 * kPage)));
  tell("read far away", from(piece(here, 10), piece(bad_address, 10)));

  strcpy(here, "written");
  tell("write", to(piece(here, 7), piece(page(kFirst) + 50, 7)));
  tell("write what is read-only", to(piece(here, 7), piece(page(kReadOnly), 7)));
  tell("write up to what is read-only", to(piece(here, 20), piece(page(kReadOnly) - 10, 20)));
  tell("write a hole", to(piece(here, 7), piece(page(kHole), 7)));
  memset(here, 0, sizeof here);
  from(piece(here, 7), piece(page(kFirst) + 50, 7));
  fact("what was written there: %s", here);
  fact("ours, meanwhile: %.7s", page(kFirst) + 50);
}

static void pieces(void) {
  memset(here, '.', sizeof here);
  here[40] = 0;
  const struct iovec local[] = {piece(here, 3), piece(here, 0), piece(here + 5, 4), piece(here + 20, 10)};
  const struct iovec remote[] = {piece(page(kFirst), 5), piece(page(kAfter), 0), piece(page(kAfter), 6), piece(page(kHole), 9)};
  tell("many pieces", process_vm_readv(other, local, 4, remote, 3, 0));
  fact("came as %s", here);
  tell("many pieces, the last bad", process_vm_readv(other, local, 4, remote, 4, 0));
  tell("a bad piece first", process_vm_readv(other, local, 4, remote + 3, 1, 0));
  char* const edge = mmap(NULL, 2 * kPage, kWrite, kPrivate, -1, 0);
  munmap(edge + kPage, kPage);
  tell("into half a buffer", from(piece(edge + kPage - 30, 60), piece(page(kFirst), 60)));
  tell("out of half a buffer", to(piece(edge + kPage - 30, 60), piece(page(kFirst), 60)));
  tell("into none", from(piece(edge + kPage, 60), piece(page(kFirst), 60)));
}

static void errors(void) {
  struct iovec local = piece(here, 10), remote = piece(page(kFirst), 10), none = piece(here, 0), huge = piece(here, ~(size_t)0);
  tell("flags", process_vm_readv(other, &local, 1, &remote, 1, 1));
  tell("no such process", process_vm_readv(0x3fffffff, &local, 1, &remote, 1, 0));
  tell("no such process, nothing to move", process_vm_readv(0x3fffffff, &none, 1, &remote, 1, 0));
  tell("no such process, nothing there", process_vm_readv(0x3fffffff, &local, 1, &none, 1, 0));
  tell("too many local", process_vm_readv(other, &local, 1025, &remote, 1, 0));
  tell("too many remote", process_vm_readv(other, &local, 1, &remote, 1025, 0));
  tell("no pieces here", process_vm_readv(other, NULL, 0, &remote, 1, 0));
  tell("no pieces there", process_vm_readv(other, &local, 1, NULL, 0, 0));
  tell("bad local array", process_vm_readv(other, bad_address, 1, &remote, 1, 0));
  tell("bad remote array", process_vm_readv(other, &local, 1, bad_address, 1, 0));
  tell("huge here", process_vm_readv(other, &huge, 1, &remote, 1, 0));
  tell("huge there", process_vm_readv(other, &local, 1, &huge, 1, 0));
  other = getpid();
  tell("of ourselves", from(local, remote));
}

static void file(const char* path) {
  const int fd = open(path, O_RDWR);
  fact("open: %s", outcome(fd));
  memset(here, 0, sizeof here);
  tell("file: read", pread(fd, here, 10, (off_t)page(kFirst)));
  fact("what was read: %s", here);
  tell("file: read up to a hole", pread(fd, here, 2 * kPage, (off_t)page(kAfter) - kPage - 10) == -1 ? -1 : 0);
  tell("file: read a hole", pread(fd, here, 10, (off_t)page(kHole)));
  tell("file: read at 0", pread(fd, here, 10, 0));
  tell("file: read nothing", pread(fd, here, 0, 0));
  fact("file: seek %s", lseek(fd, (off_t)page(kAfter), SEEK_SET) == (off_t)page(kAfter) ? "to the address" : "elsewhere");
  tell("file: read there", read(fd, here, 4));
  fact("file: seek on %s", lseek(fd, 4, SEEK_CUR) == (off_t)page(kAfter) + 8 ? "from there" : "elsewhere");
  tell("file: seek from the end", lseek(fd, 0, SEEK_END));
  tell("file: write", pwrite(fd, "forced", 6, (off_t)page(kFirst)));
  tell("file: write what is read-only", pwrite(fd, "forced", 6, (off_t)page(kReadOnly)));
  tell("file: write without rights", pwrite(fd, "forced", 6, (off_t)page(kNoRights)));
  tell("file: write a hole", pwrite(fd, "forced", 6, (off_t)page(kHole)));
  tell("file: write from a bad buffer", pwrite(fd, bad_address, 6, (off_t)page(kFirst)));
  memset(here, 0, sizeof here);
  pread(fd, here, 6, (off_t)page(kReadOnly));
  fact("what is there now: %s", here);
  fact("ours, meanwhile: %.6s", page(kReadOnly));
  close(fd);
}

static void gone(const char* path) {
  const int fd = open(path, O_RDONLY);
  kill(other, SIGKILL);
  siginfo_t info;
  waitid(P_PID, (id_t)other, &info, WEXITED | WNOWAIT);
  tell("of a zombie", from(piece(here, 10), piece(page(kFirst), 10)));
  tell("file: of a zombie", pread(fd, here, 10, (off_t)page(kFirst)));
  waitpid(other, NULL, 0);
  tell("of one that is gone", from(piece(here, 10), piece(page(kFirst), 10)));
  tell("file: of one that is gone", pread(fd, here, 10, (off_t)page(kFirst)));
  close(fd);
}

// Somebody else's processes are nobody's business.
static void strangers(const char* path) {
  if (geteuid() != 0) return;
  IN_CHILD("a stranger", {
    setresgid(65534, 65534, 65534);
    setresuid(65534, 65534, 65534);
    tell("a stranger's read", from(piece(here, 10), piece(page(kFirst), 10)));
    tell("a stranger's write", to(piece(here, 10), piece(page(kFirst), 10)));
    fact("a stranger's open: %s", outcome(open(path, O_RDONLY)));
  });
}

int main(void) {
  furnish();
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  other = child;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", child);
  moves();
  pieces();
  errors();
  other = child;
  file(path);
  file("/proc/self/mem");
  strangers(path);
  gone(path);
  return 0;
}
