// Huge pages (hugetlb): the pool, reservations, mappings private and shared, files and System V segments of them.
#include "facts.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define HUGE (2UL << 20)
#define POOL 8
#define PLACE ((char*)0x600000000000)

static const int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, kShared = MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB;
static const char kPoolFile[] = "/proc/sys/vm/nr_hugepages", kOvercommitFile[] = "/proc/sys/vm/nr_overcommit_hugepages";

static long setting(const char* file) {
  char text[32] = "";
  const int fd = open(file, O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) return -1;
  close(fd);
  return atol(text);
}

static int set(const char* file, long value) {
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", value), fd = open(file, O_WRONLY);
  const int done = fd >= 0 && write(fd, text, (size_t)length) == length;
  if (fd >= 0) close(fd);
  return done;
}

/// The number behind `key` in a file of /proc; its first mapping is `at`, if that is not null.
static long number_in(const char* file, const char* key, const void* at) {
  char line[512], begin[32];
  snprintf(begin, sizeof begin, "%lx-", (unsigned long)at);
  FILE* text = fopen(file, "r");
  long found = -1;
  int here = at == NULL;
  while (text != NULL && found < 0 && fgets(line, sizeof line, text) != NULL) {
    here = here || strncmp(line, begin, strlen(begin)) == 0;
    if (here && strncmp(line, key, strlen(key)) == 0) found = atol(line + strlen(key));
  }
  if (text != NULL) fclose(text);
  return found;
}

static void pool(const char* when) {
  fact("%s: %ld pages, %ld free, %ld reserved, %ld surplus", when, number_in("/proc/meminfo", "HugePages_Total:", NULL),
       number_in("/proc/meminfo", "HugePages_Free:", NULL), number_in("/proc/meminfo", "HugePages_Rsvd:", NULL),
       number_in("/proc/meminfo", "HugePages_Surp:", NULL));
}

static sigjmp_buf fault;
static volatile int fault_code;
static void on_fault(int number, siginfo_t* info, void* context) {
  (void)context;
  fault_code = info->si_code;
  siglongjmp(fault, number);
}

/// "ok", or the signal that the access ends in.
static const char* touch(volatile char* at, char value) {
  static char text[32];
  const int number = sigsetjmp(fault, 1);
  if (number == 0) {
    if (value != 0) {
      *at = value;
    } else {
      (void)*at;
    }
    return "ok";
  }
  snprintf(text, sizeof text, "SIG%s, code %d", sigabbrev_np(number), fault_code);
  return text;
}

static char* map(size_t pages, int flags) {
  char* at = mmap(NULL, pages * HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) fact("mmap: %s", strerrorname_np(errno));
  return at;
}

static void figures(const char* when, const char* at) {
  fact("%s: page size %ld, Rss %ld, shared %ld, private %ld", when, number_in("/proc/self/smaps", "KernelPageSize:", at),
       number_in("/proc/self/smaps", "Rss:", at), number_in("/proc/self/smaps", "Shared_Hugetlb:", at),
       number_in("/proc/self/smaps", "Private_Hugetlb:", at));
  fact("%s: HugetlbPages %ld", when, number_in("/proc/self/status", "HugetlbPages:", NULL));
}

