// Linux as oracle: the same random calls on the host's file system and on ours give the same
// results, errors and trees.
//
// The host's side works in a directory of its own on a tmpfs (/dev/shm); ours on a memory root, and
// on an overlay whose lower part already holds the tree that both start with. Paths never lead
// above the directory they start from.
#include <asm/unistd.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "kernel_fs/fixture.h"

namespace quire::kernel::test {
namespace {

constexpr auto kCwd = static_cast<std::uint64_t>(AT_FDCWD);

/// One of the two systems: makes calls and answers −errno for errors.
using Caller = std::int64_t (*)(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                                std::uint64_t d, std::uint64_t e);

std::int64_t call_host(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                       std::uint64_t d, std::uint64_t e) {
  const long result = ::syscall(number, a, b, c, d, e);
  return result < 0 ? -errno : result;
}
std::int64_t call_ours(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                       std::uint64_t d, std::uint64_t e) {
  return sys(static_cast<int>(number), a, b, c, d, e);
}

/// A call with its paths, made anew for each side. Results that differ for good reason (inode
/// numbers, times) are not in `seen`.
struct Operation {
  std::string text;
  std::function<std::string(Caller)> run;
};

std::string number(std::int64_t n) { return std::to_string(n); }

std::string describe(const struct stat& s) {
  std::ostringstream out;
  out << std::oct << s.st_mode << std::dec << ' ' << s.st_uid << ':' << s.st_gid;
  if (!S_ISDIR(s.st_mode)) out << ' ' << s.st_nlink << ' ' << s.st_size;
  return out.str();
}

std::string stat_result(Caller call, const std::string& path, int flags) {
  struct stat s = {};
  const std::int64_t result =
      call(__NR_newfstatat, kCwd, arg(path.c_str()), arg(&s), static_cast<std::uint64_t>(flags), 0);
  return result < 0 ? number(result) : describe(s);
}

std::string open_result(Caller call, const std::string& path, int flags, const std::string& text) {
  const std::int64_t fd =
      call(__NR_openat, kCwd, arg(path.c_str()), static_cast<std::uint64_t>(flags), 0664, 0);
  if (fd < 0) return number(fd);
  const auto file = static_cast<std::uint64_t>(fd);
  std::string seen = "opened";
  char buffer[64];
  const std::int64_t read = call(__NR_read, file, arg(buffer), sizeof buffer, 0, 0);
  seen += read < 0 ? " read " + number(read)
                   : " read " + std::string(buffer, static_cast<std::size_t>(read));
  seen += " wrote " + number(call(__NR_write, file, arg(text.data()), text.size(), 0, 0));
  seen += " at " + number(call(__NR_lseek, file, 0, SEEK_CUR, 0, 0));
  struct stat s = {};
  seen += " stat " + number(call(__NR_fstat, file, arg(&s), 0, 0, 0)) + " " + describe(s);
  call(__NR_close, file, 0, 0, 0, 0);
  return seen;
}

std::string readlink_result(Caller call, const std::string& path) {
  char buffer[64];
  const std::int64_t n = call(__NR_readlink, arg(path.c_str()), arg(buffer), sizeof buffer, 0, 0);
  return n < 0 ? number(n) : std::string(buffer, static_cast<std::size_t>(n));
}

/// Whom the tests of permissions become.
constexpr std::uint64_t kUser = 1000;

/// Whether the host guards sticky directories as Quire does; Debian's own settings are stricter.
bool guards_sticky_directories_alike() {
  for (const auto& [name, wanted] :
       {std::pair{"symlinks", '0'}, {"hardlinks", '1'}, {"regular", '0'}, {"fifos", '0'}}) {
    if (std::ifstream(std::string("/proc/sys/fs/protected_") + name).get() != wanted) return false;
  }
  return true;
}

class Generator {
 public:
  Generator(unsigned seed, bool is_root) : random_(seed), is_root_(is_root) {}

