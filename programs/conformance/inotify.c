// Watching files and directories: man7 inotify(7).
#include "facts.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static int watcher;
static char where[64];
static uint32_t last_cookie;

static const char* name_of(uint32_t bit) {
  switch (bit) {
    case IN_ACCESS: return "ACCESS";
    case IN_MODIFY: return "MODIFY";
    case IN_ATTRIB: return "ATTRIB";
    case IN_CLOSE_WRITE: return "CLOSE_WRITE";
    case IN_CLOSE_NOWRITE: return "CLOSE_NOWRITE";
    case IN_OPEN: return "OPEN";
    case IN_MOVED_FROM: return "MOVED_FROM";
    case IN_MOVED_TO: return "MOVED_TO";
    case IN_CREATE: return "CREATE";
    case IN_DELETE: return "DELETE";
    case IN_DELETE_SELF: return "DELETE_SELF";
    case IN_MOVE_SELF: return "MOVE_SELF";
    case IN_IGNORED: return "IGNORED";
    case IN_ISDIR: return "ISDIR";
    case IN_Q_OVERFLOW: return "Q_OVERFLOW";
    default: return "?";
  }
}

/// All events that wait, a line each.
static void tell_events(const char* what) {
  static char buffer[65536] __attribute__((aligned(8)));
  fact("%s:", what);
  for (;;) {
    const ssize_t size = read(watcher, buffer, sizeof buffer);
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const struct inotify_event* event = (const struct inotify_event*)(buffer + at);
      char line[256] = "";
      for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        if ((event->mask & bit) != 0) strcat(strcat(line, " "), name_of(bit));
      }
      const char* cookie = event->cookie == 0 ? "" : event->cookie == last_cookie ? ", the same cookie" : ", a cookie";
      last_cookie = event->cookie;
      fact("  %d:%s \"%s\" of %u%s", event->wd, line, event->len != 0 ? event->name : "", event->len, cookie);
      at += (ssize_t)(sizeof *event + event->len);
    }
  }
}

static const char* in(const char* name) {
  static char paths[4][128];
  static int next;
  char* const path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", where, name);
  return path;
}
static void touch(const char* name) { close(open(in(name), O_CREAT | O_WRONLY, 0644)); }

static void making(void) {
  fact("flags: %s", outcome(inotify_init1(1)));
  watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  fact("made: %d, %d, %d", watcher >= 0, fcntl(watcher, F_GETFL) == O_NONBLOCK, fcntl(watcher, F_GETFD));
  char buffer[64];
  fact("empty: %s", outcome(read(watcher, buffer, sizeof buffer)));
  fact("write: %s", outcome(write(watcher, buffer, 1)));
  struct pollfd ready = {watcher, POLLIN, 0};
  fact("ready: %d", poll(&ready, 1, 0));
  fact("no events: %s", outcome(inotify_add_watch(watcher, where, 0)));
  fact("not there: %s", outcome(inotify_add_watch(watcher, in("nothing"), IN_OPEN)));
  fact("not a directory: %s", outcome(inotify_add_watch(watcher, "/proc/self/exe", IN_OPEN | IN_ONLYDIR)));
  fact("to nowhere: %s", outcome(inotify_add_watch(watcher, bad_address, IN_OPEN)));
  fact("of another file: %s", outcome(inotify_add_watch(1, where, IN_OPEN)));
  fact("of no file: %s", outcome(inotify_add_watch(99, where, IN_OPEN)));
  fact("both ways: %s", outcome(inotify_add_watch(watcher, where, IN_OPEN | IN_MASK_ADD | IN_MASK_CREATE)));
  fact("no such watch: %s", outcome(inotify_rm_watch(watcher, 1)));
}

static void directory(void) {
  fact("the directory: %d", inotify_add_watch(watcher, where, IN_ALL_EVENTS));
  fact("the same: %d", inotify_add_watch(watcher, where, IN_ALL_EVENTS));
  fact("only if it is new: %s", outcome(inotify_add_watch(watcher, where, IN_ALL_EVENTS | IN_MASK_CREATE)));
  touch("a");
  tell_events("made");
  const int fd = open(in("a"), O_RDWR);
  write(fd, "hello", 5);
  write(fd, "hello", 5);
  pread(fd, (char[8]){0}, 8, 0);
  pread(fd, (char[8]){0}, 8, 100);
  write(fd, "", 0);
  ftruncate(fd, 3);
  fchmod(fd, 0600);
  futimens(fd, NULL);
  close(fd);
  tell_events("used");
  close(open(in("a"), O_WRONLY | O_TRUNC));
  tell_events("emptied");
  truncate(in("a"), 10);
  chmod(in("a"), 0644);
  chown(in("a"), (uid_t)-1, (gid_t)-1);
  stat(in("a"), &(struct stat){0});
  access(in("a"), R_OK);
  close(open(in("a"), O_PATH));
  tell_events("changed by name");
  link(in("a"), in("b"));
  symlink("a", in("link"));
  mkdir(in("directory"), 0755);
  mkfifo(in("pipe"), 0644);
  tell_events("names");
  rename(in("a"), in("c"));
  rename(in("c"), in("b"));
  rename(in("directory"), in("other"));
  tell_events("two names of one file, and a directory, renamed");
  touch("d");
  touch("e");
  tell_events("more");
  rename(in("d"), in("e"));
  tell_events("renamed over");
  rmdir(in("other"));
  unlink(in("pipe"));
  unlink(in("link"));
  unlink(in("e"));
  tell_events("removed");
  fact("failed: %s %s", outcome(mkdir(in("b"), 0755)), outcome(unlink(in("nothing"))));
  tell_events("failed");
  const int here = open(where, O_RDONLY | O_DIRECTORY);
  char entries[1024];
  syscall(SYS_getdents64, here, entries, sizeof entries);
  close(here);
  tell_events("listed");
}

