#include "quire/audit/audit.h"

#include "quire/memory_manager.h"
#include "quire/object/device_object.h"
#include "quire/object/huge_object.h"
#include "quire/space/address_space.h"
#include "quire/table/lent.h"
#include "quire/table/writer.h"

namespace quire {

void Audit::find(const char* invariant, const char* message, std::uint64_t subject, std::uint64_t stored, std::uint64_t counted) {
  ++total_;
  if (kept_ < kMaxFindings) findings_[kept_++] = AuditFinding{invariant, message, subject, stored, counted};
}

void Audit::run() {
  const std::uint64_t end = memory_.pool().touched_end().raw();
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    Frame& frame = memory_.frame(Pfn(pfn));
    frame.audit_leaves = frame.audit_shares = 0;
  }
  memory_.for_each_space([this](AddressSpace& space) { check_space(space); });
  count_lent_to_none();
  check_frames();
  check_zero();
}

// The machine stands still: no lock of the space is needed.
void Audit::check_space(AddressSpace& space) TA_ATTRIBUTE(no_thread_safety_analysis) {
  SpaceSums sums;
  Frame& root = space.root_frame();
  if (root.audit_shares != 0) find("I1", "root named by two spaces; space id", space.id(), 1, root.audit_shares);
  ++root.audit_shares;
  visit_table(space, root, VirtAddr(0), Above{}, sums);

  if (!space.map_.is_well_formed()) find("map", "map is not well formed; space id", space.id(), 0, 0);
  MappedPages mapped;
  space.map_.for_each([&](const Vma& vma) {
    mapped.add(vma);
    // Less the private pages that check_leaf() meets.
    if (vma.flags.has(VmaFlag::kHugeReserved)) {
      huge_of(vma.leaf_level()).promised += vma.range.size().raw() / memory_.geometry().span(vma.leaf_level()).raw();
    }
  });
  const MappedPages& noted = space.mapped_;
  if (mapped.all != noted.all) find("I10", "pages mapped; space id", space.id(), noted.all.raw(), mapped.all.raw());
  if (mapped.locked != noted.locked) find("I10", "pages locked; space id", space.id(), noted.locked.raw(), mapped.locked.raw());
  if (mapped != noted) find("I10", "pages mapped, by kind; space id", space.id(), noted.data.raw(), mapped.data.raw());
  // What others took out of shared tables or filled into lent ones is counted when the space is asked for its figures.
  const bool may_lag = space.edits_seen_.load() != memory_.edits();
  for (unsigned c = 1; c < kLeafClasses; ++c) {
    if (space.rss_[c].load() != sums.leaves[c] && !may_lag)
      find("I10", "RSS of a class; space id", space.id(), space.rss_[c].load(), sums.leaves[c]);
  }
  if (space.tables_.load() != sums.tables && !may_lag)
    find("I10", "tables reachable; space id", space.id(), space.tables_.load(), sums.tables);
  if (space.replacing_.load() != 0) find("I7", "a replacement never ended; space id", space.id(), space.replacing_.load(), 0);
}

