#include "fs/procfs/procfs.h"

#include <linux/fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "fs/procfs/huge_pages.h"
#include "fs/procfs/node.h"
#include "fs/procfs/process_directory.h"
#include "fs/procfs/system_files.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kRootNumber = 1;
/// Processes come after the system's entries in a listing, at this position plus their number.
constexpr std::uint64_t kFirstProcessPosition = 256;

std::uint32_t mode_of(const SystemEntry& entry) {
  if (entry.write != nullptr) return S_IFREG | (entry.set != nullptr ? 0644 : 0444);
  if (entry.make != nullptr) return S_IFREG | 0400;
  if (entry.set != nullptr) return S_IFREG | 0200;
  return entry.target != nullptr ? S_IFLNK | 0777 : S_IFDIR | 0555;
}

/// An open setting: what is written is an integer, what is read is text as of every file; null: there is none.
class SettingFile final : public File {
 public:
  SettingFile(RefPtr<Inode> node, RefPtr<File> text, Result<void> (*set)(int), std::uint32_t open_flags)
      : text_(std::move(text)), set_(set) {
    inode = std::move(node);
    flags = open_flags;
  }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    if (text_ == nullptr) return fail(Errno::kInval);
    return text_->read(buffer, offset);
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    const std::size_t size = buffer.size();
    const Result<int> value = copy_in_integer(buffer, 24);
    if (!value) return fail(value.error() == Errno::kRange ? Errno::kInval : value.error());  // Linux v6.12 kernel/sysctl.c:proc_dointvec()
    QUIRE_CHECK(set_(*value));
    return size;
  }
  [[nodiscard]] bool has_position() const override { return true; }

 private:
  const RefPtr<File> text_;
  Result<void> (*const set_)(int);
};

/// Text that one function writes, or a setting that nobody may read: not even who may read everything (Linux v6.12
/// fs/proc/proc_sysctl.c:proc_sys_permission()).
class SystemText final : public ProcText {
 public:
  SystemText(std::uint64_t number, const SystemEntry& entry)
      : ProcText(number, mode_of(entry) & 0777, {}), entry_(entry) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    if (entry_.set == nullptr) return ProcText::open(flags);
    RefPtr<File> text;
    if (entry_.write != nullptr) {
      QUIRE_TRY(text, ProcText::open(O_RDONLY));
    } else if ((flags & O_ACCMODE) != O_WRONLY) {
      return fail(Errno::kAcces);
    }
    return RefPtr<File>(make_ref<SettingFile>(RefPtr<Inode>(this), std::move(text), entry_.set, flags));
  }

 protected:
  std::unique_ptr<TextSource> source() const override {
    return std::make_unique<Source>(entry_.write);
  }

 private:
  class Source final : public TextSource {
   public:
    explicit Source(void (*write)(std::string&)) : write_(write) {}
    Result<bool> next(std::uint64_t& cursor, std::string& out) override {
      if (cursor != 0) return false;
      cursor = 1;
      write_(out);
      return true;
    }

   private:
    void (*write_)(std::string&);
  };
  const SystemEntry& entry_;
};

/// A directory of fixed entries. Their numbers follow its own: the tree is small and everything in
/// it is numbered in order.
class SystemDirectory : public ProcDirectory {
 public:
  SystemDirectory(std::uint64_t number, std::span<const SystemEntry> entries)
      : ProcDirectory(number), entries_(entries) {}

  Result<RefPtr<Inode>> lookup(std::string_view name) override {
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [name](const SystemEntry& e) { return e.name == name; });
    if (entry == entries_.end()) return fail(Errno::kNoEnt);
    const std::uint64_t n = number_of(static_cast<std::size_t>(entry - entries_.begin()));
    if (entry->write != nullptr || entry->set != nullptr) return RefPtr<Inode>(make_ref<SystemText>(n, *entry));
    if (entry->make != nullptr) return entry->make(n);
    if (entry->target != nullptr)
      return RefPtr<Inode>(make_ref<ProcLink>(n, Owner{}, entry->target()));
    return RefPtr<Inode>(make_ref<SystemDirectory>(n, entry->children));
  }

  Result<void> list(EntryVisitor& visitor) override {
    for (std::size_t i = 0; i < entries_.size() && !visitor.full(); ++i) {
      if (visitor.wants(i))
        visitor.give(i, std::string(entries_[i].name), number_of(i), mode_of(entries_[i]));
    }
    return {};
  }

 private:
  static constexpr std::uint64_t kFanOut = 64;  ///< entries per directory at most
  [[nodiscard]] std::uint64_t number_of(std::size_t index) const {
    return number() * kFanOut + index;
  }
  std::span<const SystemEntry> entries_;
};

class RootDirectory final : public SystemDirectory {
 public:
  RootDirectory() : SystemDirectory(kRootNumber, system_entries()) {}

  Result<RefPtr<Inode>> lookup(std::string_view name) override {
    if (const auto pid = parse_number(name)) return make_process_directory(*pid);
    return SystemDirectory::lookup(name);
  }

  Result<void> list(EntryVisitor& visitor) override {
    QUIRE_CHECK(SystemDirectory::list(visitor));
    if (visitor.full()) return {};
    std::vector<Pid> pids = all_pids();
    std::sort(pids.begin(), pids.end());
    for (const Pid pid : pids) {
      const std::uint64_t position = kFirstProcessPosition + static_cast<std::uint64_t>(pid);
      if (!visitor.wants(position)) continue;
      char digits[16];
      const auto end = std::to_chars(digits, digits + sizeof digits, pid).ptr;
      visitor.give(position, std::string(digits, end), process_directory_number(pid), S_IFDIR);
      if (visitor.full()) break;
    }
    return {};
  }
};

}  // namespace

RefPtr<Inode> procfs_root() { return make_ref<RootDirectory>(); }

RefPtr<Inode> huge_pages_root() { return make_ref<SystemDirectory>(kRootNumber, huge_page_sizes()); }

}  // namespace quire::kernel
