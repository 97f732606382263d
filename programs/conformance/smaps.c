// smaps: what is resident, whose it is, and what share of it is counted, for each way memory comes
// about and is shared.
#include "observe.h"

enum { kPages = 12 };

static void one_process(void) {
  char* at = area(kPages, MAP_PRIVATE);
  smaps_fact("private, untouched", at, kPages);
  sum(at, 4);
  smaps_fact("private, read", at, kPages);
  fill(at + 2 * PAGE, 4);
  smaps_fact("private, written", at, kPages);
  mprotect(at, kPages * PAGE, PROT_READ);
  smaps_fact("private, made read-only", at, kPages);
  mprotect(at, kPages * PAGE, PROT_NONE);
  smaps_fact("private, without access", at, kPages);
  mprotect(at, kPages * PAGE, PROT_READ | PROT_WRITE);
  fill(at, kPages);
  smaps_fact("private, written again", at, kPages);
  madvise(at + PAGE, 3 * PAGE, MADV_DONTNEED);
  smaps_fact("private, partly discarded", at, kPages);
  munmap(at + 6 * PAGE, 2 * PAGE);
  smaps_fact("private, with a hole", at, kPages);

  at = area(kPages, MAP_SHARED);
  smaps_fact("shared, untouched", at, kPages);
  fill(at, 6);
  smaps_fact("shared, written", at, kPages);
  madvise(at, 2 * PAGE, MADV_DONTNEED);
  smaps_fact("shared, partly discarded", at, kPages);
  sum(at, 6);
  smaps_fact("shared, read again", at, kPages);
}

static void forked(void) {
  char* at = area(kPages, MAP_PRIVATE);
  fill(at, 8);
  struct Turns turns;
  begin_turns(&turns);
  const pid_t child = fork();
  if (child == 0) {
    smaps_fact("forked, in the child", at, kPages);
    give(turns.to_parent);
    await(turns.to_child);
    fill(at, 2);
    smaps_fact("forked, in the child after its writes", at, kPages);
    give(turns.to_parent);
    await(turns.to_child);
    smaps_fact("forked, in the child after the parent's writes", at, kPages);
    fill(at + 8 * PAGE, 1);
    madvise(at + 4 * PAGE, PAGE, MADV_DONTNEED);
    smaps_fact("forked, in the child with a new and a discarded page", at, kPages);
    give(turns.to_parent);
    await(turns.to_child);
    _exit(0);
  }
  await(turns.to_parent);
  smaps_fact("forked, in the parent", at, kPages);
  smaps_fact_of(child, "forked, the child as the parent sees it", at, kPages);
  give(turns.to_child);
  await(turns.to_parent);
  smaps_fact("forked, in the parent after the child's writes", at, kPages);
  fill(at + PAGE, 2);
  smaps_fact("forked, in the parent after its writes", at, kPages);
  give(turns.to_child);
  await(turns.to_parent);
  smaps_fact("forked, in the parent after the child's discard", at, kPages);
  give(turns.to_child);
  waitpid(child, NULL, 0);
  smaps_fact("forked, in the parent alone again", at, kPages);
}

static void family(void) {
  enum { kChildren = 4 };
  char* at = area(kPages, MAP_PRIVATE);
  fill(at, kPages);
  struct Turns turns[kChildren];
  pid_t child[kChildren];
  for (int n = 0; n < kChildren; ++n) {
    begin_turns(&turns[n]);
    child[n] = fork();
    if (child[n] == 0) {
      fill(at, (size_t)n);
      give(turns[n].to_parent);
      await(turns[n].to_child);
      _exit(0);
    }
    await(turns[n].to_parent);
  }
  smaps_fact("family, the parent", at, kPages);
  for (int n = 0; n < kChildren; ++n) {
    char what[40];
    snprintf(what, sizeof what, "family, child %d", n);
    smaps_fact_of(child[n], what, at, kPages);
  }
  for (int n = 0; n < kChildren; ++n) {
    give(turns[n].to_child);
    waitpid(child[n], NULL, 0);
    char what[40];
    snprintf(what, sizeof what, "family, without child %d", n);
    smaps_fact(what, at, kPages);
  }
}

static void generations(void) {
  char* at = area(kPages, MAP_PRIVATE);
  fill(at, kPages);
  IN_CHILD("generations, the child", {
    fill(at, 2);
    IN_CHILD("generations, the grandchild", {
      fill(at + PAGE, 2);
      smaps_fact("generations, in the grandchild", at, kPages);
    });
    smaps_fact("generations, in the child", at, kPages);
  });
  smaps_fact("generations, in the parent", at, kPages);
}

static void shared(void) {
  char* at = area(kPages, MAP_SHARED);
  fill(at, 8);
  struct Turns turns;
  begin_turns(&turns);
  const pid_t child = fork();
  if (child == 0) {
    fill(at, 8);
    give(turns.to_parent);
    await(turns.to_child);
    _exit(0);
  }
  await(turns.to_parent);
  smaps_fact("shared, in the parent", at, kPages);
  smaps_fact_of(child, "shared, in the child", at, kPages);
  munmap(at, 2 * PAGE);
  smaps_fact_of(child, "shared, in the child after the parent's unmapping", at, kPages);
  give(turns.to_child);
  waitpid(child, NULL, 0);
  smaps_fact("shared, in the parent alone", at, kPages);
}

