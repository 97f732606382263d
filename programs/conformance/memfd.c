// memfd_create: memory with a descriptor, and the seals on it.
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { kNoExecSeal = 8, kExec = 16, kSealExec = 0x20 };

static int make(unsigned flags) { return (int)syscall(SYS_memfd_create, "m", flags); }
static int sealed(int seals) {
  const int fd = make(MFD_ALLOW_SEALING);
  if (fd < 0 || ftruncate(fd, 4 * (long)kPage) != 0) _exit(98);
  if (seals != 0 && fcntl(fd, F_ADD_SEALS, seals) != 0) _exit(97);
  return fd;
}
static int reopened(int fd, int flags) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  return open(name, flags);
}

static void creating(void) {
  char name[300];
  memset(name, 'n', sizeof name);
  name[249] = 0;
  fact("249 letters: %s", outcome(syscall(SYS_memfd_create, name, 0)));
  name[249] = 'n', name[250] = 0;
  fact("250 letters: %s", outcome(syscall(SYS_memfd_create, name, 0)));
  fact("no name: %s", outcome(syscall(SYS_memfd_create, "", 0)));
  fact("a bad address: %s", outcome(syscall(SYS_memfd_create, bad_address, 0)));
  fact("flags nobody knows: %s", outcome(make(0x20)));
  fact("both of exec: %s", outcome(make(kNoExecSeal | kExec)));
  const int fd = (int)syscall(SYS_memfd_create, "some/name", kExec);
  char link[64] = "", at[64];
  snprintf(at, sizeof at, "/proc/self/fd/%d", fd);
  if (readlink(at, link, sizeof link - 1) < 0) _exit(96);
  struct stat now;
  fstat(fd, &now);
  fact("called %s, mode %o, %ld links, size %ld, flags %o, kept at exec: %d", link, now.st_mode, (long)now.st_nlink, (long)now.st_size,
       fcntl(fd, F_GETFL), !fcntl(fd, F_GETFD));
  fact("closed at exec: %d", fcntl(make(MFD_CLOEXEC), F_GETFD));
  const int pair[] = {fd, make(MFD_ALLOW_SEALING), make(kNoExecSeal)};
  for (int n = 0; n < 3; ++n) {
    fstat(pair[n], &now);
    fact("seals %x, mode %o", fcntl(pair[n], F_GET_SEALS), now.st_mode);
  }
  fact("chmod +x: %s, of one sealed: %s, chmod -r: %s", outcome(fchmod(fd, 0700)), outcome(fchmod(pair[2], 0700)),
       outcome(fchmod(pair[2], 0200)));
  fact("a seal on one that takes none: %s", outcome(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)));
  int ends[2];
  if (pipe(ends) != 0) _exit(95);
  fact("seals of a pipe: %s", outcome(fcntl(ends[1], F_GET_SEALS)));
}

static void send_one(int to) {
  char room[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
  struct iovec piece = {&byte, 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof(int));
  const int own = make(0);
  ftruncate(own, kPage);
  memcpy(CMSG_DATA(head), &own, sizeof own);
  sendmsg(to, &message, 0);
  char* there = mmap(NULL, kPage, kWrite, MAP_SHARED, own, 0);
  strcpy(there, "from the child");
  write(to, "y", 1);
}

static void contents(void) {
  const int fd = make(0);
  fact("writes %ld", (long)write(fd, "hello", 5));
  ftruncate(fd, 2 * (long)kPage);
  char* map = mmap(page(0), 2 * kPage, kWrite, MAP_SHARED | MAP_FIXED, fd, 0);
  fact("mapped: %s", map);
  strcpy(map + kPage, "second");
  char text[8] = "";
  pread(fd, text, 7, kPage);
  fact("read back: %s", text);
  IN_CHILD("a child", strcpy(map, "child"));
  fact("after the child: %s", map);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) _exit(94);
  IN_CHILD("a child that sends one", send_one(pair[1]));
  char room[CMSG_SPACE(sizeof(int))], byte;
  struct iovec piece = {&byte, 1};
  struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  recvmsg(pair[0], &message, 0);
  read(pair[0], &byte, 1);
  int got;
  memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
  char* there = mmap(NULL, kPage, kRead, MAP_SHARED, got, 0);
  fact("received: %s", there);
  char* line = strstr(text_of("/proc/self/maps"), "/memfd:m (deleted)");
  fact("in maps: %d", line != NULL);
  ftruncate(fd, 0);
  fact("cut off: %s", touch('r', map));
  clear_arena();
}

