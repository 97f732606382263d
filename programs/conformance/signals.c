// Signals: actions, masks, frames, queues, faults, restarts.
#include "facts.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile sig_atomic_t count, last_signal, last_code, nested_depth, deepest;
static volatile long last_value;
static void* volatile last_address;
static volatile pid_t last_pid;
static char order[64];
static sigjmp_buf escape;

static void note(int signal, siginfo_t* info, void* context) {
  (void)context;
  ++count;
  last_signal = signal;
  last_code = info->si_code;
  last_pid = info->si_pid;
  last_value = (long)info->si_value.sival_ptr;
  last_address = info->si_addr;
}
static void leave(int signal, siginfo_t* info, void* context) {
  note(signal, info, context);
  siglongjmp(escape, 1);
}
static void append(int signal) {
  size_t n = strlen(order);
  snprintf(order + n, sizeof order - n, "%d ",
           signal >= SIGRTMIN ? 100 + signal - SIGRTMIN : signal);
}
static void handle(int signal, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
  sigaction(signal, &action, NULL);
}

static void basics(void) {
  handle(SIGUSR1, note, 0);
  kill(getpid(), SIGUSR1);
  fact("kill to self: handled %d, code is SI_USER %d, pid is mine %d", count, last_code == SI_USER,
       last_pid == getpid());
  raise(SIGUSR1);
  fact("raise: handled %d, code is SI_TKILL %d", count, last_code == SI_TKILL);
  sigqueue(getpid(), SIGUSR1, (union sigval){.sival_ptr = (void*)0x1234});
  fact("sigqueue: code is SI_QUEUE %d, value %#lx", last_code == SI_QUEUE, last_value);
  handle(SIGUSR2, note, SA_RESETHAND);
  raise(SIGUSR2);
  struct sigaction now;
  sigaction(SIGUSR2, NULL, &now);
  fact("SA_RESETHAND: now default %d", now.sa_handler == SIG_DFL);
  fact("sigaction for SIGKILL: %s",
       outcome(sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL)));
  fact("kill with signal 65: %s", outcome(kill(getpid(), 65)));
  fact("kill of no process: %s", outcome(kill(0x3fffffff, 0)));
  fact("tgkill with wrong group: %s", outcome(syscall(SYS_tgkill, getpid() + 1, getpid(), 0)));
}

static void masks(void) {
  sigset_t set, old, waiting;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGRTMIN + 1);
  sigprocmask(SIG_BLOCK, &set, &old);
  count = 0;
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGUSR1);
  handle(SIGRTMIN, note, 0);
  handle(SIGRTMIN + 1, note, 0);
  sigpending(&waiting);
  fact("blocked: handled %d, pending %d", count, sigismember(&waiting, SIGUSR1));
  sigprocmask(SIG_SETMASK, &old, NULL);
  fact("unblocked: a standard signal counts once: %d", count);

  struct sigaction order_action = {.sa_handler = append};
  for (int i = 0; i < 3; ++i) sigaction(SIGRTMIN + i, &order_action, NULL);
  sigaction(SIGUSR1, &order_action, NULL);
  sigprocmask(SIG_BLOCK, &set, &old);
  kill(getpid(), SIGRTMIN + 1);
  kill(getpid(), SIGRTMIN);
  kill(getpid(), SIGRTMIN + 1);
  kill(getpid(), SIGUSR1);
  kill(getpid(), SIGRTMIN);
  // All frames are pushed before the first handler runs, so the last one pushed runs first.
  sigprocmask(SIG_SETMASK, &old, NULL);
  fact("order of handlers: %s", order);

  sigprocmask(SIG_BLOCK, &set, &old);
  for (int i = 0; i < 3; ++i) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
  kill(getpid(), SIGUSR1);
  siginfo_t info;
  struct timespec now = {0, 0};
  for (int i = 0; i < 5; ++i) {
    int got = sigtimedwait(&set, &info, &now);
    fact("sigtimedwait: %s", got < 0 ? strerrorname_np(errno) : got == SIGUSR1 ? "USR1" : "RTMIN");
    if (got == SIGRTMIN)
      fact("  value %d, code is SI_QUEUE %d", info.si_value.sival_int, info.si_code == SI_QUEUE);
  }
  struct timespec soon = {0, 20000000};
  struct timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  int got = sigtimedwait(&set, &info, &soon);
  clock_gettime(CLOCK_MONOTONIC, &after);
  fact("sigtimedwait times out: %s, after long enough %d", outcome(got),
       (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= 20000000);
  sigprocmask(SIG_SETMASK, &old, NULL);

  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigprocmask(SIG_SETMASK, NULL, &all);
  fact("SIGKILL and SIGSTOP cannot be blocked: %d %d", sigismember(&all, SIGKILL),
       sigismember(&all, SIGSTOP));
  sigprocmask(SIG_SETMASK, &old, NULL);
}

