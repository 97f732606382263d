// Where a program's stack, mappings and heap begin, from run to run: at random, or not with personality(ADDR_NO_RANDOMIZE). man7
// personality(2), proc_sys_kernel(5). The program itself is not position-independent.
#include "facts.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>

enum { kRuns = 6 };
enum { kPage = 4096 };
static const uint64_t kTop = 0x7ffffffff000, kGiB = 1 << 30;

struct places {
  uint64_t stack_end, mapping, heap, program_end, program, entropy;
};

extern char end[];

/// What a new program sees of itself, written to its output.
static void tell_places(void) {
  struct places here = {.mapping = (uint64_t)mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                        .heap = (uint64_t)sbrk(0),
                        .program_end = (uint64_t)end,
                        .program = (uint64_t)&tell_places,
                        .entropy = *(uint64_t*)getauxval(AT_RANDOM)};
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL) {
    if (strstr(line, "[stack]") != NULL) sscanf(line, "%*x-%lx", &here.stack_end);
  }
  write(1, &here, sizeof here);
}

static struct places run(unsigned long flags) {
  int pipe_ends[2];
  struct places got = {0};
  pipe(pipe_ends);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], 1);
    personality(flags);
    execl("/proc/self/exe", "aslr", "places", (char*)NULL);
    _exit(1);
  }
  close(pipe_ends[1]);
  read(pipe_ends[0], &got, sizeof got);
  close(pipe_ends[0]);
  waitpid(child, NULL, 0);
  return got;
}

static void compare(const char* what, unsigned long flags) {
  struct places all[kRuns];
  for (int n = 0; n < kRuns; ++n) all[n] = run(flags);
  int stacks = 0, mappings = 0, heaps = 0, programs = 0, entropies = 0, in_range = 0;
  for (int n = 0; n < kRuns; ++n) {
    const struct places* p = &all[n];
    stacks += p->stack_end != all[0].stack_end;
    mappings += p->mapping != all[0].mapping;
    heaps += p->heap - p->program_end != all[0].heap - all[0].program_end;
    programs += p->program != all[0].program;
    entropies += p->entropy != all[0].entropy;
    const uint64_t stack_gap = kTop - p->stack_end, mapping_gap = kTop - p->mapping;
    in_range += stack_gap < 16 * kGiB && mapping_gap > 128 * (kGiB / 1024) && mapping_gap < 1045 * kGiB && p->mapping < p->stack_end &&
                p->heap >= p->program_end && p->heap - p->program_end < kGiB + 64 * kPage;
  }
  fact("%s: stack moves %d, mappings move %d, heap moves %d, program moves %d, AT_RANDOM differs %d, all in range %d", what, stacks > 0,
       mappings > 0, heaps > 0, programs > 0, entropies > 0, in_range == kRuns);
  fact("%s: stack ends at the top %d", what, all[0].stack_end == kTop);
}

int main(int count, char** words) {
  if (count == 2 && strcmp(words[1], "places") == 0) {
    tell_places();
    return 0;
  }
  fact("personality at first: %#x", personality(0xffffffff));
  compare("as it is", 0);
  compare("without", ADDR_NO_RANDOMIZE);
  fact("set: %#x", personality(ADDR_NO_RANDOMIZE));
  fact("then: %#x", personality(0xffffffff));
  IN_CHILD("a child's", fact("inherited: %#x", personality(0xffffffff)));
  char setting[8] = "";
  FILE* file = fopen("/proc/sys/kernel/randomize_va_space", "r");
  fact("setting: %s", fgets(setting, sizeof setting, file));
  if (setresuid(1000, 1000, 1000) == 0) fact("as somebody: %s", outcome(access("/proc/sys/kernel/randomize_va_space", W_OK)));
  return 0;
}
