// userfaultfd: faults that the program resolves itself. man7 userfaultfd(2), ioctl_userfaultfd(2).
#include "memory.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define WP_UNPOPULATED (1 << 13)

static void say(const char* what, long result) { fact("%s: %s", what, outcome(result)); }
static char source[4 * kPage] __attribute__((aligned(4096)));

static int open_uffd(int flags) { return (int)syscall(SYS_userfaultfd, flags); }
static int make_uffd(uint64_t features) {
  const int uffd = open_uffd(O_CLOEXEC | O_NONBLOCK);
  struct uffdio_api api = {.api = UFFD_API, .features = features};
  if (ioctl(uffd, UFFDIO_API, &api) != 0) fact("UFFDIO_API: %s", strerrorname_np(errno));
  return uffd;
}
static struct uffdio_range range_of(long at, long pages) {
  return (struct uffdio_range){(uintptr_t)page(at), (uint64_t)pages * kPage};
}
static int enroll(int uffd, long at, long pages, uint64_t mode) {
  struct uffdio_register r = {.range = range_of(at, pages), .mode = mode};
  return ioctl(uffd, UFFDIO_REGISTER, &r);
}
static int unenroll(int uffd, long at, long pages) {
  struct uffdio_range r = range_of(at, pages);
  return ioctl(uffd, UFFDIO_UNREGISTER, &r);
}
static int wake(int uffd, long at, long pages) {
  struct uffdio_range r = range_of(at, pages);
  return ioctl(uffd, UFFDIO_WAKE, &r);
}
static long copied;
static int copy(int uffd, long at, long pages, uint64_t mode) {
  struct uffdio_copy c = {.dst = (uintptr_t)page(at), .src = (uintptr_t)source, .len = (uint64_t)pages * kPage, .mode = mode};
  const int result = ioctl(uffd, UFFDIO_COPY, &c);
  copied = c.copy;
  return result;
}
static int zero(int uffd, long at, long pages) {
  struct uffdio_zeropage z = {.range = range_of(at, pages)};
  return ioctl(uffd, UFFDIO_ZEROPAGE, &z);
}
static int protect(int uffd, long at, long pages, uint64_t mode) {
  struct uffdio_writeprotect w = {.range = range_of(at, pages), .mode = mode};
  return ioctl(uffd, UFFDIO_WRITEPROTECT, &w);
}
static char* flags_of(long at) {
  static char found[64];
  char start[32];
  snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)page(at));
  const char* entry = strstr(text_of("/proc/self/smaps"), start);
  found[0] = 0;
  if (entry == NULL) return found;
  const char* line = strstr(entry, "VmFlags:");
  if (strstr(line, " um ") != NULL && strstr(line, " um ") < strchr(line, '\n')) strcat(found, "um ");
  if (strstr(line, " uw ") != NULL && strstr(line, " uw ") < strchr(line, '\n')) strcat(found, "uw ");
  return found;
}
/// The bits of pagemap that say whether a page is there, and write-protected.
static const char* pagemap_of(long at) {
  static char told[4][64];
  static int last;
  last = (last + 1) % 4;
  uint64_t word = 0;
  const int fd = open("/proc/self/pagemap", O_RDONLY);
  pread(fd, &word, sizeof word, (off_t)((uintptr_t)page(at) / kPage * 8));
  close(fd);
  snprintf(told[last], sizeof told[last], "%s%s", word >> 63 != 0 ? "there" : "not there", (word >> 57 & 1) != 0 ? ", protected" : "");
  return told[last];
}

