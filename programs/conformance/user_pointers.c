// System calls that are given memory they may not use: EFAULT, and how much was done before.
#include "memory.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>

static int ends[2];

static void refill(size_t bytes) {
  static char some[65536];
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  while (read(ends[0], some, sizeof some) > 0) {
  }
  fcntl(ends[0], F_SETFL, 0);
  for (size_t n = 0; n < bytes; ++n) some[n] = (char)('a' + n % 26);
  write(ends[1], some, bytes);
}
static const char* result(long value) {
  static char text[2][32];
  static int turn;
  turn ^= 1;
  if (value < 0) return strerrorname_np(errno);
  snprintf(text[turn], sizeof text[turn], "%ld", value);
  return text[turn];
}

// Pages 0 to 3: writable, to be read, without rights, not mapped.
static void layout(void) {
  place(0, 4, kWrite, kPrivate);
  mprotect(page(1), kPage, kRead);
  mprotect(page(2), kPage, kNone);
  munmap(page(3), kPage);
}
static const char* const kNames[] = {"writable", "read-only", "no rights", "unmapped"};

static void each(void) {
  for (int n = 0; n < 4; ++n) {
    char* at = page(n);
    refill(100);
    fact("%s: read %s", kNames[n], result(read(ends[0], at, 10)));
    fact("%s: write %s", kNames[n], result(write(ends[1], at, 10)));
    fact("%s: fstat %s", kNames[n], result(fstat(0, (struct stat*)at)));
    fact("%s: stat of a path there %s", kNames[n], result(access(at, F_OK)));
    fact("%s: uname %s", kNames[n], result(uname((struct utsname*)at)));
    fact("%s: pipe %s", kNames[n], result(pipe((int*)at)));
    fact("%s: getcwd %s", kNames[n],
         syscall(SYS_getcwd, at, 100) > 0 ? "ok" : strerrorname_np(errno));
    fact("%s: clock_gettime %s", kNames[n], result(syscall(SYS_clock_gettime, 1, at)));
    if (n == 0) memset(at, 0, 64);
    fact("%s: nanosleep %s", kNames[n], result(syscall(SYS_nanosleep, at, NULL)));
    if (n == 0) ((struct pollfd*)at)->fd = -1;
    fact("%s: poll %s", kNames[n], result(poll((struct pollfd*)at, 1, 0)));
    fact("%s: getrlimit %s", kNames[n], result(syscall(SYS_getrlimit, RLIMIT_AS, at)));
    fact("%s: sigaction %s", kNames[n], result(syscall(SYS_rt_sigaction, SIGUSR1, NULL, at, 8)));
    fact("%s: getrandom %s", kNames[n], result(syscall(SYS_getrandom, at, 8, 0)));
    fact("%s: wait4 %s", kNames[n], result(wait4(-1, (int*)at, WNOHANG, NULL)));
  }
}

static void partly(void) {
  refill(100);
  fact("a read that ends in a read-only page: %s", result(read(ends[0], page(1) - 10, 50)));
  refill(100);
  fact("a read whose pages are all good: %s", result(read(ends[0], page(1) - 10, 10)));
  fact("what was read: %.10s", page(1) - 10);
  refill(0);
  fact("a write from a readable page into a page without rights: %s",
       result(write(ends[1], page(2) - 10, 50)));
  struct iovec parts[3] = {{page(0), 5}, {page(2), 5}, {page(0) + 10, 5}};
  refill(0);
  fact("writev, the second part is bad: %s", result(writev(ends[1], parts, 3)));
  parts[0].iov_base = page(2);
  fact("writev, the first part is bad: %s", result(writev(ends[1], parts, 3)));
  parts[0].iov_len = 0;
  parts[1].iov_base = page(0);
  fact("an empty part may be bad: %s", result(writev(ends[1], parts, 2)));
  fact("the parts themselves are bad: %s", result(writev(ends[1], (struct iovec*)page(3), 2)));
  fact("no parts at a bad place: %s", result(writev(ends[1], (struct iovec*)page(3), 0)));
  fact("nothing from a bad place: %s", result(write(ends[1], page(3), 0)));
}

// What fits is written to the last byte, though it is not counted.
static void to_the_byte(void) {
  static const int kSizes[] = {1, 7, 8, 13, 31, 1499};
  for (size_t n = 0; n < sizeof kSizes / sizeof *kSizes; ++n) {
    memset(page(0), '-', kPage);
    refill(2000);
    const char* got = result(read(ends[0], page(1) - kSizes[n], (size_t)kSizes[n] + 9));
    int written = 0;
    for (int byte = 0; byte < kPage; ++byte) written += page(0)[byte] != '-';
    fact("into %d good bytes: %s, so many are written: %d", kSizes[n], got, written);
  }
}

static void other_addresses(void) {
  refill(100);
  fact("into the kernel's half: %s", result(read(ends[0], (void*)-4096L, 10)));
  fact("into what is no address: %s", result(read(ends[0], (void*)0x8000000000000000, 10)));
  fact("over the top of user space: %s", result(read(ends[0], (void*)0x7ffffffff000, 8192)));
  fact("to page 0: %s", result(read(ends[0], bad_address, 10)));
  fact("from the kernel's half: %s", result(write(ends[1], (void*)-4096L, 10)));
  fact("nothing was taken: %s", result(read(ends[0], page(0), 100)));
}

// What a system call writes is a write: copies, fresh pages, zero pages.
static void as_writes(void) {
  place(8, 4, kWrite, kPrivate);
  (void)*(volatile char*)page(8);
  refill(4);
  fact("over a page that was only read: %s, %.4s", result(read(ends[0], page(8), 4)), page(8));
  refill(4);
  fact("into a page never touched: %s, %.4s", result(read(ends[0], page(9), 4)), page(9));
  fact("from a page never touched: %s", result(write(ends[1], page(10), 4)));
  strcpy(page(8), "parent");
  IN_CHILD("in a child", {
    refill(5);
    fact("over an inherited page: %s", result(read(ends[0], page(8), 5)));
    fact("the child reads: %.6s", page(8));
  });
  fact("the parent reads: %s", page(8));
  place(12, 1, kWrite, kShared);
  refill(3);
  IN_CHILD("shared memory", read(ends[0], page(12), 3));
  fact("is written for all: %.3s", page(12));
}

int main(void) {
  make_arena(64);
  catch_faults();
  pipe(ends);
  signal(SIGPIPE, SIG_IGN);
  layout();
  each();
  layout();
  partly();
  to_the_byte();
  other_addresses();
  as_writes();
  return 0;
}
