// What a program tells the kernel about a file's future, and when its bytes are to be written back: sync_file_range(2), readahead(2),
// posix_fadvise(2), fsync(2). In the directory that is named, or /tmp.
#include "facts.h"

#include <fcntl.h>
#include <sys/socket.h>

static int file, read_only, write_only, directory, pipe_end, unix_socket;

static void each(const char* call, long (*make)(int fd)) {
  const struct {
    const char* name;
    int fd;
  } kinds[] = {{"a file", file},           {"a file open for reading", read_only}, {"a file open for writing", write_only},
               {"a directory", directory}, {"a pipe", pipe_end},                   {"a socket", unix_socket},
               {"nothing", 999}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i) {
    const long result = make(kinds[i].fd);
    fact("%s of %s: %s", call, kinds[i].name, outcome(result));
  }
}

static long write_out(int fd) { return sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE); }
static long read_ahead(int fd) { return readahead(fd, 0, 4096); }
static long synchronise(int fd) { return fsync(fd); }

static void ranges(void) {
  const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  tell("to the end", sync_file_range(file, 0, 0, all));
  tell("beyond the end", sync_file_range(file, 1 << 20, 4096, all));
  tell("nothing asked for", sync_file_range(file, 0, 4096, 0));
  tell("an unknown flag", sync_file_range(file, 0, 4096, 8));
  tell("a negative offset", sync_file_range(file, -1, 4096, all));
  tell("a negative length", sync_file_range(file, 0, -1, all));
  tell("an end beyond all offsets", sync_file_range(file, INT64_MAX, 2, all));
  tell("an unknown flag of a pipe", sync_file_range(pipe_end, 0, 0, 8));
  tell("reading ahead beyond the end", readahead(file, 1 << 20, 4096));
  tell("reading ahead before the beginning", readahead(file, -1, 4096));
  tell("reading ahead more than there can be", readahead(file, 0, SIZE_MAX));
  tell("advice about what is before the beginning", posix_fadvise(file, -1, 4096, POSIX_FADV_WILLNEED));
  tell("the last byte that can be", sync_file_range(file, INT64_MAX, 0, all));
}

int main(int count, char** words) {
  char name[200];
  snprintf(name, sizeof name, "%s/file_advice.XXXXXX", count > 1 ? words[1] : "/tmp");
  file = mkstemp(name);
  read_only = open(name, O_RDONLY);
  write_only = open(name, O_WRONLY);
  unlink(name);
  directory = open("/tmp", O_RDONLY | O_DIRECTORY);
  int ends[2];
  pipe(ends);
  pipe_end = ends[0];
  unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);
  write(file, "text", 4);
  each("sync_file_range", write_out);
  each("readahead", read_ahead);
  each("fsync", synchronise);
  ranges();
  return 0;
}