static void try_all(const char* what, int fd) {
  char text[256] = "";
  int at = 0;
#define ADD(name, call) at += snprintf(text + at, sizeof text - (size_t)at, " " name " %s", outcome((long)(call)))
  struct stat now;
  ADD("write", pwrite(fd, "x", 1, 0));
  ADD("nothing", pwrite(fd, "x", 0, 0));
  fstat(fd, &now);
  ADD("append", pwrite(fd, "x", 1, now.st_size));
  ADD("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPage));
  ADD("fill", fallocate(fd, 0, 0, kPage));
  ADD("reserve", fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 16 * kPage));
  fstat(fd, &now);
  ADD("same", ftruncate(fd, now.st_size));
  ADD("longer", ftruncate(fd, now.st_size + 1));
  ADD("shorter", ftruncate(fd, 3 * (long)kPage));
  fact("%s:%s", what, text);
  at = 0;
  char* map = mmap(page(0), kPage, kWrite, MAP_SHARED | MAP_FIXED, fd, 0);
  ADD("shared", map == MAP_FAILED ? -1 : 0);
  map = mmap(page(1), kPage, kWrite, MAP_PRIVATE | MAP_FIXED, fd, 0);
  ADD("private", map == MAP_FAILED ? -1 : 0);
  map = mmap(page(2), kPage, kRead, MAP_SHARED | MAP_FIXED, fd, 0);
  ADD("read only", map == MAP_FAILED ? -1 : 0);
  ADD("made writable", mprotect(page(2), kPage, kWrite));
  fact("%s, mapped:%s", what, text);
  clear_arena();
}

static void seals(void) {
  const struct {
    const char* name;
    int seals;
  } tried[] = {{"no seal", 0},         {"shrink", F_SEAL_SHRINK},        {"grow", F_SEAL_GROW},
               {"write", F_SEAL_WRITE}, {"future", F_SEAL_FUTURE_WRITE}, {"all", F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL}};
  for (size_t n = 0; n < sizeof tried / sizeof *tried; ++n) {
    const int fd = sealed(tried[n].seals);
    try_all(tried[n].name, fd);
    const int again = fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL);
    fact("%s: another seal %s, all: %x", tried[n].name, outcome(again), fcntl(fd, F_GET_SEALS));
    const int other = reopened(fd, O_RDWR);
    fact("%s: opened again %s, seals %x", tried[n].name, outcome(pwrite(other, "x", 1, 0)), fcntl(other, F_GET_SEALS));
    close(other), close(fd);
  }
  const int fd = sealed(0), reader = reopened(fd, O_RDONLY);
  fact("by a reader: %s, unknown: %s", outcome(fcntl(reader, F_ADD_SEALS, F_SEAL_GROW)), outcome(fcntl(fd, F_ADD_SEALS, 0x100)));
  const int exec = sealed(0);
  fact("exec: %s", outcome(fcntl(exec, F_ADD_SEALS, kSealExec)));
  fact("all: %x", fcntl(exec, F_GET_SEALS));
  fact("chmod: %s", outcome(fchmod(exec, 0666)));
}

static void mapped_when_sealed(void) {
  const int fd = sealed(0), reader = reopened(fd, O_RDONLY);
#define SEAL(what) fact(what ": %s", outcome(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)))
  mmap(page(0), 2 * kPage, kWrite, MAP_SHARED | MAP_FIXED, fd, 0);
  SEAL("while mapped");
  munmap(page(0), kPage);
  SEAL("while half is");
  mprotect(page(1), kPage, kRead);
  SEAL("while it could be made writable");
  int go[2], ready[2];
  char byte;
  if (pipe(go) != 0 || pipe(ready) != 0) _exit(93);
  const pid_t child = fork();
  if (child == 0) {
    write(ready[1], "x", 1);
    read(go[0], &byte, 1);
    _exit(0);
  }
  read(ready[0], &byte, 1);
  munmap(page(1), kPage);
  SEAL("while a child has it");
  write(go[1], "x", 1);
  waitpid(child, NULL, 0);
  mmap(page(4), kPage, kWrite, MAP_PRIVATE | MAP_FIXED, fd, 0);
  mmap(page(6), kPage, kRead, MAP_SHARED | MAP_FIXED, reader, 0);
  SEAL("private and by a reader");
  *page(4) = 'p';
  fact("a private copy: %c, the file %d", *page(4), *page(6));
  const int other = sealed(0);
  mmap(page(8), kPage, kWrite, MAP_SHARED | MAP_FIXED, other, 0);
  fact("future writes: %s", outcome(fcntl(other, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)));
  fact("an older mapping: %s", touch('w', page(8)));
  clear_arena();
}

int main(void) {
  make_arena(64);
  catch_faults();
  creating();
  contents();
  seals();
  mapped_when_sealed();
  return 0;
}
