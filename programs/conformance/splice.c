/* Rules of splice, tee, vmsplice and sendfile. man7 splice(2), tee(2), vmsplice(2), sendfile(2). */
#include "facts.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int file;

static void pipes(int p[2]) { pipe2(p, 0); }

static void says(const char* what, int fd) {
  char text[64] = {0};
  fcntl(fd, F_SETFL, O_NONBLOCK);
  long n = read(fd, text, sizeof text - 1);
  fcntl(fd, F_SETFL, 0);
  if (n < 0)
    fact("%s: %s", what, strerrorname_np(errno));
  else
    fact("%s: %ld '%s'", what, n, text);
}

static void from_files(void) {
  int p[2];
  pipes(p);
  off_t offset = 3;
  tell("from an offset", splice(file, &offset, p[1], NULL, 4, 0));
  tell("offset after", offset);
  says("it", p[0]);
  lseek(file, 0, SEEK_SET);
  tell("from the position", splice(file, NULL, p[1], NULL, 5, SPLICE_F_MOVE | SPLICE_F_MORE));
  tell("position after", lseek(file, 0, SEEK_CUR));
  says("it", p[0]);
  lseek(file, 0, SEEK_END);
  tell("at the end", splice(file, NULL, p[1], NULL, 5, 0));
  write(p[1], "0123456789", 10);
  offset = 2;
  tell("to an offset", splice(p[0], NULL, file, &offset, 4, 0));
  tell("offset after", offset);
  char text[16] = {0};
  pread(file, text, 10, 0);
  tell_text("file", text);
  lseek(file, 0, SEEK_SET);
  tell("to the position", splice(p[0], NULL, file, NULL, 100, 0));
  pread(file, text, 10, 0);
  tell_text("file", text);
  tell("nothing there", splice(p[0], NULL, file, NULL, 4, SPLICE_F_NONBLOCK));
  close(p[1]);
  tell("no writer", splice(p[0], NULL, file, NULL, 4, 0));
}

static void arguments(void) {
  int p[2], q[2], event = eventfd(1, 0), directory = open("/", O_RDONLY), reading = open("/proc/self/exe", O_RDONLY);
  pipes(p);
  pipes(q);
  off_t offset = 0, negative = -1;
  write(p[1], "abc", 3);
  tell("no pipe", splice(file, NULL, reading, NULL, 4, 0));
  tell("no pipe at all", splice(file, NULL, file, NULL, 4, 0));
  tell("offset of a pipe", splice(p[0], &offset, file, NULL, 4, 0));
  tell("negative offset", splice(p[0], NULL, file, &negative, 4, 0));
  tell("unknown flag", splice(p[0], NULL, file, NULL, 4, 64));
  tell("nothing", splice(p[0], NULL, file, NULL, 0, 0));
  tell("not open", splice(99, NULL, file, NULL, 4, 0));
  tell("wrong end", splice(p[1], NULL, file, NULL, 4, 0));
  tell("not writable", splice(p[0], NULL, reading, NULL, 4, 0));
  tell("an eventfd", splice(event, NULL, p[1], NULL, 8, 0));
  tell("a directory", splice(directory, NULL, p[1], NULL, 8, 0) < 0 ? 1 : 0);
  tell("the same pipe", splice(p[0], NULL, p[1], NULL, 4, 0));
  tell("tee of a file", tee(file, p[1], 4, 0));
  tell("tee of the same pipe", tee(p[0], p[1], 4, 0));
  struct iovec v = {"x", 1};
  tell("vmsplice to a file", vmsplice(file, &v, 1, 0));
  fcntl(file, F_SETFL, O_APPEND);
  tell("to the end", splice(p[0], NULL, file, NULL, 4, 0));
  fcntl(file, F_SETFL, 0);
  close(q[0]);
  tell("no reader", (signal(SIGPIPE, SIG_IGN), splice(p[0], NULL, q[1], NULL, 4, 0)));
  signal(SIGPIPE, SIG_DFL);
}

static void between(void) {
  int p[2], q[2], s[2];
  pipes(p);
  pipes(q);
  write(p[1], "abcdef", 6);
  tell("tee", tee(p[0], q[1], 4, 0));
  tell("tee again", tee(p[0], q[1], 100, 0));
  says("copies", q[0]);
  tell("move", splice(p[0], NULL, q[1], NULL, 2, 0));
  says("moved", q[0]);
  says("left", p[0]);
  tell("tee of nothing", tee(p[0], q[1], 4, SPLICE_F_NONBLOCK));
  struct iovec v[2] = {{"one ", 4}, {"two", 3}};
  tell("vmsplice", vmsplice(p[1], v, 2, 0));
  char text[16] = {0};
  struct iovec to = {text, 15};
  tell("vmsplice back", vmsplice(p[0], &to, 1, 0));
  tell_text("text", text);
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  write(p[1], "to a socket", 11);
  tell("to a socket", splice(p[0], NULL, s[0], NULL, 100, 0));
  says("it", s[1]);
  write(s[1], "from a socket", 13);
  tell("from a socket", splice(s[0], NULL, p[1], NULL, 100, 0));
  says("it", p[0]);
  fcntl(s[0], F_SETFL, O_NONBLOCK);
  tell("nothing from it", splice(s[0], NULL, p[1], NULL, 100, 0));
  close(s[1]);
  tell("its end", splice(s[0], NULL, p[1], NULL, 100, 0));
  static char big[70000];
  fcntl(p[1], F_SETFL, O_NONBLOCK);
  write(p[1], big, sizeof big);
  tell("full", splice(file, NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK));
  write(q[1], "x", 1);
  tell("full pipe", splice(q[0], NULL, p[1], NULL, 10, SPLICE_F_NONBLOCK));
}

static int waited[2];
static void* late(void* unused) {
  (void)unused;
  milliseconds(30);
  write(waited[1], "late", 4);
  return NULL;
}

static void waits(void) {
  int q[2], s[2];
  pthread_t thread;
  pipes(waited);
  pipes(q);
  pthread_create(&thread, NULL, late, NULL);
  tell("waits for bytes", splice(waited[0], NULL, q[1], NULL, 10, 0));
  pthread_join(thread, NULL);
  says("it", q[0]);
  socketpair(AF_UNIX, SOCK_STREAM, 0, s);
  waited[1] = s[1];
  pthread_create(&thread, NULL, late, NULL);
  tell("waits for a socket", splice(s[0], NULL, q[1], NULL, 10, 0));
  pthread_join(thread, NULL);
  says("it", q[0]);
  lseek(file, 0, SEEK_SET);
  tell("sendfile to a socket", sendfile(s[0], file, NULL, 5));
  tell("sendfile to a pipe", sendfile(q[1], file, NULL, 5));
  says("it", s[1]);
}

int main(void) {
  char name[] = "/tmp/splice.XXXXXX";
  file = mkstemp(name);
  unlink(name);
  write(file, "abcdefghij", 10);
  from_files();
  arguments();
  between();
  waits();
  return 0;
}
