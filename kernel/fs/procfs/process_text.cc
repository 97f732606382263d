#include "fs/procfs/process_text.h"

#include <algorithm>

#include "fs/procfs/mounts.h"
#include "fs/procfs/process_text_node.h"
#include "fs/procfs/system_figures.h"
#include "fs/procfs/text.h"
#include "quire/space/observe.h"
#include "sched/thread.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kPieceSize = 2048;

MemoryView view_memory(AddressSpace* space) {
  MemoryView view;
  if (space == nullptr) return view;
  view.present = true;
  view.usage = space->usage();
  view.layout = space->layout();
  view.locked = view.usage.locked;
  return view;
}

class WholeText final : public TextSource {
 public:
  WholeText(const ProcessIdentity& identity, ProcessTextFunction format)
      : identity_(identity), format_(format) {}
  Result<bool> next(std::uint64_t& cursor, std::string& out) override {
    if (cursor != 0) return false;
    cursor = 1;
    QUIRE_TRY(const auto process, identity_.snapshot());
    MemoryView memory = view_memory(process->space);
    // The others do not show them, and they cost a walk.
    if (memory.present && format_ == format_process_status)
      memory.tables = std::make_unique<Observer>(*process->space)->tables();
    const Pid id = identity_.tid != 0 ? identity_.tid : identity_.pid;
    format_({*process, memory, id, cpu_count(), memory_figures().total}, out);
    return true;
  }

 private:
  ProcessIdentity identity_;
  ProcessTextFunction format_;
};

void write_auxiliary(const ProcessView& view, std::string& out) {
  if (!view.memory.present || !view.process.auxiliary) return;
  const std::vector<std::uint64_t>& words = view.process.auxiliary->words;
  out.append(reinterpret_cast<const char*>(words.data()), words.size() * sizeof words.front());
}

/// A line per mapping. The cursor is the end of the last one shown.
class MapsText final : public TextSource {
 public:
  explicit MapsText(const ProcessIdentity& identity) : identity_(identity) {}
  Result<bool> next(std::uint64_t& cursor, std::string& out) override {
    const auto process = identity_.snapshot();
    if (!process || (*process)->space == nullptr) return false;
    AddressSpace& space = *(*process)->space;
    const VmaMap map = space.map();
    const Layout layout = space.layout();
    while (out.size() < kPieceSize) {
      const Vma* const vma = map.first_ending_above(VirtAddr(cursor));
      if (vma == nullptr) break;
      const std::optional<MappedFile> file = mapped_file(*vma);
      format_mapping(*vma, layout, file ? &*file : nullptr, out);
      cursor = vma->range.end().raw();
    }
    return !out.empty();
  }

 private:
  ProcessIdentity identity_;
};

/// Memory of the process as it is. The cursor counts the bytes shown.
class MemoryText final : public TextSource {
 public:
  enum class What : std::uint8_t { kArguments, kEnvironment };
  MemoryText(const ProcessIdentity& identity, What what) : identity_(identity), what_(what) {}

  Result<bool> next(std::uint64_t& cursor, std::string& out) override {
    const auto process = identity_.snapshot();
    if (!process || (*process)->space == nullptr) return false;
    AddressSpace& space = *(*process)->space;
    const VirtRange range = range_of(space);
    const VirtAddr begin = range.begin() + ByteCount(cursor);
    if (begin >= range.end()) return false;
    std::byte piece[256];
    const std::size_t wanted = std::min<std::size_t>((range.end() - begin).raw(), sizeof piece);
    const auto read = space.read(begin, {piece, wanted});
    if (!read || read->raw() == 0) return false;
    out.append(reinterpret_cast<const char*>(piece), read->raw());
    cursor += read->raw();
    return true;
  }

 private:
  [[nodiscard]] VirtRange range_of(AddressSpace& space) const {
    const Layout layout = space.layout();
    if (what_ == What::kEnvironment) return {layout.env_begin, layout.env_end};
    return {layout.args_begin, end_of_arguments(space, layout)};
  }
  /// A program that wrote its own title may have run over the end of its arguments into the
  /// environment (Linux v6.12 fs/proc/base.c:get_mm_cmdline()).
  static VirtAddr end_of_arguments(AddressSpace& space, const Layout& layout) {
    if (layout.args_end <= layout.args_begin || layout.env_begin != layout.args_end)
      return layout.args_end;
    std::byte last{};
    if (!space.read(layout.args_end - ByteCount(1), {&last, 1}) || last == std::byte{0})
      return layout.args_end;
    std::byte piece[256];
    const std::size_t wanted =
        std::min<std::size_t>((layout.env_end - layout.env_begin).raw(), sizeof piece);
    const auto read = space.read(layout.env_begin, {piece, wanted});
    if (!read) return layout.args_end;
    const auto* const nul = std::find(piece, piece + read->raw(), std::byte{0});
    return layout.env_begin + ByteCount(static_cast<std::uint64_t>(nul - piece));
  }

  ProcessIdentity identity_;
  What what_;
};

}  // namespace

RefPtr<Inode> make_process_text(std::uint64_t number, std::uint32_t permissions,
                                ProcNode::Owner owner, const ProcessIdentity& identity,
                                ProcessTextFunction format) {
  return make_ref<ProcessTextNode<WholeText, Readers::kAll, ProcessTextFunction>>(
      number, permissions, owner, identity, format);
}
RefPtr<Inode> make_maps_text(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner,
                             const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<MapsText, Readers::kObservers>>(number, permissions, owner,
                                                                  identity);
}
RefPtr<Inode> make_command_line_text(std::uint64_t number, std::uint32_t permissions,
                                     ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<MemoryText, Readers::kAll, MemoryText::What>>(
      number, permissions, owner, identity, MemoryText::What::kArguments);
}
RefPtr<Inode> make_environment_text(std::uint64_t number, std::uint32_t permissions,
                                    ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<MemoryText, Readers::kObservers, MemoryText::What>>(
      number, permissions, owner, identity, MemoryText::What::kEnvironment);
}

RefPtr<Inode> make_auxiliary_file(std::uint64_t number, std::uint32_t permissions, ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessTextNode<WholeText, Readers::kObservers, ProcessTextFunction>>(number, permissions, owner, identity,
                                                                                        write_auxiliary);
}

void write_comm(const ProcessView& view, std::string& out) {
  TextBuilder(out).text(view.process.command).text("\n");
}

void write_mounts(const ProcessView&, std::string& out) { format_mounts(out); }

void write_oom_score_adj(const ProcessView&, std::string& out) { out.append("0\n"); }

}  // namespace quire::kernel
