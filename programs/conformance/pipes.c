/* Rules of pipes, named pipes and eventfd: man7 pipe(7), fifo(7), eventfd(2). */
#include "facts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char page[4096];
static volatile sig_atomic_t pipe_signals;

static void count_signal(int signal) {
  (void)signal;
  ++pipe_signals;
}

static int events_of(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM};
  poll(&p, 1, 0);
  return p.revents;
}

static void basics(void) {
  int fds[2];
  char text[16] = {0};
  tell("pipe", pipe(fds));
  struct stat st;
  fstat(fds[0], &st);
  printf("fifo %d mode %o size %ld\n", S_ISFIFO(st.st_mode) != 0, (unsigned)st.st_mode & 07777, (long)st.st_size);
  tell("seek", lseek(fds[0], 0, SEEK_CUR));
  tell("read from the write end", read(fds[1], text, 1));
  tell("write to the read end", write(fds[0], text, 1));
  printf("empty: %x %x\n", events_of(fds[0]), events_of(fds[1]));
  tell("write", write(fds[1], "hello", 5));
  int n = 0;
  ioctl(fds[0], FIONREAD, &n);
  printf("readable %d, events %x\n", n, events_of(fds[0]));
  tell("short read", read(fds[0], text, 2));
  tell("long read", read(fds[0], text, sizeof text));
  tell("empty write", write(fds[1], text, 0));
  tell("bad address", write(fds[1], bad_address, 3));
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  tell("writev", writev(fds[1], parts, 2));
  close(fds[1]);
  printf("writer gone, bytes left: %x\n", events_of(fds[0]));
  tell("the rest", read(fds[0], text, sizeof text));
  printf("writer gone: %x\n", events_of(fds[0]));
  tell("end of file", read(fds[0], text, sizeof text));
  close(fds[0]);
}

static void limits(void) {
  int fds[2];
  tell("pipe2", pipe2(fds, O_NONBLOCK | O_CLOEXEC));
  tell("flags of the descriptor", fcntl(fds[0], F_GETFD));
  tell("flags of the file", fcntl(fds[1], F_GETFL) & (O_NONBLOCK | O_ACCMODE));
  tell("empty", read(fds[0], page, 1));
  tell("size", fcntl(fds[0], F_GETPIPE_SZ));
  long total = 0, n;
  while ((n = write(fds[1], page, sizeof page)) > 0) total += n;
  tell("full", n);
  printf("total %ld, events %x\n", total, events_of(fds[1]));
  tell("a page out", read(fds[0], page, sizeof page));
  printf("events %x\n", events_of(fds[1]));
  tell("a page in", write(fds[1], page, sizeof page));
  tell("smaller than what is in it", fcntl(fds[0], F_SETPIPE_SZ, 4096));
  tell("larger", fcntl(fds[0], F_SETPIPE_SZ, 100000));
  tell("no pages", fcntl(fds[0], F_SETPIPE_SZ, (1U << 31) + 1));
  char *all = malloc(200000);
  tell("more than fits", write(fds[1], all, 200000));
  tell("all", read(fds[0], all, 200000));
  tell("one page", fcntl(fds[0], F_SETPIPE_SZ, 1));
  close(fds[0]);
  printf("reader gone: %x\n", events_of(fds[1]));
  signal(SIGPIPE, count_signal);
  tell("write without a reader", write(fds[1], page, 1));
  printf("signals %d\n", (int)pipe_signals);
  signal(SIGPIPE, SIG_DFL);
  close(fds[1]);
  tell("unknown flag", pipe2(fds, O_APPEND));
  tell("bad address", pipe(bad_address));
  free(all);
}

