// Stacks: mappings that grow down, the gap they keep, their limit, and the program's own.
#include "memory.h"

#include <alloca.h>
#include <sys/resource.h>

enum { kArena = 1600, kTop = 1500 };

/// Where the arena's stack begins now.
static void tell_begin(const char* what) {
  unsigned long from = 0, to;
  for (char* line = text_of("/proc/self/maps"); line != NULL && *line != 0;) {
    if (sscanf(line, "%lx-%lx", &from, &to) == 2 && (char*)to == page(kTop)) break;
    from = 0;
    line = strchr(line, '\n');
    if (line != NULL) ++line;
  }
  fact("%s: begins %ld pages below its end", what,
       from == 0 ? 0 : (page(kTop) - (char*)from) / kPage);
}

static void growth(void) {
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  tell_begin("a stack");
  fact("right below: %s", touch('w', page(kTop - 3)));
  tell_begin("grown");
  fact("far below: %s", touch('w', page(kTop - 300)));
  tell_begin("grown in one step");
  fact("the pages between are zero: %d", *page(kTop - 100));
  fact("by a read: %s", touch('r', page(kTop - 301)));
  fact("a call there: %s", touch('x', page(kTop - 302)));
  tell_begin("grown by a fetch that was refused");
  int ends[2];
  pipe(ends);
  write(ends[1], "x", 1);
  fact("by a system call: %s", outcome(read(ends[0], page(kTop - 310), 1)));
  tell_begin("grown by it");
  fact("the byte: %c", *page(kTop - 310));
  fact("madvise does not make it grow: %s",
       outcome(madvise(page(kTop - 320), kPage, MADV_DONTNEED)));
  fact("nor does mprotect: %s", outcome(mprotect(page(kTop - 320), kPage, kRead)));
  tell_begin("the same");
  clear_arena();
}

static void parts(void) {
  place(kTop - 4, 4, kWrite, kPrivate | MAP_GROWSDOWN);
  mprotect(page(kTop - 4), 2 * kPage, kRead);
  fact("the lower part may only be read: %s", touch('w', page(kTop - 5)));
  fact("a read below: %s", touch('r', page(kTop - 6)));
  munmap(page(kTop - 8), 6 * kPage);
  fact("without the lower part: %s", touch('w', page(kTop - 3)));
  tell_begin("the upper part grew");
  munmap(page(kTop - 1), kPage);
  fact("without its top: %s", touch('w', page(kTop - 10)));
  clear_arena();
  place(kTop - 4, 4, kNone, kPrivate | MAP_GROWSDOWN);
  fact("without rights: %s", touch('r', page(kTop - 5)));
  tell_begin("it grew before it was refused");
  clear_arena();
}

static void gap(void) {
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  place(kTop - 400, 1, kRead, kPrivate);
  fact("up to 256 pages from a mapping: %s", touch('w', page(kTop - 399 + 256)));
  fact("one page nearer: %s", touch('w', page(kTop - 399 + 255)));
  tell_begin("stopped");
  munmap(page(kTop - 400), kPage);
  fact("without it: %s", touch('w', page(kTop - 399 + 255)));
  place(kTop - 400, 1, kNone, kPrivate);
  fact("a mapping without rights does not keep it away: %s", touch('w', page(kTop - 399)));
  tell_begin("down to it");
  munmap(page(kTop - 400), kPage);
  place(kTop - 500, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  fact("nor does another stack: %s", touch('w', page(kTop - 498)));
  tell_begin("down to that");
  fact("a fixed mapping may lie in the gap: %s",
       outcome((long)place(kTop - 505, 1, kRead, kPrivate)));
  fact("then it does not grow: %s", touch('w', page(kTop - 501)));
  clear_arena();
}

static void limit(void) {
  struct rlimit old, low;
  getrlimit(RLIMIT_STACK, &old);
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  low = old;
  low.rlim_cur = 20 * kPage;
  setrlimit(RLIMIT_STACK, &low);
  fact("as long as RLIMIT_STACK: %s", touch('w', page(kTop - 20)));
  fact("a page more: %s", touch('w', page(kTop - 21)));
  tell_begin("at the limit");
  munmap(page(kTop - 2), 2 * kPage);
  fact("shorter by two: %s", touch('w', page(kTop - 22)));
  fact("a page more: %s", touch('w', page(kTop - 23)));
  setrlimit(RLIMIT_STACK, &old);
  clear_arena();
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  low = (struct rlimit){(rlim_t)status_of("VmSize:") * 1024 + 4 * kPage, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &low);
  fact("more than RLIMIT_AS: %s", touch('w', page(kTop - 7)));
  fact("as much: %s", touch('w', page(kTop - 6)));
  low.rlim_cur = RLIM_INFINITY;
  setrlimit(RLIMIT_AS, &low);
  clear_arena();
}

static void figures(void) {
  const long stack = status_of("VmStk:"), data = status_of("VmData:"), all = status_of("VmSize:");
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  touch('w', page(kTop - 12));
  fact("VmStk %ld, VmData %ld, VmSize %ld kB more", status_of("VmStk:") - stack,
       status_of("VmData:") - data, status_of("VmSize:") - all);
  clear_arena();
}

static void forked(void) {
  place(kTop - 2, 2, kWrite, kPrivate | MAP_GROWSDOWN);
  IN_CHILD("a child", {
    fact("its copy grows: %s", touch('w', page(kTop - 30)));
    tell_begin("in the child");
  });
  tell_begin("in the parent");
  clear_arena();
}

static unsigned deep(unsigned depth) {
  volatile char frame[1000];
  frame[0] = (char)depth;
  return depth == 0 ? 0 : deep(depth - 1) + 1 + (unsigned)(frame[0] - (char)depth);
}
static void overflow(int bytes) {
  volatile char* frame = alloca((size_t)bytes);
  frame[0] = 1;
  if (bytes > 0) overflow(bytes + frame[0] - 1);
}

static void overflow_on_another(void) {
  static char stack[65536];
  const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&other, NULL);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  if (sigsetjmp(after_fault, 1) == 0) overflow(4096);
  fact("  %s", fault_in_words());
}

static void own(void) {
  fact("four megabytes of recursion: %u", deep(4000));
  volatile char* far = (char*)__builtin_frame_address(0) - (5 << 20);
  fact("far below the stack pointer: %s", touch('w', far));
  struct rlimit low;
  getrlimit(RLIMIT_STACK, &low);
  low.rlim_cur = 6 << 20;
  setrlimit(RLIMIT_STACK, &low);
  fact("beyond the limit: %s", touch('w', (char*)__builtin_frame_address(0) - (7 << 20)));
  IN_CHILD("without end", {
    signal(SIGSEGV, SIG_DFL);
    overflow(4096);
  });
  IN_CHILD("without end, with a handler but no stack for it", overflow(4096));
  IN_CHILD("with a stack for the handler", overflow_on_another());
}

int main(void) {
  make_arena(kArena);
  catch_faults();
  growth();
  parts();
  gap();
  limit();
  figures();
  forked();
  own();
  return 0;
}
