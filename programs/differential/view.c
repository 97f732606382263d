// What is compared: mappings, figures and contents, in words.
#include "differential.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char* area_begin[kAreas];

static char output[1 << 18];
static size_t output_size;

void flush_output(void) {
  for (size_t done = 0; done < output_size;) {
    const ssize_t n = write(1, output + done, output_size - done);
    if (n <= 0) _exit(99);
    done += (size_t)n;
  }
  output_size = 0;
}

void say(const char* format, ...) {
  if (output_size > sizeof output - 4096) flush_output();
  va_list arguments;
  va_start(arguments, format);
  output_size += (size_t)vsnprintf(output + output_size, 4096, format, arguments);
  va_end(arguments);
}

static char text[1 << 16];
static char* text_of(const char* path) {
  const int fd = open(path, O_RDONLY);
  size_t size = 0;
  ssize_t n;
  while ((n = read(fd, text + size, sizeof text - 1 - size)) > 0) size += (size_t)n;
  text[size] = 0;
  close(fd);
  return text;
}

long figure(const char* key) {
  const char* found = strstr(text_of("/proc/self/status"), key);
  return found == NULL ? 0 : strtol(found + strlen(key), NULL, 10);
}

const char* place_in_words(const void* address) {
  static char words[4][48];
  static unsigned turn;
  char* to = words[turn++ % 4];
  for (int area = 0; area < kAreas; ++area) {
    const long at = (const char*)address - area_begin[area];
    if (at < -(1L << 24) || at > (1L << 24)) continue;
    const long page = (at + (1L << 24)) / kPage - (1 << 12);
    const long offset = (at + (1L << 24)) % kPage;
    snprintf(to, sizeof words[0], offset == 0 ? "%c%+ld" : "%c%+ld:%#lx", "MTH"[area], page,
             offset);
    return to;
  }
  snprintf(to, sizeof words[0], address == NULL ? "0" : "elsewhere");
  return to;
}

// The kernel's own mapping order: highest first. Holes above the area are filled, so that it is the
// highest free place.
void make_areas(void) {
  const size_t size = (kAreaPages + 2) * kPage;
  const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  char* all = mmap((char*)0x10000000000 - (kAreaPages / 2 + 1) * kPage, size, PROT_NONE,
                   flags | MAP_FIXED, -1, 0);
  area_begin[kMiddle] = all + kPage;
  all = mmap(NULL, size, PROT_NONE, flags, -1, 0);
  area_begin[kTop] = all + kPage;
  for (int area = kMiddle; area <= kTop; ++area) munmap(area_begin[area], kAreaPages * kPage);
  for (;;) {
    char* got = mmap(NULL, kPage, PROT_READ, flags, -1, 0);
    if (got > all + size - kPage) continue;
    munmap(got, kPage);
    break;
  }
  char* now = sbrk(0);
  area_begin[kHeap] =
      sbrk((kPage - (long)now % kPage) % kPage) + (kPage - (long)now % kPage) % kPage;
}

enum { kKinds = kAreas * kAreaPages };
/// What is known of a page from the maps.
struct Page {
  short mapping;  ///< number, from 1; 0: none
  char readable;
};
static struct Page pages[kKinds];
static char rights[4096];

static void read_maps(void) {
  memset(pages, 0, sizeof pages);
  rights[0] = 0;
  size_t size = 0;
  short number = 0;
  for (char* line = text_of("/proc/self/maps"); *line != 0;) {
    char* end = strchr(line, '\n');
    char* at = line;
    char* const from = (char*)strtoul(at, &at, 16);
    char* const to = (char*)strtoul(at + 1, &at, 16);
    int shown = 0;
    for (int area = 0; area < kAreas; ++area) {
      for (int n = 0; n < kAreaPages; ++n) {
        char* const page = area_begin[area] + n * kPage;
        if (page < from || page >= to) continue;
        if (!shown) ++number;
        shown = 1;
        pages[area * kAreaPages + n] = (struct Page){number, at[1] == 'r'};
      }
    }
    if (shown) size += (size_t)snprintf(rights + size, sizeof rights - size, " %.4s", at + 1);
    line = end == NULL ? line + strlen(line) : end + 1;
  }
}

static char last_maps[8192], last_figures[256], last_contents[512];

static void show(const char* kind, const char* now, char* last) {
  if (strcmp(now, last) == 0) return;
  strcpy(last, now);
  say("  %s%s\n", kind, now);
}

void forget_shown(void) { last_maps[0] = last_figures[0] = last_contents[0] = 0; }

static char mark(uint64_t hash) {
  static const char kMarks[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return hash == 0 ? '_' : kMarks[hash % 62];
}

/// Where calls write: the contents of a page are these words.
static const int kOffsets[] = {0, 8, 2048, 4088};

static void show_contents(void) {
  char now[kKinds + kAreas + 1];
  size_t size = 0;
  for (int n = 0; n < kKinds; ++n) {
    if (n % kAreaPages == 0) now[size++] = ' ';
    const volatile char* at = area_begin[n / kAreaPages] + n % kAreaPages * kPage;
    if (pages[n].mapping == 0) {
      now[size++] = '.';
    } else if (!pages[n].readable) {
      now[size++] = '-';
    } else if (try_access('r', (volatile void*)at, 0) != NULL) {
      now[size++] = '!';  // beyond the end of what is shared
    } else {
      uint64_t hash = 0;
      for (int word = 0; word < 4; ++word)
        hash = hash * 31 + *(const volatile uint64_t*)(at + kOffsets[word]);
      now[size++] = mark(hash);
    }
  }
  now[size] = 0;
  show("is", now, last_contents);
}

void show_changes(enum Contents contents) {
  char now[8192];
  read_maps();
  size_t size = 0;
  for (int n = 0; n < kKinds; ++n) {
    if (n % kAreaPages == 0) now[size++] = ' ';
    now[size++] = pages[n].mapping == 0 ? '.' : (char)('A' + (pages[n].mapping - 1) % 58);
  }
  strcpy(now + size, rights);
  show("map", now, last_maps);
  char figures[256];
  static long first[4];
  static const char* const kFigures[] = {"VmSize:", "VmData:", "VmStk:", "RssAnon:"};
  size = 0;
  for (int n = 0; n < 4; ++n) {
    const long value = figure(kFigures[n]);
    if (first[n] == 0) first[n] = value + 1;
    size += (size_t)snprintf(figures + size, sizeof figures - size, " %s %+ld", kFigures[n],
                             (value + 1 - first[n]) / 4);
  }
  show("has", figures, last_figures);
  if (contents == kWithContents) show_contents();
}

static sigjmp_buf after_fault;
static char fault_words[96];

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)context;
  const char* code = info->si_code == SEGV_MAPERR   ? "MAPERR"
                     : info->si_code == SEGV_ACCERR ? "ACCERR"
                                                    : "other";
  snprintf(fault_words, sizeof fault_words, "SIG%s %s %s", signal == SIGSEGV ? "SEGV" : "BUS", code,
           place_in_words(info->si_addr));
  siglongjmp(after_fault, 1);
}

void catch_faults(void) {
  static char stack[32768];
  memset(stack, 1, sizeof stack);
  const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&other, NULL);
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
}

const char* try_access(char how, volatile void* at, uint64_t value) {
  if (sigsetjmp(after_fault, 1) != 0) return fault_words;
  if (how == 'w') *(volatile uint64_t*)at = value;
  if (how == 'r') (void)*(volatile uint64_t*)at;
  return NULL;
}
