#include "quire/space/observe.h"

#include "quire/memory_manager.h"
#include "quire/table/writer.h"

namespace quire {

RangeFigures& RangeFigures::operator+=(const RangeFigures& other) {
  resident += other.resident;
  shared_clean += other.shared_clean;
  shared_dirty += other.shared_dirty;
  private_clean += other.private_clean;
  private_dirty += other.private_dirty;
  referenced += other.referenced;
  anonymous += other.anonymous;
  dirty += other.dirty;
  shared_huge += other.shared_huge;
  private_huge += other.private_huge;
  pss += other.pss;
  pss_dirty += other.pss_dirty;
  pss_anon += other.pss_anon;
  pss_file += other.pss_file;
  pss_shmem += other.pss_shmem;
  if (most_mappings < other.most_mappings) most_mappings = other.most_mappings;
  return *this;
}

// The lock outlives the functions that take and release it.
Observer::Observer(AddressSpace& space) TA_ATTRIBUTE(no_thread_safety_analysis)
    : space_(space), memory_(space.memory()), census_(memory_) {
  memory_.observers().lock();
}
Observer::~Observer() TA_ATTRIBUTE(no_thread_safety_analysis) { memory_.observers().unlock(); }

bool Observer::wants(Census::Scope scope) {
  if (census_.scope() >= scope) return false;
  if (wanted_ < scope) wanted_ = scope;
  return true;
}

template <typename Visit>
void Observer::walk(VirtRange range, Visit visit) {
  range = range.intersection(VirtRange(VirtAddr(0), memory_.geometry().user_top()));
  while (!range.empty()) {
    VirtRange span;
    again_ = false;
    const Found found = find(range, span);
    if (found == Found::kNeedsCensus) {
      census_.take(wanted_, space_.family());
      continue;
    }
    if (found == Found::kLeaves || found == Found::kHuge) ask_objects(range);
    visit(found, span.intersection(range));
    range = VirtRange(span.end(), range.end());
  }
}

Observer::Found Observer::find(VirtRange range, VirtRange& span) {
  SharedGuard guard(space_.lock_);
  return find_below(space_.root_frame(), range, false, span);
}

// A page that is being moved is as good as there: its entry stands for the leaf.
Entry Observer::page_at(const TableView& table, unsigned slot) const {
  const Entry entry = table.entry(static_cast<Slot>(slot));
  return memory_.kind_of(entry, table.level()) == EntryKind::kMigration ? entry.migrated_to(entry.pfn()) : entry;
}

// Each lock keeps the table below it.
Observer::Found Observer::find_below(Frame& table, VirtRange range, bool shared, VirtRange& span) {
  const TableView view(memory_, table);
  SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
  if (view.level() == kLeafLevel) {
    span = memory_.geometry().table_range(range.begin(), kLeafLevel);
    return read_leaves(table, range.intersection(span), shared);
  }
  span = memory_.geometry().entry_range(range.begin(), view.level());
  const Entry entry = view.entry(memory_.geometry().slot_of(range.begin(), view.level()));
  switch (memory_.kind_of(entry, view.level())) {
    case EntryKind::kZeroTable:
      return Found::kZeros;
    case EntryKind::kTable: {
      Frame& child = memory_.frame(entry.pfn());
      return find_below(child, range, shared || child.table.share.load() > 1, span);
    }
    case EntryKind::kFrame:
      return read_leaves(table, range.intersection(span), shared);
    case EntryKind::kAbsent:
    case EntryKind::kZeroFrame:
    case EntryKind::kRaw:
    case EntryKind::kSwap:
    case EntryKind::kMigration:
    case EntryKind::kPoison:
    case EntryKind::kMarker:
    case EntryKind::kMalformed:
      break;
  }
  return Found::kNothing;
}

// Locks: the table's. Pages that one entry names are done at once.
Observer::Found Observer::read_leaves(Frame& table, VirtRange part, bool shared) {
  const Found found = table.level == kLeafLevel ? Found::kLeaves : Found::kHuge;
  if (again_) {
    read_again(table);
    return found;
  }
  if (shared && wants(Census::Scope::kFamily)) return Found::kNeedsCensus;
  level_ = table.level;
  first_slot_ = memory_.geometry().slot_of(part.begin(), level_);
  end_slot_ = memory_.geometry().slot_of(part.last(), level_) + 1U;
  open_ = 0;
  const std::uint32_t reach = shared ? census_.reach(table) : 1;
  const TableView view(memory_, table);
  bool lacking = false;
  for (unsigned slot = first_slot_; slot < end_slot_; ++slot) {
    const Entry entry = page_at(view, slot);
    entries_[slot] = entry;
    states_[slot] = SlotState::kOther;
    if (memory_.kind_of(entry, level_) != EntryKind::kFrame) continue;
    mappings_[slot] = reach;
    states_[slot] = SlotState::kCounted;
    if (entries_of(memory_.frame(entry.pfn())) <= 1) continue;
    states_[slot] = SlotState::kOpen;
    ++open_;
    lacking =
        wants(entry.is_private_leaf() ? Census::Scope::kFamily : Census::Scope::kAll) || lacking;
  }
  if (lacking) return Found::kNeedsCensus;
  open_object();
  return found;
}

// The table was let go meanwhile: a page that has changed keeps what was known of it.
void Observer::read_again(Frame& table) {
  const TableView view(memory_, table);
  for (unsigned slot = first_slot_; slot < end_slot_; ++slot) {
    if (states_[slot] != SlotState::kOpen) continue;
    const Entry now = page_at(view, slot);
    if (memory_.kind_of(now, view.level()) == EntryKind::kFrame && now.pfn() == entries_[slot].pfn())
      continue;
    states_[slot] = SlotState::kCounted;
    --open_;
  }
  open_object();
}

// Chooses the object of the first open slot, and all open slots of its pages. Locks: the table's,
// whose entries keep the pages, and they the object, until it has one user more.
void Observer::open_object() {
  entries_left_ = 0;
  for (unsigned slot = first_slot_; slot < end_slot_ && open_ != 0; ++slot) {
    if (states_[slot] != SlotState::kOpen) continue;
    const Frame& frame = memory_.frame(entries_[slot].pfn());
    const std::uint64_t index = frame.page.index;
    if (object_ == nullptr) {
      object_ = frame.page.object;
      object_->add_user();
      first_index_ = last_index_ = index;
    }
    if (frame.page.object != object_) continue;
    if (index < first_index_) first_index_ = index;
    if (last_index_ < index) last_index_ = index;
    indexes_[slot] = index;
    entries_left_ += entries_of(frame);
    states_[slot] = SlotState::kAsked;
    --open_;
  }
}

void Observer::ask_objects(VirtRange range) {
  while (object_ != nullptr) {
    ask_object();
    if (open_ == 0) return;
    VirtRange span;
    again_ = true;
    const Found found = find(range, span);
    if (found != Found::kLeaves && found != Found::kHuge) return;  // unmapped meanwhile
  }
}

// Every entry that names one of the pages belongs to one attachment of its object; the table we
// come from is among them.
void Observer::ask_object() {
  std::uint32_t found[kMaxSlots / 32] = {};
  object_->for_each_attached(
      PageIndex(first_index_), PageIndex(last_index_), [&](Frame& table, std::int64_t first_index) {
        const TableView view(memory_, table);
        const std::uint32_t reach = census_.reach(table);
        for (unsigned slot = first_slot_; slot < end_slot_; ++slot) {
          if (states_[slot] != SlotState::kAsked) continue;
          const std::int64_t there = static_cast<std::int64_t>(indexes_[slot]) - first_index;
          if (there < 0 || there >= static_cast<std::int64_t>(memory_.geometry().slots())) continue;
          const Entry entry = page_at(view, static_cast<unsigned>(there));
          if (!entry.names_frame() || entry.pfn() != entries_[slot].pfn()) continue;
          std::uint32_t& met = found[slot / 32];
          const std::uint32_t bit = 1U << (slot % 32);
          mappings_[slot] = (met & bit) != 0 ? mappings_[slot] + reach : reach;
          met |= bit;
          if (entries_left_ != 0) --entries_left_;
        }
        return entries_left_ != 0;
      },
      level_);
  for (unsigned slot = first_slot_; slot < end_slot_; ++slot) {
    if (states_[slot] == SlotState::kAsked) states_[slot] = SlotState::kCounted;
  }
  object_->drop_user();
  object_ = nullptr;
}

PageState Observer::state_of(unsigned slot) const {
  const Entry entry = entries_[slot];
  PageState state;
  state.guarded = entry.is_guarded();
  state.soft_dirty = entry.is_soft_dirty();
  state.present = entry.names_frame();
  if (!state.present) return state;
  state.frame = entry.pfn();
  if (states_[slot] == SlotState::kOther) return state;
  state.counted = true;
  state.mappings = mappings_[slot];
  state.exclusive = state.mappings == 1;
  state.of_object = !entry.is_private_leaf();
  return state;
}

namespace {

void add_page(RangeFigures& figures, Entry entry, std::uint32_t mappings) {
  const PageCount one(1);
  const std::uint64_t pss = pss_of_page(mappings);
  figures.resident += one;
  figures.pss += pss;
  if (entry.accessed()) figures.referenced += one;
  if (figures.most_mappings < mappings) figures.most_mappings = mappings;
  const bool shared = mappings > 1;
  if (entry.dirty()) {
    figures.dirty += one;
    figures.pss_dirty += pss;
    (shared ? figures.shared_dirty : figures.private_dirty) += one;
  } else {
    (shared ? figures.shared_clean : figures.private_clean) += one;
  }
  switch (entry.leaf_class()) {
    case LeafClass::kAnon:
      figures.anonymous += one;
      figures.pss_anon += pss;
      return;
    case LeafClass::kShmem:
      figures.pss_shmem += pss;
      return;
    case LeafClass::kFile:
    case LeafClass::kNone:
      figures.pss_file += pss;
      return;
  }
}

}  // namespace

RangeFigures Observer::measure(VirtRange range) {
  RangeFigures figures;
  walk(range, [&](Found found, VirtRange part) {
    if (found == Found::kHuge)
      (mappings_[first_slot_] > 1 ? figures.shared_huge : figures.private_huge) += part.pages();
    if (found != Found::kLeaves) return;
    for (unsigned slot = first_slot_; slot < end_slot_; ++slot) {
      if (states_[slot] != SlotState::kOther) add_page(figures, entries_[slot], mappings_[slot]);
    }
  });
  return figures;
}

void Observer::look(VirtAddr begin, std::span<PageState> pages) {
  for (PageState& page : pages) page = PageState{};
  const VirtRange range(begin, PageCount(pages.size()).bytes());
  walk(range, [&](Found found, VirtRange part) {
    std::uint64_t n = (part.begin() - begin).raw() >> kPageShift;
    const std::uint64_t end = n + part.pages().raw();
    for (unsigned slot = first_slot_; n < end; ++n, ++slot) {
      if (found == Found::kLeaves) pages[n] = state_of(slot);
      if (found == Found::kHuge) {
        const VirtAddr at = begin + PageCount(n).bytes();
        pages[n] = state_of(first_slot_);
        pages[n].frame =
            pages[n].frame +
            pages_of(at - memory_.geometry().entry_range(at, level_).begin());
      }
      if (found != Found::kZeros) continue;
      pages[n].present = true;
      pages[n].frame = memory_.zero().frame();
    }
  });
  const VmaMap map = space_.map();
  for (const Vma& vma : map.overlapping(range)) {
    if (vma.flags.has(VmaFlag::kTracked)) continue;
    const VirtRange part = vma.range.intersection(range);
    for (PageState& page : pages.subspan((part.begin() - begin).raw() >> kPageShift, part.pages().raw())) page.soft_dirty = true;
  }
}

FrameFigures count_frames(MemoryManager& memory) {
  FrameFigures figures;
  const std::uint64_t end = memory.pool().touched_end().raw();
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    const Frame& frame = memory.frame(Pfn(pfn));
    const FrameKind kind = frame.kind;
    if (frame.is_page() && frame.is_large()) continue;
    if (kind == FrameKind::kAnon) figures.anon += PageCount(1);
    if (kind == FrameKind::kObject && frame.leaf_entries() != 0)
      figures.mapped_objects += PageCount(1);
  }
  return figures;
}

