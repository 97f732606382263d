/* Rules of pidfds. man7 pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), clone(2), waitid(2). */
#include "facts.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pid(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
static long send(int fd, int signal, siginfo_t* info, unsigned flags) { return syscall(SYS_pidfd_send_signal, fd, signal, info, flags); }
static long wait_fd(int fd, siginfo_t* info, int options) { return syscall(SYS_waitid, P_PIDFD, fd, info, options, NULL); }

static pid_t sleeping_child(void) {
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(1);
  }
  return child;
}

static int poll_now(int fd, int timeout) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  poll(&p, 1, timeout);
  return p.revents;
}

static pid_t volatile thread_id;
static void* thread_main(void* unused) {
  (void)unused;
  thread_id = gettid();
  milliseconds(200);
  return NULL;
}

static void opening(void) {
  tell("no process", open_pid(1 << 22, 0));
  tell("0", open_pid(0, 0));
  tell("unknown flag", open_pid(getpid(), 1));
  int self = open_pid(getpid(), 0);
  tell_text("itself", outcome(self));
  tell("closed by exec", fcntl(self, F_GETFD));
  tell("alive", poll_now(self, 0));
  tell("read", read(self, &self, 0));
  pthread_t thread;
  pthread_create(&thread, NULL, thread_main, NULL);
  while (!thread_id) milliseconds(1);
  tell_text("a thread", open_pid(thread_id, 0) < 0 ? "refused" : "opened");
  pthread_join(thread, NULL);
}

static void ending(void) {
  pid_t child = sleeping_child();
  int fd = open_pid(child, 0), epoll = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.u64 = 3};
  tell("in an epoll", epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
  tell("test", send(fd, 0, NULL, 0));
  tell("bad signal", send(fd, 99, NULL, 0));
  tell("flags", send(fd, 0, NULL, 1 << 9));
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  tell("information about another signal", send(fd, SIGUSR2, &info, 0));
  info.si_code = SI_USER;
  tell("as if by kill", send(fd, SIGUSR1, &info, 0));
  tell("not ended", wait_fd(fd, &info, WEXITED | WNOHANG));
  tell("kill", send(fd, SIGKILL, NULL, 0));
  tell("told by epoll", epoll_wait(epoll, &e, 1, 10000));
  tell("ended", poll_now(fd, 10000));
  tell("wait, and leave it", wait_fd(fd, &info, WEXITED | WNOWAIT));
  fact("code %d status %d pid %s", info.si_code, info.si_status, info.si_pid == child ? "right" : "wrong");
  tell("a zombie takes signals", send(fd, SIGTERM, NULL, 0));
  tell("wait", wait_fd(fd, &info, WEXITED));
  tell("wait again", wait_fd(fd, &info, WEXITED));
  tell("gone", send(fd, SIGTERM, NULL, 0));
  tell("still readable", poll_now(fd, 0) & POLLIN);
  tell("no pidfd", wait_fd(1, &info, WEXITED));
  tell("no descriptor", wait_fd(99, &info, WEXITED));
}

static void not_blocking(void) {
  pid_t child = sleeping_child();
  int fd = open_pid(child, O_NONBLOCK);
  siginfo_t info;
  tell("does not block", wait_fd(fd, &info, WEXITED));
  tell("is not asked to", wait_fd(fd, &info, WEXITED | WNOHANG));
  send(fd, SIGKILL, NULL, 0);
  poll_now(fd, 10000);
  tell("ended", wait_fd(fd, &info, WEXITED));
}

static void by_clone(void) {
  int fd = -1;
  struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&fd, .exit_signal = SIGCHLD};
  pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (child == 0) _exit(9);
  siginfo_t info;
  tell("wait for what clone3 made", wait_fd(fd, &info, WEXITED));
  fact("status %d", info.si_status);
  tell("closed by exec", fcntl(fd, F_GETFD));
  int both = 0;
  tell("told at one place", syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &both, 0, 0));
  args.pidfd = (uintptr_t)bad_address;
  tell("bad address", syscall(SYS_clone3, &args, sizeof args));
  fact("children: %s", waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? "none" : "some");
}

static void getting(void) {
  int p[2];
  pipe(p);
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  int fd = open_pid(child, 0);
  close(p[1]);
  int copy = (int)syscall(SYS_pidfd_getfd, fd, p[1], 0);
  tell_text("from a child", outcome(copy));
  tell("write", write(copy, "x", 1));
  tell("not open there", syscall(SYS_pidfd_getfd, fd, 99, 0));
  tell("flags", syscall(SYS_pidfd_getfd, fd, p[0], 1));
  kill(child, SIGKILL);
  poll_now(fd, 10000);
  tell("of a zombie", syscall(SYS_pidfd_getfd, fd, p[0], 0));
  waitpid(child, NULL, 0);
}

static void by_directory(void) {
  pid_t child = sleeping_child();
  char path[64];
  snprintf(path, sizeof path, "/proc/%d", child);
  int directory = open(path, O_RDONLY | O_DIRECTORY), only_path = open(path, O_PATH);
  snprintf(path, sizeof path, "/proc/%d/task", child);
  int tasks = open(path, O_RDONLY | O_DIRECTORY), all = open("/proc", O_RDONLY | O_DIRECTORY), other = open("/", O_RDONLY | O_DIRECTORY);
  snprintf(path, sizeof path, "/proc/%d/task/%d", child, child);
  int task = open(path, O_RDONLY | O_DIRECTORY);
  siginfo_t info;
  tell("a signal by /proc/PID", send(directory, 0, NULL, 0));
  tell("by a path to it", send(only_path, 0, NULL, 0));
  tell("by its list of tasks", send(tasks, 0, NULL, 0));
  tell("by a task of it", send(task, 0, NULL, 0));
  tell("by /proc", send(all, 0, NULL, 0));
  tell("by a directory elsewhere", send(other, 0, NULL, 0));
  tell("by a file of /proc", send(open("/proc/self/stat", O_RDONLY), 0, NULL, 0));
  tell("wait by /proc/PID", wait_fd(directory, &info, WEXITED | WNOHANG));
  tell("a descriptor by /proc/PID", syscall(SYS_pidfd_getfd, directory, 1, 0));
  tell("kill", send(directory, SIGKILL, NULL, 0));
  waitpid(child, NULL, 0);
  tell("gone", send(directory, 0, NULL, 0));
}

int main(void) {
  opening();
  ending();
  not_blocking();
  by_clone();
  getting();
  by_directory();
  return 0;
}
