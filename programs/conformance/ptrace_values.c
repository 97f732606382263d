/* Rules of ptrace: system calls, registers, memory, breakpoints and steps of a tracee. man7 ptrace(2). */
#include "tracer.h"

#include <linux/audit.h>
#include <linux/elf.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/user.h>

static const char text_of_all[] = "read only";

/* System calls. */

static void calls_getppid(void) {
  syscall(SYS_getppid);
  syscall(SYS_close, 999);
  syscall(-1L);
  syscall(9999);
  _exit(3);
}

static void tell_call(pid_t pid) {
  struct ptrace_syscall_info info;
  memset(&info, 0x55, sizeof info);
  const long size = trace(PTRACE_GET_SYSCALL_INFO, pid, number(sizeof info), &info);
  struct user_regs_struct r;
  trace(PTRACE_GETREGS, pid, 0, &r);
  fact("info of %ld bytes, op %d, arch %#x, places right: %d", size, info.op, info.arch,
       info.instruction_pointer == r.rip && info.stack_pointer == r.rsp);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
    fact("enters %ld, first argument right: %d, rax %ld", (long)info.entry.nr, info.entry.args[0] == r.rdi, (long)r.rax);
  if (info.op == PTRACE_SYSCALL_INFO_EXIT)
    fact("leaves %ld, error %d, value %s", (long)r.orig_rax, info.exit.is_error,
         info.exit.is_error ? strerrorname_np((int)-info.exit.rval) : "right");
}

static void system_calls(void) {
  const pid_t pid = start_traced(calls_getppid);
  tell("an option that is not there", trace(PTRACE_SETOPTIONS, pid, 0, number(0x10000000)));
  tell("SETOPTIONS", trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACESYSGOOD)));
  tell_call(pid);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  next_stop("the first call", pid);
  tell_call(pid);
  unsigned long message = 0;
  for (int i = 0; i < 8; ++i) {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    next_stop("a call", pid);
    trace(PTRACE_GETEVENTMSG, pid, 0, &message);
    fact("message %lu", message);
    tell_call(pid);
    if (i == 0) tell_info(pid);
  }
  struct ptrace_syscall_info info;
  memset(&info, 0x55, sizeof info);
  tell("little room", trace(PTRACE_GET_SYSCALL_INFO, pid, number(1), &info));
  fact("op %d, then %#x", info.op, info.pad[0]);
  tell("no room", trace(PTRACE_GET_SYSCALL_INFO, pid, 0, 0));
  tell("nowhere", trace(PTRACE_GET_SYSCALL_INFO, pid, number(8), bad_address));
  trace(PTRACE_SYSCALL, pid, 0, 0);
  next_stop("the end", pid);
}

static void calls_once(void) { _exit((int)syscall(SYS_getppid) == 42 ? 5 : 6); }
static void closes(void) { _exit(syscall(SYS_close, 999) == 77 ? 5 : 6); }

static void changed_calls(void) {
  struct user_regs_struct r;
  pid_t pid = start_traced(calls_once);
  trace(PTRACE_SYSCALL, pid, 0, 0);
  next_stop("without the option: a call", pid);
  tell_call(pid);
  trace(PTRACE_GETREGS, pid, 0, &r);
  r.orig_rax = (unsigned long)-1;
  r.rax = 42;
  tell("taking the call back", trace(PTRACE_SETREGS, pid, 0, &r));
  trace(PTRACE_SYSCALL, pid, 0, 0);
  next_stop("its end", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the tracer's answer", pid);
  pid = start_traced(closes);
  trace(PTRACE_SETOPTIONS, pid, 0, number(PTRACE_O_TRACESYSGOOD));
  for (int i = 0; i < 2; ++i) {
    trace(PTRACE_SYSCALL, pid, 0, 0);
    waitpid(pid, NULL, 0);
  }
  tell("another result", trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user_regs_struct, rax), number(77)));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the tracer's result", pid);
}

/* Registers. */

/// The kernel's struct user has two more words than the C library's.
enum { kUserSize = sizeof(struct user) + 16 };

static void fills_registers(void) {
  __asm__ volatile(
      "movq $0x1111, %%r15\n\tmovq $0x2222, %%rbx\n\tmovq $0x3333, %%rcx\n\tmovq $-5, %%r11\n\tmovq $0x40, %%rax\n\tmovq %%rax, %%xmm3\n\t"
      "int3\n\tmovq %%xmm3, %%rdi\n\taddq %%r15, %%rdi\n\tmovl $231, %%eax\n\tsyscall" ::
          : "r15", "rbx", "rcx", "r11", "rax", "rdi", "xmm3", "memory");
}

