// Mapping files: whose pages they are, who sees what is written, what lies behind the end. In the directory that is named, or /tmp.
#include "memory.h"

#include <sys/stat.h>

static int file;
static const char* folder = "/tmp";
static char name[200];

/// Keeps its name until the next one is made.
static void new_file(size_t pages) {
  if (file > 0) close(file);
  if (name[0] != 0) unlink(name);
  snprintf(name, sizeof name, "%s/mapXXXXXX", folder);
  file = mkstemp(name);
  for (size_t n = 0; n < pages; ++n) {
    char block[kPage];
    memset(block, (int)('a' + n), sizeof block);
    if (write(file, block, sizeof block) != sizeof block) _exit(97);
  }
}
static char* map(long at, size_t pages, int prot, int flags, long from) {
  return mmap(page(at), pages * kPage, prot, flags | MAP_FIXED, file, from * kPage);
}
static char in_file(long offset) {
  char byte = '?';
  if (pread(file, &byte, 1, offset) != 1) return '-';
  return byte;
}
static int cached(long at, size_t pages) {
  unsigned char bytes[64];
  int count = 0;
  if (mincore(page(at), pages * kPage, bytes) != 0) return -1;
  for (size_t n = 0; n < pages; ++n) count += bytes[n] & 1;
  return count;
}

static void errors(void) {
  new_file(1);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", file);
  const int reader = open(again, O_RDONLY), writer = open(again, O_WRONLY);
  const int directory = open(folder, O_RDONLY | O_DIRECTORY);
  int ends[2];
  if (pipe(ends) != 0) _exit(96);
#define TRY(what, length, prot, flags, fd, offset) \
  fact("%s: %s", what, outcome((long)mmap(NULL, length, prot, flags, fd, offset) == -1 ? -1 : 0))
  TRY("no descriptor", kPage, kRead, MAP_PRIVATE, -1, 0);
  TRY("no length", 0, kRead, MAP_PRIVATE, file, 0);
  TRY("neither private nor shared", kPage, kRead, 0, file, 0);
  TRY("offset inside a page", kPage, kRead, MAP_PRIVATE, file, 100);
  TRY("a directory", kPage, kRead, MAP_PRIVATE, directory, 0);
  TRY("a pipe", kPage, kRead, MAP_PRIVATE, ends[0], 0);
  TRY("shared, to be written, open for reading", kPage, kWrite, MAP_SHARED, reader, 0);
  TRY("shared, open for reading", kPage, kRead, MAP_SHARED, reader, 0);
  TRY("private, to be written, open for reading", kPage, kWrite, MAP_PRIVATE, reader, 0);
  TRY("shared, open for writing", kPage, kWrite, MAP_SHARED, writer, 0);
  TRY("private, open for writing", kPage, kRead, MAP_PRIVATE, writer, 0);
  TRY("validated", kPage, kWrite, MAP_SHARED_VALIDATE, file, 0);
  TRY("synchronous", kPage, kWrite, MAP_SHARED_VALIDATE | 0x80000, file, 0);
  TRY("growing down", kPage, kWrite, MAP_PRIVATE | MAP_GROWSDOWN, file, 0);
  TRY("huge", kPage, kWrite, MAP_PRIVATE | MAP_HUGETLB, file, 0);
  char* both = mmap(NULL, kPage, kRead, MAP_SHARED, reader, 0);
  fact("a shared mapping of a reader made writable: %s", outcome(mprotect(both, kPage, kWrite)));
  both = mmap(NULL, kPage, kRead, MAP_PRIVATE, reader, 0);
  fact("a private one: %s", outcome(mprotect(both, kPage, kWrite)));
  *both = 'x';
  fact("which writes a copy: file %c, memory %c", in_file(0), *both);
  close(reader), close(writer), close(directory), close(ends[0]), close(ends[1]);
}

static void contents(void) {
  new_file(4);
  map(0, 4, kWrite, MAP_SHARED, 0);
  map(8, 4, kWrite, MAP_PRIVATE, 0);
  map(16, 2, kRead, MAP_SHARED, 2);
  fact("shared %c, private %c, from the middle %c", page(0)[5], page(9)[5], page(16)[5]);
  page(0)[0] = 'S';
  fact("written shared: file %c, private %c", in_file(0), page(8)[0]);
  page(8)[1] = 'P';
  fact("written private: file %c, shared %c, private %c", in_file(1), page(0)[1], page(8)[1]);
  page(0)[2] = 'T';
  fact("written shared after the copy: private %c, file %c", page(8)[2], in_file(2));
  if (pwrite(file, "W", 1, 2 * kPage) != 1) _exit(95);
  fact("written by a call: shared %c, private %c, from the middle %c", page(2)[0], page(10)[0], page(16)[0]);
  page(11)[0] = 'Q';
  if (pwrite(file, "V", 1, 3 * kPage) != 1) _exit(95);
  fact("a page with a copy: shared %c, private %c", page(3)[0], page(11)[0]);
  const pid_t child = fork();
  if (child == 0) {
    page(1)[0] = 'C';
    page(9)[0] = 'D';
    fact("child: shared %c, private %c, the copy %c", page(1)[0], page(9)[0], page(8)[1]);
    page(8)[1] = 'E';
    _exit(0);
  }
  waitpid(child, NULL, 0);
  fact("after the child: shared %c, private %c, the copy %c, file %c", page(1)[0], page(9)[0], page(8)[1], in_file(kPage));
  fact("thrown away: %s", outcome(madvise(page(8), 4 * kPage, MADV_DONTNEED)));
  fact("private again as the file: %c %c", page(8)[1], page(11)[0]);
  fact("synchronised: %s, asynchronously %s", outcome(msync(page(0), 4 * kPage, MS_SYNC)), outcome(msync(page(0), 4 * kPage, MS_ASYNC)));
  close(file);
  file = 0;
  fact("after closing: shared %c", page(0)[0]);
  draw("mapped", 20);
}

