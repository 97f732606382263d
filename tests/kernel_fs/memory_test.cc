// Files in memory: contents, sizes, holes, limits, names.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "fs/dentry.h"
#include "fs/permission.h"
#include "kernel_fs/fixture.h"
#include "mm/memory.h"

namespace quire::kernel::test {
namespace {

using Names = std::vector<std::string>;

class Memory : public MemoryRoot {};

/// Runs of one character each.
std::string runs(std::initializer_list<std::pair<std::size_t, char>> parts) {
  std::string text;
  for (const auto& [length, character] : parts) text.append(length, character);
  return text;
}

TEST_F(Memory, KeepsWhatWasWritten) {
  EXPECT_EQ(store("/file", "hello", O_CREAT | O_WRONLY), 5);
  EXPECT_EQ(load("/file"), "hello");
  EXPECT_EQ(info("/file").size, 5U);
}

TEST_F(Memory, ReadsHolesAsZeros) {
  const int fd = open_file("/sparse", O_CREAT | O_RDWR);
  EXPECT_EQ(sys(__NR_pwrite64, static_cast<std::uint64_t>(fd), arg("end"), 3, 3 * 4096 + 1), 3);
  EXPECT_EQ(read_text(fd), runs({{3 * 4096 + 1, '\0'}, {1, 'e'}, {1, 'n'}, {1, 'd'}}));
  EXPECT_EQ(pages_in_use(), 1);
  close_file(fd);
}

TEST_F(Memory, ShowsZerosWhereAFileWasCutAndGrewAgain) {
  store("/file", std::string(6000, 'x'), O_CREAT | O_WRONLY);
  EXPECT_EQ(sys(__NR_truncate, arg("/file"), 10), 0);
  EXPECT_EQ(sys(__NR_truncate, arg("/file"), 5000), 0);
  EXPECT_EQ(load("/file"), runs({{10, 'x'}, {4990, '\0'}}));
}

TEST_F(Memory, FarOffsetsNeedNoMoreMemoryThanNearOnes) {
  const int fd = open_file("/far", O_CREAT | O_RDWR);
  constexpr std::uint64_t kFar = std::uint64_t{1} << 60;
  EXPECT_EQ(sys(__NR_pwrite64, static_cast<std::uint64_t>(fd), arg("x"), 1, kFar), 1);
  EXPECT_EQ(pages_in_use(), 1);
  EXPECT_EQ(info("/far").size, kFar + 1);
  EXPECT_EQ(sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_DATA),
            static_cast<std::int64_t>(kFar));
  EXPECT_EQ(sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_HOLE), 0);
  close_file(fd);
}

TEST_F(Memory, WritingBeyondTheLargestSizeIsEfbig) {
  const int fd = open_file("/file", O_CREAT | O_RDWR);
  EXPECT_EQ(sys(__NR_pwrite64, static_cast<std::uint64_t>(fd), arg("x"), 1, ~std::uint64_t{0} >> 1),
            -EFBIG);
  close_file(fd);
}

TEST(SmallMemory, AFullFileSystemWritesWhatFitsAndThenSaysEnospc) {
  RefPtr<MemoryFs> fs = make_ref<MemoryFs>("tmpfs", std::uint64_t{TMPFS_MAGIC}, 2U, 10U);
  RefPtr<Inode> root = make_memory_root(fs, 0755);
  leave_boot_identity();
  start_task(mount_root(fs, root));
  const int fd = open_file("/file", O_CREAT | O_WRONLY);
  EXPECT_EQ(write_text(fd, std::string(10000, 'x')), 8192);
  EXPECT_EQ(write_text(fd, "y"), -ENOSPC);
  EXPECT_EQ(sys(__NR_ftruncate, static_cast<std::uint64_t>(fd), 4096), 0);
  EXPECT_EQ(write_text(fd, "y"), 1) << "what was cut off is given back";
  close_file(fd);
  root = nullptr;
  fs = nullptr;
  end_task();
}

// Rows: S0.23
TEST_F(Memory, MemoryThatRunsOutIsEnospcAndLosesNothing) {
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 100U) << "never ran through";
    const int fd = open_file("/file", O_CREAT | O_RDWR | O_TRUNC);
    write_text(fd, "kept");
    memory().pool().fail_after(n);
    const std::int64_t written = write_text(fd, std::string(3 * 4096, 'x'));
    const bool failed = memory().pool().failure_injected();
    memory().pool().fail_after(0);
    EXPECT_TRUE(written == -ENOSPC || written > 0);
    EXPECT_EQ(failed, written != 3 * 4096) << n;
    sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_SET);
    EXPECT_EQ(read_text(fd), "kept" + std::string(written < 0 ? 0 : static_cast<std::size_t>(written), 'x'));
    close_file(fd);
    if (!failed) break;
  }
}