static void broken_pipe_kills(void) {
  int fds[2], status;
  pipe(fds);
  close(fds[0]);
  if (fork() == 0) {
    write(fds[1], page, 1);
    _exit(0);
  }
  wait(&status);
  printf("killed %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));
  close(fds[1]);
}

/* Every record of PIPE_BUF bytes that several writers send arrives in one piece. */
static void atomic_writes(void) {
  enum { kWriters = 4, kRecords = 50 };
  int fds[2];
  pipe(fds);
  for (int w = 0; w < kWriters; ++w) {
    if (fork() != 0) continue;
    memset(page, 'a' + w, sizeof page);
    for (int r = 0; r < kRecords; ++r) write(fds[1], page, sizeof page);
    _exit(0);
  }
  close(fds[1]);
  int counts[kWriters] = {0}, torn = 0;
  for (;;) {
    size_t have = 0;
    ssize_t n;
    while (have < sizeof page && (n = read(fds[0], page + have, sizeof page - have)) > 0) have += (size_t)n;
    if (have < sizeof page) break;
    for (size_t i = 1; i < sizeof page; ++i) torn += page[i] != page[0];
    ++counts[page[0] - 'a'];
  }
  for (int w = 0; w < kWriters; ++w) wait(NULL);
  printf("records %d %d %d %d torn %d\n", counts[0], counts[1], counts[2], counts[3], torn);
  close(fds[0]);
}

static void named(const char *path) {
  char text[16];
  unlink(path);
  tell("mkfifo", mkfifo(path, 0640));
  struct stat st;
  stat(path, &st);
  printf("fifo %d mode %o\n", S_ISFIFO(st.st_mode) != 0, (unsigned)st.st_mode & 07777);
  tell("writer without a reader", open(path, O_WRONLY | O_NONBLOCK));
  int reader = open(path, O_RDONLY | O_NONBLOCK);
  printf("no writer yet: %x\n", events_of(reader));
  tell("no writer yet", read(reader, text, sizeof text));
  int writer = open(path, O_WRONLY | O_NONBLOCK);
  tell("no bytes yet", read(reader, text, sizeof text));
  tell("write", write(writer, "abc", 3));
  close(writer);
  printf("writer came and went: %x\n", events_of(reader));
  tell("its bytes", read(reader, text, sizeof text));
  printf("and then: %x\n", events_of(reader));
  close(reader);
  int both = open(path, O_RDWR);
  tell("write to itself", write(both, "xy", 2));
  tell("read from itself", read(both, text, sizeof text));
  tell("forgotten", write(both, "zz", 2));
  close(both);
  reader = open(path, O_RDONLY | O_NONBLOCK);
  tell("nothing was kept", read(reader, text, sizeof text));
  close(reader);
  if (fork() == 0) {
    writer = open(path, O_WRONLY);
    write(writer, "meet", 4);
    _exit(0);
  }
  reader = open(path, O_RDONLY);
  tell("met", read(reader, text, sizeof text));
  wait(NULL);
  tell("gone again", read(reader, text, sizeof text));
  close(reader);
  unlink(path);
}

static void counters(void) {
  uint64_t value = 5;
  int fd = eventfd(3, EFD_NONBLOCK);
  printf("events %x\n", events_of(fd));
  tell("add", write(fd, &value, 8));
  tell("take", read(fd, &value, 8));
  printf("value %lu, events %x\n", (unsigned long)value, events_of(fd));
  tell("empty", read(fd, &value, 8));
  tell("too short", read(fd, &value, 4));
  value = ~(uint64_t)0;
  tell("too large", write(fd, &value, 8));
  value = ~(uint64_t)0 - 1;
  tell("largest", write(fd, &value, 8));
  value = 1;
  tell("beyond", write(fd, &value, 8));
  printf("events %x\n", events_of(fd));
  close(fd);
  fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
  read(fd, &value, 8);
  printf("semaphore gives %lu", (unsigned long)value);
  read(fd, &value, 8);
  printf(" and %lu\n", (unsigned long)value);
  tell("and then", read(fd, &value, 8));
  close(fd);
  tell("unknown flag", eventfd(0, 2));
}

/* A pipe without a name that is opened again has nobody to wait for: bash's <(...). */
static void opened_again(void) {
  int p[2];
  char path[64], text[8] = {0};
  pipe(p);
  write(p[1], "left", 4);
  close(p[1]);
  snprintf(path, sizeof path, "/proc/self/fd/%d", p[0]);
  int again = open(path, O_RDONLY);
  tell("without a writer", read(again, text, 7));
  printf("'%s'\n", text);
  tell("its end", read(again, text, 7));
  close(again);
  pipe(p);
  snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]);
  close(p[0]);
  again = open(path, O_WRONLY | O_NONBLOCK);
  printf("without a reader: %s\n", outcome(again));
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  basics();
  limits();
  broken_pipe_kills();
  atomic_writes();
  named(argc > 1 ? argv[1] : "/tmp/conformance.fifo");
  counters();
  opened_again();
  return 0;
}
