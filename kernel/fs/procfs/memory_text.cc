#include "fs/procfs/memory_text.h"

#include "fs/permission.h"
#include "fs/procfs/memory_format.h"
#include "fs/procfs/process_format.h"
#include "fs/procfs/process_text_node.h"
#include "quire/memory_manager.h"

namespace quire::kernel {

namespace {

/// About how long a piece of text gets: a piece may cost a census, so it holds several mappings.
constexpr std::size_t kPieceSize = 8192;

/// What the sources have in common: the space of a process that may have gone.
class SpaceText : public TextSource {
 public:
  explicit SpaceText(const ProcessIdentity& identity) : identity_(identity) {}
  Result<bool> next(std::uint64_t& cursor, std::string& out) final {
    const auto process = identity_.snapshot();
    if (!process || (*process)->space == nullptr) return false;
    show(*(*process)->space, cursor, out);
    return !out.empty();
  }

 protected:
  /// Appends a piece and moves `cursor` on; nothing: the end.
  virtual void show(AddressSpace& space, std::uint64_t& cursor, std::string& out) = 0;

 private:
  ProcessIdentity identity_;
};

/// A piece per mapping; the cursor is the end of the last one shown.
class MappingText : public SpaceText {
 public:
  using SpaceText::SpaceText;

 protected:
  void show(AddressSpace& space, std::uint64_t& cursor, std::string& out) final {
    const VmaMap map = space.map();
    const Layout layout = space.layout();
    const auto observer = std::make_unique<Observer>(space);
    while (out.size() < kPieceSize) {
      const Vma* const vma = map.first_ending_above(VirtAddr(cursor));
      if (vma == nullptr) return;
      show_mapping(*vma, layout, observer->measure(vma->range), out);
      cursor = vma->range.end().raw();
    }
  }
  virtual void show_mapping(const Vma& vma, const Layout& layout, const RangeFigures& figures,
                            std::string& out) = 0;
};

class SmapsText final : public MappingText {
 public:
  using MappingText::MappingText;

 private:
  void show_mapping(const Vma& vma, const Layout& layout, const RangeFigures& figures,
                    std::string& out) override {
    const std::optional<MappedFile> file = mapped_file(vma);
    format_mapping(vma, layout, file ? &*file : nullptr, out);
    format_smaps_figures(vma, figures, out);
  }
};

class NumaMapsText final : public MappingText {
 public:
  using MappingText::MappingText;

 private:
  void show_mapping(const Vma& vma, const Layout& layout, const RangeFigures& figures,
                    std::string& out) override {
    const std::optional<MappedFile> file = mapped_file(vma);
    format_numa_mapping(vma, layout, figures, file ? &*file : nullptr, out);
  }
};

class SmapsRollupText final : public SpaceText {
 public:
  using SpaceText::SpaceText;

 private:
  void show(AddressSpace& space, std::uint64_t& cursor, std::string& out) override {
    if (cursor != 0) return;
    cursor = 1;
    const VmaMap map = space.map();
    const Vma* const first = map.first_ending_above(VirtAddr(0));
    const Vma* const last = map.last_beginning_below(VirtAddr(~std::uint64_t{0}));
    if (first == nullptr || last == nullptr) return;
    RangeFigures sum;
    std::uint64_t locked_pss = 0;
    const auto observer = std::make_unique<Observer>(space);
    map.for_each([&](const Vma& vma) {
      const RangeFigures figures = observer->measure(vma.range);
      sum += figures;
      if (vma.flags.has(VmaFlag::kLocked)) locked_pss += figures.pss;
    });
    format_smaps_rollup(VirtRange(first->range.begin(), last->range.end()), sum, locked_pss, out);
  }
};

/// A line per table. The cursor tells the table shown last: its address with its level in the bits
/// of a page.
class PageTableText final : public SpaceText {
 public:
  explicit PageTableText(const ProcessIdentity& identity)
      : SpaceText(identity),
        frames_(filesystem_identity().can(CAP_SYS_ADMIN) ? FrameNumbers::kShown : FrameNumbers::kHidden) {}

 private:
  void show(AddressSpace& space, std::uint64_t& cursor, std::string& out) override {
    const auto observer = std::make_unique<Observer>(space);
    std::optional<TableRecord> table;
    if (cursor != 0) {
      table = TableRecord{};
      table->level = Level(static_cast<std::uint8_t>(cursor & (kPageSize - 1)));
      table->range = VirtRange(VirtAddr(cursor).page_floor(), ByteCount(0));
    }
    while (out.size() < kPieceSize && observer->next_table(table)) {
      format_table(*table, space.memory().geometry().slots(), frames_, out);
      cursor = table->range.begin().raw() | table->level.raw();
    }
  }
  FrameNumbers frames_;
};

}  // namespace

RefPtr<Inode> make_smaps_text(std::uint64_t number, std::uint32_t permissions,
                              ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<SmapsText, Readers::kObservers>>(number, permissions, owner,
                                                                   identity);
}
RefPtr<Inode> make_smaps_rollup_text(std::uint64_t number, std::uint32_t permissions,
                                     ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<SmapsRollupText, Readers::kObservers>>(number, permissions, owner,
                                                                         identity);
}
RefPtr<Inode> make_numa_maps_text(std::uint64_t number, std::uint32_t permissions,
                                  ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<NumaMapsText, Readers::kObservers>>(number, permissions, owner,
                                                                      identity);
}
RefPtr<Inode> make_page_table_text(std::uint64_t number, std::uint32_t permissions,
                                   ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<PageTableText, Readers::kObservers>>(number, permissions, owner,
                                                                       identity);
}

}  // namespace quire::kernel
