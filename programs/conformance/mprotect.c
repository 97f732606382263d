// mprotect: arguments, what is changed before an error, and what each right lets a program do.
#include "memory.h"

#include <sys/resource.h>

static const char* protect(const void* at, size_t length, int prot) {
  return outcome(syscall(SYS_mprotect, at, length, prot));
}

static void arguments(void) {
  place(0, 4, kWrite, kPrivate);
  fact("length 0: %s", protect(page(0), 0, kRead));
  fact("length 0 where nothing is: %s", protect(page(9), 0, kRead));
  fact("address not of a page: %s", protect(page(0) + 1, kPage, kRead));
  fact("the same, length 0: %s", protect(page(0) + 1, 0, kRead));
  fact("length is rounded up: %s", protect(page(3), 1, kRead));
  fact("length -1: %s", protect(page(0), -1UL, kRead));
  fact("length that wraps: %s", protect(page(0), -(size_t)page(0), kRead));
  fact("kernel half: %s", protect((void*)(-2UL << 40), kPage, kRead));
  fact("rights nobody knows: %s", protect(page(0), kPage, 0x40));
  fact("rights nobody knows, nothing there: %s", protect(page(9), kPage, 0x40));
  fact("PROT_SEM: %s", protect(page(0), kPage, kWrite | 8));
  fact("both grows: %s", protect(page(0), kPage, kRead | PROT_GROWSDOWN | PROT_GROWSUP));
  fact("both grows, length 0: %s", protect(page(0), 0, kRead | PROT_GROWSDOWN | PROT_GROWSUP));
  fact("GROWSDOWN on what does not: %s", protect(page(0), kPage, kRead | PROT_GROWSDOWN));
  fact("GROWSUP: %s", protect(page(0), kPage, kRead | PROT_GROWSUP));
  fact("nothing there: %s", protect(page(9), kPage, kRead));
  draw("in the end", 6);
  clear_arena();
}

static void partial(void) {
  place(0, 3, kWrite, kPrivate);
  place(5, 3, kWrite, kPrivate);
  fact("over a hole: %s", protect(page(1), 6 * kPage, kRead));
  draw("the part before the hole is changed", 10);
  fact("beginning in a hole: %s", protect(page(4), 2 * kPage, kRead));
  draw("nothing is changed", 10);
  fact("beyond the end: %s", protect(page(6), 5 * kPage, kNone));
  draw("as far as there is something", 10);
  clear_arena();
  place(0, 2, kWrite, kPrivate);
  place(2, 2, kWrite, kShared);
  place(4, 2, kRead, kPrivate);
  fact("over several kinds: %s", protect(page(1), 4 * kPage, kNone));
  draw("all of them", 10);
  fact("and back: %s", protect(page(1), 4 * kPage, kWrite));
  draw("all again", 10);
  clear_arena();
}

static void stacks(void) {
  place(0, 4, kWrite, kPrivate);
  place(4, 4, kWrite, kPrivate | MAP_GROWSDOWN);
  fact("GROWSDOWN reaches to the stack's begin: %s",
       protect(page(6), kPage, kRead | PROT_GROWSDOWN));
  draw("from its begin to the page", 10);
  fact("the last page only: %s", protect(page(7), kPage, kNone));
  draw("three parts", 10);
  fact("GROWSDOWN in the part in between: %s", protect(page(5), kPage, kWrite | PROT_GROWSDOWN));
  draw("its own begin", 10);
  clear_arena();
}

