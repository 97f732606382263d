// A parent with much touched memory and many children that all live at once; each writes into its copy and must see its own data and
// nobody else's.
//
//   fork_family MIB CHILDREN
//
// Prints "MIB MiB, CHILDREN children, 0 wrong" and exits 0, or says what is wrong and exits 1.

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

enum { kPage = 4096, kWrites = 8 };

static uint64_t* word_of(char* memory, size_t page) { return (uint64_t*)(memory + page * kPage); }

// The pages a child writes: spread over the whole memory, and not the same for two children in a row.
static size_t written_page(size_t pages, size_t child, size_t write) { return (pages / kWrites * write + child * 7) % pages; }

// Counts words that are neither the parent's nor, where this child wrote, its own.
static unsigned count_wrong(char* memory, size_t pages, size_t child, uint64_t mark) {
  unsigned wrong = 0;
  for (size_t i = 0; i < kWrites; ++i) wrong += *word_of(memory, written_page(pages, child, i)) != mark;
  for (size_t i = 0; i < kWrites; ++i) {
    const size_t neighbour = (written_page(pages, child, i) + 1) % pages;
    wrong += *word_of(memory, neighbour) != neighbour;
  }
  return wrong;
}

static _Noreturn void live_as_child(char* memory, size_t pages, size_t child, int ready, int go) {
  const uint64_t mark = ~(uint64_t)child;
  char byte = 0;
  for (size_t i = 0; i < kWrites; ++i) *word_of(memory, written_page(pages, child, i)) = mark;
  if (write(ready, &byte, 1) != 1) die("write");
  if (read(go, &byte, 1) < 0) die("read");  // ends when the parent closes its side: all children live now
  _exit(count_wrong(memory, pages, child, mark) != 0);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: fork_family MIB CHILDREN\n", stderr);
    return 2;
  }
  const size_t mib = strtoul(argv[1], NULL, 10), children = strtoul(argv[2], NULL, 10);
  const size_t pages = mib * (1024 * 1024 / kPage);
  char* memory = mmap(NULL, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  for (size_t i = 0; i < pages; ++i) *word_of(memory, i) = i;

  int ready[2], go[2];
  if (pipe(ready) != 0 || pipe(go) != 0) die("pipe");
  for (size_t child = 0; child < children; ++child) {
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
      close(go[1]);
      live_as_child(memory, pages, child, ready[1], go[0]);
    }
  }
  char byte;
  for (size_t i = 0; i < children; ++i) {
    if (read(ready[0], &byte, 1) != 1) die("read");
  }
  unsigned wrong = 0;
  for (size_t i = 0; i < pages; ++i) wrong += *word_of(memory, i) != i;
  close(go[1]);
  for (size_t i = 0; i < children; ++i) {
    int status = 0;
    if (wait(&status) < 0) die("wait");
    wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  printf("%zu MiB, %zu children, %u wrong\n", mib, children, wrong);
  return wrong != 0;
}