static void registers(void) {
  const pid_t pid = start_traced(fills_registers);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, pid, 0, &info);
  fact("code %#x, address %p", info.si_code, info.si_addr);
  struct user_regs_struct r;
  tell("GETREGS", trace(PTRACE_GETREGS, pid, 0, &r));
  fact("r15 %#llx rbx %#llx rcx %#llx r11 %lld rax %#llx orig_rax %lld", r.r15, r.rbx, r.rcx, (long long)r.r11, r.rax,
       (long long)r.orig_rax);
  fact("cs %#llx ss %#llx ds %#llx es %#llx fs %#llx gs %#llx, fs_base set: %d", r.cs, r.ss, r.ds, r.es, r.fs, r.gs, r.fs_base != 0);
  tell("GETREGS to nowhere", trace(PTRACE_GETREGS, pid, 0, bad_address));
  tell("SETREGS from nowhere", trace(PTRACE_SETREGS, pid, 0, bad_address));
  long word = 0;
  tell("PEEKUSER", trace(PTRACE_PEEKUSR, pid, (void*)offsetof(struct user_regs_struct, rbx), &word));
  fact("rbx %#lx", word);
  tell("PEEKUSER askew", trace(PTRACE_PEEKUSR, pid, number(4), &word));
  tell("PEEKUSER at the end", trace(PTRACE_PEEKUSR, pid, number(kUserSize), &word));
  tell("PEEKUSER in between", trace(PTRACE_PEEKUSR, pid, (void*)offsetof(struct user, u_tsize), &word));
  tell("PEEKUSER of a debug register", trace(PTRACE_PEEKUSR, pid, (void*)offsetof(struct user, u_debugreg), &word));
  fact("debug register %#lx", word);
  tell("POKEUSER in between", trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user, u_tsize), number(1)));
  tell("POKEUSER of debug register 4", trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user, u_debugreg[4]), number(1)));
  tell("POKEUSER of debug register 7", trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user, u_debugreg[7]), number(0)));
  tell("POKEUSER at the end", trace(PTRACE_POKEUSR, pid, number(kUserSize), number(1)));
#define POKE(what, name, value) tell(what, trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user_regs_struct, name), number(value)))
  POKE("a code selector of the kernel", cs, 0x10);
  POKE("no code selector", cs, 0);
  POKE("the code selector it has", cs, (long)r.cs);
  POKE("a stack selector of the kernel", ss, 0x18);
  POKE("a data selector of the kernel", ds, 0x18);
  POKE("a thread pointer in the kernel", fs_base, (long)0xffff800000000000);
  POKE("a base in the kernel", gs_base, (long)0x00007ffffffff000);
  POKE("a base", gs_base, 0x1000);
  trace(PTRACE_PEEKUSR, pid, (void*)offsetof(struct user_regs_struct, gs_base), &word);
  fact("base %#lx", word);
  POKE("flags that only the kernel has", eflags, 0x7fffffff & ~0x100);
  trace(PTRACE_PEEKUSR, pid, (void*)offsetof(struct user_regs_struct, eflags), &word);
  fact("IOPL %ld, VM %ld, interrupts %ld, carry %ld, AC %ld", word >> 12 & 3, word >> 17 & 1, word >> 9 & 1, word & 1, word >> 18 & 1);
  POKE("flags back", eflags, (long)r.eflags);
  POKE("r15", r15, 2);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the sum", pid);
}

static void bad_places(void) {
  static const struct {
    const char* name;
    long rip;
  } kPlaces[] = {{"no address at all", 0x0000800000000000},
                 {"another", (long)0xdead000000000000},
                 {"one of the kernel's", (long)0xffffffff81000000},
                 {"the last page", 0x00007ffffffff000}};
  for (unsigned i = 0; i < 4; ++i) {
    for (int in_call = 0; in_call < 2; ++in_call) {
      const pid_t pid = start_traced(calls_getppid);
      if (in_call) {
        trace(PTRACE_SYSCALL, pid, 0, 0);
        waitpid(pid, NULL, 0);
      }
      trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user_regs_struct, rip), number(kPlaces[i].rip));
      if (in_call) trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user_regs_struct, rcx), number(kPlaces[i].rip));
      trace(PTRACE_CONT, pid, 0, 0);
      next_stop(kPlaces[i].name, pid);
      end(pid);
    }
  }
  pid_t pid = start_traced(calls_getppid);
  trace(PTRACE_POKEUSR, pid, (void*)offsetof(struct user_regs_struct, rsp), number((long)0xffff800000000000));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a stack that is nowhere", pid);
  end(pid);
}

