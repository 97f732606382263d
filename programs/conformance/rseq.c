// Restartable sequences: registering an area, what the kernel keeps in it, and what becomes of a sequence that loses its CPU. rseq(2) of
// librseq.
#include "facts.h"

#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/time.h>

enum { kSize = 32, kSignature = 0x53053053, kOwnSignature = 0x1234567 };

static struct rseq* libc_area(void) { return (struct rseq*)((char*)__builtin_thread_pointer() + __rseq_offset); }
static long register_area(void* area, unsigned size, int flags, unsigned signature) {
  return syscall(SYS_rseq, area, size, flags, signature);
}

static struct rseq area __attribute__((aligned(64)));

static void* thread(void* unused) {
  struct rseq* const own = libc_area();
  fact("a thread's own: CPU known %d", (int)own->cpu_id >= 0);
  fact("once more: %s", outcome(register_area(own, kSize, 0, kSignature)));
  return unused;
}

static void registering(void) {
  pthread_t id;
  pthread_create(&id, NULL, thread, NULL);
  pthread_join(id, NULL);
  struct rseq* const libcs = libc_area();
  fact("the C library has one: %d, CPU known %d", __rseq_size != 0, (int)libcs->cpu_id >= 0 && libcs->cpu_id_start == libcs->cpu_id);
  fact("told of: %d %d", getauxval(27) >= 20, getauxval(28) == 32);
  fact("once more: %s", outcome(register_area(libcs, kSize, 0, kSignature)));
  fact("with another signature: %s", outcome(register_area(libcs, kSize, 0, 1)));
  fact("with another size: %s", outcome(register_area(libcs, 64, 0, kSignature)));
  fact("another: %s", outcome(register_area(&area, kSize, 0, kSignature)));
  fact("leave another: %s", outcome(register_area(&area, kSize, RSEQ_FLAG_UNREGISTER, kSignature)));
  fact("leave with another size: %s", outcome(register_area(libcs, 16, RSEQ_FLAG_UNREGISTER, kSignature)));
  fact("leave with another signature: %s", outcome(register_area(libcs, kSize, RSEQ_FLAG_UNREGISTER, 2)));
  fact("leave with other flags: %s", outcome(register_area(libcs, kSize, 3, kSignature)));
  fact("leave: %s", outcome(register_area(libcs, kSize, RSEQ_FLAG_UNREGISTER, kSignature)));
  fact("left: CPU %d, start %d", (int)libcs->cpu_id, (int)libcs->cpu_id_start);
  fact("again: %s", outcome(register_area(libcs, kSize, RSEQ_FLAG_UNREGISTER, kSignature)));
  fact("flags nobody knows: %s", outcome(register_area(&area, kSize, 2, 0)));
  fact("too small: %s", outcome(register_area(&area, 16, 0, 0)));
  fact("not aligned: %s", outcome(register_area((char*)&area + 4, kSize, 0, 0)));
  fact("nowhere: %s", outcome(register_area((void*)0x7000, kSize, 0, 0)));
  fact("beyond: %s", outcome(register_area((void*)0xffff800000000000, kSize, 0, 0)));
  memset(&area, 0xff, sizeof area);
  area.rseq_cs = 0;
  area.flags = 0;
  fact("own: %s", outcome(register_area(&area, kSize, 0, kOwnSignature)));
  fact("CPU known %d, node %u", (int)area.cpu_id >= 0, ((unsigned*)&area)[5]);
}

// ---- sequences

/// Stays in a sequence until it is aborted, or the counter has come to an end. Returns whether it was aborted.
static int spin(struct rseq* where, struct rseq_cs* section, long turns, unsigned flags) {
  int aborted = 0;
  __asm__ volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "movq %%rax, 8(%[section])\n\t"
      "leaq 2f(%%rip), %%rcx\n\t"
      "subq %%rax, %%rcx\n\t"
      "movq %%rcx, 16(%[section])\n\t"
      "leaq 4f(%%rip), %%rax\n\t"
      "movq %%rax, 24(%[section])\n\t"
      "movl $0, (%[section])\n\t"
      "movl %[flags], 4(%[section])\n\t"
      "movq %[section], 8(%[area])\n\t"
      "1:\n\t"
      "decq %[turns]\n\t"
      "jnz 1b\n\t"
      "2:\n\t"
      "jmp 5f\n\t"
      ".long 0x1234567\n\t"
      "4:\n\t"
      "movl $1, %[aborted]\n\t"
      "5:\n\t"
      : [aborted] "+r"(aborted), [turns] "+r"(turns)
      : [area] "r"(where), [section] "r"(section), [flags] "r"(flags)
      : "rax", "rcx", "memory", "cc");
  return aborted;
}