static void private_memory(void) {
  char* at = mmap(NULL, 4 * HUGE - 5, PROT_READ | PROT_WRITE, kPrivate, -1, 0);
  fact("aligned: %d", (uintptr_t)at % HUGE == 0);
  pool("mapped");
  fact("write: %s", touch(at + HUGE - 1, 1));
  fact("read: %s", touch(at + HUGE, 0));
  pool("touched");
  figures("touched", at);
  fact("zeros: %d", at[0] == 0 && at[2 * HUGE - 1] == 0);
  unsigned char resident[4] = {0};
  tell("mincore", mincore(at + 2 * HUGE - 8192, 16384, resident));
  fact("resident: %d %d %d %d", resident[0] & 1, resident[1] & 1, resident[2] & 1, resident[3] & 1);
  fact("munmap of a part: %s", outcome(munmap(at, 4096)));
  fact("munmap off the boundary: %s", outcome(munmap(at + 4096, HUGE)));
  fact("mprotect of a part: %s", outcome(mprotect(at, 4096, PROT_READ)));
  fact("mprotect: %s", outcome(mprotect(at, HUGE, PROT_READ)));
  fact("write: %s", touch(at, 2));
  fact("mprotect: %s", outcome(mprotect(at, HUGE, PROT_READ | PROT_WRITE)));
  fact("write: %s", touch(at, 2));
  fact("MADV_DONTNEED of a part: %s", outcome(madvise(at, 4096, MADV_DONTNEED)));
  pool("nothing gone");
  fact("MADV_DONTNEED off the boundary: %s", outcome(madvise(at + 4096, HUGE, MADV_DONTNEED)));
  fact("MADV_DONTNEED: %s", outcome(madvise(at, HUGE + 4096, MADV_DONTNEED)));
  pool("one gone");
  fact("zero again: %d", at[0] == 0);
  const int advices[] = {MADV_FREE,   MADV_COLD,     MADV_PAGEOUT,  MADV_WIPEONFORK, MADV_DONTFORK,   MADV_DOFORK,
                         MADV_REMOVE, MADV_DONTDUMP, MADV_DODUMP,   MADV_WILLNEED,   MADV_SEQUENTIAL, MADV_NORMAL,
                         MADV_POPULATE_READ, MADV_POPULATE_WRITE};
  for (size_t n = 0; n < sizeof advices / sizeof *advices; ++n) fact("madvise %d: %s", advices[n], outcome(madvise(at, HUGE, advices[n])));
  fact("MADV_DONTFORK of a part: %s", outcome(madvise(at, 4096, MADV_DONTFORK)));
  fact("msync: %s", outcome(msync(at, HUGE, MS_SYNC)));
  char byte = 5;
  const struct iovec here = {&byte, 1}, there = {at + HUGE - 1, 1};
  fact("process_vm_writev: %s", outcome(process_vm_writev(getpid(), &here, 1, &there, 1, 0)));
  fact("written: %d", at[HUGE - 1]);
  fact("mlock: %s", outcome(mlock(at, HUGE)));
  fact("locked: %ld", number_in("/proc/self/status", "VmLck:", NULL));
  munmap(at, 4 * HUGE);
  at = map(4, kPrivate);  // one mapping again
  at[0] = 1;
  fact("grow: %s", outcome((long)mremap(at, 4 * HUGE, 8 * HUGE, MREMAP_MAYMOVE)));
  fact("not one page size: %s", outcome((long)mremap(at, HUGE, HUGE + 4096, MREMAP_MAYMOVE)));
  fact("off the boundary: %s", outcome((long)mremap(at, 4 * HUGE, 4 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE + 4096)));
  at[HUGE + 5] = 7;
  char* moved = mremap(at, 4 * HUGE, 4 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE);
  fact("moved: %d, contents %d", moved == PLACE, moved == PLACE ? moved[HUGE + 5] : -1);
  pool("moved");
  fact("shrink by a part: %s", outcome((long)mremap(PLACE, 4 * HUGE, 3 * HUGE + 4096, 0)));
  fact("shrink: %s", outcome((long)mremap(PLACE, 4 * HUGE, 3 * HUGE, 0)));
  pool("shrunk");
  fact("munmap: %s", outcome(munmap(PLACE, 3 * HUGE)));
  pool("unmapped");
}

