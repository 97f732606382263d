// The pages that the kernel gives every program: what is in them, and what a program may do to them. man7 vdso(7).
#include "facts.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>

struct pages {
  char* begin;
  size_t size;
  char rights[5];
};

static struct pages find(const char* name) {
  struct pages found = {0};
  char line[512];
  FILE* maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long begin, end;
    char rights[5], rest[256];
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &begin, &end, rights, rest) != 4 || strcmp(rest, name) != 0) continue;
    found.begin = (char*)begin;
    found.size = end - begin;
    memcpy(found.rights, rights, sizeof rights);
  }
  fclose(maps);
  return found;
}

/// The number behind `key` in what smaps says of the mapping at `address`, or the flags.
static void tell_figures(const char* what, const char* address) {
  static const char* const kKeys[] = {"Shared_Dirty", "Private_Dirty", "Anonymous", "Locked", "VmFlags"};
  char line[512], begin[32];
  snprintf(begin, sizeof begin, "%lx-", (unsigned long)address);
  FILE* smaps = fopen("/proc/self/smaps", "r");
  int inside = 0;
  while (fgets(line, sizeof line, smaps) != NULL) {
    if (strchr(line, '-') != NULL && line[0] >= '0' && line[0] <= 'f' && strstr(line, " kB") == NULL && strstr(line, ":\t") == NULL)
      inside = strncmp(line, begin, strlen(begin)) == 0 || (inside && strncmp(line, "VmFlags", 7) == 0);
    leave_out_tracking(line);
    for (unsigned i = 0; inside && i < sizeof kKeys / sizeof *kKeys; ++i) {
      if (strncmp(line, kKeys[i], strlen(kKeys[i])) == 0) fact("%s: %.*s", what, (int)strcspn(line, "\n"), line);
    }
  }
  fclose(smaps);
}

// ---- the image

struct image {
  const char* base;
  const Elf64_Sym* symbols;
  const char* names;
  const Elf64_Versym* versions;
  const Elf64_Verdef* definitions;
  const Elf64_Word* hash;
};

static struct image read_image(const char* base) {
  struct image image = {.base = base};
  const Elf64_Ehdr* head = (const Elf64_Ehdr*)base;
  const Elf64_Phdr* parts = (const Elf64_Phdr*)(base + head->e_phoff);
  for (int i = 0; i < head->e_phnum; ++i) {
    if (parts[i].p_type == PT_LOAD) fact("loads: at %#lx, rights %u", parts[i].p_vaddr, parts[i].p_flags);
    if (parts[i].p_type != PT_DYNAMIC) continue;
    for (const Elf64_Dyn* entry = (const Elf64_Dyn*)(base + parts[i].p_vaddr); entry->d_tag != DT_NULL; ++entry) {
      const char* const at = base + entry->d_un.d_ptr;
      if (entry->d_tag == DT_SYMTAB) image.symbols = (const Elf64_Sym*)at;
      if (entry->d_tag == DT_STRTAB) image.names = at;
      if (entry->d_tag == DT_VERSYM) image.versions = (const Elf64_Versym*)at;
      if (entry->d_tag == DT_VERDEF) image.definitions = (const Elf64_Verdef*)at;
    }
    for (const Elf64_Dyn* entry = (const Elf64_Dyn*)(base + parts[i].p_vaddr); entry->d_tag != DT_NULL; ++entry)
      if (entry->d_tag == DT_SONAME) fact("name: %s", image.names + entry->d_un.d_val);
  }
  return image;
}

static const char* version_of(const struct image* image, unsigned symbol) {
  const Elf64_Verdef* definition = image->definitions;
  for (;;) {
    if (definition->vd_ndx == (image->versions[symbol] & 0x7fff))
      return image->names + ((const Elf64_Verdaux*)((const char*)definition + definition->vd_aux))->vda_name;
    if (definition->vd_next == 0) return "none";
    definition = (const Elf64_Verdef*)((const char*)definition + definition->vd_next);
  }
}