static struct rseq_cs section __attribute__((aligned(32)));
static volatile sig_atomic_t signals;
static void on_signal(int signal) {
  (void)signal;
  ++signals;
}

/// And again, since the first may come before the sequence begins; 0: no more.
static void alarm_in(long us) {
  struct itimerval when = {.it_value = {.tv_usec = us}, .it_interval = {.tv_usec = us}};
  setitimer(ITIMER_REAL, &when, NULL);
}

static void sequences(void) {
  int disturbed = 0;
  while (disturbed < 100 && spin(&area, &section, 10, 0)) ++disturbed;
  fact("undisturbed: %d", disturbed < 100);
  signal(SIGALRM, on_signal);
  alarm_in(20000);
  const int aborted = spin(&area, &section, 1L << 60, 0);
  while (signals == 0) milliseconds(1);
  alarm_in(0);
  fact("a signal, or another's turn: aborted %d, announced %d", aborted, area.rseq_cs != 0);
  // Another process on the same CPU takes its turns.
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  const pid_t rival = fork();
  if (rival == 0) {
    for (;;) {
    }
  }
  fact("loses the CPU: aborted %d", spin(&area, &section, 1L << 60, 0));
  kill(rival, SIGKILL);
  waitpid(rival, NULL, 0);
  fact("announced: %d", area.rseq_cs != 0);
}

static void moves(void) {
  cpu_set_t all, one;
  sched_getaffinity(0, sizeof all, &all);
  int wrong = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    wrong += (int)area.cpu_id != cpu || (int)area.cpu_id_start != cpu || sched_getcpu() != cpu;
  }
  sched_setaffinity(0, sizeof all, &all);
  fact("wrong after moving: %d", wrong);
}

static void broken(void) {
  IN_CHILD("another signature before the abort", register_area(&area, kSize, RSEQ_FLAG_UNREGISTER, kOwnSignature);
           register_area(&area, kSize, 0, 7); alarm_in(1000); spin(&area, &section, 1L << 60, 0));
  IN_CHILD("a section's flags", alarm_in(1000); spin(&area, &section, 1L << 60, 1));
  IN_CHILD("a section nowhere", alarm_in(1000); area.rseq_cs = 0x7000; for (;;) pause());
  IN_CHILD("a section in the kernel", alarm_in(1000); area.rseq_cs = 0xffff800000000000; for (;;) pause());
  IN_CHILD("an abort address within", section.start_ip = 0x1000; section.post_commit_offset = 0x100; section.abort_ip = 0x1010;
           section.flags = section.version = 0; alarm_in(1000); area.rseq_cs = (uintptr_t)&section; for (;;) pause());
  IN_CHILD("a version of the future", section.version = 1; alarm_in(1000); area.rseq_cs = (uintptr_t)&section; for (;;) pause());
  struct rseq* const page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  IN_CHILD("an area that has gone", register_area(&area, kSize, RSEQ_FLAG_UNREGISTER, kOwnSignature);
           fact("%s", outcome(register_area(page, kSize, 0, 1))); munmap(page, 4096); milliseconds(20));
}

static void heirs(void) {
  IN_CHILD("forked", fact("still there: %s", outcome(register_area(&area, kSize, 0, kOwnSignature)));
           fact("CPU %d", (int)area.cpu_id == sched_getcpu()));
  const pid_t child = vfork();
  if (child == 0) {
    fact("in a borrowed memory: %s", outcome(register_area(&area, kSize, RSEQ_FLAG_UNREGISTER, kOwnSignature)));
    _exit(0);
  }
  waitpid(child, NULL, 0);
  fact("the lender's: %s", outcome(register_area(&area, kSize, 0, kOwnSignature)));
}

int main(void) {
  registering();
  sequences();
  moves();
  broken();
  heirs();
  return 0;
}
