// exec: arguments, environment, auxiliary vector, scripts, what survives and what does not, files
// that are no programs.
#include "facts.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char** environ;
static const char* self;

static int show(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) fact("  argument %d: %s", i, argv[i]);
  for (char** e = environ; *e != NULL; ++e) fact("  environment: %s", *e);
  return 50 + argc;
}

/// What the auxiliary vector must say.
static int auxiliary(void) {
  const Elf64_Phdr* headers = (void*)getauxval(AT_PHDR);
  unsigned long count = getauxval(AT_PHNUM);
  int loads = 0;
  for (unsigned long i = 0; headers != NULL && i < count; ++i)
    loads += headers[i].p_type == PT_LOAD;
  fact("  AT_PHDR, AT_PHNUM: segments to load: %d; AT_PHENT %lu", loads > 0, getauxval(AT_PHENT));
  fact("  AT_PAGESZ %lu, AT_CLKTCK %lu, AT_SECURE %lu", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
       getauxval(AT_SECURE));
  fact("  AT_UID is mine: %d, AT_EUID: %d", getauxval(AT_UID) == getuid(),
       getauxval(AT_EUID) == geteuid());
  const unsigned char* random = (void*)getauxval(AT_RANDOM);
  int different = 0;
  for (int i = 1; random != NULL && i < 16; ++i) different |= random[i] != random[0];
  fact("  AT_RANDOM: 16 bytes %d, AT_PLATFORM %s", different, (const char*)getauxval(AT_PLATFORM));
  fact("  AT_EXECFN: %d, AT_ENTRY set: %d", strcmp((const char*)getauxval(AT_EXECFN), self) == 0,
       getauxval(AT_ENTRY) != 0);
  uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
  fact("  strings lie above the stack: %d, in order: %d", (uintptr_t)self > stack,
       (uintptr_t)environ[0] > (uintptr_t)self);
  return 0;
}

static void run(const char* what, char** argv, char** envp) {
  fact("%s", what);
  int status;
  pid_t child = fork();
  if (child == 0) {
    execve(argv[0], argv, envp);
    fact("  cannot: %s", strerrorname_np(errno));
    _exit(1);
  }
  waitpid(child, &status, 0);
  fact("  %s", in_words(status));
}

static void write_file(const char* name, const void* data, size_t size, mode_t mode) {
  unlink(name);
  int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) fact("cannot write %s", name);
  close(fd);
  chmod(name, mode);
}

static void scripts(char* directory) {
  char script[256], deep[256], text[600];
  snprintf(script, sizeof script, "%s/script", directory);
  snprintf(text, sizeof text, "#!%s show  one argument \nrest\n", self);
  write_file(script, text, strlen(text), 0755);
  char* envp[] = {"A=1", NULL};
  // Only the part that does not depend on where the directory is.
  char* argv[] = {script, "x", "y", NULL};
  fact("a script");
  int ends[2], status;
  if (pipe(ends) != 0) return;
  if (fork() == 0) {
    dup2(ends[1], 1);
    execve(script, argv, envp);
    _exit(1);
  }
  close(ends[1]);
  char output[1000] = "";
  size_t n = 0;
  ssize_t got;
  while ((got = read(ends[0], output + n, sizeof output - 1 - n)) > 0) n += (size_t)got;
  output[n] = 0;
  close(ends[0]);
  wait(&status);
  for (char* at; (at = strstr(output, directory)) != NULL;)
    memmove(at, at + strlen(directory), strlen(at + strlen(directory)) + 1);
  fact("%s  %s", output, in_words(status));

  snprintf(deep, sizeof deep, "%s/deep", directory);
  for (int i = 0; i < 7; ++i) {
    char name[300], next[300];
    snprintf(name, sizeof name, "%s%d", deep, i);
    snprintf(next, sizeof next, "#!%s%d\n", deep, i + 1);
    write_file(name, next, strlen(next), 0755);
  }
  snprintf(deep + strlen(deep), 3, "0");
  run("scripts that never end", (char*[]){deep, NULL}, envp);
}

