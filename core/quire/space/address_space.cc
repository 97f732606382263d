#include "quire/space/address_space.h"

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/table/tree.h"
#include "quire/tlb/gather.h"

namespace quire {

namespace {

// Linux leaves at least 128 MiB between the stack's top and the mappings (mm/util.c:mmap_base()). Here the mappings begin below a boundary
// of level-2 tables (1 GiB), so that the stack, which every process writes after a fork, has few neighbours to copy the entries of.
// Small test spaces leave an eighth.
VirtAddr default_mmap_top(const Geometry& geometry) {
  const std::uint64_t top = geometry.user_top().raw();
  const std::uint64_t gap = std::uint64_t{128} << 20;
  if (top / 8 < gap) return VirtAddr(top - top / 8 / kPageSize * kPageSize);
  return geometry.table_range(VirtAddr(top - gap), Level(2)).begin();
}

}  // namespace

AddressSpace::AddressSpace(MemoryManager& memory, const AddressSpaceConfig& config)
    : memory_(memory),
      map_(memory),
      limits_(config.limits),
      mmap_top_(config.mmap_top == VirtAddr(0) ? default_mmap_top(memory.geometry()) : config.mmap_top),
      mmap_floor_(config.mmap_floor) {
  set_fork_mode(config.fork_mode);
  set_borrowing(config.borrow_tables);
  tlb_.id = memory.next_id();
}

Result<AddressSpace*> AddressSpace::create(MemoryManager& memory, const AddressSpaceConfig& config) {
  QUIRE_TRY(AddressSpace * space, make(memory, config));
  space->family_.store(space->id());
  return space;
}

Result<AddressSpace*> AddressSpace::make(MemoryManager& memory, const AddressSpaceConfig& config) {
  AddressSpace* space = memory.spaces().make_or_null(memory, config);
  if (space == nullptr) return fail(Errno::kNoMem);
  if (auto made = space->make_root(); !made) {
    memory.spaces().destroy(space);
    return fail(made.error());
  }
  memory.add_space(*space);
  return space;
}

Result<void> AddressSpace::make_root() {
  Frame* frame = memory_.pool().take_or_null(FrameUse::kUser);
  if (frame == nullptr) return fail(Errno::kNoMem);
  const NewTable root(memory_, *frame, memory_.geometry().root_level());
  platform::prepare_root(memory_.machine(), reinterpret_cast<std::uint64_t*>(memory_.contents(*frame)));
  tlb_.root = memory_.pfn_of(*frame);
  tables_.store(1);
  return {};
}

Frame& AddressSpace::root_frame() const { return memory_.frame(tlb_.root); }

bool AddressSpace::try_acquire() {
  std::uint32_t users = users_.load();
  while (users != 0) {
    if (users_.compare_exchange(users, users + 1)) return true;
  }
  return false;
}

// Nobody else knows the space any more: no lock is needed.
void AddressSpace::drop_reserves() TA_ATTRIBUTE(no_thread_safety_analysis) {
  give_up_reserves(VirtRange(VirtAddr(0), memory_.geometry().user_top()));
}

void AddressSpace::release() {
  if (users_.fetch_sub(1) == 1) destroy();
}

// Exit: drop what the root names. Nothing is unshared, nothing allocated (S0.55); what only this space named is released.
void AddressSpace::destroy() {
  memory_.trace().add(TraceEvent::kExit, [&] { return TraceRecord{.space = id()}; });
  memory_.remove_space(*this);
  if (memory_.notifiers().any()) memory_.notifiers().release(*this);
  platform::retire(memory_.machine(), tlb_);
  drop_reserves();
  release_table(memory_, root_frame());
  if (AnonObject* object = anon_object_.load(); object != nullptr) object->drop_user();
  memory_.spaces().destroy(this);
}

// No change is under way while it is added, and none looks at what there are before it has the lock.
Result<void> AddressSpace::add_notifier(MmuNotifier& notifier) {
  ExclusiveGuard guard(lock_);
  return memory_.notifiers().add(*this, notifier);
}

void AddressSpace::remove_notifier(MmuNotifier& notifier) { memory_.notifiers().remove(notifier); }

void AddressSpace::add_actor() { actors_.fetch_add(1); }

void AddressSpace::remove_actor() {
  const std::uint32_t before = actors_.fetch_sub(1);
  QUIRE_ASSERT(before != 0, "more actors removed than added");
}

VmaMap AddressSpace::map() {
  SharedGuard guard(lock_);
  return map_;
}

std::optional<Vma> AddressSpace::find(VirtAddr address) {
  SharedGuard guard(lock_);
  const Vma* vma = map_.find(address);
  if (vma == nullptr) return std::nullopt;
  return *vma;
}

// Where others have filled tables since the leaves were counted, giving one back may have taken off more than there was.
PageCount AddressSpace::rss_of(LeafClass leaf_class) const {
  const auto pages = static_cast<std::int64_t>(rss_[static_cast<unsigned>(leaf_class)].load_relaxed());
  return PageCount(pages < 0 ? 0 : static_cast<std::uint64_t>(pages));
}

PageCount AddressSpace::rss_now() const { return rss_of(LeafClass::kAnon) + rss_of(LeafClass::kFile) + rss_of(LeafClass::kShmem); }

// As Linux's hiwater_rss: noted before the figure may fall, so that faults need not compare (mm.h:update_hiwater_rss()).
void AddressSpace::note_peak() {
  const std::uint64_t now = rss_now().raw();
  std::uint64_t peak = rss_peak_.load();
  while (peak < now && !rss_peak_.compare_exchange(peak, now)) {
  }
  if (now != 0 && peak == 0) rss_peak_.store(now);
}

// Leaves that were taken out of this space's tables, or filled in, by somebody who did not know it (truncation, lent tables): the tables
// know (I10).
void AddressSpace::count_resident_locked() {
  const std::uint64_t edits = memory_.edits();
  SubtreeCount count;
  count_subtree(memory_, root_frame(), count);
  for (unsigned c = 1; c < kLeafClasses; ++c) rss_[c].store(count.leaves[c]);
  tables_.store(count.tables);
  edits_seen_.store(edits);
}

Usage AddressSpace::usage() {
  if (edits_seen_.load() != memory_.edits()) {
    ExclusiveGuard guard(lock_);
    note_peak();
    count_resident_locked();
  }
  Usage usage;
  bool has_huge = false;
  {
    SharedGuard guard(lock_);
    note_peak();
    usage.rss_anon = rss_of(LeafClass::kAnon);
    usage.rss_file = rss_of(LeafClass::kFile);
    usage.rss_shmem = rss_of(LeafClass::kShmem);
    usage.rss_peak = PageCount(rss_peak_.load());
    usage.mapped = mapped_.all;
    usage.mapped_peak = mapped_peak_ < mapped_.all ? mapped_.all : mapped_peak_;
    usage.data = mapped_.data;
    usage.stack = mapped_.stack;
    usage.exec = mapped_.exec;
    usage.locked = mapped_.locked;
    usage.tables = PageCount(tables_.load());
    usage.mappings = map_.size();
    has_huge = map_.has_any(VmaFlag::kHugeTlb);
  }
  if (has_huge) {
    ExclusiveGuard guard(lock_);
    SubtreeCount count;
    count_subtree(memory_, root_frame(), count);
    usage.huge = PageCount(count.huge);
  }
  return usage;
}

namespace {

std::uint64_t count_shared(const MemoryManager& memory, Frame& table) {
  const TableView view(memory, table);
  std::uint64_t shared = 0;
  for (unsigned n = 0; n < memory.geometry().slots(); ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (memory.kind_of(entry, table.level) != EntryKind::kTable) continue;
    if (memory.geometry().root_level() == table.level && n >= memory.geometry().user_root_slots()) break;
    Frame& child = memory.frame(entry.pfn());
    if (child.table.share.load() > 1) {
      SubtreeCount count;
      count_subtree(memory, child, count);
      shared += count.tables;
    } else if (child.level != kLeafLevel) {
      shared += count_shared(memory, child);
    }
  }
  return shared;
}

}  // namespace

PageCount AddressSpace::shared_tables() {
  ExclusiveGuard guard(lock_);
  return PageCount(count_shared(memory_, root_frame()));
}

void AddressSpace::set_limits(const Limits& limits) {
  ExclusiveGuard guard(lock_);
  limits_ = limits;
}
Limits AddressSpace::limits() {
  SharedGuard guard(lock_);
  return limits_;
}
void AddressSpace::set_fork_mode(ForkMode mode) { fork_mode_.store(static_cast<std::uint8_t>(mode)); }
ForkMode AddressSpace::fork_mode() { return static_cast<ForkMode>(fork_mode_.load()); }
void AddressSpace::set_layout(const Layout& layout) {
  ExclusiveGuard guard(lock_);
  layout_ = layout;
  brk_ = layout.brk_begin;
}
Layout AddressSpace::layout() {
  SharedGuard guard(lock_);
  Layout layout = layout_;
  layout.brk_end = brk_;
  return layout;
}

// Linux v6.12 mm/vma.h:vm_stat_account(), is_data_mapping() and friends.
void MappedPages::change(const Vma& vma, int sign) {
  const std::uint64_t pages = vma.range.pages().raw();
  auto move = [&](PageCount& total) { total = PageCount(sign > 0 ? total.raw() + pages : total.raw() - pages); };
  move(all);
  if (vma.flags.has(VmaFlag::kLocked)) move(locked);
  const bool is_stack = vma.flags.has(VmaFlag::kGrowsDown);
  if (vma.prot.exec() && !vma.prot.write() && !is_stack) {
    move(exec);
  } else if (is_stack) {
    move(stack);
  } else if (is_data(vma.prot, vma.flags)) {
    move(data);
  }
}

void AddressSpace::commit_map(VmaMap changed, VirtRange range) {
  if (mapped_peak_ < mapped_.all) mapped_peak_ = mapped_.all;
  for (const Vma& vma : map_.overlapping(range)) mapped_.remove(vma.clipped(range));
  for (const Vma& vma : changed.overlapping(range)) mapped_.add(vma.clipped(range));
  map_ = std::move(changed);
  if (mapped_peak_ < mapped_.all) mapped_peak_ = mapped_.all;
}

bool AddressSpace::may_expand(PageCount pages, Prot prot, VmaFlags flags) {
  const PageCount total = mapped_.all + pages;
  if (total.raw() > limits_.address_space.raw() >> kPageShift) return false;
  return !MappedPages::is_data(prot, flags) || (mapped_.data + pages).raw() <= limits_.data.raw() >> kPageShift;
}

}  // namespace quire