void Audit::visit_table(AddressSpace& space, Frame& table, VirtAddr base, Above above, SpaceSums& sums) {
  const Geometry& geometry = memory_.geometry();
  const bool is_root = table.level == geometry.root_level();
  const unsigned slots = is_root ? geometry.user_root_slots() : geometry.slots();
  const bool first_time = table.audit_leaves == 0;
  table.audit_leaves = 1;  // of a table: visited
  ++sums.tables;
  above.noted = above.noted && table.has_flag(Frame::kHoldsBelow);
  if (first_time) {
    ++tables_seen_;
    count_table(table, slots);
  }
  const TableView view(memory_, table);
  for (unsigned n = 0; n < slots; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    const VirtAddr address = base + ByteCount(n * geometry.span(table.level).raw());
    if (table.level == kLeafLevel || entry.is_large()) {
      if (table.level == kLeafLevel && entry.is_counted()) ++sums.leaves[static_cast<unsigned>(entry.leaf_class())];
      if (first_time && memory_.kind_of(entry, table.level) == EntryKind::kFrame) {
        ++memory_.frame(entry.pfn()).audit_leaves;
        ++leaves_seen_;
      }
      check_leaf(space, entry, address, above.writable && entry.writable());
      check_size(entry, address, table.level);
      check_pin(entry, address, above);
      continue;
    }
    const Pfn pfn = entry.pfn();
    if (!entry.present() || pfn.raw() >= memory_.config().frames.raw()) {
      find("I1", "malformed upper entry; address", address.raw(), entry.encoded(), 0);
      continue;
    }
    Frame& child = memory_.frame(pfn);
    if (memory_.zero().is_zero(pfn)) {
      if (entry.writable()) find("I13", "W above a zero table; address", address.raw(), entry.encoded(), 0);
      if (pfn != memory_.zero().table(Level(table.level).below())) {
        find("I13", "zero table of another level; address", address.raw(), pfn.raw(), 0);
      }
      continue;
    }
    if ((child.kind != FrameKind::kTable && !child.is_lent()) || child.level != Level(table.level).below()) {
      find("I1", "upper entry names no table of the level below; address", address.raw(), static_cast<std::uint64_t>(FrameKind(child.kind)),
           pfn.raw());
      continue;
    }
    if (child.is_lent()) {
      if (entry.writable() != child.lent_rights().write())
        find("I3", "W above a lent table is not as it is lent; address", address.raw(), entry.encoded(), child.lent_rights().bits());
    } else if (table.is_lent()) {
      find("I8", "a lent table names one that is not; address", address.raw(), pfn.raw(), memory_.pfn_of(table).raw());
    } else if (entry.writable() && child.table.share.load() > 1) {
      find("I3", "W above a table with share > 1; address", address.raw(), child.table.share.load(), 1);
    }
    if (first_time) ++child.audit_shares;
    visit_table(space, child, address, Above{above.writable && entry.writable(), above.noted}, sums);
  }
}

// Tables that are lent, but that no space reaches now: upper ones first, which name others.
void Audit::count_lent_to_none() {
  const std::uint64_t end = memory_.pool().touched_end().raw();
  for (Level level = kHighestLentLevel; level >= kLeafLevel; level = level.below()) {
    for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
      Frame& table = memory_.frame(Pfn(pfn));
      if (!table.is_lent() || table.level != level || table.audit_leaves != 0) continue;
      table.audit_leaves = 1;
      count_table(table, memory_.geometry().slots());
      const TableView view(memory_, table);
      for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
        const Entry entry = view.entry(static_cast<Slot>(n));
        const EntryKind kind = memory_.kind_of(entry, level);
        if (kind == EntryKind::kTable) ++memory_.frame(entry.pfn()).audit_shares;
        if (kind == EntryKind::kFrame) ++memory_.frame(entry.pfn()).audit_leaves;
      }
    }
  }
}

