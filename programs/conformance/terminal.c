/* Rules of terminals and job control: man7 termios(3), ioctl_tty(2), credentials(7). Runs as leader of the session whose terminal it has.
 * Asks for input by "type WHAT" lines; the test types it. */
#include "facts.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios cooked;
static volatile sig_atomic_t caught;

static void on_signal(int signal) { caught = signal; }

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_raw(int minimum, int time) {
  struct termios t = cooked;
  cfmakeraw(&t);
  t.c_oflag |= OPOST;
  t.c_cc[VMIN] = (cc_t)minimum;
  t.c_cc[VTIME] = (cc_t)time;
  tcsetattr(0, TCSAFLUSH, &t);
}

/* Reads once and says what came, and whether it took at least `least` ms. */
static void read_and_say(const char *what, size_t size, long least) {
  char text[64] = {0};
  long begin = now_ms();
  ssize_t n = read(0, text, size);
  tell(what, n);
  for (ssize_t i = 0; i < n; ++i) printf(" %02x", (unsigned char)text[i]);
  printf(" %s\n", now_ms() - begin >= least ? "after its time" : "too early");
}

static void facts(void) {
  struct winsize size;
  tell("terminal", isatty(0));
  tell("size", ioctl(0, TIOCGWINSZ, &size));
  printf("%d rows %d columns\n", size.ws_row, size.ws_col);
  printf("leads its session %d, has its terminal %d, in the foreground %d\n", getsid(0) == getpid(), tcgetsid(0) == getsid(0),
         tcgetpgrp(0) == getpgrp());
  tell("seek", lseek(0, 0, SEEK_CUR));
  int fd = open("/dev/tty", O_RDWR);
  printf("/dev/tty %d\n", fd >= 0 && isatty(fd));
  close(fd);
  printf("iflag %o oflag %o lflag %o\n", cooked.c_iflag & (ICRNL | IXON | INLCR | IGNCR), cooked.c_oflag & (OPOST | ONLCR),
         cooked.c_lflag & (ISIG | ICANON | ECHO | ECHOE | ECHOK | IEXTEN));
  for (int i = 0; i < 17; ++i) printf("%x ", cooked.c_cc[i]);
  printf("\n");
}

static void raw_reads(void) {
  set_raw(0, 0);
  read_and_say("nothing to wait for", 8, 0);
  set_raw(0, 2);
  read_and_say("a fifth of a second", 8, 200);
  set_raw(3, 0);
  printf("type abcde\n");
  struct pollfd p = {.fd = 0, .events = POLLIN};
  tell("poll", poll(&p, 1, -1));
  read_and_say("at least three", 3, 0);
  set_raw(1, 0);
  printf("type xy\n");
  read_and_say("one of two", 1, 0);
  read_and_say("the other", 8, 0);
  set_raw(5, 3);
  printf("type q\n");
  read_and_say("a pause ends it", 8, 300);
  set_raw(1, 0);
  fcntl(0, F_SETFL, O_RDWR | O_NONBLOCK);
  tell("no waiting", read(0, &p, 1));
  fcntl(0, F_SETFL, O_RDWR);
  printf("type ^C^D^Z\n");
  usleep(300000);
  int n = 0;
  ioctl(0, FIONREAD, &n);
  printf("readable %d\n", n);
  read_and_say("as bytes", 8, 0);
  tcsetattr(0, TCSAFLUSH, &cooked);
}

static void lines(void) {
  printf("type hello\n");
  usleep(300000);
  tcflush(0, TCIFLUSH);
  fcntl(0, F_SETFL, O_RDWR | O_NONBLOCK);
  char c;
  tell("flushed", read(0, &c, 1));
  fcntl(0, F_SETFL, O_RDWR);
  tell("flush what?", tcflush(0, 99));
  printf("type line\n");
  read_and_say("a part", 3, 0);
  read_and_say("the rest", 8, 0);
  printf("type ^D\n");
  read_and_say("end of file", 8, 0);
}