static void rights(void) {
  static const struct {
    const char* name;
    int prot;
  } kRights[] = {{"---", 0}, {"r--", 1}, {"-w-", 2}, {"rw-", 3},
                 {"r-x", 5}, {"-wx", 6}, {"rwx", 7}};
  // Only to be executed ("--x") means more on CPUs with protection keys: not compared.
  enum { kCount = sizeof kRights / sizeof *kRights };
  static const char kReturn = (char)0xc3;
  for (int shared = 0; shared < 2; ++shared) {
    for (int n = 0; n < kCount; ++n) {
      char what[48];
      char* at = place(0, 1, kWrite, shared ? kShared : kPrivate);
      *at = kReturn;
      protect(at, kPage, kRights[n].prot);
      snprintf(what, sizeof what, "%s with %s", shared ? "shared" : "private", kRights[n].name);
      // The write comes second and changes the instruction: what it wrote is called only where both
      // are allowed.
      char words[3][96];
      snprintf(words[2], sizeof words[2], "%s", touch('x', at));
      snprintf(words[0], sizeof words[0], "%s", touch('r', at));
      snprintf(words[1], sizeof words[1], "%s", touch('w', at + 1));
      fact("%s: read %s; write %s; call %s", what, words[0], words[1], words[2]);
    }
  }
  for (int n = 0; n < kCount; ++n) {
    char what[48];
    place(0, 1, kRights[n].prot, kPrivate);
    snprintf(what, sizeof what, "mapped as %s, never touched", kRights[n].name);
    char words[2][96];
    snprintf(words[0], sizeof words[0], "%s", touch('r', page(0)));
    snprintf(words[1], sizeof words[1], "%s", touch('w', page(0) + 1));
    fact("%s: read %s; write %s", what, words[0], words[1]);
  }
  clear_arena();
}

static void back_and_forth(void) {
  char* at = place(0, 3, kWrite, kPrivate);
  strcpy(at, "contents");
  protect(at, kPage, kNone);
  fact("without rights: %s", touch('r', at));
  protect(at, kPage, kRead);
  fact("contents are kept: %s", at);
  fact("and safe: %s", touch('w', at));
  protect(at, kPage, kWrite);
  fact("written again: %s", touch('w', at));
  (void)*(volatile char*)page(1);
  protect(page(1), kPage, kNone);
  fact("a zero page without rights: %s", touch('r', page(1)));
  protect(page(1), kPage, kRead);
  fact("with PROT_READ: %d, %s", *page(1), touch('w', page(1)));
  protect(page(1), kPage, kWrite);
  fact("with PROT_WRITE: %s", touch('w', page(1)));
  // Write and execute in turn, as compilers at run time do.
  for (int n = 0; n < 3; ++n) {
    protect(page(2), kPage, kWrite);
    *page(2) = (char)0xc3;
    fact("not yet executable: %s", touch('x', page(2)));
    protect(page(2), kPage, kRead | PROT_EXEC);
    fact("executable: %s, and not writable: %s", touch('x', page(2)), touch('w', page(2)));
  }
  clear_arena();
}

static void residence(void) {
  place(0, 16, kWrite, kPrivate);
  memset(page(0), 1, 8 * kPage);
  mark_resident();
  protect(page(0), 16 * kPage, kNone);
  tell_resident("no rights");
  protect(page(0), 16 * kPage, kRead);
  tell_resident("read");
  for (int n = 0; n < 16; ++n) (void)*(volatile char*)page(n);
  tell_resident("all read");
  protect(page(0), 16 * kPage, kWrite);
  memset(page(0), 1, 16 * kPage);
  tell_resident("all written");
  clear_arena();
}

static void limit(void) {
  place(0, 8, kRead, kPrivate);
  const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY};
  const long data = status_of("VmData:") * 1024;
  const struct rlimit low = {(rlim_t)data + 4 * kPage, RLIM_INFINITY};
  setrlimit(RLIMIT_DATA, &low);
  fact("more data than RLIMIT_DATA: %s", protect(page(0), 8 * kPage, kWrite));
  draw("nothing is changed", 10);
  fact("as much as it allows: %s", protect(page(0), 4 * kPage, kWrite));
  fact("a page more: %s", protect(page(4), kPage, kWrite));
  fact("and back: %s", protect(page(0), kPage, kRead));
  fact("then it fits: %s", protect(page(4), kPage, kWrite));
  draw("in the end", 10);
  setrlimit(RLIMIT_DATA, &old);
  clear_arena();
}

int main(void) {
  make_arena(64);
  catch_faults();
  arguments();
  partial();
  stacks();
  rights();
  back_and_forth();
  residence();
  limit();
  return 0;
}