  Operation next() {
    const std::string a = path(), b = path();
    switch (pick(23)) {
      case 0:
      case 1: {
        return {"mkdir " + a, [a](Caller call) {
                  return number(call(__NR_mkdir, arg(a.c_str()), 0775, 0, 0, 0));
                }};
      }
      case 2:
        return {"rmdir " + a,
                [a](Caller call) { return number(call(__NR_rmdir, arg(a.c_str()), 0, 0, 0, 0)); }};
      case 3:
        return {"unlink " + a,
                [a](Caller call) { return number(call(__NR_unlink, arg(a.c_str()), 0, 0, 0, 0)); }};
      case 4:
      case 5:
      case 6: {
        const unsigned flags = pick(4) == 0 ? pick(4) : 0;
        return {"rename " + a + " " + b + " " + number(flags), [a, b, flags](Caller call) {
                  return number(
                      call(__NR_renameat2, kCwd, arg(a.c_str()), kCwd, arg(b.c_str()), flags));
                }};
      }
      case 7: {
        const unsigned flags = pick(2) == 0 ? AT_SYMLINK_FOLLOW : 0;
        return {
            "link " + a + " " + b + " " + number(flags), [a, b, flags](Caller call) {
              return number(call(__NR_linkat, kCwd, arg(a.c_str()), kCwd, arg(b.c_str()), flags));
            }};
      }
      case 8:
      case 9: {
        const std::string target = plain_path();
        return {"symlink " + target + " " + a, [a, target](Caller call) {
                  return number(call(__NR_symlink, arg(target.c_str()), arg(a.c_str()), 0, 0, 0));
                }};
      }
      case 10:
        return {"stat " + a, [a](Caller call) { return stat_result(call, a, 0); }};
      case 11:
        return {"lstat " + a,
                [a](Caller call) { return stat_result(call, a, AT_SYMLINK_NOFOLLOW); }};
      case 12:
        return {"readlink " + a, [a](Caller call) { return readlink_result(call, a); }};
      case 13: {
        const std::uint64_t size = pick(3) * 40;
        return {"truncate " + a + " " + number(static_cast<std::int64_t>(size)),
                [a, size](Caller call) {
                  return number(call(__NR_truncate, arg(a.c_str()), size, 0, 0, 0));
                }};
      }
      case 14: {
        constexpr std::uint64_t kModes[] = {0,    0300, 0500,  0555,  0644,  0666, 0700,
                                            0755, 0777, 01777, 02775, 04755, 06666};
        std::uint64_t mode = is_root_ ? kModes[4 + pick(9)] : kModes[pick(13)];
        if (mode == 01777 && !guards_alike_) mode = 0777;
        return {"chmod " + a + " " + number(static_cast<std::int64_t>(mode)),
                [a, mode](Caller call) {
                  return number(call(__NR_chmod, arg(a.c_str()), mode, 0, 0, 0));
                }};
      }
      case 15: {
        const std::uint64_t mode = pick(9);
        return {"access " + a + " " + number(static_cast<std::int64_t>(mode)),
                [a, mode](Caller call) {
                  return number(call(__NR_access, arg(a.c_str()), mode, 0, 0, 0));
                }};
      }
      case 16: {
        constexpr std::uint64_t kIds[] = {0, kUser, ~std::uint64_t{0}};
        const std::uint64_t uid = kIds[pick(3)], gid = kIds[pick(3)],
                            flags = pick(2) == 0 ? AT_SYMLINK_NOFOLLOW : 0;
        return {"chown " + a + " " + number(static_cast<std::int64_t>(uid)) + ":" +
                    number(static_cast<std::int64_t>(gid)),
                [a, uid, gid, flags](Caller call) {
                  return number(call(__NR_fchownat, kCwd, arg(a.c_str()), uid, gid, flags));
                }};
      }
      case 17: {
        constexpr std::uint64_t kTypes[] = {0,       S_IFREG, S_IFIFO, S_IFSOCK,
                                            S_IFDIR, S_IFLNK, S_IFCHR};
        const std::uint64_t mode = kTypes[pick(is_root_ ? 6 : 7)] | 0666;
        return {"mknod " + a + " " + number(static_cast<std::int64_t>(mode)),
                [a, mode](Caller call) {
                  return number(call(__NR_mknod, arg(a.c_str()), mode, 0x103, 0, 0));
                }};
      }
      case 18: {
        const bool sets = pick(2) == 0;
        return {
            "utimensat " + a, [a, sets](Caller call) {
              const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}};
              return number(
                  call(__NR_utimensat, kCwd, arg(a.c_str()), sets ? arg(times) : 0, 0, 0));
            }};
      }
      default:
        return open(a);
    }
  }

 private:
  unsigned pick(unsigned n) { return static_cast<unsigned>(random_() % n); }

