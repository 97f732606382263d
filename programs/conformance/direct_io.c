// O_DIRECT: who takes it, what must be aligned, and that it sees what mappings and other calls see. In the directory that is named.
#include "memory.h"

#include <sys/uio.h>

static int direct, buffered;
static char* block;

static void transfers(void) {
  memset(block, 'x', 16 * kPage);
  tell("a page", pwrite(direct, block, kPage, 0));
  tell("a sector", pwrite(direct, block, 512, kPage));
  tell("nothing", pwrite(direct, block, 0, 0));
  tell("memory that is not aligned", pwrite(direct, block + 1, 512, 0));
  tell("a bad pointer", pwrite(direct, bad_address, 512, 0));
  tell("read", pread(direct, block, kPage, 0));
  tell("from the second sector", pread(direct, block, 512, 512));
  tell("behind the end", pread(direct, block, kPage, 2 * kPage));
  tell("up to the end", pread(direct, block, 16 * kPage, 0));
  tell("into a bad pointer", pread(direct, bad_address, 512, 0));
  const struct iovec pieces[] = {{block, 512}, {block + kPage, 1024}};
  tell("in pieces", preadv(direct, pieces, 2, 0));
  fact("is told: %d", (fcntl(direct, F_GETFL) & O_DIRECT) != 0);
  tell("taken back", fcntl(direct, F_SETFL, 0));
  tell("then any size will do", pread(direct, block, 100, 0));
  tell("given again", fcntl(direct, F_SETFL, O_DIRECT));
}

static void alignment(void) {
  tell("some bytes", pwrite(direct, block, 100, 0));
  tell("at some place", pwrite(direct, block, 512, 100));
  tell("some bytes read", pread(direct, block, 100, 0));
  tell("behind the end, any number", pread(direct, block, 100, 64 * kPage));
}

static void coherence(void) {
  memset(block, 'a', 4 * kPage);
  pwrite(buffered, block, 4 * kPage, 0);
  char* shared = mmap(NULL, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, buffered, 0);
  shared[0] = 'm';
  pread(direct, block, kPage, 0);
  fact("a direct read sees what a mapping wrote: %c", block[0]);
  memset(block, 'd', kPage);
  pwrite(direct, block, kPage, kPage);
  fact("a mapping sees what was written directly: %c", shared[kPage]);
  char byte = '?';
  pread(buffered, &byte, 1, kPage);
  fact("and so does a call: %c", byte);
  shared[2 * kPage] = 'n';
  tell("from the mapping itself to the file", pwrite(direct, shared + 2 * kPage, kPage, 0));
  fact("which has it: %c", shared[0]);
  memset(block, 'e', kPage);
  pwrite(buffered, block, kPage, 3 * kPage);
  tell("from the file into its own mapping", pread(direct, shared, kPage, 3 * kPage));
  fact("which has it: %c", shared[0]);
  pread(buffered, &byte, 1, 0);
  fact("and the file: %c", byte);
  munmap(shared, 4 * kPage);
}

int main(int count, char** words) {
  char name[200];
  snprintf(name, sizeof name, "%s/directXXXXXX", count > 1 ? words[1] : "/dev/shm");
  direct = mkostemp(name, O_DIRECT);
  buffered = open(name, O_RDWR);
  if (posix_memalign((void**)&block, kPage, 16 * kPage) != 0) return 1;
  transfers();
  if (count > 1) alignment();
  coherence();
  unlink(name);
  tell("a device", open("/dev/null", O_RDWR | O_DIRECT));
  tell("a file of /proc", open("/proc/self/stat", O_RDONLY | O_DIRECT));
  tell("a directory", open("/dev", O_RDONLY | O_DIRECT | O_DIRECTORY));
  return 0;
}
