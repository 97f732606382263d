// What programs are told about memory: /proc/PID/smaps, pagemap, pagetable, numa_maps and
// kpagecount, from the tables as they are.
//
// Nothing here may show that tables are shared: a page is mapped as often as there are ways from a
// root to it, so an entry of a table that n spaces reach counts n times (X8, Linux v6.12
// fs/proc/task_mmu.c:smaps_account(), pagemap_pmd_range()). A page that is named by one entry costs
// a look at its descriptor. For one that is named by more, the tables attached to its object there
// are asked, each with its reach (space/census.h). Exact if nothing changes meanwhile; otherwise
// each figure is of some moment of the call, as on Linux.
//
// Life cycle: make one for a space, ask, let go; one exists at a time in a machine, others wait. It
// is 11 KiB: not for a kernel stack. Changes nothing that a program could see, allocates nothing,
// never fails. Locks: holds MemoryManager::observers() from birth to death; takes the space's lock
// shared for a table at a time. None of core's is held by the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "quire/base/types.h"
#include "quire/space/address_space.h"
#include "quire/space/census.h"

namespace quire {

/// A share of memory in Linux's fixed point: bytes × 2^12 (PSS_SHIFT).
inline constexpr unsigned kPssShift = 12;
/// What a page counts that is mapped `mappings` times.
[[nodiscard]] constexpr std::uint64_t pss_of_page(std::uint32_t mappings) {
  return (kPageSize << kPssShift) / (mappings == 0 ? 1 : mappings);
}

/// Figures of a range, as smaps gives them. Zero pages are not resident.
struct RangeFigures {
  PageCount resident, shared_clean, shared_dirty, private_clean, private_dirty, referenced,
      anonymous;
  PageCount dirty;
  PageCount shared_huge, private_huge;  ///< huge pages, in small ones; in no other figure (S2.11)
  std::uint64_t pss = 0, pss_dirty = 0, pss_anon = 0, pss_file = 0, pss_shmem = 0;
  std::uint32_t most_mappings = 0;  ///< of one page
  RangeFigures& operator+=(const RangeFigures& other);
};

/// One page, as pagemap gives it.
struct PageState {
  bool present = false;    ///< an entry names memory, even if it may not be accessed
  bool exclusive = false;  ///< mapped once, here
  bool of_object = false;  ///< of a file or of shared memory
  bool counted = false;    ///< a page, not zero and no device
  bool guarded = false;    ///< or will be, when there is a page
  bool soft_dirty = false; ///< written, or new, since AddressSpace::track_writes(); also of mappings' pages that are not present
  std::uint32_t mappings = 0;
  Pfn frame;
};

/// Figures of the tables a space reaches, the root included, zero tables not.
struct TableFigures {
  PageCount tables, shared;  ///< all; those that other spaces reach too
  std::uint64_t pss = 0;     ///< each divided by the spaces that reach it
};

/// A table, as pagetable gives it.
struct TableRecord {
  Level level;
  VirtRange range;
  Pfn frame;
  std::uint32_t share = 0, reach = 0;
  std::uint16_t live = 0;
  std::uint16_t leaves[kLeafClasses] = {};
  bool writable = false;  ///< every entry above it has W
  bool zero = false;      ///< a zero table: no counts
};

/// Frames that hold pages of programs: private ones, and those of objects that
/// some entry names.
struct FrameFigures {
  PageCount anon, mapped_objects;
};
/// Counts them. Cost: a look at each descriptor ever used. Locks: none.
[[nodiscard]] FrameFigures count_frames(MemoryManager& memory);
/// Sets counts[i] to how often frame `first` + i is mapped, by any space. Cost: all tables of the
/// machine. Locks: as an Observer.
void count_mappings(MemoryManager& memory, Pfn first, std::span<std::uint32_t> counts);
/// Tables that several spaces reach, each once. Cost: all upper tables of the machine. Locks: as an
/// Observer.
[[nodiscard]] PageCount count_shared_tables(MemoryManager& memory);

class Observer {
 public:
  explicit Observer(AddressSpace& space);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// Figures of the pages in `range`, whatever mapping they belong to.
  RangeFigures measure(VirtRange range);
  /// The states of the pages from `begin`, page aligned, on: those that lie in user space.
  void look(VirtAddr begin, std::span<PageState> pages);
  TableFigures tables();
  /// The first table after `previous` in order of address, an upper one before those below it;
  /// none: the root. False: there is none.
  bool next_table(std::optional<TableRecord>& record);

 private:
  enum class Found : std::uint8_t { kNothing, kZeros, kLeaves, kHuge, kNeedsCensus };
  /// Of a slot: not a page that counts; its mappings are known; its object is to be asked; it is
  /// being asked.
  enum class SlotState : std::uint8_t { kOther, kCounted, kOpen, kAsked };

  /// Calls visit(found, part) for each span of `range` that is one in the tables; of leaves, the
  /// slots are filled, of a huge page one.
  template <typename Visit>
  void walk(VirtRange range, Visit visit);
  // What lies at range.begin(), and how far that reaches.
  Found find(VirtRange range, VirtRange& span);
  Found find_below(Frame& table, VirtRange range, bool shared, VirtRange& span);
  [[nodiscard]] Entry page_at(const TableView& table, unsigned slot) const;
  /// How many entries name it, or stand for one that did.
  [[nodiscard]] static std::uint32_t entries_of(const Frame& frame) { return frame.leaf_entries() + frame.moving; }
  Found read_leaves(Frame& table, VirtRange part, bool shared);
  void read_again(Frame& table);
  bool wants(Census::Scope scope);
  void ask_objects(VirtRange range);
  void ask_object();
  void open_object();
  [[nodiscard]] PageState state_of(unsigned slot) const;
  // Locks of these: the space's, shared.
  bool count_tables(Frame& table, bool shared, TableFigures& figures);
  enum class Search : std::uint8_t { kFound, kNothing, kNeedsCensus };
  Search table_after(Frame& table, VirtAddr base, bool shared, TableRecord& record);

  AddressSpace& space_;
  MemoryManager& memory_;
  Census census_;
  Census::Scope wanted_ = Census::Scope::kNone;
  // The table whose leaves are looked at, of level_: its slots from first_slot_ to end_slot_, of which open_ wait for
  // their objects.
  Level level_ = kLeafLevel;
  unsigned first_slot_ = 0, end_slot_ = 0, open_ = 0;
  bool again_ = false;
  // The object asked now, about pages first_index_ to last_index_, and how many entries it should
  // still find.
  MemoryObject* object_ = nullptr;
  std::uint64_t first_index_ = 0, last_index_ = 0, entries_left_ = 0;
  Entry entries_[kMaxSlots];
  std::uint64_t indexes_[kMaxSlots];
  std::uint32_t mappings_[kMaxSlots];
  SlotState states_[kMaxSlots];
};

}  // namespace quire
