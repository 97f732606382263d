// Calls: made from a seed, described, carried out.
#include "differential.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t next(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
static int below(uint64_t* state, int bound) { return (int)(next(state) % (uint64_t)bound); }
static int chance(uint64_t* state, int percent) { return below(state, 100) < percent; }

static const struct {
  enum What what;
  const char* name;
  unsigned group;
  int weight;
} kCalls[] = {
    {kMmap, "mmap", kBasic, 24},
    {kMunmap, "munmap", kBasic, 9},
    {kMprotect, "mprotect", kBasic, 15},
    {kMadvise, "madvise", kBasic, 12},
    {kBrk, "brk", kBasic, 4},
    {kWriteByte, "write", kBasic, 16},
    {kReadByte, "read", kBasic, 6},
    {kWriteAll, "fill", kBasic, 4},
    {kReceive, "receive", kBasic, 3},
    {kSend, "send", kBasic, 2},
    {kFork, "fork", kBasic, 4},
    {kLimit, "limit", kLimits, 2},
    {kMremap, "mremap", kMoving, 12},
    {kMlock, "mlock", kLocking, 5},
    {kMunlock, "munlock", kLocking, 4},
    {kMlockall, "mlockall", kLocking, 1},
    {kMincore, "mincore", kAsking, 3},
    {kMsync, "msync", kAsking, 2},
};
enum { kKnown = sizeof kCalls / sizeof *kCalls };

static const int kProts[] = {PROT_READ | PROT_WRITE,
                             PROT_READ | PROT_WRITE,
                             PROT_READ | PROT_WRITE,
                             PROT_READ,
                             PROT_READ,
                             PROT_NONE,
                             PROT_READ | PROT_WRITE | PROT_EXEC,
                             PROT_READ | PROT_EXEC,
                             PROT_WRITE};
static const int kAdvice[] = {MADV_DONTNEED,
                              MADV_DONTNEED,
                              MADV_DONTNEED,
                              MADV_NORMAL,
                              MADV_RANDOM,
                              MADV_SEQUENTIAL,
                              MADV_DONTFORK,
                              MADV_DOFORK,
                              MADV_WIPEONFORK,
                              MADV_KEEPONFORK,
                              MADV_DONTDUMP,
                              MADV_DODUMP,
                              MADV_WILLNEED,
                              MADV_COLD,
                              22,
                              23,
                              4711};

static void choose_place(uint64_t* state, enum Area* area, int* page, int* pages) {
  *area = chance(state, 10) ? kHeap : chance(state, 50) ? kMiddle : kTop;
  *page = below(state, kAreaPages);
  *pages = 1 + below(state, chance(state, 25) ? kAreaPages : 5);
  if (*page + *pages > kAreaPages) *pages = kAreaPages - *page;
}

static int choose_map_flags(uint64_t* state, unsigned groups) {
  int flags = MAP_ANONYMOUS | (chance(state, 20) ? MAP_SHARED : MAP_PRIVATE);
  const int where = below(state, 10);
  if (where < 6) flags |= MAP_FIXED;
  if (where == 6) flags |= MAP_FIXED_NOREPLACE;
  if (chance(state, 10)) flags |= MAP_NORESERVE;
  if (chance(state, 8)) flags |= MAP_GROWSDOWN;
  if (chance(state, 15)) flags |= MAP_POPULATE;
  if (chance(state, 5)) flags |= MAP_STACK;
  if ((groups & kLocking) != 0 && chance(state, 10)) flags |= MAP_LOCKED;
  return flags;
}