  Operation open(const std::string& a) {
    int flags = static_cast<int>(pick(3));
    for (const int flag :
         {O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_PATH}) {
      if (pick(4) == 0) flags |= flag;
    }
    // Linux changed its mind about this one between the versions a host may have.
    if ((flags & O_CREAT) != 0) flags &= ~O_DIRECTORY;
    flags |= O_NONBLOCK;  // fifos
    const std::string text(pick(30), static_cast<char>('a' + pick(26)));
    return {"open " + a + " flags " + number(flags),
            [a, flags, text](Caller call) { return open_result(call, a, flags, text); }};
  }

  /// One to three names of a small set.
  std::string plain_path() {
    std::string result;
    for (unsigned depth = 1 + pick(3); depth > 0; --depth) {
      if (!result.empty()) result += '/';
      result += static_cast<char>('a' + pick(3));
    }
    return result;
  }
  /// The same with what paths may have besides.
  std::string path() {
    std::string result = plain_path();
    switch (pick(16)) {
      case 0:
        return result + "/";
      case 1:
        return result + "/.";
      case 2:
        return result + "/..";
      case 3:
        return "./" + result;
      case 4:
        return result + "//" + static_cast<char>('a' + pick(3));
      case 5:
        return pick(8) == 0 ? std::string(300, 'n') : result;
      case 6:
        return pick(8) == 0 ? "" : result;
      case 7:
        return pick(8) == 0 ? "." : result;
      default:
        return result;
    }
  }

  std::mt19937 random_;
  bool is_root_;
  bool guards_alike_ = guards_sticky_directories_alike();
};

/// Every name below `path`, with what lstat says, links' targets and files' contents.
void write_tree(Caller call, const std::string& path, std::ostream& out) {
  out << path << ": " << stat_result(call, path, AT_SYMLINK_NOFOLLOW) << ' '
      << readlink_result(call, path) << '\n';
  const std::int64_t fd =
      call(__NR_openat, kCwd, arg(path.c_str()), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, 0);
  if (fd < 0) return;
  const auto file = static_cast<std::uint64_t>(fd);
  std::vector<std::string> names;
  std::vector<char> buffer(4096);
  for (;;) {
    const std::int64_t n = call(__NR_getdents64, file, arg(buffer.data()), buffer.size(), 0, 0);
    if (n <= 0) break;
    for (std::int64_t at = 0; at < n;
         at += *reinterpret_cast<std::uint16_t*>(buffer.data() + at + 16)) {
      names.emplace_back(buffer.data() + at + 19);
    }
  }
  const std::int64_t size = call(__NR_read, file, arg(buffer.data()), buffer.size(), 0, 0);
  if (size > 0) out << std::string(buffer.data(), static_cast<std::size_t>(size)) << '\n';
  call(__NR_close, file, 0, 0, 0, 0);
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (name != "." && name != "..") write_tree(call, path + "/" + name, out);
  }
}

std::string tree(Caller call) {
  std::ostringstream out;
  write_tree(call, ".", out);
  return out.str();
}

/// A directory on the host's tmpfs that the process works in while this lives.
class HostDirectory {
 public:
  HostDirectory() {
    char name[] = "/dev/shm/quire-oracle-XXXXXX";
    if (mkdtemp(name) == nullptr) return;
    path_ = name;
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(path_);
    umask_ = ::umask(022);
  }
  ~HostDirectory() {
    if (path_.empty()) return;
    ::umask(umask_);
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }
  [[nodiscard]] bool is_there() const { return !path_.empty(); }

 private:
  std::filesystem::path path_, before_;
  mode_t umask_ = 0;
};

void compare(unsigned seed, unsigned operations) {
  Generator generator(seed, ::geteuid() == 0);
  std::vector<std::string> history;
  for (unsigned i = 0; i < operations; ++i) {
    const Operation operation = generator.next();
    const std::string host = operation.run(call_host), ours = operation.run(call_ours);
    history.push_back(operation.text + " -> " + host);
    bool differs = host != ours;
    std::string what = host + " on Linux, " + ours + " on Quire";
    if (!differs && i % 16 == 15) {
      const std::string linux_tree = tree(call_host), our_tree = tree(call_ours);
      differs = linux_tree != our_tree;
      what = "trees:\n" + linux_tree + "and\n" + our_tree;
    }
    if (!differs) continue;
    std::string context;
    for (std::size_t k = history.size() > 40 ? history.size() - 40 : 0; k < history.size(); ++k)
      context += history[k] + "\n";
    FAIL() << "seed " << seed << ", operation " << i << ": " << operation.text << ": " << what
           << "\n"
           << context;
  }
}