TEST_F(Memory, ABadPointerIsEfaultAndLeavesNoTrace) {
  const int fd = open_file("/file", O_CREAT | O_WRONLY);
  EXPECT_EQ(sys(__NR_write, static_cast<std::uint64_t>(fd), 16, 4096), -EFAULT);
  EXPECT_EQ(info("/file").size, 0U);
  EXPECT_EQ(pages_in_use(), 0);
  close_file(fd);
}

TEST_F(Memory, AppendGoesToTheEndWhereverThePositionIs) {
  store("/file", "abc", O_CREAT | O_WRONLY);
  const int fd = open_file("/file", O_RDWR | O_APPEND);
  EXPECT_EQ(write_text(fd, "def"), 3);
  EXPECT_EQ(sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_CUR), 6);
  EXPECT_EQ(load("/file"), "abcdef");
  close_file(fd);
}

TEST_F(Memory, FileSizeLimitCutsTheWriteAndThenSignals) {
  machine().file_size_limit = 4;
  EXPECT_EQ(store("/file", "abcdef", O_CREAT | O_WRONLY), 4);
  const int fd = open_file("/file", O_WRONLY | O_APPEND);
  EXPECT_EQ(write_text(fd, "x"), -EFBIG);
  EXPECT_EQ(machine().signals, std::vector<int>{SIGXFSZ});
  close_file(fd);
}

TEST_F(Memory, PunchedHolesGiveTheirPagesBack) {
  const int fd = open_file("/file", O_CREAT | O_RDWR);
  write_text(fd, std::string(5 * 4096, 'x'));
  constexpr std::uint64_t kPunch = 3;  // FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
  EXPECT_EQ(sys(__NR_fallocate, static_cast<std::uint64_t>(fd), kPunch, 100, 3 * 4096), 0);
  EXPECT_EQ(pages_in_use(), 3);
  sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_SET);
  EXPECT_EQ(read_text(fd), runs({{100, 'x'}, {3 * 4096, '\0'}, {2 * 4096 - 100, 'x'}}));
  close_file(fd);
}

TEST_F(Memory, AnUnlinkedOpenFileLivesUntilItIsClosed) {
  const int fd = open_file("/file", O_CREAT | O_RDWR);
  write_text(fd, "still here");
  EXPECT_EQ(unlink_file("/file"), 0);
  EXPECT_EQ(load("/file"), "error 2");
  sys(__NR_lseek, static_cast<std::uint64_t>(fd), 0, SEEK_SET);
  EXPECT_EQ(read_text(fd), "still here");
  EXPECT_EQ(pages_in_use(), 1);
  close_file(fd);
  EXPECT_EQ(pages_in_use(), 0);
}