static int nest_runs;
static void nest(int signal) {
  ++nested_depth;
  if (nested_depth > deepest) deepest = nested_depth;
  if (++nest_runs < 3) raise(signal);
  --nested_depth;
}

static void nesting(void) {
  struct sigaction action = {.sa_handler = nest, .sa_flags = SA_NODEFER};
  sigaction(SIGUSR2, &action, NULL);
  raise(SIGUSR2);
  fact("SA_NODEFER nests: depth %d", deepest);
  nest_runs = deepest = nested_depth = 0;
  action.sa_flags = 0;
  sigaction(SIGUSR2, &action, NULL);
  raise(SIGUSR2);
  fact("without it the second waits for the first: depth %d", deepest);
}

static void faults(void) {
  handle(SIGSEGV, leave, 0);
  handle(SIGFPE, leave, 0);
  handle(SIGILL, leave, 0);
  handle(SIGTRAP, note, 0);
  char* page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(escape, 1) == 0) *(volatile char*)8 = 1;
  fact("write to nothing: SIGSEGV %d, MAPERR %d, address %p", last_signal == SIGSEGV,
       last_code == SEGV_MAPERR, last_address);
  if (sigsetjmp(escape, 1) == 0) page[5] = 1;
  fact("write to a read-only page: ACCERR %d, address right %d", last_code == SEGV_ACCERR,
       last_address == page + 5);
  if (sigsetjmp(escape, 1) == 0) ((void (*)(void))page)();
  fact("execute data: ACCERR %d, address right %d", last_code == SEGV_ACCERR, last_address == page);
  if (sigsetjmp(escape, 1) == 0) *(volatile char*)0x8000000000000000 = 1;
  fact("not canonical: SIGSEGV %d, code is SI_KERNEL %d", last_signal == SIGSEGV,
       last_code == SI_KERNEL);
  if (sigsetjmp(escape, 1) == 0)
    __asm__ volatile("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx" ::
                         : "eax", "ecx", "edx");
  fact("divide by zero: SIGFPE %d, INTDIV %d", last_signal == SIGFPE, last_code == FPE_INTDIV);
  if (sigsetjmp(escape, 1) == 0) __asm__ volatile("ud2");
  fact("ud2: SIGILL %d, ILLOPN %d", last_signal == SIGILL, last_code == ILL_ILLOPN);
  count = 0;
  __asm__ volatile("int3");
  fact("int3: SIGTRAP %d, handled %d, code is SI_KERNEL %d", last_signal == SIGTRAP, count,
       last_code == SI_KERNEL);
  IN_CHILD("a fault with SIGSEGV ignored", {
    signal(SIGSEGV, SIG_IGN);
    *(volatile char*)8 = 1;
  });
  IN_CHILD("a fault with SIGSEGV blocked", {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *(volatile char*)8 = 1;
  });
  munmap(page, 4096);
}

static char alternate[65536];
static volatile int was_on_alternate, stack_flags;
static void on_alternate(int signal) {
  (void)signal;
  char here;
  stack_t now;
  sigaltstack(NULL, &now);
  was_on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
  stack_flags = now.ss_flags;
}
static void overflow_handler(int signal) {
  (void)signal;
  siglongjmp(escape, 1);
}
static volatile char* volatile never;
static int overflow(volatile char* p) {
  if (p == never) return 0;
  volatile char big[4096];
  big[0] = *p;
  return overflow(big) + big[0];
}

static void stacks(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  fact("sigaltstack: %s", outcome(sigaltstack(&stack, NULL)));
  fact("sigaltstack too small: %s",
       outcome(sigaltstack(&(stack_t){.ss_sp = alternate, .ss_size = 100}, NULL)));
  struct sigaction action = {.sa_handler = on_alternate, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  fact("SA_ONSTACK: on the alternate stack %d, flags say so %d", was_on_alternate,
       stack_flags == SS_ONSTACK);
  action.sa_flags = 0;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  fact("without it: %d", was_on_alternate);
  IN_CHILD("stack overflow is handled on the alternate stack", {
    action.sa_handler = overflow_handler;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(escape, 1) != 0) _exit(42);
    char c = 1;
    _exit(overflow(&c));
  });
  IN_CHILD("stack overflow without one", {
    signal(SIGSEGV, SIG_DFL);
    char c = 1;
    _exit(overflow(&c));
  });
}