static void self(void) {
  touch("file");
  tell_events("a file");
  inotify_rm_watch(watcher, 1);
  tell_events("unwatched");
  const int id = inotify_add_watch(watcher, in("file"), IN_ALL_EVENTS);
  fact("another number: %d", id);
  const int fd = open(in("file"), O_WRONLY | O_APPEND);
  write(fd, "x", 1);
  close(fd);
  link(in("file"), in("second"));
  rename(in("file"), in("third"));
  unlink(in("second"));
  tell_events("itself");
  fact("other events: %d", inotify_add_watch(watcher, in("third"), IN_ATTRIB) == id);
  fact("and more: %d", inotify_add_watch(watcher, in("third"), IN_OPEN | IN_MASK_ADD) == id);
  chmod(in("third"), 0600);
  close(open(in("third"), O_RDONLY));
  tell_events("chosen");
  unlink(in("third"));
  tell_events("gone");
  fact("its watch: %s", outcome(inotify_rm_watch(watcher, id)));
  mkdir(in("sub"), 0755);
  fact("a directory's number: %d", inotify_add_watch(watcher, in("sub"), IN_DELETE_SELF | IN_MOVE_SELF | IN_CREATE));
  rename(in("sub"), in("sub2"));
  close(open(in("sub2/x"), O_CREAT | O_WRONLY, 0644));
  unlink(in("sub2/x"));
  rmdir(in("sub2"));
  tell_events("a directory itself");
  touch("once");
  fact("once: %d", inotify_add_watch(watcher, in("once"), IN_OPEN | IN_ONESHOT));
  close(open(in("once"), O_RDONLY));
  close(open(in("once"), O_RDONLY));
  tell_events("once");
  symlink("once", in("link"));
  fact("a link: %d", inotify_add_watch(watcher, in("link"), IN_ALL_EVENTS | IN_DONT_FOLLOW));
  close(open(in("link"), O_RDONLY));
  unlink(in("link"));
  tell_events("a link");
  unlink(in("once"));
}

static void reading(void) {
  const int id = inotify_add_watch(watcher, where, IN_CREATE | IN_DELETE);
  touch("a-name-of-seventeen");
  int bytes = 0;
  ioctl(watcher, FIONREAD, &bytes);
  fact("waiting: %d", bytes);
  struct pollfd ready = {watcher, POLLIN | POLLOUT, 0};
  poll(&ready, 1, 0);
  fact("ready: %x", ready.revents);
  char small[32];
  fact("too small: %s", outcome(read(watcher, small, 20)));
  unlink(in("a-name-of-seventeen"));
  char middle[100];
  fact("one of two: %zd", read(watcher, middle, sizeof middle));
  fact("the other: %zd", read(watcher, middle, sizeof middle));
  touch("same");
  unlink(in("same"));
  touch("same");
  unlink(in("same"));
  tell_events("in turn");
  // Blocking, from another process.
  const int blocking = inotify_init();
  inotify_add_watch(blocking, where, IN_CREATE);
  const pid_t child = fork();
  if (child == 0) {
    milliseconds(30);
    touch("late");
    _exit(0);
  }
  fact("came: %zd", read(blocking, middle, sizeof middle));
  waitpid(child, NULL, 0);
  close(blocking);
  unlink(in("late"));
  tell_events("the other heard it, too");
  // More than fit.
  char name[32];
  for (int i = 0; i < 16500; ++i) {
    snprintf(name, sizeof name, "%d", i % 2);
    mkdir(in(name), 0755);
    rmdir(in(name));
  }
  int count = 0, overflows = 0, others = 0;
  static char buffer[65536] __attribute__((aligned(8)));
  for (ssize_t size; (size = read(watcher, buffer, sizeof buffer)) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const struct inotify_event* event = (const struct inotify_event*)(buffer + at);
      ++count;
      overflows += event->mask == IN_Q_OVERFLOW && event->wd == -1;
      others += event->wd != id && event->wd != -1;
      at += (ssize_t)(sizeof *event + event->len);
    }
  }
  fact("too many: %d events, %d of them for the rest, %d strange", count > 16000 && count < 17000, overflows, others);
}

int main(void) {
  snprintf(where, sizeof where, "/dev/shm/inotify.%d", getpid());
  mkdir(where, 0755);
  making();
  directory();
  self();
  reading();
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", where);
  return system(command);
}