struct Call call_of(uint64_t seed, unsigned index, unsigned groups) {
  uint64_t state = seed * 0x2545f4914f6cdd1d + index * 0x9e3779b1u;
  next(&state);
  struct Call call = {.value = 1 + (next(&state) >> 8)};
  int total = 0;
  for (int n = 0; n < kKnown; ++n) {
    if ((kCalls[n].group & groups) != 0) total += kCalls[n].weight;
  }
  int left = below(&state, total);
  // In the beginning there is something to be found.
  if (index < 4) left = 0;
  for (int n = 0; n < kKnown; ++n) {
    if ((kCalls[n].group & groups) == 0) continue;
    call.what = kCalls[n].what;
    if ((left -= kCalls[n].weight) < 0) break;
  }
  choose_place(&state, &call.area, &call.page, &call.pages);
  choose_place(&state, &call.other, &call.other_page, &call.other_pages);
  if (call.what == kMremap && chance(&state, 60)) {
    call.other_pages = call.pages;
    if (call.other_page + call.pages > kAreaPages) call.other_page = kAreaPages - call.pages;
  }
  call.prot = kProts[below(&state, sizeof kProts / sizeof *kProts)];
  if (call.what == kMprotect && chance(&state, 4)) call.prot |= PROT_GROWSDOWN;
  call.flags = call.what == kMmap ? choose_map_flags(&state, groups) : below(&state, 8);
  call.advice = kAdvice[below(&state, sizeof kAdvice / sizeof *kAdvice)];
  if (chance(&state, 4)) call.skew = chance(&state, 50) ? 1 : -1;
  return call;
}

static char* address_of(const struct Call* call) {
  return area_begin[call->area] + call->page * kPage;
}
static char* other_of(const struct Call* call) {
  return area_begin[call->other] + call->other_page * kPage;
}
static size_t size_of(const struct Call* call) { return (size_t)call->pages * kPage; }

/// Only the private flags of mremap that exist.
static int move_flags(const struct Call* call) {
  static const int kFlags[] = {0, 1, 1, 3, 3, 3, 5, 7};
  return kFlags[call->flags];
}

static void describe_flags(int flags, char* text) {
  static const struct {
    int flag;
    const char* name;
  } kNames[] = {{MAP_FIXED, "FIXED"},         {MAP_FIXED_NOREPLACE, "NOREPLACE"},
                {MAP_NORESERVE, "NORESERVE"}, {MAP_GROWSDOWN, "GROWSDOWN"},
                {MAP_POPULATE, "POPULATE"},   {MAP_STACK, "STACK"},
                {MAP_LOCKED, "LOCKED"}};
  strcpy(text, (flags & MAP_TYPE) == MAP_SHARED ? "SHARED" : "PRIVATE");
  for (size_t n = 0; n < sizeof kNames / sizeof *kNames; ++n) {
    if ((flags & kNames[n].flag) != 0) strcat(strcat(text, "|"), kNames[n].name);
  }
}

void describe(const struct Call* call, char* text, size_t size) {
  const char* name = "?";
  for (int n = 0; n < kKnown; ++n) {
    if (kCalls[n].what == call->what) name = kCalls[n].name;
  }
  char flags[128] = "";
  static const char kAreaNames[] = "MTH";
  const char area = kAreaNames[call->area], other = kAreaNames[call->other];
  int n = snprintf(text, size, "%s %c+%d,%d", name, area, call->page, call->pages);
  char* more = text + n;
  const size_t left = size - (size_t)n;
  switch (call->what) {
    case kMmap:
      describe_flags(call->flags, flags);
      snprintf(more, left, " prot %d %s", call->prot, flags);
      break;
    case kMprotect:
      snprintf(more, left, " prot %#x", call->prot);
      break;
    case kMadvise:
      snprintf(more, left, " advice %d", call->advice);
      break;
    case kMremap:
      snprintf(more, left, " flags %d to %c+%d,%d", move_flags(call), other, call->other_page,
               call->other_pages);
      break;
    default:
      snprintf(more, left, " flags %d", call->flags);
      break;
  }
  if (call->skew != 0) strncat(text, call->skew > 0 ? " skew+" : " skew-", size - strlen(text) - 1);
}

static void tell(long result) {
  if (result < 0)
    say(" = %s\n", strerrorname_np(errno));
  else
    say(" = %ld\n", result);
}
static void tell_place(long result) {
  if (result < 0 && result > -4096)
    say(" = %s\n", strerrorname_np(errno));
  else
    say(" = %s\n", place_in_words((void*)result));
}

/// Less than a page, so that a pipe takes it in one piece, from or to memory that may end within.
static void transfer(const struct Call* call) {
  int ends[2];
  if (pipe(ends) != 0) return;
  static char bytes[kPage];
  memset(bytes, (int)(call->value % 255) + 1, sizeof bytes);
  const size_t size = call->flags & 2 ? 16 : 3000;
  char* const at = address_of(call) + kPage - (call->flags & 1 ? 8 : 1500);
  if (call->what == kReceive) {
    if (write(ends[1], bytes, size) < 0) return;
    tell(read(ends[0], at, size));
  } else {
    tell(write(ends[1], at, size));
  }
  close(ends[0]);
  close(ends[1]);
}

