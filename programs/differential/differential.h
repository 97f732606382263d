// A random sequence of calls about memory, made from a seed: the same on every machine. Each call's
// result, and what it did to the mappings, to the figures of the process and to the contents of
// memory, is printed in words that do not depend on where things lie, so that the output of two
// kernels can be compared byte for byte.
//
// A call is a value made of the seed alone, not of what happened before, so that a sequence can be
// shortened by leaving calls out.
#pragma once
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

enum { kPage = 4096, kAreaPages = 24 };

/// Pieces of address space that calls are about.
enum Area {
  kMiddle,  ///< at a fixed address, across a boundary of tables
  kTop,     ///< the highest free place: where a mapping without a hint goes
  kHeap,    ///< from where the break was in the beginning
  kAreas
};

enum What {
  kMmap,
  kMunmap,
  kMprotect,
  kMadvise,
  kBrk,
  kWriteByte,
  kReadByte,
  kWriteAll,
  kReceive,  ///< a system call writes to memory
  kSend,     ///< a system call reads memory
  kFork,     ///< a child makes the next calls first, then the parent makes them
  kLimit,
  kMremap,
  kMlock,
  kMunlock,
  kMlockall,
  kMincore,
  kMsync,
  kWhats
};

/// Kinds of calls that may be asked for.
enum Group {
  kBasic = 1,
  kLimits = 2,
  kMoving = 4,   ///< mremap
  kLocking = 8,  ///< mlock, mlock2, munlock, mlockall, munlockall, MAP_LOCKED
  kAsking = 16,  ///< mincore, msync
};

struct Call {
  enum What what;
  enum Area area, other;
  int page, pages;  ///< from `area`'s begin
  int other_page, other_pages;
  int prot, flags, advice;
  int skew;  ///< bytes added to the address or length, seldom not 0
  uint64_t value;
};

/// The `index`th call of `seed`.
struct Call call_of(uint64_t seed, unsigned index, unsigned groups);
/// The call in words.
void describe(const struct Call* call, char* text, size_t size);
/// Makes it and prints its result.
void make(const struct Call* call);

/// Where the areas are; made once.
extern char* area_begin[kAreas];
void make_areas(void);
/// "M+3" for the third page of the area in the middle.
const char* place_in_words(const void* address);

/// Prints what changed since it was printed last: mappings and figures, and contents if these are
/// wanted.
enum Contents { kWithoutContents, kWithContents };
void show_changes(enum Contents contents);
/// Forgets what was printed: all of it is new again.
void forget_shown(void);

/// Output is gathered and written at once; flushed before a fork.
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
void flush_output(void);
/// A figure of /proc/self/status in kB.
long figure(const char* key);

/// Accesses a byte; the name of the fault that this raised, or NULL.
const char* try_access(char how, volatile void* at, uint64_t value);
void catch_faults(void);