// It holds its object's pages at their places, with the rights it is lent for, and lent tables that agree with it (X12).
void Audit::check_lent(Frame& table) {
  const std::uint64_t pfn = memory_.pfn_of(table).raw();
  const Attachment* const attachment = table.table.attachments;
  if (attachment == nullptr || attachment->next_in_table != nullptr) {
    find("I8", "a lent table is not one object's; frame", pfn, table.table.attachment_count, 1);
    return;
  }
  const std::uint32_t expected = table.audit_shares + (attachment->object->lends_for_audit(table) ? 1U : 0U);
  if (table.table.share.load() != expected) find("I1", "share count of a lent table; frame", pfn, table.table.share.load(), expected);
  const Prot rights = table.lent_rights();
  const TableView view(memory_, table);
  for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    const EntryKind kind = memory_.kind_of(entry, view.level());
    if (kind == EntryKind::kAbsent || kind == EntryKind::kPoison) continue;
    const Frame& named = memory_.frame(entry.pfn());
    const Geometry& geometry = memory_.geometry();
    const std::uint64_t pages = geometry.span(view.level()).raw() / geometry.span(attachment->object->leaf_level()).raw();
    const std::int64_t index = attachment->first_index + static_cast<std::int64_t>(n * pages);
    if (kind == EntryKind::kTable && view.level() != kLeafLevel) {
      const bool agrees = named.is_lent() && named.lent_rights() == rights && named.table.attachments->object == attachment->object &&
                          named.table.attachments->first_index == index;
      if (!agrees) find("I8", "a lent table names one that is not as it; frame", pfn, n, entry.pfn().raw());
      continue;
    }
    const bool is_page = kind == EntryKind::kFrame && named.kind == FrameKind::kObject && named.page.object == attachment->object &&
                         static_cast<std::int64_t>(named.page.index) == index;
    if (!is_page) find("I8", "a leaf of a lent table is not its object's page; frame", pfn, n, entry.encoded());
    if ((entry.writable() && !rights.write()) || (entry.executable() && !rights.exec()))
      find("I3", "a leaf with more rights than it is lent for; frame", pfn, n, entry.encoded());
  }
}

void Audit::check_pin(Entry entry, VirtAddr address, Above above) {
  if (memory_.kind_of(entry, kLeafLevel) != EntryKind::kFrame || !entry.is_private_leaf()) return;
  const Frame& frame = memory_.frame(entry.pfn());
  if (frame.pins() == 0) return;
  if (!above.writable || frame.leaf_entries() != 1) {
    find("I9", "a pinned page that others may reach; address", address.raw(), frame.leaf_entries(), 1);
  }
  if (!above.noted) find("I9", "a pinned page that no table above notes; address", address.raw(), 0, 1);
}

void Audit::check_raw_leaf(const Vma& vma, Entry entry, VirtAddr address) {
  const bool is_its_page = vma.flags.has(VmaFlag::kDevice) && vma.object != nullptr && vma.object->is_device() &&
                           static_cast<const DeviceObject&>(*vma.object).frame_of(vma.index_of(address)) == entry.pfn();
  if (!is_its_page) find("I8", "raw leaf is not its device's page; address", address.raw(), entry.encoded(), vma.index_of(address).raw());
}