static void register_sets(void) {
  const pid_t pid = start_traced(fills_registers);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  struct user_regs_struct r;
  struct user_fpregs_struct f;
  static unsigned char area[16384];
  struct iovec buffer = {&r, sizeof r};
  tell("GETREGSET", trace(PTRACE_GETREGSET, pid, (void*)NT_PRSTATUS, &buffer));
  fact("%zu bytes, rbx %#llx", buffer.iov_len, r.rbx);
  buffer.iov_len = 16;
  tell("part of it", trace(PTRACE_GETREGSET, pid, (void*)NT_PRSTATUS, &buffer));
  fact("%zu bytes", buffer.iov_len);
  buffer.iov_len = 15;
  tell("an odd size", trace(PTRACE_GETREGSET, pid, (void*)NT_PRSTATUS, &buffer));
  buffer.iov_base = area;
  buffer.iov_len = sizeof area;
  tell("more than there is", trace(PTRACE_GETREGSET, pid, (void*)NT_PRSTATUS, &buffer));
  fact("%zu bytes", buffer.iov_len);
  tell("a set that is not there", trace(PTRACE_GETREGSET, pid, (void*)0x7777, &buffer));
  tell("no buffer", trace(PTRACE_GETREGSET, pid, (void*)NT_PRSTATUS, bad_address));
  buffer.iov_base = &f;
  buffer.iov_len = sizeof f;
  tell("FPU registers", trace(PTRACE_GETREGSET, pid, (void*)NT_PRFPREG, &buffer));
  fact("%zu bytes, xmm3 %#x, control word %#x", buffer.iov_len, f.xmm_space[12], f.cwd);
  tell("GETFPREGS", trace(PTRACE_GETFPREGS, pid, 0, area));
  fact("the same: %d", memcmp(area, &f, 416) == 0);
  f.xmm_space[12] = 5;
  f.mxcsr |= 0x10000;
  tell("a control register that the CPU refuses", trace(PTRACE_SETFPREGS, pid, 0, &f));
  f.mxcsr &= 0xffff;
  buffer.iov_len = 256;
  tell("half of the FPU registers", trace(PTRACE_SETREGSET, pid, (void*)NT_PRFPREG, &buffer));
  tell("SETFPREGS", trace(PTRACE_SETFPREGS, pid, 0, &f));
  buffer.iov_base = area;
  buffer.iov_len = sizeof area;
  tell("the whole state", trace(PTRACE_GETREGSET, pid, (void*)NT_X86_XSTATE, &buffer));
  uint64_t components, present;
  memcpy(&components, area + 464, 8);
  memcpy(&present, area + 512, 8);
  fact("has x87 and SSE: %d, SSE in use: %d", (components & 3) == 3, (int)(present >> 1 & 1));
  memcpy(&f, area, sizeof f);
  fact("xmm3 %#x", f.xmm_space[12]);
  const size_t whole = buffer.iov_len;
  buffer.iov_len = whole - 8;
  tell("not the whole state", trace(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, &buffer));
  buffer.iov_len = whole;
  area[520] = 1;
  tell("a state that the CPU refuses", trace(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, &buffer));
  area[520] = 0;
  f.xmm_space[12] = 9;
  memcpy(area, &f, sizeof f);
  tell("SETREGSET", trace(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, &buffer));
  r.r15 = 3;
  buffer.iov_base = &r;
  buffer.iov_len = 8;
  tell("the first register only", trace(PTRACE_SETREGSET, pid, (void*)NT_PRSTATUS, &buffer));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the sum", pid);
}

/* Memory. */

static char* shared_page;
static char* private_page;
static void memory(void) {
  shared_page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  private_page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(private_page + 4096, 4096);
  const pid_t pid = start_traced(ends);
  long word = 0;
  tell("PEEKTEXT", trace(PTRACE_PEEKTEXT, pid, (void*)text_of_all, &word));
  fact("the first byte: %c", (char)word);
  tell("PEEKDATA to nowhere", trace(PTRACE_PEEKDATA, pid, (void*)text_of_all, bad_address));
  tell("PEEKDATA of nothing", trace(PTRACE_PEEKDATA, pid, bad_address, &word));
  tell("PEEKDATA of the kernel's", trace(PTRACE_PEEKDATA, pid, (void*)0xffffffff81000000, &word));
  tell("PEEKDATA of what it may not read", trace(PTRACE_PEEKDATA, pid, private_page, &word));
  fact("it is %ld", word);
  tell("PEEKDATA over the end", trace(PTRACE_PEEKDATA, pid, private_page + 4092, &word));
  tell("POKEDATA of what it may not touch", trace(PTRACE_POKEDATA, pid, private_page, number(0x1234)));
  trace(PTRACE_PEEKDATA, pid, private_page, &word);
  fact("it is %#lx", word);
  tell("POKEDATA of nothing", trace(PTRACE_POKEDATA, pid, bad_address, number(1)));
  tell("POKEDATA of shared memory that is read only", trace(PTRACE_POKEDATA, pid, shared_page, number(1)));
  tell("POKETEXT of text", trace(PTRACE_POKETEXT, pid, (void*)text_of_all, number(0x6b6f)));
  trace(PTRACE_PEEKTEXT, pid, (void*)text_of_all, &word);
  fact("it is %.2s there and %.4s here", (char*)&word, text_of_all);
  word = 0;
  tell("POKETEXT over two words", trace(PTRACE_POKETEXT, pid, (char*)text_of_all + 3, number(0)));
  end(pid);
}