static const void* look_up(const struct image* image, const char* name) {
  for (unsigned i = 1; image->names + image->symbols[i].st_name < image->base + 8192 && i < 64; ++i) {
    const Elf64_Sym* symbol = &image->symbols[i];
    if ((const char*)symbol >= image->names) break;
    if (strcmp(image->names + symbol->st_name, name) != 0) continue;
    fact("%s: version %s, bound %d, a function %d", name, version_of(image, i), ELF64_ST_BIND(symbol->st_info) != STB_LOCAL,
         ELF64_ST_TYPE(symbol->st_info) == STT_FUNC);
    return image->base + symbol->st_value;
  }
  fact("%s: not there", name);
  return NULL;
}

static long since(const struct timespec* a, const struct timespec* b) {
  return (b->tv_sec - a->tv_sec) * 1000000000L + b->tv_nsec - a->tv_nsec;
}

static void calls(const struct image* image) {
  int (*const gettime)(clockid_t, struct timespec*) = look_up(image, "__vdso_clock_gettime");
  int (*const getres)(clockid_t, struct timespec*) = look_up(image, "__vdso_clock_getres");
  int (*const timeofday)(struct timeval*, struct timezone*) = look_up(image, "__vdso_gettimeofday");
  time_t (*const seconds)(time_t*) = look_up(image, "__vdso_time");
  int (*const cpu_now)(unsigned*, unsigned*, void*) = look_up(image, "__vdso_getcpu");
  look_up(image, "clock_gettime");
  look_up(image, "getcpu");

  for (clockid_t clock = 0; clock <= 12; ++clock) {
    if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) continue;  // only where something can wake the machine
    struct timespec before = {0}, between = {0}, after = {0};
    const long first = syscall(SYS_clock_gettime, clock, &before);
    const int result = gettime(clock, &between);
    syscall(SYS_clock_gettime, clock, &after);
    // A coarse clock may be of the last tick.
    const int is_coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE;
    fact("clock %d: %s, in between %d, whole %d", clock, result == 0 ? "ok" : strerrorname_np(-result),
         first != 0 || is_coarse || (since(&before, &between) >= 0 && since(&between, &after) >= 0),
         between.tv_nsec >= 0 && between.tv_nsec < 1000000000);
    struct timespec resolution = {-1, -1};
    const int known = getres(clock, &resolution);
    fact("resolution %d: %s, %d, to nowhere %d", clock, known == 0 ? "ok" : strerrorname_np(-known),
         known != 0 || (resolution.tv_sec == 0 && resolution.tv_nsec >= 1), getres(clock, NULL));
  }
  fact("a process' clock: %d", gettime(CLOCK_PROCESS_CPUTIME_ID, &(struct timespec){0}));
  fact("no clock: %d %d", gettime(55, &(struct timespec){0}), gettime(INT_MIN, &(struct timespec){0}));
  long backwards = 0;
  struct timespec last, now;
  gettime(CLOCK_MONOTONIC, &last);
  for (int i = 0; i < 100000; ++i, last = now) {
    gettime(CLOCK_MONOTONIC, &now);
    backwards += since(&last, &now) < 0;
  }
  fact("steps backwards: %ld", backwards);
  struct timeval tv;
  struct timezone zone = {-1, -1};
  time_t also = 0;
  const int told = timeofday(&tv, &zone);
  const time_t when = seconds(&also);
  fact("gettimeofday: %d, zone %d %d, of nothing %d; time: %d, the same %d", told, zone.tz_minuteswest, zone.tz_dsttime,
       timeofday(NULL, NULL), when - tv.tv_sec <= 1, when == also);
  unsigned cpu = ~0U, node = ~0U, cpu2 = ~0U, node2 = ~0U;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  const int asked = cpu_now(&cpu, &node, NULL);
  syscall(SYS_getcpu, &cpu2, &node2, NULL);
  fact("getcpu: %d, as the call's %d %d, of nothing %d", asked, cpu == cpu2, node == node2, cpu_now(NULL, NULL, NULL));
  fact("to nowhere, in a child:");
  IN_CHILD("clock_gettime", gettime(CLOCK_MONOTONIC, bad_address));
}

// ---- the mappings