// `writable`: hardware may store here.
void Audit::check_leaf(AddressSpace& space, Entry entry, VirtAddr address, bool writable) TA_ATTRIBUTE(no_thread_safety_analysis) {
  const Vma* vma = space.map_.find(address);
  if (vma == nullptr) {
    find("S0.32", "leaf outside every mapping; address", address.raw(), entry.encoded(), space.id());
    return;
  }
  if (vma->is_huge() != entry.is_large()) find("S2.51", "leaf and mapping of different sizes; address", address.raw(), entry.encoded(), 0);
  if (writable && !vma->prot.write()) {
    find("I3", "writable leaf in a read-only mapping; address", address.raw(), entry.encoded(), vma->prot.bits());
  }
  if (entry.present() && vma->prot.none()) find("I3", "present leaf in a PROT_NONE mapping; address", address.raw(), entry.encoded(), 0);
  if (entry.executable() && !vma->prot.exec()) {
    find("I3", "executable leaf in a mapping without exec; address", address.raw(), entry.encoded(), 0);
  }
  if (entry.is_guarded() && (entry.writable() || !vma->flags.has(VmaFlag::kAsksGuarded))) {
    find("I3", "a guard where none is, or that W passes; address", address.raw(), entry.encoded(), 0);
  }
  if (entry.writable() && !entry.is_soft_dirty()) {
    find("I14", "a page that may be written without its being told; address", address.raw(), entry.encoded(), 0);
  }
  const EntryKind kind = memory_.kind_of(entry, kLeafLevel);
  if (kind == EntryKind::kZeroFrame) {
    if (entry.writable()) find("I13", "W on the zero frame; address", address.raw(), entry.encoded(), 0);
    if (vma->is_shared()) find("S3.3", "zero frame in a shared mapping; address", address.raw(), entry.encoded(), 0);
    return;
  }
  if (kind == EntryKind::kMigration) find("S1.6", "a migration entry that was left behind; address", address.raw(), entry.pfn().raw(), 0);
  if (kind == EntryKind::kRaw) return check_raw_leaf(*vma, entry, address);
  if (kind != EntryKind::kFrame) return;
  Frame& frame = memory_.frame(entry.pfn());
  const bool anon = entry.leaf_class() == LeafClass::kAnon;
  if (anon && vma->flags.has(VmaFlag::kHugeReserved)) --huge_of(vma->leaf_level()).promised;
  if (anon != (frame.kind == FrameKind::kAnon) || (!anon && frame.kind != FrameKind::kObject)) {
    find("I4", "leaf's class and frame's kind differ; address", address.raw(), static_cast<std::uint64_t>(FrameKind(frame.kind)),
         static_cast<std::uint64_t>(entry.leaf_class()));
    return;
  }
  // Others may hold the page of an exclusive path (the space's own writes are theirs to see), never one whose W is inert: that W comes back
  // when the path does, for whoever is left then (R20).
  if (anon && entry.writable() && (frame.leaf_entries() != 1 || (!writable && frame.references() != 1))) {
    find("I3", "W on a private frame that is not exclusive; address", address.raw(), frame.counts.load(), Frame::kOneLeaf);
  }
  if (!anon && frame.has_flag(Frame::kRemoved)) {
    find("I8", "a leaf of a page that has left its object; address", address.raw(), frame.page.index, 0);
  }
  if (!anon && entry.writable() && !frame.has_flag(Frame::kOwned) && frame.page.object->gives_notice()) {
    find("I14", "a leaf may be written that nobody will store; address", address.raw(), frame.page.index, 0);
  }
  if (anon && frame.page.source != nullptr &&
      (vma->object != frame.page.source || vma->index_of(address).raw() != frame.page.source_index)) {
    find("I8", "private leaf is no copy of the object's page; address", address.raw(), frame.page.source_index,
         vma->index_of(address).raw());
  }
  const std::uint64_t unit = memory_.geometry().span(frame.leaf_level()).raw() >> kPageShift;
  if (!anon && (vma->object != frame.page.object || vma->index_of(address).raw() != frame.page.index * unit)) {
    find("I8", "shared leaf is not the object's page; address", address.raw(), frame.page.index, vma->index_of(address).raw());
  }
}

// A leaf maps a page of the size that its table's level says, all of it, and so does the mapping.
void Audit::check_size(Entry entry, VirtAddr address, Level level) TA_ATTRIBUTE(no_thread_safety_analysis) {
  if (memory_.kind_of(entry, level) != EntryKind::kFrame) return;
  const Frame& page = memory_.frame(entry.pfn());
  if (page.leaf_level() == level) return;
  find("S2.51", "a leaf of a page of another size; address", address.raw(), page.leaf_level().raw(), level.raw());
}

void Audit::count_table(Frame& table, unsigned slots) {
  const TableView view(memory_, table);
  unsigned live = 0;
  unsigned leaves[kLeafClasses] = {};
  for (unsigned n = 0; n < slots; ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (entry.is_absent()) continue;
    ++live;
    if (is_leaf_at(table.level, entry)) ++leaves[static_cast<unsigned>(entry.leaf_class())];
  }
  const std::uint64_t pfn = memory_.pfn_of(table).raw();
  if (live != table.table.live) find("I10", "live entries of table; frame", pfn, table.table.live, live);
  for (unsigned c = 0; c < kLeafClasses; ++c) {
    if (leaves[c] != table.table.leaves[c]) find("I10", "leaves of a class in table; frame", pfn, table.table.leaves[c], leaves[c]);
  }
  check_attachments(table);
}

