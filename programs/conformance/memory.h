// Shared by the conformance programs about memory: a piece of address space of the program's own,
// pictures of what is mapped there, and accesses whose signals become words.
//
// Addresses in facts are relative to the arena. Its two neighbours are shared mappings, with which
// nothing merges; all pages are small whatever the host's setting for huge ones is.
#pragma once
#include "facts.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { kPage = 4096 };
enum { kNone = PROT_NONE, kRead = PROT_READ, kWrite = PROT_READ | PROT_WRITE };
enum { kPrivate = MAP_PRIVATE | MAP_ANONYMOUS, kShared = MAP_SHARED | MAP_ANONYMOUS };

static char* arena;
static size_t arena_pages;

static inline char* page(long n) { return arena + n * kPage; }

/// Reserves `pages` pages with nothing mapped in them between two that stay mapped.
static inline void make_arena(size_t pages) {
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  const size_t size = (pages + 2) * kPage;
  char* all = mmap(NULL, size, PROT_NONE, kShared | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) _exit(98);
  arena = all + kPage;
  arena_pages = pages;
  munmap(arena, pages * kPage);
}
static inline void clear_arena(void) { munmap(arena, arena_pages * kPage); }

/// Maps `pages` pages from page `at` of the arena.
static inline char* place(long at, size_t pages, int prot, int flags) {
  return mmap(page(at), pages * kPage, prot, flags | MAP_FIXED, -1, 0);
}

/// The text of a file of /proc, in a buffer that stays until the next call.
static inline char* text_of(const char* path) {
  static char text[1 << 18];
  const int fd = open(path, O_RDONLY);
  size_t size = 0;
  ssize_t n;
  while ((n = read(fd, text + size, sizeof text - 1 - size)) > 0) size += (size_t)n;
  text[size] = 0;
  close(fd);
  return text;
}

/// A picture of the arena's first pages: a letter per mapping, a column per page, and the rights.
static inline const char* picture(size_t pages) {
  static char drawn[512];
  char rights[256] = "";
  memset(drawn, '.', pages);
  drawn[pages] = 0;
  char letter = 'A';
  for (char* line = text_of("/proc/self/maps"); line != NULL && *line != 0;) {
    char* next = strchr(line, '\n');
    unsigned long from, to;
    char bits[8];
    if (sscanf(line, "%lx-%lx %4s", &from, &to, bits) == 3 && (char*)to > arena &&
        (char*)from < page((long)pages)) {
      const long first = (char*)from < arena ? 0 : ((char*)from - arena) / kPage;
      for (long n = first; n < ((char*)to - arena) / kPage && n < (long)pages; ++n)
        drawn[n] = letter;
      ++letter;
      strcat(strcat(rights, " "), bits);
    }
    line = next == NULL ? NULL : next + 1;
  }
  return strcat(drawn, rights);
}
static inline void draw(const char* what, size_t pages) { fact("%s: %s", what, picture(pages)); }

static sigjmp_buf after_fault;
static volatile int fault_signal, fault_code;
static char* volatile fault_address;

static inline void on_fault(int signal, siginfo_t* info, void* context) {
  (void)context;
  fault_signal = signal;
  fault_code = info->si_code;
  fault_address = info->si_addr;
  siglongjmp(after_fault, 1);
}
static inline void catch_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

/// The last fault in words: signal, code and where in the arena.
static inline const char* fault_in_words(void) {
  static char text[96];
  const char* code = fault_signal != SIGSEGV     ? (fault_code == BUS_ADRERR ? "ADRERR" : "other")
                     : fault_code == SEGV_MAPERR ? "MAPERR"
                     : fault_code == SEGV_ACCERR ? "ACCERR"
                     : fault_code == SI_KERNEL   ? "SI_KERNEL"
                                                 : "other";
  const long at = fault_address - arena;
  if (fault_address == NULL)
    snprintf(text, sizeof text, "SIG%s %s at 0", sigabbrev_np(fault_signal), code);
  else if (at < -64L * kPage || at > 4096L * kPage)
    snprintf(text, sizeof text, "SIG%s %s elsewhere", sigabbrev_np(fault_signal), code);
  else
    snprintf(text, sizeof text, "SIG%s %s at %ld+%#lx", sigabbrev_np(fault_signal), code,
             (at + 64L * kPage) / kPage - 64, (at + 64L * kPage) % kPage);
  return text;
}

/// Reads ('r'), writes ('w') or calls ('x') one byte: "ok" or the fault in words.
static inline const char* touch(char how, volatile void* at) {
  volatile char* byte = at;
  if (sigsetjmp(after_fault, 1) != 0) return fault_in_words();
  if (how == 'r') (void)*byte;
  if (how == 'w') *byte = 'w';
  if (how == 'x') ((void (*)(void))(uintptr_t)byte)();
  return "ok";
}
/// For all three accesses; the byte must be a return instruction if it may be executed.
static inline void touch_all(const char* what, volatile void* at) {
  char words[3][96];
  for (int n = 0; n < 3; ++n) snprintf(words[n], sizeof words[n], "%s", touch("rwx"[n], at));
  fact("%s: read %s; write %s; call %s", what, words[0], words[1], words[2]);
}

/// A figure of /proc/self/status, in kB for memory, or -1.
static inline long status_of(const char* key) {
  const char* text = strstr(text_of("/proc/self/status"), key);
  return text == NULL ? -1 : strtol(text + strlen(key), NULL, 10);
}
/// Pages of private and of shared memory that are resident.
static inline long resident(void) {
  return (status_of("RssAnon:") + status_of("RssShmem:")) / (kPage / 1024);
}
/// How many more than when `resident_mark` was taken. The first call makes its own pages resident.
static long resident_mark;
static inline void mark_resident(void) {
  resident();
  resident_mark = resident();
}
static inline void tell_resident(const char* what) {
  fact("%s: %ld more resident", what, resident() - resident_mark);
}

/// The result of a call that gives an address: where in the arena, or the error.
static inline void tell_place(const char* what, void* result) {
  if (result == MAP_FAILED)
    fact("%s: %s", what, strerrorname_np(errno));
  else
    fact("%s: page %ld", what, ((char*)result - arena) / kPage);
}