TEST_F(Memory, DirectoryReadsGoOnWhileNamesAreRemoved) {
  for (int i = 0; i < 100; ++i) store("/f" + std::to_string(i), "", O_CREAT | O_WRONLY);
  const int fd = open_file("/", O_RDONLY | O_DIRECTORY);
  std::size_t seen = 0;
  for (;;) {
    char buffer[256];
    const std::int64_t n =
        sys(__NR_getdents64, static_cast<std::uint64_t>(fd), arg(buffer), sizeof buffer);
    if (n <= 0) break;
    for (std::int64_t at = 0; at < n; at += *reinterpret_cast<std::uint16_t*>(buffer + at + 16)) {
      const std::string name = buffer + at + 19;
      if (name[0] != '.') seen += unlink_file("/" + name) == 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(seen, 100U);
  EXPECT_EQ(list("/"), Names());
  close_file(fd);
}

TEST_F(Memory, TreesDeeperThanAStackGoInOnePiece) {
  std::string path = "/d";
  make_directory(path);
  // By descriptors: the path would be too long.
  int directory = open_file("/d", O_RDONLY);
  for (int depth = 0; depth < 100'000; ++depth) {
    ASSERT_EQ(sys(__NR_mkdirat, static_cast<std::uint64_t>(directory), arg("d"), 0755), 0);
    const auto next = static_cast<int>(
        sys(__NR_openat, static_cast<std::uint64_t>(directory), arg("d"), O_RDONLY));
    close_file(directory);
    directory = next;
  }
  close_file(directory);
}

TEST_F(Memory, ARemovedWorkingDirectoryHasNoPathAndTakesNoNames) {
  make_directory("/gone");
  EXPECT_EQ(sys(__NR_chdir, arg("/gone")), 0);
  EXPECT_EQ(remove_directory("/gone"), 0);
  char buffer[64];
  EXPECT_EQ(sys(__NR_getcwd, arg(buffer), sizeof buffer), -ENOENT);
  EXPECT_EQ(open_file("file", O_CREAT | O_WRONLY), -ENOENT);
  EXPECT_EQ(make_directory("directory"), -ENOENT);
  EXPECT_EQ(info(".").links, 0U);
  EXPECT_EQ(info("..").error, 0);
}

TEST_F(Memory, OtherUsersAreHeldToTheModeBits) {
  store("/secret", "x", O_CREAT | O_WRONLY);
  sys(__NR_chmod, arg("/secret"), 0600);
  make_directory("/closed", 0700);
  make_directory("/sticky", 0755);
  sys(__NR_chmod, arg("/sticky"), 01777);
  store("/sticky/roots", "", O_CREAT | O_WRONLY);
  machine().credentials.fsuid = machine().credentials.uid = machine().credentials.euid = 1000;
  machine().credentials.capabilities = {};
  EXPECT_EQ(open_file("/secret", O_RDONLY), -EACCES);
  EXPECT_EQ(open_file("/closed/x", O_RDONLY), -EACCES);
  EXPECT_EQ(open_file("/new", O_CREAT | O_WRONLY), -EACCES);
  EXPECT_EQ(sys(__NR_chmod, arg("/secret"), 0666), -EPERM);
  EXPECT_EQ(sys(__NR_chown, arg("/secret"), 1000, 1000), -EPERM);
  EXPECT_EQ(unlink_file("/sticky/roots"), -EPERM);
  EXPECT_EQ(store("/sticky/mine", "", O_CREAT | O_WRONLY), 0);
  EXPECT_EQ(info("/sticky/mine").uid, 1000U);
  EXPECT_EQ(unlink_file("/sticky/mine"), 0);
  EXPECT_EQ(sys(__NR_access, arg("/secret"), R_OK), -EACCES);
}

TEST_F(Memory, EachCapabilityGivesItsPartOfRootsPower) {
  store("/closed", "x", O_CREAT | O_WRONLY);
  sys(__NR_chmod, arg("/closed"), 0);
  std::uint64_t& effective = machine().credentials.capabilities.effective;
  effective = 0;
  EXPECT_EQ(open_file("/closed", O_RDONLY), -EACCES);
  EXPECT_EQ(sys(__NR_chown, arg("/closed"), 1000, 1000), -EPERM);
  effective = std::uint64_t{1} << CAP_DAC_READ_SEARCH;
  EXPECT_GE(open_file("/closed", O_RDONLY), 0);
  EXPECT_EQ(open_file("/closed", O_RDWR), -EACCES);
  effective = std::uint64_t{1} << CAP_DAC_OVERRIDE;
  EXPECT_GE(open_file("/closed", O_RDWR), 0);
  EXPECT_EQ(sys(__NR_access, arg("/closed"), X_OK), -EACCES);
  effective = std::uint64_t{1} << CAP_CHOWN;
  EXPECT_EQ(sys(__NR_chown, arg("/closed"), 1000, 1000), 0);
  EXPECT_EQ(sys(__NR_chmod, arg("/closed"), 0700), -EPERM);
  effective = std::uint64_t{1} << CAP_FOWNER;
  EXPECT_EQ(sys(__NR_chmod, arg("/closed"), 0700), 0);
}

TEST_F(Memory, LocksOfOneProcessKeepAnotherOut) {
  const int fd = open_file("/file", O_CREAT | O_RDWR);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_start = 10;
  lock.l_len = 10;
  EXPECT_EQ(sys(__NR_fcntl, static_cast<std::uint64_t>(fd), F_SETLK, arg(&lock)), 0);
  const RefPtr<FdTable> mine = machine().files;
  machine().files = mine->clone();  // a child
  lock.l_start = 15;
  EXPECT_EQ(sys(__NR_fcntl, static_cast<std::uint64_t>(fd), F_SETLK, arg(&lock)), -EAGAIN);
  EXPECT_EQ(sys(__NR_fcntl, static_cast<std::uint64_t>(fd), F_GETLK, arg(&lock)), 0);
  EXPECT_EQ(lock.l_type, F_WRLCK);
  EXPECT_EQ(lock.l_start, 10);
  EXPECT_EQ(lock.l_len, 10);
  mine->close_all();
  lock.l_start = 15;
  EXPECT_EQ(sys(__NR_fcntl, static_cast<std::uint64_t>(fd), F_SETLK, arg(&lock)), 0);
}

}  // namespace
}  // namespace quire::kernel::test