static void handshake(void) {
  say("an unknown flag", open_uffd(1 << 20));
  const int uffd = open_uffd(O_CLOEXEC);
  struct uffd_msg message;
  say("reading before the handshake", read(uffd, &message, sizeof message));
  say("registering before it", enroll(uffd, 0, 1, UFFDIO_REGISTER_MODE_MISSING));
  struct pollfd poller = {.fd = uffd, .events = POLLIN};
  int ready = poll(&poller, 1, 0);
  fact("poll before it: %d %#x", ready, poller.revents);
  struct uffdio_api api = {.api = 0xab};
  say("another API", ioctl(uffd, UFFDIO_API, &api));
  fact("which is cleared: %d", api.api == 0 && api.features == 0 && api.ioctls == 0);
  api = (struct uffdio_api){.api = UFFD_API, .features = 1ULL << 50};
  say("an unknown feature", ioctl(uffd, UFFDIO_API, &api));
  api = (struct uffdio_api){.api = UFFD_API};
  say("the handshake", ioctl(uffd, UFFDIO_API, &api));
  const uint64_t known = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_SIGBUS | UFFD_FEATURE_THREAD_ID |
                         UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | WP_UNPOPULATED;
  fact("features: %#llx, ioctls: %#llx", (unsigned long long)(api.features & known), (unsigned long long)api.ioctls);
  say("a second one", ioctl(uffd, UFFDIO_API, &api));
  ready = poll(&poller, 1, 0);
  fact("poll of a descriptor that blocks: %d %#x", ready, poller.revents);
  say("an unknown command", ioctl(uffd, 0xaa77, &api));
  char target[64] = "";
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", uffd);
  readlink(link, target, sizeof target - 1);
  fact("its name: %s, access mode %d", target, fcntl(uffd, F_GETFL) & O_ACCMODE);
  close(uffd);
}

static void registering(void) {
  const int uffd = make_uffd(0), other = make_uffd(0);
  place(0, 4, kWrite, kPrivate);
  place(6, 2, kRead, kPrivate);
  struct uffdio_register r = {.range = range_of(0, 4), .mode = UFFDIO_REGISTER_MODE_MISSING};
  say("missing", ioctl(uffd, UFFDIO_REGISTER, &r));
  const uint64_t known = 1ULL << _UFFDIO_WAKE | 1ULL << _UFFDIO_COPY | 1ULL << _UFFDIO_ZEROPAGE | 1ULL << _UFFDIO_WRITEPROTECT;
  fact("ioctls: %#llx; flags %s", (unsigned long long)(r.ioctls & known), flags_of(0));
  say("again, write protection too", enroll(uffd, 0, 4, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP));
  fact("flags %s", flags_of(0));
  say("the part of it by another", enroll(other, 1, 1, UFFDIO_REGISTER_MODE_MISSING));
  say("no mode", enroll(uffd, 0, 4, 0));
  say("an unknown mode", enroll(uffd, 0, 4, 1 << 5));
  say("nothing mapped", enroll(uffd, 4, 2, UFFDIO_REGISTER_MODE_MISSING));
  say("over a hole", enroll(uffd, 0, 8, UFFDIO_REGISTER_MODE_MISSING));
  r = (struct uffdio_register){.range = {(uintptr_t)page(0) + 1, kPage}, .mode = 1};
  say("an odd address", ioctl(uffd, UFFDIO_REGISTER, &r));
  r.range = (struct uffdio_range){(uintptr_t)page(0), kPage + 1};
  say("an odd length", ioctl(uffd, UFFDIO_REGISTER, &r));
  r.range.len = 0;
  say("no length", ioctl(uffd, UFFDIO_REGISTER, &r));
  r.range = (struct uffdio_range){0, kPage};
  say("page 0", ioctl(uffd, UFFDIO_REGISTER, &r));
  r.range = (struct uffdio_range){1ULL << 62, kPage};
  say("beyond user space", ioctl(uffd, UFFDIO_REGISTER, &r));
  draw("a part unregistered", 8);
  say("unregister the middle", unenroll(uffd, 1, 2));
  draw("then", 8);
  say("unregister the rest", unenroll(uffd, 0, 8));
  draw("then", 8);
  say("unregister nothing", unenroll(uffd, 4, 1));
  const int file = open("/bin/true", O_RDONLY);
  mmap(page(10), kPage, kRead, MAP_PRIVATE | MAP_FIXED, file, 0);
  say("a file", enroll(uffd, 10, 1, UFFDIO_REGISTER_MODE_MISSING));
  say("before which something else stands", enroll(uffd, 6, 5, UFFDIO_REGISTER_MODE_MISSING));
  fact("which is not registered: %s", flags_of(6));
  close(file);
  const int memory = memfd_create("read", 0);
  ftruncate(memory, 2 * kPage);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  const int reader = open(path, O_RDONLY);
  mmap(page(12), kPage, kRead, MAP_SHARED | MAP_FIXED, reader, 0);
  say("what may never be written", enroll(uffd, 12, 1, UFFDIO_REGISTER_MODE_MISSING));
  close(memory);
  close(reader);
  close(uffd);
  close(other);
  clear_arena();
}