// Every leaf that names an object's page is found through that object: its attachment exists, is indexed, and counts right (I11).
void Audit::check_attachments(Frame& table) {
  const std::uint64_t pfn = memory_.pfn_of(table).raw();
  std::uint64_t attached = 0, number = 0;
  for (const Attachment* a = table.table.attachments; a != nullptr; a = a->next_in_table) {
    ++number;
    attached += a->entries;
    if (a->table != &table) find("I11", "attachment of another table; frame", pfn, 0, 0);
    if (a->object->find_attachment_for_audit(table, a->first_index) == nullptr)
      find("I11", "attachment not in its object's index; frame", pfn, 0, 0);
    if (a->entries == 0 && !table.is_lent()) find("I11", "attachment without entries; frame", pfn, 0, 0);
  }
  if (number != table.table.attachment_count) find("I11", "attachments of table; frame", pfn, table.table.attachment_count, number);
  const TableView view(memory_, table);
  std::uint64_t found = 0;
  for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
    const Entry entry = view.entry(static_cast<Slot>(n));
    if (memory_.kind_of(entry, table.level) != EntryKind::kFrame) continue;
    const Frame& frame = memory_.frame(entry.pfn());
    const auto look_for = [&](const MemoryObject* object, std::uint64_t index) {
      if (object == nullptr) return;
      const Attachment* a = table.table.attachments;
      while (a != nullptr && (a->object != object || a->first_index != static_cast<std::int64_t>(index) - static_cast<std::int64_t>(n))) {
        a = a->next_in_table;
      }
      if (a == nullptr) {
        find("I11", "leaf without attachment; frame", memory_.pfn_of(frame).raw(), n, pfn);
      } else {
        ++found;
      }
    };
    look_for(frame.page.object, frame.page.index);
    look_for(frame.page.source, frame.page.source_index);
  }
  if (found != attached) find("I11", "entries counted by attachments; frame", pfn, attached, found);
}

void Audit::check_frames() {
  const std::uint64_t end = memory_.pool().touched_end().raw();
  std::uint64_t free = 0, parts = 0;
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    Frame& frame = memory_.frame(Pfn(pfn));
    if (frame.is_page() && frame.is_large()) ++huge_of(frame.level).used;
    switch (frame.kind) {
      case FrameKind::kFree: ++free; break;
      case FrameKind::kHeld: find("I6", "frame held by nobody's operation; frame", pfn, 0, 0); break;
      case FrameKind::kLentTable: check_lent(frame); break;
      case FrameKind::kTable:
        if (frame.table.share.load() != frame.audit_shares) {
          find("I1", "share count; frame", pfn, frame.table.share.load(), frame.audit_shares);
        }
        break;
      case FrameKind::kAnon:
        if (frame.leaf_entries() != frame.audit_leaves) {
          find("I4", "leaf entries of a private frame; frame", pfn, frame.leaf_entries(), frame.audit_leaves);
        }
        if (frame.moving != 0) find("S1.6", "a move that never ended; frame", pfn, frame.moving, 0);
        if (frame.references() < frame.leaf_entries() || frame.references() == 0) {
          find("I4", "references of a private frame; frame", pfn, frame.references(), frame.leaf_entries());
        }
        break;
      case FrameKind::kObject:
        if (frame.leaf_entries() != frame.audit_leaves) {
          find("I4", "leaf entries of a shared frame; frame", pfn, frame.leaf_entries(), frame.audit_leaves);
        }
        if (frame.moving != 0) find("S1.6", "a move that never ended; frame", pfn, frame.moving, 0);
        if (frame.references() < frame.leaf_entries() + 1) {
          find("I4", "references of a shared frame; frame", pfn, frame.references(), frame.leaf_entries() + 1);
        }
        break;
      case FrameKind::kHugeIdle: ++huge_of(frame.level).idle; break;
      case FrameKind::kHugePart: ++parts; break;
      case FrameKind::kUntouched:
      case FrameKind::kZero:
      case FrameKind::kSlab:
      case FrameKind::kRadix:
      case FrameKind::kFailed:
      case FrameKind::kKernel: break;
    }
  }
  const std::uint64_t stored = memory_.pool().free_frames().raw() - memory_.pool().untouched_frames().raw();
  if (stored != free) find("pool", "free frames", 0, stored, free);
  check_huge(parts);
}