static void limits(void) {
  fact("more than there are: %s", outcome((long)mmap(NULL, (POOL + 1) * HUGE, PROT_READ, kPrivate, -1, 0)));
  fact("shared, more than there are: %s", outcome((long)mmap(NULL, (POOL + 1) * HUGE, PROT_READ, kShared, -1, 0)));
  char* many = map(POOL + 1, kPrivate | MAP_NORESERVE);
  pool("not reserved");
  int n = 0;
  while (n <= POOL && strcmp(touch(many + (size_t)n * HUGE, 1), "ok") == 0) ++n;
  fact("touched %d, then %s", n, touch(many + (size_t)n * HUGE, 1));
  munmap(many, (POOL + 1) * HUGE);
  const struct {
    const char* what;
    char* at;
    int flags;
  } wrong[] = {{"fixed off the boundary", PLACE + 4096, MAP_FIXED}, {"grows down", NULL, MAP_GROWSDOWN},
               {"4 MiB", NULL, 22 << 26}, {"4 KiB", NULL, 12 << 26}, {"2 MiB", NULL, 21 << 26}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
    char* at = mmap(wrong[i].at, HUGE, PROT_READ, kPrivate | wrong[i].flags, -1, 0);
    fact("%s: %s", wrong[i].what, at == MAP_FAILED ? strerrorname_np(errno) : "ok");
    if (at != MAP_FAILED) munmap(at, HUGE);
  }
  const int zero = open("/dev/zero", O_RDWR);
  fact("of another file: %s", outcome((long)mmap(NULL, HUGE, PROT_READ, MAP_PRIVATE | MAP_HUGETLB, zero, 0)));
  close(zero);
  fact("overcommit: %d", set(kOvercommitFile, 2));
  char* more = map(POOL + 1, kPrivate);
  pool("overcommitted");
  munmap(more, (POOL + 1) * HUGE);
  set(kOvercommitFile, 0);
  pool("and given back");
}

static void forks(void) {
  char* at = map(2, kPrivate);
  at[0] = 1;
  int status = 0;
  fflush(stdout);
  if (fork() == 0) {
    fact("child sees: %d", at[0]);
    at[0] = 2;
    at[HUGE] = 3;
    fact("child wrote: %d %d", at[0], at[HUGE]);
    figures("child", at);
    _exit(0);
  }
  wait(&status);
  fact("parent sees: %d %d", at[0], at[HUGE]);
  pool("child gone");
  char* shared = map(2, kShared);
  shared[0] = 1;
  if (fork() == 0) {
    shared[0] = 2;
    shared[HUGE] = 3;
    _exit(0);
  }
  wait(&status);
  fact("parent sees: %d %d", shared[0], shared[HUGE]);
  pool("shared");
  munmap(shared, 2 * HUGE);
  munmap(at, 2 * HUGE);
  pool("unmapped");
}

/// The owner of a private page writes to it when there is none for a copy: whoever it shared it with has none any more.
static void owners(void) {
  char* at = map(POOL, kPrivate);
  for (size_t n = 0; n < POOL; ++n) at[n * HUGE] = (char)(n + 1);
  int gate[2];
  char byte = 0;
  if (pipe(gate) != 0) return;
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    fact("child writes: %s", touch(at, 9));
    fflush(stdout);
    if (read(gate[0], &byte, 1) != 1) _exit(1);
    fact("child reads: %s", touch(at, 0));
    fact("child sees: %d", at[HUGE]);
    _exit(0);
  }
  usleep(100000);
  fact("owner writes: %s", touch(at, 11));
  fflush(stdout);
  if (write(gate[1], &byte, 1) != 1) return;
  waitpid(child, NULL, 0);
  fact("owner sees: %d %d", at[0], at[HUGE]);
  close(gate[0]);
  close(gate[1]);
  munmap(at, POOL * HUGE);
  pool("owner gone");
}