static void spoil(int signal) {
  (void)signal;
  __asm__ volatile("pcmpeqd %%xmm7, %%xmm7\n\tfninit\n\tfldpi" ::: "xmm7");
}

static void registers(void) {
  struct sigaction action = {.sa_handler = spoil};
  sigaction(SIGUSR1, &action, NULL);
  uint64_t in = 0x1122334455667788, out = 0, red = 0;
  long pid = getpid();
  // The kernel raises the signal on the way back from kill; the red zone, flags and vector
  // registers must survive the handler.
  __asm__ volatile(
      "movq %[in], %%xmm7\n\t"
      "movq %[in], -64(%%rsp)\n\t"
      "movl $62, %%eax\n\t"
      "movq %[pid], %%rdi\n\t"
      "movl $10, %%esi\n\t"
      "syscall\n\t"
      "movq -64(%%rsp), %[red]\n\t"
      "movq %%xmm7, %[out]\n\t"
      : [out] "=&r"(out), [red] "=&r"(red)
      : [in] "r"(in), [pid] "r"(pid)
      : "rax", "rdi", "rsi", "rcx", "r11", "xmm7", "memory");
  fact("SSE register survives a handler: %d, red zone: %d", out == in, red == in);
  volatile double x = 1.5, y = 2.25;
  raise(SIGUSR1);
  fact("arithmetic after it: %.4f", x * y);
}

static void change_context(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)info;
  ucontext_t* uc = context;
  uc->uc_mcontext.gregs[REG_RIP] += 2;  // past ud2
  uc->uc_mcontext.gregs[REG_RBX] = 77;
  sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static void contexts(void) {
  handle(SIGILL, change_context, 0);
  long rbx = 1;
  __asm__ volatile("ud2" : "+b"(rbx));
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  fact("a handler changes rip and rbx: %ld, and the mask: %d", rbx, sigismember(&mask, SIGUSR2));
  sigemptyset(&mask);
  sigprocmask(SIG_SETMASK, &mask, NULL);
}

static void tick(int signal) {
  (void)signal;
  ++count;
}

static void alarm_in(long ms) {
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {ms / 1000, ms % 1000 * 1000}}, NULL);
}

static void restarts(void) {
  struct sigaction action = {.sa_handler = tick};
  int ends[2];
  char byte;
  if (pipe(ends) != 0) _exit(98);
  sigaction(SIGALRM, &action, NULL);
  alarm_in(20);
  fact("read without SA_RESTART: %s", outcome(read(ends[0], &byte, 1)));
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  pid_t writer = fork();
  if (writer == 0) {
    milliseconds(80);
    _exit(write(ends[1], "x", 1) != 1);
  }
  count = 0;
  alarm_in(20);
  const char* how = outcome(read(ends[0], &byte, 1));
  fact("read with SA_RESTART: %s, handled %d", how, count);
  waitpid(writer, NULL, 0);
  struct timespec left = {0, 0}, second = {1, 0};
  alarm_in(20);
  int result = nanosleep(&second, &left);
  fact("nanosleep is never restarted after a handler: %s, rest is less %d", outcome(result),
       left.tv_sec == 0 && left.tv_nsec > 0);
  alarm_in(20);
  fact("pause: %s", outcome(pause()));
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_BLOCK, &set, NULL);
  count = 0;
  alarm_in(20);
  milliseconds(40);
  fact("blocked alarm: handled %d", count);
  how = outcome(sigsuspend(&none));
  fact("sigsuspend: %s, handled %d", how, count);
  sigprocmask(SIG_SETMASK, NULL, &set);
  fact("the mask is back: %d", sigismember(&set, SIGALRM));
  sigprocmask(SIG_SETMASK, &none, NULL);
  // A sleep that is stopped and continued goes on to its end.
  pid_t sleeper = fork();
  if (sleeper == 0) {
    struct timespec t = {0, 100000000};
    _exit(nanosleep(&t, NULL) == 0 ? 5 : 6);
  }
  milliseconds(20);
  kill(sleeper, SIGSTOP);
  milliseconds(20);
  kill(sleeper, SIGCONT);
  int status;
  waitpid(sleeper, &status, 0);
  fact("nanosleep after stop and continue: %s", in_words(status));
}

int main(void) {
  basics();
  masks();
  nesting();
  faults();
  stacks();
  registers();
  contexts();
  restarts();
  return 0;
}
