#include "fs/procfs/node.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "fs/dentry.h"
#include "fs/directory_file.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

class OpenDirectory final : public DirectoryFile {
 public:
  OpenDirectory(ProcDirectory& directory, std::uint32_t open_flags) : directory_(&directory) {
    inode = directory_;
    flags = open_flags;
  }
  Result<void> read_directory(std::uint64_t& offset, DirectorySink sink, void* context) override {
    EntryVisitor visitor(offset, sink, context);
    return directory_->list(visitor);
  }

 private:
  RefPtr<ProcDirectory> directory_;
};

/// An open text file: the piece that was made last, and where in the text it lies.
class TextFile final : public File {
 public:
  TextFile(RefPtr<Inode> node, std::unique_ptr<TextSource> source, std::uint32_t open_flags)
      : source_(std::move(source)) {
    inode = std::move(node);
    flags = open_flags;
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    Guard guard(lock_);
    std::size_t done = 0;
    while (buffer.size() != 0) {
      const auto found = seek_to(offset + done);
      if (!found && done == 0) return fail(found.error());
      if (!found || !*found) break;
      const std::size_t skip = offset + done - begin_;
      const std::size_t n = std::min(piece_.size() - skip, buffer.size());
      QUIRE_CHECK(buffer.copy_out(piece_.data() + skip, n));
      done += n;
    }
    return done;
  }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  /// Makes `piece_` the one that holds the byte at `offset`. False: the text ends before.
  Result<bool> seek_to(std::uint64_t offset) {
    if (offset == 0 || offset < begin_) {
      begin_ = cursor_ = 0;
      piece_.clear();
    }
    while (offset >= begin_ + piece_.size()) {
      begin_ += piece_.size();
      piece_.clear();
      QUIRE_TRY(const bool more, source_->next(cursor_, piece_));
      if (!more) return false;
    }
    return true;
  }

  Mutex lock_;
  std::unique_ptr<TextSource> source_;
  std::string piece_;
  std::uint64_t begin_ = 0;   ///< offset of piece_ in the text
  std::uint64_t cursor_ = 0;  ///< of the piece after it
};

}  // namespace

Result<std::unique_ptr<ProcessSnapshot>> ProcessIdentity::snapshot() const {
  QUIRE_TRY(auto snapshot, snapshot_process(pid));
  if (snapshot->start_ns != start_ns) return fail(Errno::kSrch);
  return snapshot;
}

Result<Attributes> ProcNode::attributes() {
  const auto now = static_cast<std::int64_t>(realtime_ns());
  Attributes a;
  a.inode = number_;
  a.mode = mode_;
  a.uid = owner_.uid;
  a.gid = owner_.gid;
  a.size = size_;
  a.block_size = 1024;
  a.times = {now, now, now};
  return a;
}

// Linux v6.12 fs/proc/base.c:proc_setattr()
Result<void> ProcNode::set_attributes(const AttributeChange& change) {
  if (change.mode || change.uid || change.gid || change.access_ns || change.modify_ns) return fail(Errno::kPerm);
  return {};
}

Result<RefPtr<File>> ProcNode::open(std::uint32_t) { return fail(Errno::kLoop); }

void EntryVisitor::give(std::uint64_t position, std::string name, std::uint64_t inode,
                        std::uint32_t mode) {
  if (!wants(position)) return;
  const DirectoryEntry entry{std::move(name), inode, directory_entry_type(mode)};
  full_ = !sink_(context_, entry, position + 1);
  if (!full_) offset_ = position + 1;
}

ProcDirectory::ProcDirectory(std::uint64_t number, Owner owner, std::uint32_t permissions)
    : ProcNode(number, S_IFDIR | permissions, owner) {}

Result<RefPtr<File>> ProcDirectory::open(std::uint32_t flags) {
  if ((flags & O_ACCMODE) != O_RDONLY) return fail(Errno::kIsDir);
  return RefPtr<File>(make_ref<OpenDirectory>(*this, flags));
}

ProcLink::ProcLink(std::uint64_t number, Owner owner, std::string target)
    : ProcNode(number, S_IFLNK | 0777, owner), target_(std::move(target)) {}

ProcJump::ProcJump(std::uint64_t number, Owner owner, RefPtr<Dentry> target,
                   std::uint32_t permissions, std::uint64_t size)
    : ProcNode(number, S_IFLNK | permissions, owner, size), target_(std::move(target)) {}
ProcJump::~ProcJump() = default;

Result<std::string> ProcJump::read_link() { return path_of(*target_); }
Result<RefPtr<Dentry>> ProcJump::follow_link() { return target_; }

ProcText::ProcText(std::uint64_t number, std::uint32_t permissions, Owner owner)
    : ProcNode(number, S_IFREG | permissions, owner) {}

Result<RefPtr<File>> ProcText::open(std::uint32_t flags) {
  if ((flags & O_ACCMODE) != O_RDONLY) return fail(Errno::kAcces);
  return RefPtr<File>(make_ref<TextFile>(RefPtr<Inode>(this), source(), flags));
}

std::optional<Pid> parse_number(std::string_view name) {
  Pid value = 0;
  if (name.empty() || (name[0] == '0' && name.size() > 1) || name[0] < '0' || name[0] > '9')
    return std::nullopt;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) return std::nullopt;
  return value;
}

Result<int> parse_integer(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  if (text.starts_with('+')) text.remove_prefix(1);
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec == std::errc::result_out_of_range) return fail(Errno::kRange);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return fail(Errno::kInval);
  return value;
}

Result<int> copy_in_integer(IoBuffer& buffer, std::size_t longest) {
  char text[24];
  const std::size_t size = std::min({buffer.size(), longest, sizeof text});
  QUIRE_CHECK(buffer.copy_in(text, size));
  return parse_integer(std::string_view(text, size));
}

}  // namespace quire::kernel