static int is_limited;

static void limit(const struct Call* call) {
  is_limited = 1;
  const int which = call->flags & 1 ? RLIMIT_AS : RLIMIT_DATA;
  struct rlimit wanted = {RLIM_INFINITY, RLIM_INFINITY};
  if (call->flags & 6)
    wanted.rlim_cur = (rlim_t)figure(which == RLIMIT_AS ? "VmSize:" : "VmData:") * 1024 +
                      (rlim_t)call->pages * kPage;
  tell(setrlimit(which, &wanted));
}

static void ask(char* at, size_t size) {
  unsigned char present[kAreaPages + 1];
  memset(present, 0xee, sizeof present);
  if (syscall(SYS_mincore, at, size, present) != 0) {
    tell(-1);
    return;
  }
  char text[kAreaPages + 1] = "";
  for (size_t n = 0; n < size / kPage && n < kAreaPages; ++n)
    text[n] = present[n] == 0xee ? '?' : (char)('0' + (present[n] & 1));
  text[size / kPage < kAreaPages ? size / kPage : kAreaPages] = 0;
  say(" = %s\n", text);
}

void make(const struct Call* call) {
  char* const at = address_of(call) + (call->skew > 0 ? 1 : 0);
  const size_t size = size_of(call) - (call->skew < 0 ? 1 : 0);
  // Calls of other kinds access words, so that a page's contents are told by a few of them.
  char* const word = address_of(call) + (int[]){0, 8, 2048, 4088}[call->flags & 3];
  switch (call->what) {
    case kMmap: {
      // A call that a limit refuses leaves what it would have replaced in pieces on Linux
      // (mm/vma.c:vms_abort_munmap_vmas()), and whole on Quire.
      if (is_limited && (call->flags & MAP_FIXED) != 0) munmap(address_of(call), size_of(call));
      const int no_hint =
          (call->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0 && call->value % 4 != 0;
      tell_place(syscall(SYS_mmap, no_hint ? NULL : at, size, call->prot, call->flags, -1, 0));
      break;
    }
    case kMunmap:
      tell(syscall(SYS_munmap, at, size));
      break;
    case kMprotect:
      tell(syscall(SYS_mprotect, at, size, call->prot));
      break;
    case kMadvise:
      tell(syscall(SYS_madvise, at, size, call->advice));
      break;
    case kBrk:
      tell_place(syscall(SYS_brk,
                         area_begin[kHeap] + call->page / 2 * kPage + (call->skew != 0 ? 100 : 0)));
      break;
    case kWriteByte:
    case kReadByte: {
      const char* fault = try_access(call->what == kWriteByte ? 'w' : 'r', word, call->value);
      say(" = %s\n", fault == NULL ? "ok" : fault);
      break;
    }
    case kWriteAll: {
      const char* fault = NULL;
      for (int n = 0; n < call->pages && fault == NULL; ++n)
        fault = try_access('w', word + n * kPage, call->value + (uint64_t)n);
      say(" = %s\n", fault == NULL ? "ok" : fault);
      break;
    }
    case kReceive:
    case kSend:
      transfer(call);
      break;
    case kLimit:
      limit(call);
      break;
    case kMremap:
      tell_place(syscall(SYS_mremap, at, size, (size_t)call->other_pages * kPage, move_flags(call),
                         other_of(call)));
      break;
    case kMlock:
      tell(call->flags < 4 ? syscall(SYS_mlock, at, size)
                           : syscall(SYS_mlock2, at, size, call->flags & 3));
      break;
    case kMunlock:
      tell(syscall(SYS_munlock, at, size));
      break;
    case kMlockall:
      tell(call->flags < 5 ? syscall(SYS_munlockall) : syscall(SYS_mlockall, call->flags));
      break;
    case kMincore:
      ask(at, size);
      break;
    case kMsync:
      tell(syscall(SYS_msync, at, size, call->flags));
      break;
    case kFork:
    case kWhats:
      break;
  }
}
