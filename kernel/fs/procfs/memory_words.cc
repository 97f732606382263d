#include "fs/procfs/memory_words.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "fs/permission.h"
#include "fs/procfs/memory_format.h"
#include "fs/procfs/observe_access.h"
#include "mm/memory.h"
#include "quire/memory_manager.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kWordSize = sizeof(std::uint64_t);

/// An open array of words.
class WordFile : public File {
 public:
  WordFile(RefPtr<Inode> node, std::uint32_t open_flags) {
    inode = std::move(node);
    flags = open_flags;
  }
  [[nodiscard]] bool has_position() const override { return true; }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    if (offset % kWordSize != 0 || buffer.size() % kWordSize != 0) return fail(Errno::kInval);
    std::vector<std::uint64_t> words(std::min(buffer.size() / kWordSize, piece()));
    std::size_t done = 0;
    while (buffer.size() != 0) {
      const std::size_t most = std::min(buffer.size() / kWordSize, words.size());
      const std::size_t n = make((offset + done) / kWordSize, std::span(words).first(most));
      if (n == 0) break;
      QUIRE_CHECK(buffer.copy_out(words.data(), n * kWordSize));
      done += n * kWordSize;
    }
    return done;
  }

 protected:
  /// Words made at a time.
  [[nodiscard]] virtual std::size_t piece() const = 0;
  /// Makes the words from `first` on, as many as there is room for; fewer: the end.
  virtual std::size_t make(std::uint64_t first, std::span<std::uint64_t> words) = 0;
};

FrameNumbers frame_numbers_for_opener() {
  return filesystem_identity().can(CAP_SYS_ADMIN) ? FrameNumbers::kShown : FrameNumbers::kHidden;
}

class PagemapFile final : public WordFile {
 public:
  PagemapFile(RefPtr<Inode> node, std::uint32_t open_flags, const ProcessIdentity& identity)
      : WordFile(std::move(node), open_flags),
        identity_(identity),
        frames_(frame_numbers_for_opener()) {}

 private:
  [[nodiscard]] std::size_t piece() const override { return 512; }
  std::size_t make(std::uint64_t first, std::span<std::uint64_t> words) override {
    const auto process = identity_.snapshot();
    if (!process || (*process)->space == nullptr) return 0;
    AddressSpace& space = *(*process)->space;
    const std::uint64_t end = space.memory().geometry().user_top().raw() >> kPageShift;
    if (first >= end) return 0;
    std::vector<PageState> states(std::min<std::uint64_t>(words.size(), end - first));
    std::make_unique<Observer>(space)->look(page_address(PageIndex(first)), states);
    for (std::size_t i = 0; i < states.size(); ++i) words[i] = pagemap_word(states[i], frames_);
    return states.size();
  }

  ProcessIdentity identity_;
  FrameNumbers frames_;
};

/// Counted a sweep over all tables at a time, so a piece is large.
class FrameCountFile final : public WordFile {
 public:
  using WordFile::WordFile;

 private:
  [[nodiscard]] std::size_t piece() const override { return 16384; }
  std::size_t make(std::uint64_t first, std::span<std::uint64_t> words) override {
    const std::uint64_t end = memory().config().frames.raw();
    if (first >= end) return 0;
    std::vector<std::uint32_t> counts(std::min<std::uint64_t>(words.size(), end - first));
    count_mappings(memory(), Pfn(first), counts);
    std::copy(counts.begin(), counts.end(), words.begin());
    return counts.size();
  }
};

class FrameFlagsFile final : public WordFile {
 public:
  using WordFile::WordFile;

 private:
  [[nodiscard]] std::size_t piece() const override { return 512; }
  std::size_t make(std::uint64_t first, std::span<std::uint64_t> words) override {
    const std::uint64_t end = memory().config().frames.raw();
    if (first >= end) return 0;
    const std::size_t n = std::min<std::uint64_t>(words.size(), end - first);
    for (std::size_t i = 0; i < n; ++i) words[i] = page_flags_word(memory().frame(Pfn(first + i)));
    return n;
  }
};

class Pagemap final : public ProcNode {
 public:
  Pagemap(std::uint64_t number, std::uint32_t permissions, Owner owner,
          const ProcessIdentity& identity)
      : ProcNode(number, S_IFREG | permissions, owner), identity_(identity) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    QUIRE_CHECK(may_observe(identity_));
    return RefPtr<File>(make_ref<PagemapFile>(RefPtr<Inode>(this), flags, identity_));
  }

 private:
  ProcessIdentity identity_;
};

template <typename Words>
class FrameArray final : public ProcNode {
 public:
  explicit FrameArray(std::uint64_t number) : ProcNode(number, S_IFREG | 0400, {}) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    return RefPtr<File>(make_ref<Words>(RefPtr<Inode>(this), flags));
  }
};

}  // namespace

RefPtr<Inode> make_pagemap(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner,
                           const ProcessIdentity& identity) {
  return make_ref<Pagemap>(number, permissions, owner, identity);
}
RefPtr<Inode> make_frame_counts(std::uint64_t number) {
  return make_ref<FrameArray<FrameCountFile>>(number);
}
RefPtr<Inode> make_frame_flags(std::uint64_t number) {
  return make_ref<FrameArray<FrameFlagsFile>>(number);
}

}  // namespace quire::kernel