static void signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGWINCH, &action, NULL);
  printf("type ^C\n");
  char c;
  tell("interrupted", read(0, &c, 1));
  printf("signal %d\n", (int)caught);
  struct winsize size = {.ws_row = 11, .ws_col = 22};
  ioctl(0, TIOCSWINSZ, &size);
  usleep(100000);
  printf("signal %d\n", (int)caught);
  caught = 0;
  ioctl(0, TIOCSWINSZ, &size);
  usleep(100000);
  printf("the same size again: signal %d\n", (int)caught);
  signal(SIGINT, SIG_DFL);
}

/* Runs `body` in a child in a process group of its own, in the background, and says how it stopped or ended. */
static void in_background(const char *what, int (*body)(void)) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    signal(SIGTTOU, SIG_DFL);
    _exit(body());
  }
  waitpid(child, &status, WUNTRACED);
  if (WIFSTOPPED(status)) {
    printf("%s: stopped by %d\n", what, WSTOPSIG(status));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  } else {
    printf("%s: ended with %d\n", what, WEXITSTATUS(status));
  }
}

static int read_terminal(void) {
  char c;
  return read(0, &c, 1) < 0 ? errno : 0;
}
static int read_ignoring(void) {
  signal(SIGTTIN, SIG_IGN);
  return read_terminal();
}
static int write_terminal(void) { return write(1, "x\n", 2) < 0 ? errno : 0; }
static int set_modes(void) { return tcsetattr(0, TCSANOW, &cooked) < 0 ? errno : 0; }
static int set_modes_ignoring(void) {
  signal(SIGTTOU, SIG_IGN);
  return set_modes();
}
static int take_foreground(void) { return tcsetpgrp(0, getpgrp()) < 0 ? errno : 0; }
static int give_foreground_away(void) {
  signal(SIGTTOU, SIG_IGN);
  return tcsetpgrp(0, 1) < 0 ? errno : 0;
}
/* A group nobody would continue is not stopped. */
static int read_orphaned(void) {
  int pipe_fds[2], result = 0;
  pid_t parent = getpid();
  pipe(pipe_fds);
  if (fork() == 0) {
    close(pipe_fds[0]);
    setpgid(0, 0);
    while (getppid() == parent) usleep(10000);
    result = read_terminal();
    write(pipe_fds[1], &result, sizeof result);
    _exit(0);
  }
  if (fork() == 0) {  // lives on to hear it, so that the middle process can go
    close(pipe_fds[1]);
    read(pipe_fds[0], &result, sizeof result);
    usleep(200000);  // after the parent has told of its own end
    printf("orphaned: %s\n", strerrorname_np(result));
    _exit(0);
  }
  return 0;
}
static int leave_session(void) {
  if (setsid() < 0) return errno;
  int fd = open("/dev/tty", O_RDWR);
  return fd < 0 ? errno : 0;
}

static void job_control(void) {
  in_background("read", read_terminal);
  in_background("read, SIGTTIN ignored", read_ignoring);
  in_background("write", write_terminal);
  struct termios t = cooked;
  t.c_lflag |= TOSTOP;
  tcsetattr(0, TCSANOW, &t);
  in_background("write with TOSTOP", write_terminal);
  tcsetattr(0, TCSANOW, &cooked);
  in_background("modes", set_modes);
  in_background("modes, SIGTTOU ignored", set_modes_ignoring);
  in_background("foreground", take_foreground);
  in_background("foreground for another session", give_foreground_away);
  in_background("orphan", read_orphaned);
  usleep(500000);
  pid_t child = fork();
  int status;
  if (child == 0) _exit(leave_session());
  waitpid(child, &status, 0);
  tell_text("/dev/tty without a terminal", strerrorname_np(WEXITSTATUS(status)));
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  tcgetattr(0, &cooked);
  cooked.c_lflag &= ~(tcflag_t)ECHO;
  tcsetattr(0, TCSANOW, &cooked);
  cooked.c_lflag |= ECHO;
  facts();
  cooked.c_lflag &= ~(tcflag_t)ECHO;
  raw_reads();
  lines();
  signals();
  job_control();
  printf("end\n");
  return 0;
}