void count_mappings(MemoryManager& memory, Pfn first, std::span<std::uint32_t> counts) {
  for (std::uint32_t& count : counts) count = 0;
  const ExclusiveGuard guard(memory.observers());
  Census census(memory);
  census.take(Census::Scope::kAll, 0);
  census.add_mappings(first, counts);
}

PageCount count_shared_tables(MemoryManager& memory) {
  const ExclusiveGuard guard(memory.observers());
  Census census(memory);
  census.take(Census::Scope::kAll, 0);
  return census.shared_tables();
}

TableFigures Observer::tables() {
  for (;;) {
    TableFigures figures;
    {
      SharedGuard guard(space_.lock_);
      if (count_tables(space_.root_frame(), false, figures)) return figures;
    }
    census_.take(wanted_, space_.family());
  }
}

// False: a census is needed first.
bool Observer::count_tables(Frame& table, bool shared, TableFigures& figures) {
  const std::uint32_t reach = shared ? census_.reach(table) : 1;
  figures.tables += PageCount(1);
  figures.pss += pss_of_page(reach);
  if (reach > 1) figures.shared += PageCount(1);
  if (table.level == kLeafLevel) return true;
  const TableView view(memory_, table);
  const bool is_root = view.level() == memory_.geometry().root_level();
  const unsigned slots =
      is_root ? memory_.geometry().user_root_slots() : memory_.geometry().slots();
  SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
  unsigned left = table.table.live;
  for (unsigned n = 0; n < slots && left != 0; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    --left;
    if (memory_.kind_of(entry, view.level()) != EntryKind::kTable) continue;
    Frame& child = memory_.frame(entry.pfn());
    const bool child_shared = shared || child.table.share.load() > 1;
    if (child_shared && wants(Census::Scope::kFamily)) return false;
    if (!count_tables(child, child_shared, figures)) return false;
  }
  return true;
}

