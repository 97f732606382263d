// differential run GROUPS LENGTH FIRST COUNT     makes the sequences of seeds FIRST, FIRST + 1, …
// differential only GROUPS SEED INDEX…           makes only some calls of one seed
//
// Each sequence is made by a process of its own. Even seeds look at the contents of memory after
// each call, odd ones in the end and after a fork only, since looking makes pages resident.
#include "differential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMostCalls = 512, kChildCalls = 8, kDeepest = 2 };

struct Sequence {
  uint64_t seed;
  unsigned groups, count;
  unsigned index[kMostCalls];
};

static void run_calls(const struct Sequence* sequence, unsigned from, unsigned to, int depth) {
  for (unsigned n = from; n < to; ++n) {
    const struct Call call = call_of(sequence->seed, sequence->index[n], sequence->groups);
    char words[256];
    describe(&call, words, sizeof words);
    say("%.*s%u %s", depth, ">>>>", sequence->index[n], words);
    if (call.what != kFork) {
      make(&call);
      show_changes(sequence->seed % 2 == 0 ? kWithContents : kWithoutContents);
      continue;
    }
    say("\n");
    if (depth >= kDeepest) continue;
    flush_output();
    const pid_t child = fork();
    if (child == 0) {
      forget_shown();
      show_changes(kWithContents);
      run_calls(sequence, n + 1, n + 1 + kChildCalls < to ? n + 1 + kChildCalls : to, depth + 1);
      show_changes(kWithContents);
      flush_output();
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) say("the child ended with status %#x\n", status);
    show_changes(kWithContents);
  }
}

static void run(const struct Sequence* sequence) {
  say("seed %lu\n", (unsigned long)sequence->seed);
  flush_output();
  const pid_t child = fork();
  if (child == 0) {
    forget_shown();
    show_changes(kWithContents);
    run_calls(sequence, 0, sequence->count, 0);
    show_changes(kWithContents);
    flush_output();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) say("ended with status %#x\n", status);
  flush_output();
}

int main(int count, char** arguments) {
  if (count < 5) return 2;
  // Without randomization nothing of the program's lies where the areas are; huge pages would show
  // in what is resident.
  if ((personality(0xffffffff) & ADDR_NO_RANDOMIZE) == 0 && personality(ADDR_NO_RANDOMIZE) >= 0)
    execv("/proc/self/exe", arguments);
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  make_areas();
  catch_faults();
  try_access('r', NULL, 0);
  show_changes(kWithContents);  // what looking itself needs is resident from here on
  static struct Sequence sequence;
  sequence.groups = (unsigned)atoi(arguments[2]);
  if (strcmp(arguments[1], "only") == 0) {
    sequence.seed = strtoul(arguments[3], NULL, 10);
    for (int n = 4; n < count && n < kMostCalls; ++n)
      sequence.index[sequence.count++] = (unsigned)atoi(arguments[n]);
    run(&sequence);
    return 0;
  }
  sequence.count = (unsigned)atoi(arguments[3]);
  if (sequence.count > kMostCalls) return 2;
  for (unsigned n = 0; n < sequence.count; ++n) sequence.index[n] = n;
  const uint64_t first = strtoul(arguments[4], NULL, 10), seeds = strtoul(arguments[5], NULL, 10);
  for (sequence.seed = first; sequence.seed < first + seeds; ++sequence.seed) run(&sequence);
  return 0;
}
