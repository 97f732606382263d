// Faults: which signal, which code, which address; what a handler may do; what ends a process.
#include "memory.h"

#include <ucontext.h>

static void addresses(void) {
  place(0, 2, kWrite, kPrivate);
  fact("unmapped, in the middle of a page: %s", touch('w', page(3) + 1234));
  fact("the null pointer: %s", touch('r', NULL));
  fact("page 0: %s", touch('w', (void*)0x123));
  fact("not an address: %s", touch('r', (void*)0x8000000000000000));
  fact("the kernel's half: %s", touch('r', (void*)-4096L));
  fact("the first address above user space: %s", touch('r', (void*)0x800000000000));
  fact("a call to nowhere: %s", touch('x', page(3) + 7));
  fact("a call to what is no address: %s", touch('x', (void*)0x8000000000000000));
  mprotect(page(1), kPage, kNone);
  // Two pages at once: the address is the first byte that cannot be reached.
  if (sigsetjmp(after_fault, 1) == 0) {
    *(volatile uint64_t*)(page(1) - 3) = 1;
    fact("no fault");
  } else {
    fact("a write over two pages: %s; the first is unchanged: %d", fault_in_words(),
         *(page(1) - 1));
  }
  if (sigsetjmp(after_fault, 1) == 0) {
    (void)*(volatile uint64_t*)(page(0) - 3);
    fact("no fault");
  } else {
    fact("a read over two pages: %s", fault_in_words());
  }
  clear_arena();
}

static volatile uint64_t seen_trap, seen_error, seen_address;
static void note_context(int signal, siginfo_t* info, void* context) {
  ucontext_t* user = context;
  seen_trap = (uint64_t)user->uc_mcontext.gregs[REG_TRAPNO];
  seen_error = (uint64_t)user->uc_mcontext.gregs[REG_ERR];
  seen_address = (uint64_t)user->uc_mcontext.gregs[REG_CR2];
  on_fault(signal, info, context);
}

static void contexts(void) {
  struct sigaction action = {.sa_sigaction = note_context, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  place(0, 2, kRead, kPrivate);
  touch('r', page(4));
  fact("read, nothing there: trap %ld, error %#lx, address %d", seen_trap, seen_error,
       seen_address == (uint64_t)page(4));
  touch('w', page(4) + 9);
  fact("write, nothing there: trap %ld, error %#lx, address %d", seen_trap, seen_error,
       seen_address == (uint64_t)page(4) + 9);
  (void)*(volatile char*)page(0);
  touch('w', page(0));
  fact("write, may only be read: trap %ld, error %#lx", seen_trap, seen_error);
  touch('x', page(0));
  fact("call, may only be read: trap %ld, error %#lx", seen_trap, seen_error);
  touch('r', (void*)0x8000000000000000);
  fact("not an address: trap %ld, error %#lx", seen_trap, seen_error);
  clear_arena();
  catch_faults();
}

static volatile int repairs;
static void repair(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)context;
  char* at = (char*)((uintptr_t)info->si_addr & ~(uintptr_t)(kPage - 1));
  ++repairs;
  if (mprotect(at, kPage, kWrite) != 0) mmap(at, kPage, kWrite, kPrivate | MAP_FIXED, -1, 0);
}

// The handler makes the page accessible and returns: the instruction is done again.
static void repaired(void) {
  struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  place(0, 16, kNone, kPrivate);
  for (int n = 0; n < 32; ++n) *(volatile char*)page(n) = (char)n;
  fact("repaired by the handler: %d", repairs);
  int sum = 0;
  for (int n = 0; n < 32; ++n) sum += *page(n);
  fact("written: %d", sum);
  draw("and mapped", 40);
  repairs = 0;
  mprotect(page(0), 32 * kPage, kRead);
  memset(page(8) + 5, 1, 4 * kPage);
  fact("pages made writable by a run over five: %d", repairs);
  draw("in pieces", 40);
  repairs = 0;
  *(volatile uint64_t*)(page(2) - 4) = 0x0101010101010101;
  fact("a write over two pages takes two: %d", repairs);
  clear_arena();
  catch_faults();
}

static volatile int depth;
static void nested(int signal, siginfo_t* info, void* context) {
  (void)signal, (void)info, (void)context;
  if (++depth == 1) (void)*(volatile char*)page(5);
  _exit(40 + depth);
}

static void endings(void) {
  signal(SIGSEGV, SIG_DFL);
  IN_CHILD("without handler", *(volatile char*)page(0) = 1);
  signal(SIGSEGV, SIG_IGN);
  IN_CHILD("ignored", *(volatile char*)page(0) = 1);
  catch_faults();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGSEGV);
  sigprocmask(SIG_BLOCK, &set, NULL);
  IN_CHILD("blocked", *(volatile char*)page(0) = 1);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  struct sigaction action = {.sa_sigaction = nested, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  IN_CHILD("a fault in its handler", *(volatile char*)page(0) = 1);
  action.sa_flags |= SA_NODEFER;
  sigaction(SIGSEGV, &action, NULL);
  IN_CHILD("the same, not deferred", *(volatile char*)page(0) = 1);
  action.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
  sigaction(SIGSEGV, &action, NULL);
  IN_CHILD("the same, reset", *(volatile char*)page(0) = 1);
  catch_faults();
  IN_CHILD("the stack unmapped", {
    signal(SIGSEGV, SIG_DFL);  // it grows again, empty: the return goes to address 0
    munmap((char*)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(kPage - 1)) - 4 * kPage,
           5 * kPage);
  });
  fault_signal = 0;
  if (sigsetjmp(after_fault, 1) == 0) raise(SIGSEGV);
  fact("raised by the process itself: code %d", fault_code == SI_TKILL);
}

static void zeros(void) {
  place(0, 4, kWrite, kPrivate);
  int sum = 0;
  for (int n = 0; n < 4 * kPage; ++n) sum |= *page(0);
  for (int n = 0; n < 4 * kPage; ++n) sum |= page(0)[n];
  fact("fresh memory is zero when read: %d", sum);
  *page(1) = 1;
  sum = 0;
  for (int n = 1; n < kPage; ++n) sum |= page(1)[n];
  fact("and around the first byte written: %d", sum);
  fact("and beside the page: %d %d", *(page(1) - 1), *page(2));
  clear_arena();
}

int main(void) {
  make_arena(64);
  catch_faults();
  addresses();
  contexts();
  repaired();
  endings();
  zeros();
  return 0;
}