bool Observer::next_table(std::optional<TableRecord>& record) {
  for (;;) {
    {
      SharedGuard guard(space_.lock_);
      Frame& root = space_.root_frame();
      if (!record) {
        record = TableRecord{};
        record->level = memory_.geometry().root_level();
        record->range = VirtRange(VirtAddr(0), memory_.geometry().user_top());
        record->frame = memory_.pfn_of(root);
        record->share = record->reach = 1;
        record->writable = true;
        SpinGuard table_guard(root.lock, LockRank::kTable, table_lock_key(root));
        record->live = root.table.live;
        return true;
      }
      TableRecord next = *record;
      next.writable = true;
      const Search search = table_after(root, VirtAddr(0), false, next);
      if (search == Search::kFound) record = next;
      if (search != Search::kNeedsCensus) return search == Search::kFound;
    }
    census_.take(wanted_, space_.family());
  }
}

// `record` is the one before on entry, and the one found afterwards; its `writable` is that of the
// path to `table`.
Observer::Search Observer::table_after(Frame& table, VirtAddr base, bool shared,
                                       TableRecord& record) {
  const TableView view(memory_, table);
  const Geometry& geometry = memory_.geometry();
  const unsigned slots =
      view.level() == geometry.root_level() ? geometry.user_root_slots() : geometry.slots();
  const bool writable_above = record.writable;
  const VirtAddr after = record.range.begin();
  SpinGuard guard(view.lock(), LockRank::kTable, view.lock_key());
  for (unsigned n = base < after ? geometry.slot_of(after, view.level()) : 0; n < slots; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    const EntryKind kind = memory_.kind_of(entry, view.level());
    if (kind != EntryKind::kTable && kind != EntryKind::kZeroTable) continue;
    const VirtAddr begin = base + ByteCount(n * geometry.span(view.level()).raw());
    const Level level = view.level().below();
    Frame& child = memory_.frame(entry.pfn());
    const bool child_shared = kind == EntryKind::kTable && (shared || child.table.share.load() > 1);
    const bool comes_after = after < begin || (after == begin && level < record.level);
    record.writable = writable_above && entry.writable();
    if (!comes_after) {
      if (kind == EntryKind::kZeroTable || level == kLeafLevel) continue;
      if (const Search below = table_after(child, begin, child_shared, record);
          below != Search::kNothing)
        return below;
      continue;
    }
    if (child_shared && wants(Census::Scope::kFamily)) return Search::kNeedsCensus;
    const bool writable = record.writable;
    record = TableRecord{};
    record.level = level;
    record.range = geometry.entry_range(begin, view.level());
    record.frame = entry.pfn();
    record.writable = writable;
    record.zero = kind == EntryKind::kZeroTable;
    if (record.zero) return Search::kFound;
    record.share = child.table.share.load();
    record.reach = child_shared ? census_.reach(child) : 1;
    SpinGuard child_guard(child.lock, LockRank::kTable, table_lock_key(child));
    record.live = child.table.live;
    for (unsigned c = 0; c < kLeafClasses; ++c) record.leaves[c] = child.table.leaves[c];
    return Search::kFound;
  }
  return Search::kNothing;
}

}  // namespace quire