// Every huge page is idle or in use, and what is reserved is what mappings and objects were promised and have not got.
void Audit::check_huge(std::uint64_t parts) {
  ObjectRegistry& objects = memory_.objects();
  for (MemoryObject* object = objects.next_for_audit(nullptr); object != nullptr; object = objects.next_for_audit(object)) {
    if (object->is_huge()) huge_of(object->leaf_level()).promised += static_cast<HugeObject*>(object)->promises_for_audit();
  }
  std::uint64_t expected = 0;
  for (Level level = HugePools::kSmallest; memory_.huge().has(level); level = level.above()) {
    const HugePool::Figures figures = memory_.huge().of(level).figures();
    const Huge& counted = huge_of(level);
    expected += figures.total * (memory_.huge().of(level).page_size().raw() - 1);
    if (figures.idle != counted.idle) find("pool", "idle huge pages; level", level.raw(), figures.idle, counted.idle);
    if (figures.total != counted.idle + counted.used)
      find("pool", "huge pages; level", level.raw(), figures.total, counted.idle + counted.used);
    if (figures.reserved != counted.promised) find("pool", "huge pages reserved; level", level.raw(), figures.reserved, counted.promised);
  }
  if (parts != expected) find("pool", "parts of huge pages", 0, expected, parts);
}

void Audit::check_zero() {
  const ZeroObjects& zero = memory_.zero();
  const auto* words = reinterpret_cast<const std::uint64_t*>(memory_.window(zero.frame()));
  for (unsigned n = 0; n < kPageSize / sizeof *words; ++n) {
    if (words[n] != 0) find("I13", "the zero frame is not zero; byte", n * sizeof *words, words[n], 0);
  }
  for (std::uint8_t level = 1; level < memory_.geometry().levels(); ++level) {
    const TableView view(memory_, memory_.frame(zero.table(Level(level))));
    for (unsigned n = 0; n < memory_.geometry().slots(); ++n) {
      const Entry entry = view.entry(static_cast<Slot>(n));
      if (entry.writable() || !zero.is_zero(entry.pfn()) || !entry.accessed()) {
        find("I13", "entry of a zero table; level", level, entry.encoded(), n);
      }
    }
  }
}

void Audit::check_empty() {
  unsigned spaces = 0;
  memory_.for_each_space([&spaces](AddressSpace&) { ++spaces; });
  if (spaces != 0) find("I6", "address spaces left over", 0, spaces, 0);
  const std::uint64_t end = memory_.pool().touched_end().raw();
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    const FrameKind kind = memory_.frame(Pfn(pfn)).kind;
    if (kind == FrameKind::kTable || kind == FrameKind::kLentTable || kind == FrameKind::kAnon || kind == FrameKind::kObject ||
        kind == FrameKind::kRadix || kind == FrameKind::kHugeIdle || kind == FrameKind::kHugePart) {
      find("I6", "frame left over; frame", pfn, static_cast<std::uint64_t>(kind), 0);
    }
  }
  for (SlabPool* pool : {&memory_.spaces().slab(), &memory_.anon_objects().slab(), &memory_.file_objects().slab(),
                         &memory_.device_objects().slab(), &memory_.huge_objects().slab(), &memory_.attachments().slab(),
                         &memory_.vma_nodes().slab(), &memory_.anon_names().slab()}) {
    if (pool->in_use() != 0) find("I6", pool->name(), 0, pool->in_use(), 0);
  }
}

}  // namespace quire
