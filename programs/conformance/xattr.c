// Extended attributes of files in memory: setting, reading, lists, who may. man7 xattr(7).
#include "facts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static char path[64], other[80];

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void tell_list(void) {
  char names[256], *sorted[16];
  int count = 0;
  const ssize_t size = listxattr(path, names, sizeof names);
  for (char* name = names; name < names + size; name += strlen(name) + 1) sorted[count++] = name;
  qsort(sorted, (size_t)count, sizeof *sorted, by_name);
  fact("list of %zd:", size);
  for (int i = 0; i < count; ++i) fact("  %s", sorted[i]);
}

static void names(void) {
  static const char* const kNames[] = {"user.a", "user.", "user", "trusted.a", "security.a", "system.a", "nothing", "", "trusted."};
  for (unsigned i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
    fact("set \"%s\": %s", kNames[i], outcome(setxattr(path, kNames[i], "value", 5, 0)));
    fact("get: %s", outcome(getxattr(path, kNames[i], NULL, 0)));
  }
  tell_list();
  char longest[300];
  memset(longest, 'x', sizeof longest);
  memcpy(longest, "user.", 5);
  longest[255] = '\0';
  fact("255 letters: %s", outcome(setxattr(path, longest, "", 0, 0)));
  fact("removed: %s", outcome(removexattr(path, longest)));
  longest[255] = 'x';
  longest[256] = '\0';
  fact("256 letters: %s", outcome(setxattr(path, longest, "", 0, 0)));
}

static void values(void) {
  char value[16] = "";
  fact("read: %zd", getxattr(path, "user.a", value, sizeof value));
  fact("it is: %s, of %zd", value, getxattr(path, "user.a", NULL, 0));
  fact("too small: %s", outcome(getxattr(path, "user.a", value, 4)));
  fact("to nowhere: %s", outcome(getxattr(path, "user.a", bad_address, 5)));
  fact("from nowhere: %s", outcome(setxattr(path, "user.b", bad_address, 5, 0)));
  fact("create again: %s", outcome(setxattr(path, "user.a", "", 0, XATTR_CREATE)));
  fact("replace nothing: %s", outcome(setxattr(path, "user.b", "", 0, XATTR_REPLACE)));
  fact("replace: %s", outcome(setxattr(path, "user.a", "longer than before", 18, XATTR_REPLACE)));
  fact("length: %zd", getxattr(path, "user.a", NULL, 0));
  fact("create: %s", outcome(setxattr(path, "user.b", "", 0, XATTR_CREATE)));
  fact("length: %zd", getxattr(path, "user.b", value, sizeof value));
  fact("both flags: %s", outcome(setxattr(path, "user.b", "", 0, XATTR_CREATE | XATTR_REPLACE)));
  fact("other flags: %s", outcome(setxattr(path, "user.b", "", 0, 4)));
  static char large[65537];
  fact("largest: %s", outcome(setxattr(path, "user.c", large, 65536, 0)));
  fact("too large: %s", outcome(setxattr(path, "user.c", large, 65537, 0)));
  fact("removed: %s", outcome(removexattr(path, "user.c")));
  fact("once more: %s", outcome(removexattr(path, "user.c")));
  fact("read: %s", outcome(getxattr(path, "user.c", NULL, 0)));
  char list[4];
  fact("list, too small: %s", outcome(listxattr(path, list, sizeof list)));
  fact("list, its size: %zd", listxattr(path, NULL, 0));
}

static void files(void) {
  const int fd = open(path, O_RDONLY);
  fact("by descriptor: %s", outcome(fsetxattr(fd, "user.d", "d", 1, 0)));
  fact("seen by name: %zd", getxattr(path, "user.d", NULL, 0));
  const int place = open(path, O_PATH);
  fact("by a path's descriptor: %s", outcome(fgetxattr(place, "user.d", NULL, 0)));
  close(place);
  close(fd);
  snprintf(other, sizeof other, "%s.link", path);
  symlink(path, other);
  fact("through a link: %zd", getxattr(other, "user.d", NULL, 0));
  fact("of a link: %s", outcome(lsetxattr(other, "user.e", "e", 1, 0)));
  fact("of a link: %s", outcome(lgetxattr(other, "user.e", NULL, 0)));
  fact("of a link, trusted: %s", outcome(lsetxattr(other, "trusted.e", "e", 1, 0)));
  unlink(other);
  mkdir(other, 0755);
  fact("of a directory: %s", outcome(setxattr(other, "user.f", "f", 1, 0)));
  rmdir(other);
  mkfifo(other, 0644);
  fact("of a pipe: %s", outcome(setxattr(other, "user.f", "f", 1, 0)));
  unlink(other);
  link(path, other);
  fact("by another name: %zd", getxattr(other, "user.d", NULL, 0));
  unlink(other);
  rename(path, other);
  fact("renamed: %zd", getxattr(other, "user.d", NULL, 0));
  rename(other, path);
  fact("not there: %s", outcome(getxattr(other, "user.d", NULL, 0)));
}

static void others(void) {
  if (setresgid(1001, 1001, 1001) != 0 || setresuid(1001, 1001, 1001) != 0) _exit(1);
  fact("others read: %s", outcome(getxattr(path, "user.d", NULL, 0)));
  fact("others change: %s", outcome(setxattr(path, "user.d", "", 0, 0)));
  fact("others, trusted: %s", outcome(setxattr(path, "trusted.d", "", 0, 0)));
  fact("others read, trusted: %s", outcome(getxattr(path, "trusted.a", NULL, 0)));
  fact("others, security: %s", outcome(setxattr(path, "security.d", "", 0, 0)));
  fact("others read, security: %s", outcome(getxattr(path, "security.a", NULL, 0)));
  tell_list();
}

int main(void) {
  snprintf(path, sizeof path, "/dev/shm/xattr.%d", getpid());
  close(open(path, O_CREAT | O_RDWR, 0644));
  names();
  values();
  files();
  IN_CHILD("others", others());
  unlink(path);
  return 0;
}