static void supplying(void) {
  const int uffd = make_uffd(0);
  memset(source, 's', sizeof source);
  place(0, 8, kWrite, kPrivate);
  say("copy before registering", copy(uffd, 0, 1, 0));
  fact("told %ld", copied);
  enroll(uffd, 0, 8, UFFDIO_REGISTER_MODE_MISSING);
  say("copy", copy(uffd, 0, 2, 0));
  fact("told %ld; there %c%c", copied, page(0)[0], page(1)[kPage - 1]);
  say("copy once more", copy(uffd, 0, 1, 0));
  say("copy up to what is there", copy(uffd, 2, 1, 0));
  say("zero", zero(uffd, 4, 1));
  say("copy over that", copy(uffd, 4, 1, 0));
  say("copy three pages, one of which is there", copy(uffd, 3, 3, 0));
  fact("told %ld", copied);
  fact("zeros: %d; a write there: %s", page(4)[7], touch('w', page(4)));
  say("protected, but not registered for that", copy(uffd, 6, 1, UFFDIO_COPY_MODE_WP));
  say("beyond the mapping", copy(uffd, 7, 2, 0));
  say("an unknown mode", copy(uffd, 7, 1, 1 << 4));
  struct uffdio_copy c = {.dst = (uintptr_t)page(7), .src = (uintptr_t)bad_address, .len = kPage};
  say("from nowhere", ioctl(uffd, UFFDIO_COPY, &c));
  c.src = (uintptr_t)page(20);
  say("from what is not mapped", ioctl(uffd, UFFDIO_COPY, &c));
  c = (struct uffdio_copy){.dst = (uintptr_t)page(7), .src = (uintptr_t)source + 16, .len = kPage};
  say("from an odd address", ioctl(uffd, UFFDIO_COPY, &c));
  madvise(page(0), kPage, MADV_DONTNEED);
  say("copy where it was given up", copy(uffd, 0, 1, 0));
  say("write protection, not registered for that", protect(uffd, 0, 1, UFFDIO_WRITEPROTECT_MODE_WP));
  fact("pagemap: %s; %s; %s", pagemap_of(0), pagemap_of(5), pagemap_of(6));
  place(10, 2, kRead, kPrivate);
  enroll(uffd, 10, 2, UFFDIO_REGISTER_MODE_MISSING);
  say("copy where the program may only read", copy(uffd, 10, 1, 0));
  fact("a write there: %s", touch('w', page(10)));
  mprotect(page(10), kPage, kWrite);
  fact("when it may: %s", touch('w', page(10)));
  close(uffd);
  fact("what was missing when it is closed: %s", touch('r', page(6)));
  clear_arena();
}