static void refusals(char* directory) {
  char name[256];
  char* envp[] = {NULL};
  snprintf(name, sizeof name, "%s/none", directory);
  unlink(name);
  run("no such file", (char*[]){name, NULL}, envp);
  run("a directory", (char*[]){directory, NULL}, envp);
  snprintf(name, sizeof name, "%s/file", directory);
  write_file(name, "hello", 5, 0644);
  run("not executable", (char*[]){name, NULL}, envp);
  write_file(name, "hello", 5, 0755);
  run("not a program", (char*[]){name, NULL}, envp);
  write_file(name, "", 0, 0755);
  run("empty", (char*[]){name, NULL}, envp);
  write_file(name, "#!\n", 3, 0755);
  run("a script without an interpreter", (char*[]){name, NULL}, envp);
  write_file(name, "#!/no/such\n", 11, 0755);
  run("a script with one that is not there", (char*[]){name, NULL}, envp);
  Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_phoff = sizeof header,
                       .e_ehsize = sizeof header,
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 1};
  write_file(name, &header, sizeof header, 0755);
  run("an ELF header alone", (char*[]){name, NULL}, envp);
  header.e_machine = EM_AARCH64;
  write_file(name, &header, sizeof header, 0755);
  run("for another machine", (char*[]){name, NULL}, envp);
  header.e_machine = EM_X86_64;
  header.e_phnum = 0;
  write_file(name, &header, sizeof header, 0755);
  run("without segments", (char*[]){name, NULL}, envp);
  write_file(name, &header, 20, 0755);
  run("cut off", (char*[]){name, NULL}, envp);
}

static void too_big(void) {
  static char big[140000];
  memset(big, 'x', sizeof big - 1);
  run("an argument of 140,000 bytes", (char*[]){(char*)self, big, NULL}, (char*[]){NULL});
  enum { kCount = 300 };
  static char piece[10000];
  memset(piece, 'y', sizeof piece - 1);
  static char* many[kCount + 3];
  many[0] = (char*)self;
  many[1] = "count";
  for (int i = 0; i < kCount; ++i) many[2 + i] = piece;
  run("3 MB of arguments", many, (char*[]){NULL});
  many[100] = NULL;
  run("1 MB of arguments", many, (char*[]){NULL});
}

static void ignore(int signal) { (void)signal; }

static void what_survives(char* directory) {
  char kept[16], closed[16], mask[16];
  int keep = open("/dev/null", O_RDONLY), close_it = open("/dev/null", O_RDONLY | O_CLOEXEC);
  snprintf(kept, sizeof kept, "%d", keep);
  snprintf(closed, sizeof closed, "%d", close_it);
  snprintf(mask, sizeof mask, "%d", SIGUSR2);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGUSR1, ignore);
  signal(SIGTERM, SIG_IGN);
  (void)directory;
  run("what survives", (char*[]){(char*)self, "survivor", kept, closed, NULL}, (char*[]){NULL});
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  signal(SIGTERM, SIG_DFL);
}

static int survivor(char** argv) {
  struct stat info;
  fact("  descriptor without close-on-exec is open: %s; with it: %s",
       outcome(fstat(atoi(argv[2]), &info)), outcome(fstat(atoi(argv[3]), &info)));
  sigset_t set;
  sigprocmask(SIG_SETMASK, NULL, &set);
  struct sigaction usr1, term;
  sigaction(SIGUSR1, NULL, &usr1);
  sigaction(SIGTERM, NULL, &term);
  fact("  mask kept %d, handler reset %d, ignored stays %d", sigismember(&set, SIGUSR2),
       usr1.sa_handler == SIG_DFL, term.sa_handler == SIG_IGN);
  return 0;
}

int main(int argc, char** argv) {
  self = argv[0];
  if (argc > 1 && strcmp(argv[1], "show  one argument") == 0) return show(argc, argv);
  if (argc > 1 && strcmp(argv[1], "show one argument") == 0) return show(argc, argv);
  if (argc > 1 && strncmp(argv[1], "show", 4) == 0) return show(argc, argv);
  if (argc > 1 && strcmp(argv[1], "aux") == 0) return auxiliary();
  if (argc > 1 && strcmp(argv[1], "count") == 0) return argc % 100;
  if (argc > 1 && strcmp(argv[1], "survivor") == 0) return survivor(argv);
  char directory[] = "/tmp/quire-exec-XXXXXX";
  if (mkdtemp(directory) == NULL) return 98;
  run("arguments and environment", (char*[]){(char*)self, "show", "", "b c", NULL},
      (char*[]){"X=1", "Y=", NULL});
  run("the auxiliary vector", (char*[]){(char*)self, "aux", NULL}, (char*[]){"X=1", NULL});
  scripts(directory);
  refusals(directory);
  too_big();
  what_survives(directory);
  return 0;
}