static void mapping(const char* name) {
  const struct pages it = find(name);
  char* const at = it.begin;
  const size_t size = it.size;
  const int rights = it.rights[2] == 'x' ? PROT_READ | PROT_EXEC : PROT_READ;
  fact("%s: %s, whole pages %d", name, it.rights, size != 0 && size % 4096 == 0);
  fact("rights: write %s", outcome(mprotect(at, size, PROT_READ | PROT_WRITE)));
  fact("rights: execute %s", outcome(mprotect(at, size, PROT_READ | PROT_EXEC)));
  fact("rights: none %s", outcome(mprotect(at, size, PROT_NONE)));
  fact("rights: back %s", outcome(mprotect(at, size, rights)));
  static const int kAdvice[] = {MADV_NORMAL,        MADV_RANDOM,      MADV_DONTNEED, MADV_FREE,   MADV_REMOVE, MADV_DONTFORK,
                                MADV_DOFORK,        MADV_MERGEABLE,   MADV_DONTDUMP, MADV_DODUMP, MADV_COLD,   MADV_PAGEOUT,
                                MADV_WILLNEED,      MADV_POPULATE_READ, MADV_UNMERGEABLE, 24 /* MADV_DONTNEED_LOCKED */};
  for (unsigned i = 0; i < sizeof kAdvice / sizeof *kAdvice; ++i) fact("advice %d: %s", kAdvice[i], outcome(madvise(at, size, kAdvice[i])));
  madvise(at, size, MADV_DOFORK);
  madvise(at, size, MADV_NORMAL);
  fact("mlock: %s", outcome(mlock(at, size)));
  fact("munlock: %s", outcome(munlock(at, size)));
  mlock(at, size);
  tell_figures(name, at);
  munlock(at, size);
  unsigned char resident[16];
  fact("mincore: %s", outcome(mincore(at, size, resident)));
  fact("there: %d", resident[0] & 1);
  char word[8] = "";
  struct iovec here = {word, sizeof word}, there = {at, sizeof word};
  fact("process_vm_readv: %s", outcome(process_vm_readv(getpid(), &here, 1, &there, 1, 0)));
  const int memory = open("/proc/self/mem", O_RDONLY);
  fact("read through /proc/self/mem: %s", outcome(pread(memory, word, sizeof word, (off_t)at)));
  close(memory);
  fact("grow: %s", outcome((long)mremap(at, size, size + 4096, MREMAP_MAYMOVE)));
  fact("keep it here, too: %s", outcome((long)mremap(at, size, size, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */)));
  fact("a second one: %s", outcome((long)mremap(at, 0, size, MREMAP_MAYMOVE)));
}

static void child_sees(const char* base) {
  fact("a child finds it in the same place: %d", find("[vdso]").begin == base);
  struct timespec now;
  fact("and asks it: %d", clock_gettime(CLOCK_REALTIME, &now));
}

static void own_copy(char* base, size_t size) {
  mprotect(base, size, PROT_READ | PROT_WRITE | PROT_EXEC);
  base[EI_PAD] = 7;
  fact("written to: %d", base[EI_PAD]);
}

int main(void) {
  char* const base = (char*)getauxval(AT_SYSINFO_EHDR);
  const struct pages code = find("[vdso]"), data = find("[vvar]");
  fact("told of: %d, ELF %d, data before code %d", base == code.begin, memcmp(base, ELFMAG, SELFMAG) == 0, data.begin < code.begin);
  const struct image image = read_image(base);
  calls(&image);
  IN_CHILD("forked", child_sees(base));
  mapping("[vdso]");
  mapping("[vvar]");
  IN_CHILD("a copy of one's own", own_copy(base, code.size));
  fact("others' stays: %d", base[EI_PAD]);
  void* const room = mmap(NULL, code.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  IN_CHILD("moved", fact("%d", mremap(base, code.size, code.size, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room &&
                                   memcmp(room, ELFMAG, SELFMAG) == 0 && find("[vdso]").begin == room));
  IN_CHILD("unmapped", munmap(base, code.size); munmap(data.begin, data.size); fact("left: %d", find("[vdso]").begin != NULL));
  return 0;
}
