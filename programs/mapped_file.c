// Writes a file through a mapping and says what it sees there; the file's other users are a test's (tests/e2e/test_writable_files.py).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kPage = 4096, kMore = 8 };  // the mapping goes on behind the file's end
static int file;
static char* memory;
static size_t pages;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void open_and_map(const char* path) {
  struct stat about;
  file = open(path, O_RDWR);
  if (file < 0 || fstat(file, &about) != 0) fail(path);
  pages = (size_t)about.st_size / kPage;
  memory = mmap(NULL, (pages + kMore) * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) fail("mmap");
}

/// Writes every third page, and ends in the way that is asked for.
static int write_pages(const char* path, const char* end) {
  open_and_map(path);
  for (size_t n = 0; n < pages; n += 3) sprintf(memory + n * kPage, "written %zu", n);
  int failed = 0;
  if (strcmp(end, "msync") == 0) failed = msync(memory, pages * kPage, MS_SYNC);
  if (strcmp(end, "fsync") == 0) failed = fsync(file);
  if (strcmp(end, "syncfs") == 0) failed = syncfs(file);
  if (strcmp(end, "sync_file_range") == 0) failed = sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  if (strcmp(end, "sync") == 0) sync();
  if (strcmp(end, "close") == 0) failed = munmap(memory, pages * kPage) != 0 || close(file) != 0;
  if (strcmp(end, "exit") == 0) close(file);
  if (strcmp(end, "kill") == 0) kill(getpid(), SIGKILL);
  if (failed != 0) fail(end);
  return 0;
}

static sigjmp_buf after_fault;
static void on_fault(int number) { siglongjmp(after_fault, number); }

/// Answers each line with one: see N, set N C, read N, write N C, sync, cut N.
static int talk(const char* path) {
  open_and_map(path);
  signal(SIGBUS, on_fault);
  signal(SIGSEGV, on_fault);
  char line[100], word[20], byte;
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    volatile long page = 0;
    long number = 0;
    sscanf(line, "%19s %ld %c", word, &number, &byte);
    page = number;
    const int fault = sigsetjmp(after_fault, 1);
    if (fault != 0) {
      printf("SIG%s\n", sigabbrev_np(fault));
    } else if (strcmp(word, "see") == 0) {
      printf("%c\n", ((volatile char*)memory)[page * kPage]);
    } else if (strcmp(word, "set") == 0) {
      ((volatile char*)memory)[page * kPage] = byte;
      printf("%c\n", byte);
    } else if (strcmp(word, "read") == 0) {
      if (pread(file, &byte, 1, page * kPage) != 1) byte = '-';
      printf("%c\n", byte);
    } else if (strcmp(word, "write") == 0) {
      puts(pwrite(file, &byte, 1, page * kPage) == 1 ? "ok" : strerrorname_np(errno));
    } else if (strcmp(word, "sync") == 0) {
      puts(msync(memory, pages * kPage, MS_SYNC) == 0 ? "ok" : strerrorname_np(errno));
    } else if (strcmp(word, "cut") == 0) {
      puts(ftruncate(file, page * kPage) == 0 ? "ok" : strerrorname_np(errno));
    }
  }
  return 0;
}

static void say(const char* what, int result) { printf("%s: %s\n", what, result == 0 ? "ok" : strerrorname_np(errno)); }

/// Writes more than there is room for.
static int fill(const char* path) {
  open_and_map(path);
  const int other = open(path, O_RDONLY);
  memset(memory, 'f', pages * kPage);
  say("msync", msync(memory, pages * kPage, MS_SYNC));
  say("other", fsync(other));
  say("close", close(file));
  return 0;
}

/// Writes each page's number into it.
static int stamp(const char* path) {
  open_and_map(path);
  for (size_t n = 0; n < pages; ++n) memcpy(memory + n * kPage, &n, sizeof n);
  return 0;
}

/// Reads every page, twice, and says the sum of the first bytes.
static int sum(const char* path) {
  struct stat about;
  file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &about) != 0) fail(path);
  pages = (size_t)about.st_size / kPage;
  memory = mmap(NULL, pages * kPage, PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) fail("mmap");
  for (int round = 0; round < 2; ++round) {
    unsigned long total = 0;
    for (size_t n = 0; n < pages; ++n) total += (unsigned char)memory[n * kPage];
    printf("%lu\n", total);
  }
  return 0;
}

int main(int count, char** words) {
  if (count == 4 && strcmp(words[1], "write") == 0) return write_pages(words[2], words[3]);
  if (count == 3 && strcmp(words[1], "talk") == 0) return talk(words[2]);
  if (count == 3 && strcmp(words[1], "full") == 0) return fill(words[2]);
  if (count == 3 && strcmp(words[1], "stamp") == 0) return stamp(words[2]);
  if (count == 3 && strcmp(words[1], "sum") == 0) return sum(words[2]);
  fprintf(stderr, "mapped_file: write FILE HOW | talk FILE | full FILE | stamp FILE | sum FILE\n");
  return 2;
}