static void advice_at_fork(void) {
  char* at = area(kPages, MAP_PRIVATE);
  fill(at, kPages);
  madvise(at, 2 * PAGE, MADV_DONTFORK);
  madvise(at + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK);
  IN_CHILD("advice, the child", smaps_fact("advice, in the child", at, kPages));
  smaps_fact("advice, in the parent", at, kPages);
}

static void has_line(const char* what, const char* path, const char* wanted) {
  char line[512];
  FILE* file = fopen(path, "r");
  int found = 0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    found |= strstr(line, wanted) != NULL;
  if (file != NULL) fclose(file);
  fact("%s: %s", what, found ? "yes" : "no");
}

static void vm_flags_fact(const char* what, const char* at) {
  char line[512], flags[128] = "";
  FILE* file = fopen("/proc/self/smaps", "r");
  int inside = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long begin;
    char separator;
    if (sscanf(line, "%lx%c", &begin, &separator) == 2 && separator == '-')
      inside = begin == (unsigned long)at;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) strcpy(flags, line + 9);
  }
  fclose(file);
  flags[strcspn(flags, "\n")] = '\0';
  leave_out_tracking(flags);
  tell_text(what, flags);
}

static void flags(void) {
  char* at = area(4, MAP_PRIVATE | MAP_NORESERVE);
  madvise(at, 4 * PAGE, MADV_DONTFORK);
  madvise(at, 4 * PAGE, MADV_DONTDUMP);
  madvise(at, 4 * PAGE, MADV_RANDOM);
  vm_flags_fact("flags", at);
  at = area(4, MAP_PRIVATE);
  madvise(at, 4 * PAGE, MADV_WIPEONFORK);
  madvise(at, 4 * PAGE, MADV_SEQUENTIAL);
  vm_flags_fact("flags of wiped memory", at);
  vm_flags_fact("flags of shared memory", area(4, MAP_SHARED));
  has_line("rollup has a head", "/proc/self/smaps_rollup", " ---p 00000000 00:00 0 ");
  has_line("rollup sums", "/proc/self/smaps_rollup", "Pss_Anon:");
}

static void locked(void) {
  char* at = area(6, MAP_PRIVATE);
  fill(at, 2);
  mlock(at, 3 * PAGE);
  smaps_fact("locked, three of six", at, 6);
  vm_flags_fact("locked, flags", at);
  mlock2(at + 4 * PAGE, PAGE, MLOCK_ONFAULT);
  smaps_fact("locked on fault", at, 6);
  fill(at + 4 * PAGE, 1);
  smaps_fact("locked on fault, touched", at, 6);
  vm_flags_fact("locked on fault, flags", at + 4 * PAGE);
  IN_CHILD("locked, the child", smaps_fact("locked, in the child", at, 6));
  munlock(at, 6 * PAGE);
  smaps_fact("unlocked", at, 6);
}

static long referenced(char* at, size_t pages) {
  char line[512];
  FILE* file = fopen("/proc/self/smaps", "r");
  long kb = 0;
  int inside = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long begin, end;
    char separator;
    if (sscanf(line, "%lx-%lx%c", &begin, &end, &separator) == 3 && separator == ' ')
      inside = begin >= (unsigned long)at && end <= (unsigned long)at + pages * PAGE;
    if (inside && strncmp(line, "Referenced:", 11) == 0) kb += strtol(line + 11, NULL, 10);
  }
  fclose(file);
  return kb;
}

static void clear(const char* what) {
  const int fd = open("/proc/self/clear_refs", O_WRONLY);
  fact("clear_refs \"%s\": %s", what, outcome(write(fd, what, strlen(what))));
  close(fd);
}

static void references(void) {
  char* mine = area(4, MAP_PRIVATE);
  char* shared = area(4, MAP_SHARED);
  fill(mine, 4);
  fill(shared, 4);
  fact("referenced: %ld and %ld", referenced(mine, 4), referenced(shared, 4));
  clear("3");
  fact("referenced after 3: %ld and %ld", referenced(mine, 4), referenced(shared, 4));
  clear("2");
  fact("referenced after 2: %ld and %ld", referenced(mine, 4), referenced(shared, 4));
  fill(mine, 4);
  fill(shared, 4);
  clear("1 ");
  fact("referenced after 1: %ld and %ld", referenced(mine, 4), referenced(shared, 4));
  fact("still there: %d and %d", sum(mine, 4), sum(shared, 4));
  clear("5");
  clear("0");
  clear("6");
  clear("-1");
  clear("x");
  clear("99999999999");
  clear("");
}

static void numa(void) {
  char* at = area(4, MAP_PRIVATE);
  fill(at, 3);
  char line[512], address[32];
  snprintf(address, sizeof address, "%lx ", (unsigned long)at);
  FILE* file = fopen("/proc/self/numa_maps", "r");
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, address, strlen(address)) != 0) continue;
    for (char* word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
      if (strncmp(word, "anon=", 5) == 0 || strncmp(word, "dirty=", 6) == 0 ||
          strcmp(word, "default") == 0 || strncmp(word, "kernelpagesize", 14) == 0)
        tell_text("numa_maps", word);
    }
  }
  fclose(file);
}

int main(void) {
  one_process();
  forked();
  family();
  generations();
  shared();
  advice_at_fork();
  flags();
  locked();
  references();
  numa();
  return 0;
}