static void ends(void) {
  new_file(3);
  map(0, 6, kWrite, MAP_SHARED, 0);
  map(8, 6, kWrite, MAP_PRIVATE, 0);
  fact("behind the end, shared: %s", touch('r', page(3)));
  fact("behind the end, private: %s", touch('r', page(11)));
  fact("behind the end, written: %s", touch('w', page(12)));
  page(8)[0] = '1', page(9)[0] = '2', page(10)[0] = '3';
  fact("cut: %s", outcome(ftruncate(file, kPage + 100)));
  fact("kept: shared %c, private %c%c", page(0)[0], page(8)[0], page(9)[0]);
  fact("the rest of the last page: shared %d, private %d", page(1)[100], page(9)[100]);
  fact("cut off, shared: %s", touch('r', page(2)));
  fact("cut off, private: %s", touch('r', page(10)));
  fact("longer: %s", outcome(ftruncate(file, 5 * kPage)));
  fact("new: shared %d, private %d", page(2)[0], page(10)[0]);
  fact("behind the new end: %s", touch('r', page(5)));
  page(4)[7] = 'Z';
  fact("written there: file %c", in_file(4 * kPage + 7));
  fact("a hole is punched: %s", outcome(fallocate(file, 3, 0, kPage)));
  fact("shared %d, private %c, file %d", page(0)[0], page(8)[0], in_file(0));
}

static void residence(void) {
  new_file(8);
  map(0, 8, kRead, MAP_SHARED, 0);
  // What calls have written need not be in memory.
  for (size_t n = 0; n < 8; ++n) touch('r', page((long)n));
  fact("in the cache: %d of 8", cached(0, 8));
  map(8, 8, kWrite, MAP_PRIVATE, 0);
  page(8)[0] = 1;
  fact("private: %d of 8", cached(8, 8));
  fact("read ahead: %s", outcome(posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED)));
  fact("advice: %s %s %s", outcome(madvise(page(0), 8 * kPage, MADV_WILLNEED)),
       outcome(madvise(page(0), 8 * kPage, MADV_SEQUENTIAL)), outcome(madvise(page(8), kPage, MADV_FREE)));
  fact("locked: %s", outcome(mlock(page(0), 2 * kPage)));
  fact("dropped though locked: %s", outcome(madvise(page(0), 8 * kPage, MADV_DONTNEED)));
  munlock(page(0), 2 * kPage);
}

static void shapes(void) {
  new_file(8);
  clear_arena();
  map(0, 2, kRead, MAP_SHARED, 0);
  map(2, 2, kRead, MAP_SHARED, 2);
  draw("continued", 8);
  map(4, 2, kRead, MAP_SHARED, 5);
  draw("not continued", 8);
  mprotect(page(1), kPage, kWrite);
  draw("one page writable", 8);
  munmap(page(2), kPage);
  draw("one page gone", 8);
  const char* moved = mremap(page(4), 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, page(6));
  fact("moved: %s %c%c", moved == page(6) ? "there" : "elsewhere", page(6)[0], page(7)[0]);
  const char* grown = mremap(page(6), 2 * kPage, 3 * kPage, 0);
  fact("grown: %s %c", grown == page(6) ? "in place" : "elsewhere", page(8)[0]);
  clear_arena();
  map(0, 2, kWrite, MAP_PRIVATE, 0);
  map(2, 2, kWrite, MAP_PRIVATE, 2);
  page(0)[0] = 1;
  draw("private, continued", 8);
}

static void zeros(void) {
  const int zero = open("/dev/zero", O_RDWR);
  char* alone = mmap(NULL, 2 * kPage, kWrite, MAP_PRIVATE, zero, 0);
  char* together = mmap(NULL, 2 * kPage, kWrite, MAP_SHARED, zero, 0);
  fact("zeros: %d %d", alone[0], together[kPage]);
  alone[0] = together[0] = 1;
  const pid_t child = fork();
  if (child == 0) {
    alone[0] = together[0] = 2;
    _exit(0);
  }
  waitpid(child, NULL, 0);
  fact("private zeros %d, shared zeros %d", alone[0], together[0]);
  fact("null: %s", outcome((long)mmap(NULL, kPage, kRead, MAP_PRIVATE, open("/dev/null", O_RDWR), 0) == -1 ? -1 : 0));
  close(zero);
}

int main(int count, char** words) {
  if (count > 1) folder = words[1];
  make_arena(32);
  catch_faults();
  errors();
  contents();
  ends();
  residence();
  shapes();
  zeros();
  unlink(name);
  return 0;
}