void become_the_host_user() {
  Credentials& c = machine().credentials;
  c.uid = c.euid = c.suid = c.fsuid = ::geteuid();
  c.gid = c.egid = c.sgid = c.fsgid = ::getegid();
  if (c.euid != 0) c.capabilities = {};
}

constexpr unsigned kSeeds = 60, kOperations = 2000;

class OracleMemory : public MemoryRoot {};

TEST_F(OracleMemory, DoesWhatLinuxDoes) {
  for (unsigned seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    HostDirectory host;
    if (!host.is_there()) GTEST_SKIP() << "no /dev/shm here";
    if (seed > 1) {
      TearDown();
      SetUp();
    }
    become_the_host_user();
    sys(__NR_chmod, arg("/"), 0777);
    ::chmod(".", 0777);
    compare(seed, kOperations);
  }
}

/// An ordinary user on both sides while this lives. Only root can become one and come back.
class AsUser {
 public:
  AsUser() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kUser, kUser, 0) != 0 ||
        ::setresuid(kUser, kUser, 0) != 0)
      std::abort();
    become_the_host_user();
  }
  ~AsUser() {
    if (::setresuid(0, 0, 0) != 0 || ::setresgid(0, 0, 0) != 0) std::abort();
  }
};

/// Something of root's for the user to run into, the same on both sides.
void make_roots_things(Caller call) {
  for (const auto& [name, mode] : {std::pair{"a", 0777U},
                                   {"b", guards_sticky_directories_alike() ? 01777U : 0777U},
                                   {"c", 0755U},
                                   {"a/a", 02777U}}) {
    call(__NR_mkdir, arg(name), 0, 0, 0, 0);
    call(__NR_chmod, arg(name), mode, 0, 0, 0);
  }
  for (const auto& [name, mode] :
       {std::pair{"a/b", 0644U}, {"b/a", 0666U}, {"b/b", 04755U}, {"c/c", 0600U}}) {
    call(__NR_mknod, arg(name), S_IFREG, 0, 0, 0);
    call(__NR_chmod, arg(name), mode, 0, 0, 0);
  }
  call(__NR_symlink, arg("a/b"), arg("b/c"), 0, 0, 0);
}

TEST_F(OracleMemory, RefusesWhatLinuxRefusesAnOrdinaryUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  for (unsigned seed = 1001; seed <= 1000 + kSeeds && !HasFailure(); ++seed) {
    HostDirectory host;
    if (!host.is_there()) GTEST_SKIP() << "no /dev/shm here";
    TearDown();
    SetUp();
    ::chmod(".", 0777);
    sys(__NR_chmod, arg("/"), 0777);
    make_roots_things(call_host);
    make_roots_things(call_ours);
    AsUser user;
    compare(seed, kOperations);
  }
}

class OracleOverlay : public OverlayRoot {
 protected:
  void populate(const std::string& path, std::uint32_t mode, const std::string& data) {
    const NinePServer::NodeRef node = server.add("/" + path, mode, data);
    node->uid = ::geteuid();
    node->gid = ::getegid();
    if (S_ISDIR(mode)) {
      ::mkdir(path.c_str(), mode & 0777);
    } else if (S_ISLNK(mode)) {
      ASSERT_EQ(::symlink(data.c_str(), path.c_str()), 0);
    } else {
      std::ofstream(path) << data;
    }
    if (!S_ISLNK(mode)) ::chmod(path.c_str(), mode & 0777);
  }
};

TEST_F(OracleOverlay, DoesWhatLinuxDoes) {
  for (unsigned seed = 1; seed <= kSeeds && !HasFailure(); ++seed) {
    HostDirectory host;
    if (!host.is_there()) GTEST_SKIP() << "no /dev/shm here";
    if (seed > 1) TearDown();
    server.remove_all();
    server.find("/")->uid = ::geteuid();
    ::chmod(".", 0755);
    for (const char* directory : {"a", "b", "a/b", "a/c"}) populate(directory, S_IFDIR | 0755, "");
    for (const char* file : {"c", "a/a", "a/b/c", "b/b"})
      populate(file, S_IFREG | 0644, std::string("contents of ") + file);
    populate("a/b/a", S_IFLNK | 0777, "c");
    populate("b/a", S_IFLNK | 0777, "c");
    start();
    become_the_host_user();
    compare(seed, kOperations);
  }
  if (machine().fs == nullptr) start();
}

}  // namespace
}  // namespace quire::kernel::test
