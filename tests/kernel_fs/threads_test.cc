// Several threads at once on one tree: nothing may tear (run with tsan), and afterwards every
// listed name can be looked up.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <random>
#include <thread>

#include "kernel_fs/fixture.h"

namespace quire::kernel::test {
namespace {

constexpr unsigned kThreads = 4, kOperations = 4000;

std::string random_path(std::mt19937& random) {
  std::string path;
  for (auto depth = 1 + random() % 3; depth > 0; --depth)
    path += std::string("/") + static_cast<char>('a' + random() % 3);
  return path;
}

void work(unsigned seed) {
  std::mt19937 random(seed);
  for (unsigned i = 0; i < kOperations; ++i) {
    const std::string a = random_path(random), b = random_path(random);
    switch (random() % 10) {
      case 0:
        make_directory(a);
        break;
      case 1:
        remove_directory(a);
        break;
      case 2:
        unlink_file(a);
        break;
      case 3:
        rename_file(a, b);
        break;
      case 4:
        rename_file(a, b, RENAME_EXCHANGE);
        break;
      case 5:
        link_file(a, b);
        break;
      case 6:
        list(a);
        break;
      case 7:
        load(a);
        break;
      case 8:
        if (random() % 8 == 0) dentry_cache().drop_idle();
        sys(__NR_chmod, arg(a.c_str()), 0755);
        break;
      default:
        store(a, std::string(random() % 10'000, 'x'),
              O_CREAT | O_WRONLY | (random() % 2 == 0 ? O_TRUNC : O_APPEND));
        break;
    }
  }
}

void expect_whole(const std::string& directory) {
  for (const std::string& name : list(directory + "/")) {
    const std::string path = directory + "/" + name;
    const FileInfo file = link_info(path);
    EXPECT_EQ(file.error, 0) << path;
    if (S_ISDIR(file.mode)) expect_whole(path);
  }
}

void run_threads() {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  expect_whole("");
  dentry_cache().drop_idle();
  expect_whole("");
}

class ThreadsMemory : public MemoryRoot {};
class ThreadsOverlay : public OverlayRoot {};

TEST_F(ThreadsMemory, LeaveAWholeTree) { run_threads(); }

TEST_F(ThreadsOverlay, LeaveAWholeTree) {
  for (const char* directory : {"/a", "/b", "/a/b", "/a/c"}) server.add(directory, S_IFDIR | 0755);
  for (const char* file : {"/c", "/a/a", "/a/b/c", "/b/b"})
    server.add(file, S_IFREG | 0644, std::string(9000, 'l'));
  start();
  run_threads();
}

}  // namespace
}  // namespace quire::kernel::test
