// fork: what parent and child see of private and shared memory, and what every advice about fork
// does.
#include "memory.h"

#include <sys/resource.h>

static void advised(void) {
  static const struct {
    const char* name;
    int advice;
  } kAdvice[] = {
      {"NORMAL", MADV_NORMAL},         {"DONTFORK", MADV_DONTFORK},     {"DOFORK", MADV_DOFORK},
      {"WIPEONFORK", MADV_WIPEONFORK}, {"KEEPONFORK", MADV_KEEPONFORK}, {"DONTDUMP", MADV_DONTDUMP},
      {"DONTNEED", MADV_DONTNEED},     {"RANDOM", MADV_RANDOM},         {"COLD", MADV_COLD}};
  for (size_t n = 0; n < sizeof kAdvice / sizeof *kAdvice; ++n) {
    place(0, 8, kWrite, kPrivate);
    memset(page(0), 7, 8 * kPage);
    madvise(page(2), 4 * kPage, kAdvice[n].advice);
    IN_CHILD(kAdvice[n].name, {
      draw("  in the child", 8);
      const char* fault = touch('r', page(3));
      fact("  the advised page: %s, %d; the one before: %d", fault, *fault == 'o' ? *page(3) : -1,
           *page(1));
      fact("  written: %s", touch('w', page(3)));
      IN_CHILD("  its own child", {
        draw("    there", 8);
        fault = touch('r', page(3));
        fact("    the page: %s, %d", fault, *fault == 'o' ? *page(3) : -1);
      });
    });
    fact("  in the parent: %d", *page(3));
    clear_arena();
  }
}

static void residents(void) {
  place(0, 32, kWrite, kPrivate);
  memset(page(0), 1, 16 * kPage);
  mark_resident();
  IN_CHILD("resident in a child", {
    tell_resident("idle");
    *page(0) = 2;
    tell_resident("after a write to an inherited page");
    *page(20) = 2;
    tell_resident("after a write to a new one");
  });
  tell_resident("in the parent");
  madvise(page(0), 4 * kPage, MADV_WIPEONFORK);
  madvise(page(4), 4 * kPage, MADV_DONTFORK);
  IN_CHILD("without what is not for it", {
    tell_resident("idle");
    mark_resident();
    memset(page(0), 1, 4 * kPage);
    tell_resident("wiped pages written");
  });
  clear_arena();
}

static void private_memory(void) {
  place(0, 4, kWrite, kPrivate);
  strcpy(page(0), "parent");
  strcpy(page(1), "parent");
  int ends[2], back[2];
  pipe(ends);
  pipe(back);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    strcpy(page(0), "child");
    write(back[1], "x", 1);
    read(ends[0], &byte, 1);
    fact("what the parent wrote is not seen: %s", page(1));
    fact("what the child wrote is: %s", page(0));
    fact("a page the parent wrote first: %d", *page(2));
    munmap(page(3), kPage);
    _exit(0);
  }
  read(back[0], &byte, 1);
  fact("what the child wrote is not seen: %s", page(0));
  strcpy(page(1), "later");
  *page(2) = 5;
  write(ends[1], "x", 1);
  waitpid(child, NULL, 0);
  fact("what the child unmapped is there: %s", touch('w', page(3)));
  fact("the parent's page: %s", page(1));
  clear_arena();
}

static void shared_memory(void) {
  place(0, 4, kWrite, kShared);
  strcpy(page(0), "parent");
  IN_CHILD("a child", {
    fact("it reads: %s", page(0));
    strcpy(page(1), "child");
    madvise(page(0), kPage, MADV_DONTNEED);
    fact("after DONTNEED it reads: %s", page(0));
    mprotect(page(0), kPage, kRead);
    fact("its rights are its own: %s", touch('w', page(0)));
    munmap(page(2), kPage);
  });
  fact("what the child wrote: %s", page(1));
  fact("the parent's rights: %s", touch('w', page(0)));
  fact("and mapping: %s", touch('w', page(2)));
  madvise(page(0), 2 * kPage, MADV_DONTFORK);
  IN_CHILD("without two pages", draw("there", 4));
  clear_arena();
}

static void chains(void) {
  place(0, 2, kWrite, kPrivate);
  *page(0) = 0;
  for (int depth = 0; depth < 12; ++depth) {
    const pid_t child = fork();
    if (child != 0) {
      int status = 0;
      waitpid(child, &status, 0);
      if (depth != 0) _exit(WEXITSTATUS(status));
      fact("twelve generations, each adding one: %d", WEXITSTATUS(status));
      break;
    }
    ++*page(0);
    if (depth == 11) _exit(*page(0));
  }
  fact("the first one's: %d", *page(0));
  clear_arena();
}

static void rights(void) {
  place(0, 4, kWrite, kPrivate);
  memset(page(0), 4, 4 * kPage);
  mprotect(page(0), kPage, kRead);
  mprotect(page(1), kPage, kNone);
  IN_CHILD("rights in a child", {
    fact("read only: %s", touch('w', page(0)));
    fact("none: %s", touch('r', page(1)));
    mprotect(page(0), 2 * kPage, kWrite);
    fact("given: %s %s", touch('w', page(0)), touch('w', page(1)));
  });
  fact("in the parent: %s %d", touch('w', page(0)), *page(0));
  fact("in the parent: %s", touch('r', page(1)));
  clear_arena();
}

static void limits(void) {
  const struct rlimit low = {(rlim_t)status_of("VmSize:") * 1024 + 4 * kPage, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &low);
  IN_CHILD("a child has the limit", {
    fact("more: %s", place(0, 8, kRead, kPrivate) == MAP_FAILED ? strerrorname_np(errno) : "ok");
    fact("as much: %s", place(0, 4, kRead, kPrivate) == MAP_FAILED ? strerrorname_np(errno) : "ok");
  });
}

int main(void) {
  make_arena(64);
  catch_faults();
  advised();
  residents();
  private_memory();
  shared_memory();
  chains();
  rights();
  limits();
  return 0;
}