/// One thread that answers what it is told until it is stopped; another whose accesses fault.
struct Story {
  int uffd, how;
  struct uffd_msg seen[16];
  int count;
};
static void* answer(void* argument) {
  struct Story* story = argument;
  struct pollfd poller = {.fd = story->uffd, .events = POLLIN};
  while (story->count < 16 && poll(&poller, 1, 3000) == 1) {
    struct uffd_msg message;
    if (read(story->uffd, &message, sizeof message) != sizeof message) break;
    story->seen[story->count++] = message;
    const long at = ((char*)(uintptr_t)message.arg.pagefault.address - arena) / kPage;
    if ((message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0)
      protect(story->uffd, at, 1, 0);
    else if (story->how == 'z')
      zero(story->uffd, at, 1);
    else if (story->how == 'w')
      copy(story->uffd, at, 1, UFFDIO_COPY_MODE_WP);
    else if (story->how == 'd') {
      copy(story->uffd, at, 1, UFFDIO_COPY_MODE_DONTWAKE);
      milliseconds(20);
      wake(story->uffd, at, 1);
    } else
      copy(story->uffd, at, 1, 0);
    if (at == 15) break;
  }
  return NULL;
}
static struct Story story;
static pthread_t answerer;
static void begin(int uffd, int how) {
  story = (struct Story){.uffd = uffd, .how = how};
  pthread_create(&answerer, NULL, answer, &story);
}
static void end(const char* what) {
  touch('r', page(15));
  pthread_join(answerer, NULL);
  for (int n = 0; n + 1 < story.count; ++n)
    fact("%s: event %#x, flags %#llx, page %ld+%llu", what, story.seen[n].event, (unsigned long long)story.seen[n].arg.pagefault.flags,
         ((char*)(uintptr_t)story.seen[n].arg.pagefault.address - arena) / kPage,
         (unsigned long long)story.seen[n].arg.pagefault.address % kPage);
}

static void missing(int flags, const char* what, uint64_t features) {
  const int uffd = make_uffd(features);
  memset(source, 'c', sizeof source);
  place(0, 16, kWrite, flags);
  page(1)[0] = 'o';
  say(what, enroll(uffd, 0, 16, UFFDIO_REGISTER_MODE_MISSING));
  begin(uffd, 'c');
  fact("read %c; there before %c; ", page(0)[100], page(1)[0]);
  page(2)[8] = 'x';
  fact("written %c%c", page(2)[7], page(2)[8]);
  int pipes[2];
  pipe(pipes);
  fact("the kernel reads: %ld", (long)write(pipes[1], page(3), 10));
  fact("the kernel writes: %ld %.3s", (long)read(pipes[0], page(4) + 1, 3), page(4));
  close(pipes[0]);
  close(pipes[1]);
  end(what);
  close(uffd);
  clear_arena();
}

static void* read_byte(void* argument) {
  return (void*)(long)*(volatile char*)argument;
}
static void waiting(void) {
  const int uffd = make_uffd(0);
  place(0, 16, kWrite, kPrivate);
  enroll(uffd, 0, 16, UFFDIO_REGISTER_MODE_MISSING);
  memset(source, 'q', sizeof source);
  begin(uffd, 'd');
  fact("copied first, woken later: %c", page(0)[0]);
  end("then");
  pthread_t threads[3];
  void* got[3];
  for (int n = 0; n < 3; ++n) pthread_create(&threads[n], NULL, read_byte, page(5));
  struct pollfd poller = {.fd = uffd, .events = POLLIN};
  int told = 0;
  struct uffd_msg messages[4];
  while (told < 3 && poll(&poller, 1, 3000) == 1) told += (int)(read(uffd, messages, sizeof messages) / (ssize_t)sizeof *messages);
  fact("three wait for a page: told %d times", told);
  say("more", read(uffd, messages, sizeof messages));
  say("a page for all", copy(uffd, 5, 1, 0));
  for (int n = 0; n < 3; ++n) pthread_join(threads[n], &got[n]);
  fact("which got %c%c%c", (char)(long)got[0], (char)(long)got[1], (char)(long)got[2]);
  say("a short read", read(uffd, messages, 8));
  pthread_create(&threads[0], NULL, read_byte, page(6));
  poll(&poller, 1, 3000);
  say("unregistered while one waits", unenroll(uffd, 0, 16));
  pthread_join(threads[0], &got[0]);
  fact("which got %ld", (long)got[0]);
  enroll(uffd, 0, 16, UFFDIO_REGISTER_MODE_MISSING);
  pthread_create(&threads[0], NULL, read_byte, page(7));
  poll(&poller, 1, 3000);
  close(uffd);
  pthread_join(threads[0], &got[0]);
  fact("closed while one waits: got %ld", (long)got[0]);
  clear_arena();
}

static volatile int alarms;
static void on_alarm(int signal) {
  (void)signal;
  ++alarms;
}
static void ending(void) {
  const int uffd = make_uffd(0);
  place(0, 4, kWrite, kPrivate);
  enroll(uffd, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
  const pid_t child = fork();
  if (child == 0) {
    const int own = make_uffd(0);
    enroll(own, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
    page(0)[0] = 1;
    _exit(0);
  }
  milliseconds(100);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  fact("one who waits for ever: %s", in_words(status));
  const pid_t copier = fork();
  if (copier == 0) {
    const int own = make_uffd(0);
    enroll(own, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
    int pipes[2];
    pipe(pipes);
    write(pipes[1], page(0), 4);
    _exit(0);
  }
  milliseconds(100);
  kill(copier, SIGKILL);
  waitpid(copier, &status, 0);
  fact("one whose system call waits for ever: %s", in_words(status));
  const pid_t handler = fork();
  if (handler == 0) {
    const int own = make_uffd(0);
    enroll(own, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    pthread_t thread;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_create(&thread, NULL, read_byte, page(0));
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    milliseconds(50);
    kill(getpid(), SIGALRM);
    milliseconds(100);
    fact("a signal while it waits: handlers ran %d", alarms);
    copy(own, 0, 1, 0);
    void* got;
    pthread_join(thread, &got);
    fact("then it got %c", (char)(long)got);
    _exit(0);
  }
  waitpid(handler, &status, 0);
  fact("that one: %s", in_words(status));
  IN_CHILD("what a child of one who is registered touches", { fact("it: %s", touch('r', page(1))); });
  close(uffd);
  clear_arena();
}

static void child_of_registered(void) {
  const int uffd = make_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
  place(0, 4, kWrite, kPrivate);
  memset(page(0), 'p', 2 * kPage);
  enroll(uffd, 0, 4, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
  protect(uffd, 0, 4, UFFDIO_WRITEPROTECT_MODE_WP);
  fact("in the parent: %sand %s", flags_of(0), pagemap_of(0));
  const pid_t child = fork();
  if (child == 0) {
    fact("in the child: flags '%s', %s", flags_of(0), pagemap_of(0));
    fact("a write: %s", touch('w', page(0)));
    fact("what was missing: %s", touch('r', page(3)));
    _exit(0);
  }
  waitpid(child, NULL, 0);
  fact("in the parent still: %s", pagemap_of(0));
  char* moved = mremap(page(0), 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, page(8));
  fact("moved: %d, flags '%s', %s; write %s", moved == page(8), flags_of(8), pagemap_of(8), touch('w', page(8)));
  close(uffd);
  clear_arena();
}

static void sigbus(void) {
  const int uffd = make_uffd(UFFD_FEATURE_SIGBUS);
  place(0, 4, kWrite, kPrivate);
  enroll(uffd, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
  fact("SIGBUS instead: %s", touch('r', page(1) + 5));
  int pipes[2];
  pipe(pipes);
  say("for the kernel", write(pipes[1], page(1), 4));
  say("populate", madvise(page(0), kPage, MADV_POPULATE_READ));
  copy(uffd, 1, 1, 0);
  fact("after a copy: %s", touch('r', page(1) + 5));
  close(uffd);
  const int user = open_uffd(O_NONBLOCK | UFFD_USER_MODE_ONLY);
  struct uffdio_api api = {.api = UFFD_API};
  ioctl(user, UFFDIO_API, &api);
  enroll(user, 0, 4, UFFDIO_REGISTER_MODE_MISSING);
  say("the kernel where only user mode waits", write(pipes[1], page(2), 4));
  close(user);
  close(pipes[0]);
  close(pipes[1]);
  clear_arena();
}

static void guarding(int flags, const char* what) {
  fact("write protection of %s memory", what);
  const int uffd = make_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_EXACT_ADDRESS);
  place(0, 16, kWrite, flags);
  memset(page(0), 'g', 4 * kPage);
  touch('r', page(5));
  say("registered", enroll(uffd, 0, 16, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP));
  say("protected", protect(uffd, 0, 8, UFFDIO_WRITEPROTECT_MODE_WP));
  say("both modes", protect(uffd, 0, 8, UFFDIO_WRITEPROTECT_MODE_WP | UFFDIO_WRITEPROTECT_MODE_DONTWAKE));
  say("an unknown mode", protect(uffd, 0, 8, 1 << 5));
  say("what is not registered", protect(uffd, 20, 1, UFFDIO_WRITEPROTECT_MODE_WP));
  fact("pagemap: %s; %s; %s", pagemap_of(0), pagemap_of(5), pagemap_of(7));
  begin(uffd, 'w');
  fact("read %c", page(0)[0]);
  page(0)[12] = 'x';
  page(5)[13] = 'y';
  fact("written %c%c%c, pagemap %s; %s", page(0)[11], page(0)[12], page(5)[13], pagemap_of(0), pagemap_of(1));
  page(9)[3] = 'z';
  fact("missing, then protected: %c%c", page(9)[2], page(9)[3]);
  mprotect(page(2), kPage, kRead);
  mprotect(page(2), kPage, kWrite);
  page(2)[1] = 'm';
  int pipes[2];
  pipe(pipes);
  write(pipes[1], "pipe", 4);
  fact("the kernel writes: %ld %.5s", (long)read(pipes[0], page(1) + 1, 4), page(1));
  end(what);
  say("ended for all", protect(uffd, 0, 16, 0));
  fact("pagemap: %s; %s", pagemap_of(3), pagemap_of(4));
  close(uffd);
  close(pipes[0]);
  close(pipes[1]);
  clear_arena();
}

static void unpopulated(void) {
  const int uffd = make_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP | WP_UNPOPULATED);
  place(0, 16, kWrite, kPrivate);
  say("registered", enroll(uffd, 0, 15, UFFDIO_REGISTER_MODE_WP));
  enroll(uffd, 15, 1, UFFDIO_REGISTER_MODE_MISSING);
  say("protected with nothing there", protect(uffd, 0, 8, UFFDIO_WRITEPROTECT_MODE_WP));
  fact("pagemap: %s", pagemap_of(0));
  fact("read: %s, pagemap %s", touch('r', page(1)), pagemap_of(1));
  madvise(page(3), kPage, MADV_DONTNEED);
  fact("given up: %s", pagemap_of(3));
  begin(uffd, 'c');
  page(0)[0] = 'a';
  page(1)[0] = 'b';
  page(3)[0] = 'c';
  page(9)[0] = 'd';
  fact("pagemap: %s; %s; %s", pagemap_of(0), pagemap_of(1), pagemap_of(2));
  end("unpopulated");
  close(uffd);
  clear_arena();
}

static void shared(void) {
  const int uffd = make_uffd(0);
  place(0, 8, kWrite, kShared);
  enroll(uffd, 0, 8, UFFDIO_REGISTER_MODE_MISSING);
  memset(source, 's', sizeof source);
  IN_CHILD("a child makes a page", { page(0)[0] = 'k'; });
  fact("which is there for us: %c", page(0)[0]);
  say("copy over it", copy(uffd, 0, 1, 0));
  say("copy beside it", copy(uffd, 1, 1, 0));
  IN_CHILD("the child sees", { fact("%c", page(1)[0]); page(1)[1] = 'K'; });
  fact("and we: %c%c", page(1)[0], page(1)[1]);
  say("zero", zero(uffd, 2, 1));
  fact("which is: %d", page(2)[0]);
  mark_resident();
  madvise(page(1), kPage, MADV_DONTNEED);
  fact("given up, but still in the object: %c", page(1)[0]);
  madvise(page(1), kPage, MADV_REMOVE);
  say("copy into a hole", copy(uffd, 1, 1, 0));
  close(uffd);
  clear_arena();
  const int memory = memfd_create("short", 0);
  ftruncate(memory, kPage);
  mmap(page(0), 2 * kPage, kWrite, MAP_SHARED | MAP_FIXED, memory, 0);
  const int second = make_uffd(0);
  enroll(second, 0, 2, UFFDIO_REGISTER_MODE_MISSING);
  say("copy beyond the file's end", copy(second, 1, 1, 0));
  fact("access there: %s", touch('r', page(1)));
  say("copy in it", copy(second, 0, 1, 0));
  char byte = 0;
  pread(memory, &byte, 1, 5);
  fact("which the file has: %c", byte);
  close(second);
  close(memory);
  clear_arena();
}

int main(void) {
  make_arena(32);
  catch_faults();
  handshake();
  registering();
  supplying();
  missing(kPrivate, "private", 0);
  missing(kShared, "shared", UFFD_FEATURE_EXACT_ADDRESS);
  waiting();
  ending();
  child_of_registered();
  sigbus();
  guarding(kPrivate, "private");
  guarding(kShared, "shared");
  unpopulated();
  shared();
  return 0;
}
