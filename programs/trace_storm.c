/* Tracers that ask anything of anybody while all of them fork, execute and are killed: trace_storm SECONDS SEED. The machine must live. */
#define _GNU_SOURCE
#include <linux/elf.h>
#include <linux/ptrace.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kTracers = 6, kMostTracees = 60, kOwnTracees = 6, kOptions = 0x10007f };

static uint64_t state;
static uint64_t any(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}
static int one_in(unsigned n) { return any() % n == 0; }

static long trace(long request, pid_t pid, uint64_t address, uint64_t data) { return syscall(SYS_ptrace, request, pid, address, data); }

/* What is traced. */

static void* thread_body(void* argument) {
  for (int i = 0; i < 50; ++i) getppid();
  usleep(100);
  return argument;
}

static void execute(void) {
  char* const arguments[] = {"trace_storm", "tracee", NULL};
  execv("/proc/self/exe", arguments);
}

static void have_child(pid_t (*make)(void)) {
  const pid_t pid = make();
  if (pid == 0) _exit(3);
  if (pid > 0) waitpid(pid, NULL, 0);
}

static void have_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, thread_body, NULL) != 0) return;
  if (one_in(30)) execute();
  pthread_join(thread, NULL);
}

static void use_memory(void) {
  enum { kSize = 65536 };
  void* const memory = mmap(NULL, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  memset(memory, 1, kSize);
  munmap(memory, kSize);
}

static void live(void) {
  signal(SIGUSR1, SIG_IGN);
  state = (uint64_t)getpid() * 7919;
  for (;;) {
    switch (any() % 8) {
      case 0:
        have_child(fork);
        break;
      case 1:
        have_child(vfork);
        break;
      case 2:
        have_thread();
        break;
      case 3:
        usleep(any() % 500);
        break;
      case 4:
        raise(SIGUSR1);
        break;
      case 5:
        use_memory();
        break;
      case 6:
        if (one_in(30)) execute();
        break;
      default:
        for (int i = 0; i < 100; ++i) getppid();
    }
  }
}

/* Who traces. */

static pid_t tracees[kMostTracees];
static unsigned tracee_count;
static unsigned char buffer[8192];

static void add_tracee(void) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (one_in(2)) trace(PTRACE_TRACEME, 0, 0, 0);
    live();
  }
  if (pid < 0) return;
  tracees[tracee_count++] = pid;
  if (one_in(2)) trace(one_in(2) ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, one_in(2) ? any() & kOptions : 0);
}

static void let_go_on(pid_t pid, int signal) {
  static const int kWays[] = {PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP};
  if (one_in(2)) trace(PTRACE_SETOPTIONS, pid, 0, any() & kOptions);
  trace(kWays[any() % 3], pid, 0, one_in(4) ? (uint64_t)signal : 0);
}

static void note(pid_t pid, int status) {
  unsigned i = 0;
  while (i < tracee_count && tracees[i] != pid) ++i;
  if (!WIFSTOPPED(status)) {
    if (i < tracee_count) tracees[i] = tracees[--tracee_count];
    return;
  }
  if (i == tracee_count && tracee_count < kMostTracees) tracees[tracee_count++] = pid;
  if (!one_in(3)) let_go_on(pid, WSTOPSIG(status) & 0x7f);
}

static void ask_anything(pid_t pid) {
  static const int kRequests[] = {PTRACE_CONT,        PTRACE_SYSCALL,         PTRACE_SINGLESTEP, PTRACE_DETACH,     PTRACE_INTERRUPT,
                                  PTRACE_LISTEN,      PTRACE_PEEKDATA,        PTRACE_POKEDATA,   PTRACE_PEEKUSR,    PTRACE_POKEUSR,
                                  PTRACE_GETREGS,     PTRACE_SETREGS,         PTRACE_GETFPREGS,  PTRACE_SETFPREGS,  PTRACE_GETREGSET,
                                  PTRACE_SETREGSET,   PTRACE_GETSIGINFO,      PTRACE_SETSIGINFO, PTRACE_GETSIGMASK, PTRACE_SETOPTIONS,
                                  PTRACE_GETEVENTMSG, PTRACE_GET_SYSCALL_INFO};
  static const uint64_t kNotes[] = {NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, 5};
  const int request = kRequests[any() % (sizeof kRequests / sizeof *kRequests)];
  struct iovec area = {buffer, one_in(2) ? 2696 : any() % 4096};
  uint64_t address = one_in(3) ? any() : any() % 1000 & ~7UL, data = (uint64_t)buffer;
  if (request <= PTRACE_CONT || request == PTRACE_POKEUSR || request == PTRACE_DETACH) data = one_in(2) ? any() : any() % 66;
  if (request == PTRACE_SETOPTIONS) data = any() & kOptions;
  if (request == PTRACE_GETREGSET || request == PTRACE_SETREGSET) {
    address = kNotes[any() % 4];
    data = (uint64_t)&area;
  }
  if (one_in(2)) {
    for (unsigned i = 0; i < 512; ++i) buffer[i] = (unsigned char)any();
  }
  trace(request, pid, address, data);
}

static void disturb(pid_t pid) {
  static const int kSignals[] = {SIGKILL, SIGSTOP, SIGCONT, SIGUSR1};
  if (one_in(100)) kill(pid, kSignals[any() % 4]);
  if (one_in(200)) trace(one_in(2) ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, 0);
}

static void trace_until(time_t end) {
  while (time(NULL) < end) {
    if (tracee_count < kOwnTracees && one_in(4)) add_tracee();
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG | __WALL | WUNTRACED)) > 0;) note(pid, status);
    if (tracee_count == 0) continue;
    const pid_t pid = tracees[any() % tracee_count];
    ask_anything(pid);
    disturb(pid);
  }
  while (tracee_count != 0 && one_in(2)) kill(tracees[--tracee_count], SIGKILL);
}

static pid_t start_tracer(uint64_t seed, time_t end) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  setpgid(0, 0);
  state = seed * 0x9e3779b97f4a7c15 + 1;
  trace_until(end);
  _exit(0);
}

int main(int argc, char** argv) {
  if (argc == 2) live();
  if (argc != 3) return 2;
  const time_t end = time(NULL) + atoi(argv[1]);
  uint64_t seed = strtoull(argv[2], NULL, 10) * 1000;
  pid_t tracers[kTracers];
  for (unsigned i = 0; i < kTracers; ++i) tracers[i] = start_tracer(++seed, end);
  for (unsigned i = 0; time(NULL) < end; i = (i + 1) % kTracers) {
    usleep(300000);
    kill(tracers[i], SIGKILL);
    waitpid(tracers[i], NULL, 0);
    tracers[i] = start_tracer(++seed, end);
  }
  for (unsigned i = 0; i < kTracers; ++i) {
    kill(tracers[i], SIGKILL);
    waitpid(tracers[i], NULL, 0);
  }
  puts("the tracers are gone");
  return 0;
}
