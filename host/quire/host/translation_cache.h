// What one simulated CPU remembers of translations: the TLB and the paging-structure caches, per
// address space.
//
// Adversarial on purpose (design.md section 8): nothing is forgotten until software asks for it,
// and then only what the request covers, so an entry that core forgot to flush will be used.
// Capacity is unlimited. Intel SDM 3A 4.10.2 (TLBs), 4.10.3 (paging-structure caches), 4.10.4
// (invalidation). Not synchronised: the Cpu's lock covers it.
#pragma once

#include <array>
#include <cstdint>

#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/host/epoch_map.h"
#include "quire/host/raw_entry.h"
#include "quire/tlb/tlb_context.h"

namespace quire::mmu {

/// A cached leaf: which frame a page is, and what may be done there.
struct CachedPage {
  Pfn frame;
  Rights rights;
  bool dirty = false;  ///< the entry's D flag was set, so a store needs no walk
  std::uint64_t generation =
      0;  ///< of the frame when the entry was made; tells a frame that was freed since
};

/// A cached upper entry: which table continues the walk, and the rights so far.
struct CachedTable {
  Pfn table;
  Rights rights;
  std::uint64_t generation = 0;
};

/// The entries of one address space on one CPU.
class TranslationCache {
 public:
  explicit TranslationCache(const Geometry& geometry) : geometry_(geometry) {}

  [[nodiscard]] CachedPage* page(VirtAddr address) {
    return pages_.find(page_index(address).raw());
  }
  void remember_page(VirtAddr address, const CachedPage& page) {
    pages_.insert(page_index(address).raw(), page);
  }

  /// The cached entry of a table at `level` (2 or more) that covers `address`.
  [[nodiscard]] CachedTable* table(VirtAddr address, Level level) {
    return tables(level).find(key(address, level));
  }
  void remember_table(VirtAddr address, Level level, const CachedTable& table) {
    tables(level).insert(key(address, level), table);
  }

  /// Forgets what the request covers and nothing else.
  void flush(const FlushRequest& request);
  /// Forgets what a page fault makes the processor forget: all that would be used for this address
  /// (SDM 3A 4.10.4.1).
  void forget_address(VirtAddr address);
  void forget_page(VirtAddr address) { pages_.erase(page_index(address).raw()); }
  void forget_all();

 private:
  using Tables = EpochMap<CachedTable>;
  [[nodiscard]] std::uint64_t key(VirtAddr address, Level level) const {
    return geometry_.entry_range(address, level).begin().raw();
  }
  [[nodiscard]] Tables& tables(Level level) { return tables_[level.raw() - 2U]; }

  Geometry geometry_;
  EpochMap<CachedPage> pages_;
  std::array<Tables, kMaxLevels - 1> tables_;
};

}  // namespace quire::mmu