/// Several mappings move at once.
static void moves(void) {
  char* at = mmap(PLACE, 2 * HUGE, PROT_READ | PROT_WRITE, kPrivate | MAP_FIXED, -1, 0);
  char* small = mmap(PLACE + 2 * HUGE, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  mprotect(at + HUGE, HUGE, PROT_READ);
  at[5] = 5;
  small[6] = 6;
  char* to = PLACE + 64 * HUGE;
  fact("off the boundary: %s", outcome((long)mremap(at, 3 * HUGE, 3 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + 4096)));
  fact("move: %d", mremap(at, 3 * HUGE, 3 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  fact("contents: %d %d", to[5], to[2 * HUGE + 6]);
  munmap(to, 3 * HUGE);
  pool("moved and gone");
}

static void files(void) {
  const int fd = memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC);
  fact("memfd_create: %s", outcome(fd));
  fact("of 4 MiB: %s", outcome(memfd_create("huge", MFD_HUGETLB | 22U << 26)));
  struct stat status;
  fstat(fd, &status);
  fact("block size %ld, size %ld", (long)status.st_blksize, (long)status.st_size);
  fact("write: %s", outcome(write(fd, "a", 1)));
  fact("truncate to a part: %s", outcome(ftruncate(fd, 4096)));
  fact("truncate: %s", outcome(ftruncate(fd, 2 * HUGE)));
  char* at = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  pool("file mapped");
  at[5] = 6;
  char byte = 0;
  fact("read: %s", outcome(pread(fd, &byte, 1, 5)));
  fact("byte: %d", byte);
  char* copy = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  fact("copy sees: %d", copy[5]);
  copy[5] = 7;
  copy[HUGE] = 8;
  fact("file: %d %d, copy: %d %d", at[5], at[HUGE], copy[5], copy[HUGE]);
  pool("copied");
  munmap(copy, 2 * HUGE);
  fact("punch: %s", outcome(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE)));
  fact("hole: %d", at[5]);
  fact("allocate: %s", outcome(fallocate(fd, 0, 2 * HUGE, HUGE)));
  fstat(fd, &status);
  fact("size %ld", (long)(status.st_size / (long)HUGE));
  pool("allocated");
  fact("cut: %s", outcome(ftruncate(fd, HUGE)));
  fact("beyond the end: %s", touch(at + HUGE, 1));
  fact("offset of a part: %s", outcome((long)mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 4096)));
  munmap(at, 2 * HUGE);
  pool("unmapped");
  close(fd);
  pool("closed");
}

static void segments(void) {
  const int id = shmget(IPC_PRIVATE, HUGE + 1, IPC_CREAT | SHM_HUGETLB | 0600);
  fact("shmget: %s", outcome(id));
  pool("segment");
  char* at = shmat(id, NULL, 0);
  fact("aligned: %d", (uintptr_t)at % HUGE == 0);
  fact("write: %s", touch(at + HUGE, 3));
  pool("touched");
  fact("too large: %s", outcome(shmget(IPC_PRIVATE, POOL * HUGE, IPC_CREAT | SHM_HUGETLB | 0600)));
  shmctl(id, IPC_RMID, NULL);
  shmdt(at);
  pool("removed");
}

static const char kFolder[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

static void sizes(void) {
  static const char* const kNames[] = {"nr_hugepages", "free_hugepages", "resv_hugepages", "surplus_hugepages", "nr_overcommit_hugepages"};
  char* at = map(3, kPrivate);
  at[0] = 1;
  for (size_t n = 0; n < sizeof kNames / sizeof *kNames; ++n) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", kFolder, kNames[n]);
    fact("%s: %ld", kNames[n], setting(path));
  }
  munmap(at, 3 * HUGE);
}

int main(void) {
  const long before = setting(kPoolFile);
  if (!set(kPoolFile, POOL) || setting(kPoolFile) != POOL) {
    fact("no pool");
    return 0;
  }
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGBUS, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  pool("pool");
  private_memory();
  limits();
  forks();
  owners();
  moves();
  files();
  segments();
  sizes();
  set(kPoolFile, before);
  fact("as before: %d", setting(kPoolFile) == before);
  return 0;
}
