// pagemap, kpagecount, kpageflags: the state of single pages, and who may ask.
#include "observe.h"

#include <linux/kernel-page-flags.h>

enum { kPages = 10 };

static void states(void) {
  char* at = area(kPages, MAP_PRIVATE);
  pagemap_fact("private, untouched", at, kPages);
  sum(at, 3);
  pagemap_fact("private, read", at, kPages);
  fill(at + PAGE, 4);
  pagemap_fact("private, written", at, kPages);
  mprotect(at, kPages * PAGE, PROT_NONE);
  pagemap_fact("private, without access", at, kPages);
  mprotect(at, kPages * PAGE, PROT_READ | PROT_WRITE);
  madvise(at + 2 * PAGE, PAGE, MADV_DONTNEED);
  pagemap_fact("private, one discarded", at, kPages);
  munmap(at, PAGE);
  pagemap_fact("private, one unmapped", at, kPages);

  at = area(kPages, MAP_SHARED);
  fill(at, 4);
  pagemap_fact("shared, written", at, kPages);
  madvise(at, PAGE, MADV_DONTNEED);
  pagemap_fact("shared, one discarded", at, kPages);
}

static void forked(void) {
  char* at = area(kPages, MAP_PRIVATE);
  fill(at, 6);
  sum(at + 6 * PAGE, 1);
  struct Turns turns;
  begin_turns(&turns);
  const pid_t child = fork();
  if (child == 0) {
    pagemap_fact("forked, in the child", at, kPages);
    give(turns.to_parent);
    await(turns.to_child);
    fill(at, 2);
    fill(at + 6 * PAGE, 2);
    pagemap_fact("forked, in the child after writes", at, kPages);
    give(turns.to_parent);
    await(turns.to_child);
    pagemap_fact("forked, in the child after the parent's writes", at, kPages);
    _exit(0);
  }
  await(turns.to_parent);
  pagemap_fact("forked, in the parent", at, kPages);
  give(turns.to_child);
  await(turns.to_parent);
  pagemap_fact("forked, in the parent after the child's writes", at, kPages);
  pagemap_fact_of(child, "forked, the child as the parent sees it", at, kPages);
  fill(at + PAGE, 2);
  pagemap_fact("forked, in the parent after its own", at, kPages);
  give(turns.to_child);
  waitpid(child, NULL, 0);
  pagemap_fact("forked, in the parent alone again", at, kPages);

  at = area(kPages, MAP_SHARED);
  fill(at, 4);
  IN_CHILD("shared, the child", {
    sum(at, 2);
    pagemap_fact("shared, in the child", at, 2);
  });
  pagemap_fact("shared, in the parent", at, kPages);
}

static void reading(void) {
  uint64_t words[4];
  char* at = area(kPages, MAP_PRIVATE);
  const int fd = open("/proc/self/pagemap", O_RDONLY);
  tell("at an odd offset", pread(fd, words, 8, 4));
  tell("an odd length", pread(fd, words, 12, 0));
  tell("nothing", pread(fd, words, 0, 0));
  tell("page zero", pread(fd, words, 8, 0));
  fact("page zero is %s", words[0] == 0 ? "not there" : "there");
  tell("several words", pread(fd, words, sizeof words, (off_t)((uintptr_t)at / PAGE * 8)));
  tell("beyond the end", pread(fd, words, 8, (off_t)(1UL << 47) / (off_t)PAGE * 8));
  tell("seek", lseek(fd, 4096, SEEK_SET));
  tell("seek on", lseek(fd, 8, SEEK_CUR));
  tell("into a bad place", pread(fd, bad_address, 8, 0));
  tell("write", write(fd, words, 8));
  close(fd);
}

static uint64_t frame_word(const char* file, uint64_t frame) {
  uint64_t word = ~0UL;
  const int fd = open(file, O_RDONLY);
  if (pread(fd, &word, 8, (off_t)(frame * 8)) != 8) word = ~0UL;
  close(fd);
  return word;
}
static uint64_t frame_of(const void* at) { return pagemap_word(getpid(), at) & ((1UL << 55) - 1); }

static void frame_fact(const char* what, const void* at) {
  const uint64_t frame = frame_of(at);
  const uint64_t flags = frame_word("/proc/kpageflags", frame);
  fact("%s: mapped %ld%s%s%s%s", what, (long)frame_word("/proc/kpagecount", frame),
       (flags >> KPF_ANON & 1) != 0 ? " anon" : "", (flags >> KPF_MMAP & 1) != 0 ? " mmap" : "",
       (flags >> KPF_SWAPBACKED & 1) != 0 ? " swapbacked" : "",
       (flags >> KPF_ZERO_PAGE & 1) != 0 ? " zero" : "");
}

static void frames(void) {
  char* at = area(kPages, MAP_PRIVATE);
  char* both = area(2, MAP_SHARED);
  fill(at, 4);
  fill(both, 2);
  sum(at + 6 * PAGE, 1);
  if (frame_of(at) == 0) {
    fact("frame numbers are hidden");
    return;
  }
  frame_fact("a private page", at);
  frame_fact("a shared page", both);
  fact("zero pages are one frame: %s",
       (sum(at + 7 * PAGE, 1), frame_of(at + 6 * PAGE) == frame_of(at + 7 * PAGE)) ? "yes" : "no");
  IN_CHILD("frames, the child", {
    frame_fact("a private page of two", at);
    fill(at, 1);
    frame_fact("a private page written", at);
    frame_fact("another", at + PAGE);
    sum(both, 2);
    frame_fact("a shared page of two", both);
    frame_fact("another shared page", both + PAGE);
  });
  frame_fact("a private page of one again", at + PAGE);
  fact(
      "kpagecount at an odd offset: %s",
      (pread(open("/proc/kpagecount", O_RDONLY), &both, 8, 4) < 0) ? strerrorname_np(errno) : "ok");
}

/// What another user may open of this process.
static void others(void) {
  static const char* const names[] = {"maps",      "smaps",   "smaps_rollup",
                                      "numa_maps", "pagemap", "clear_refs",
                                      "environ",   "status",  "stat"};
  const pid_t parent = getpid();
  IN_CHILD("another user", {
    if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) _exit(1);
    for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
      char path[64];
      snprintf(path, sizeof path, "/proc/%d/%s", parent, names[n]);
      const int fd = open(path, strcmp(names[n], "clear_refs") == 0 ? O_WRONLY : O_RDONLY);
      fact("%s for another user: %s", names[n], outcome(fd));
      if (fd >= 0) close(fd);
    }
    tell_text("kpagecount for another user", outcome(open("/proc/kpagecount", O_RDONLY)));
    tell_text("kpageflags for another user", outcome(open("/proc/kpageflags", O_RDONLY)));
    tell_text("its own smaps", outcome(open("/proc/self/smaps", O_RDONLY)));
  });
}

int main(void) {
  states();
  forked();
  reading();
  frames();
  others();
  return 0;
}
