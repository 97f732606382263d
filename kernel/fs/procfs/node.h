// The inodes of procfs: directories, text files, links. What they have in common, and how a
// directory lists itself.
//
// Life cycle: made anew by every lookup; equal nodes have equal inode numbers. They hold no
// process, only its identity.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fs/directory_file.h"
#include "fs/vfs.h"
#include "task/task.h"

namespace quire::kernel {

/// Which process (or thread of it) a node is about; pid 0: the system. A number that was given away
/// again is told by the birth.
struct ProcessIdentity {
  Pid pid = 0;
  Pid tid = 0;  ///< 0: the process as a whole
  std::uint64_t start_ns = 0;

  /// Errors: ESRCH if it is not there any more.
  [[nodiscard]] Result<std::unique_ptr<ProcessSnapshot>> snapshot() const;
};

class ProcNode : public Inode {
 public:
  struct Owner {
    std::uint32_t uid = 0, gid = 0;
  };
  ProcNode(std::uint64_t number, std::uint32_t mode, Owner owner, std::uint64_t size = 0)
      : number_(number), mode_(mode), owner_(owner), size_(size) {}

  Result<Attributes> attributes() override;
  [[nodiscard]] bool cacheable() const override { return false; }
  /// Files have no size of their own to lose, so that a shell may write to them.
  Result<void> set_attributes(const AttributeChange& change) override;
  Result<RefPtr<File>> open(std::uint32_t flags) override;  // ELOOP, for links
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] Owner owner() const { return owner_; }

 private:
  std::uint64_t number_;
  std::uint32_t mode_;
  Owner owner_;
  std::uint64_t size_;
};

/// Takes a directory's entries one by one until whoever asked has enough. Positions of entries
/// ascend within a directory.
class EntryVisitor {
 public:
  EntryVisitor(std::uint64_t& offset, DirectorySink sink, void* context)
      : offset_(offset), sink_(sink), context_(context) {}
  /// Whether the entry at `position` is still to be given out.
  [[nodiscard]] bool wants(std::uint64_t position) const { return !full_ && position >= offset_; }
  [[nodiscard]] bool full() const { return full_; }
  void give(std::uint64_t position, std::string name, std::uint64_t inode, std::uint32_t mode);

 private:
  std::uint64_t& offset_;
  DirectorySink sink_;
  void* context_;
  bool full_ = false;
};

class ProcDirectory : public ProcNode {
 public:
  explicit ProcDirectory(std::uint64_t number, Owner owner = {}, std::uint32_t permissions = 0555);
  Result<RefPtr<File>> open(std::uint32_t flags) override;
  Result<RefPtr<Inode>> lookup(std::string_view name) override = 0;
  /// Gives out the entries. Errors: ENOENT if the process has gone.
  virtual Result<void> list(EntryVisitor& visitor) = 0;
};

/// A symbolic link whose text is known when it is looked up.
class ProcLink final : public ProcNode {
 public:
  ProcLink(std::uint64_t number, Owner owner, std::string target);
  Result<std::string> read_link() override { return target_; }

 private:
  std::string target_;
};

/// A link that leads to a name (cwd, root), or to an open file, which Linux says is 64 bytes long
/// and has the file's access mode as permissions.
class ProcJump final : public ProcNode {
 public:
  static constexpr std::uint64_t kFileLinkSize = 64;
  ProcJump(std::uint64_t number, Owner owner, RefPtr<Dentry> target,
           std::uint32_t permissions = 0777, std::uint64_t size = 0);
  ~ProcJump() override;
  Result<std::string> read_link() override;
  Result<RefPtr<Dentry>> follow_link() override;

 private:
  RefPtr<Dentry> target_;
};

/// Where a text file's text comes from, a piece at a time, so that a long one needs no large block
/// of memory.
class TextSource {
 public:
  virtual ~TextSource() = default;
  /// Appends the piece at `cursor` (0: the first) and moves it on. False: there is none. A piece is
  /// at most a few KiB.
  virtual Result<bool> next(std::uint64_t& cursor, std::string& out) = 0;
};

/// A file of text, made anew whenever it is read from its beginning.
class ProcText : public ProcNode {
 public:
  ProcText(std::uint64_t number, std::uint32_t permissions, Owner owner);
  Result<RefPtr<File>> open(std::uint32_t flags) override;

 protected:
  virtual std::unique_ptr<TextSource> source() const = 0;
};

/// The decimal number `name` is, if it is one as the kernel writes it: no sign, no leading zero.
std::optional<Pid> parse_number(std::string_view name);
/// What a program writes: a number, perhaps with blanks around it. Errors: EINVAL, ERANGE (Linux
/// lib/kstrtox.c:kstrtoint()).
Result<int> parse_integer(std::string_view text);
/// The same of what is written, of which no more than `longest` bytes (at most 24) are looked at. Errors: EFAULT, too.
Result<int> copy_in_integer(IoBuffer& buffer, std::size_t longest);

}  // namespace quire::kernel