__attribute__((noinline)) static int doubles(int x) {
  __asm__ volatile("" : "+r"(x));
  return 2 * x;
}
static void calls_doubles(void) { _exit(doubles(21)); }

static void breakpoints(void) {
  const pid_t pid = start_traced(calls_doubles);
  long code = 0;
  trace(PTRACE_PEEKTEXT, pid, (void*)doubles, &code);
  trace(PTRACE_POKETEXT, pid, (void*)doubles, number((code & ~0xffL) | 0xcc));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a breakpoint", pid);
  struct user_regs_struct r;
  trace(PTRACE_GETREGS, pid, 0, &r);
  fact("after it: %d, argument %lld", r.rip == (unsigned long)doubles + 1, r.rdi);
  r.rip -= 1;
  r.rdi = 4;
  trace(PTRACE_SETREGS, pid, 0, &r);
  trace(PTRACE_POKETEXT, pid, (void*)doubles, number(code));
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("with another argument", pid);
}

/* Steps. */

static void loops(void) { __asm__ volatile("int3\n\tmovl $10, %%ecx\n1:\tdecl %%ecx\n\tjnz 1b\n\tint3" ::: "ecx"); }
static void steps_over_calls(void) { __asm__ volatile("int3\n\tmovl $39, %%eax\n\tsyscall\n\tnop\n\tnop\n\tint3" ::: "rax", "rcx", "r11"); }
static void shows_flags(void) {
  unsigned long flags;
  __asm__ volatile("int3\n\tmovl $39, %%eax\n\tsyscall\n\tpushfq\n\tpopq %0" : "=r"(flags)::"rax", "rcx", "r11", "memory");
  _exit((flags & 0x100) != 0);
}
static void takes_signal(void) {
  signal(SIGUSR1, on_signal);
  __asm__ volatile("int3");
  raise(SIGUSR1);
  _exit(handled == SIGUSR1 ? 0 : 1);
}

static int steps_to_breakpoint(pid_t pid) {
  for (int count = 0;; ++count) {
    struct user_regs_struct r;
    trace(PTRACE_GETREGS, pid, 0, &r);
    long code = 0;
    trace(PTRACE_PEEKTEXT, pid, (void*)r.rip, &code);
    if ((code & 0xff) == 0xcc) return count;
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    int status;
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status) || status >> 8 != SIGTRAP || count > 1000) {
      fact("after %d steps: %s", count, stop_in_words(status));
      return -1;
    }
  }
}

static void steps(void) {
  pid_t pid = start_traced(loops);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  fact("steps in the loop: %d", steps_to_breakpoint(pid));
  siginfo_t info;
  trace(PTRACE_GETSIGINFO, pid, 0, &info);
  struct user_regs_struct r;
  trace(PTRACE_GETREGS, pid, 0, &r);
  fact("code %d, address right: %d, TF shown: %d", info.si_code, info.si_addr == (void*)r.rip, (int)(r.eflags >> 8 & 1));
  end(pid);
  pid = start_traced(steps_over_calls);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  fact("steps over a call: %d", steps_to_breakpoint(pid));
  end(pid);
  pid = start_traced(steps_over_calls);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  for (int i = 0; i < 2; ++i) {
    trace(PTRACE_SINGLESTEP, pid, 0, 0);
    next_stop("a step", pid);
    trace(PTRACE_GETSIGINFO, pid, 0, &info);
    fact("code %d", info.si_code);
  }
  end(pid);
  pid = start_traced(shows_flags);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  trace(PTRACE_SINGLESTEP, pid, 0, 0);
  next_stop("a step", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("no trace of it is left", pid);
  pid = start_traced(takes_signal);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("int3", pid);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("a signal", pid);
  trace(PTRACE_SINGLESTEP, pid, 0, number(SIGUSR1));
  next_stop("a step into the handler", pid);
  trace(PTRACE_GETREGS, pid, 0, &r);
  fact("at its first instruction: %d, argument %lld", r.rip == (unsigned long)on_signal, r.rdi);
  trace(PTRACE_CONT, pid, 0, 0);
  next_stop("the end", pid);
}

int main(void) {
  system_calls();
  changed_calls();
  registers();
  bad_places();
  register_sets();
  memory();
  breakpoints();
  steps();
  return 0;
}
