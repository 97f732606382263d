// The memory management unit of one simulated CPU: the loaded root, tagged translation caches, the
// table walk, accessed and dirty flags.
//
// Life cycle: owned by its Machine, lent to one Cpu at a time, never freed before the machine; so a
// flush may look at it at any time. Software asks it to forget (flush, retire); it never forgets on
// its own but at a page fault, and uses what it remembers (I7). With CachePolicy::kRandom it drops
// leaves now and then and speculates, as real processors may.
//
// Locks: one lock, recursive for a thread, held for each access from translation to the end of the
// store, so that a flush returns only when no access through an old translation is under way (the
// simulated interrupt is taken between instructions). Innermost of all: nothing is called under it
// that could wait.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/host/physical_memory.h"
#include "quire/host/raw_entry.h"
#include "quire/host/translation_cache.h"
#include "quire/host/violations.h"
#include "quire/tlb/tlb_context.h"

namespace quire {

class MemoryManager;

/// How a simulated CPU uses its caches.
enum class CachePolicy : std::uint8_t {
  kKeepAll,     ///< what was cached once is used until flushed
  kTablesOnly,  ///< leaves are never cached, upper entries always: each access continues from a
                ///< possibly stale table
  kRandom,      ///< a seeded mixture of both, with speculative walks
};

namespace mmu {

/// What an Mmu needs of its machine.
struct Surroundings {
  const PhysicalMemory& physical;
  const MemoryManager& memory;
  Geometry geometry;
  ViolationLog& violations;
};

/// Where an access goes.
struct Translation {
  Pfn frame;
  Rights rights;
};

class Mmu {
 public:
  Mmu(unsigned index, const Surroundings& surroundings)
      : surroundings_(surroundings), index_(index) {}
  Mmu(const Mmu&) = delete;
  Mmu& operator=(const Mmu&) = delete;

  /// Holds the Mmu's lock. While a thread holds it, no flush by another thread completes.
  void lock();
  void unlock();
  [[nodiscard]] bool held_by_this_thread() const;

  /// Loads `context`'s root; keeps what is cached of it if its generation has not moved (S2.24).
  /// Pre: lock held.
  void load(TlbContext& context);
  /// Leaves what is loaded for no root at all. A CPU that merely idles keeps its root and goes on
  /// getting flushes, until the root is retired (R25). Pre: lock held.
  void unload();

  /// Translates for a user-mode access and sets accessed and dirty flags. False: page fault, and
  /// all that was cached for the address is forgotten. Pre: lock held.
  [[nodiscard]] bool translate(VirtAddr address, Access access, Translation& result);
  /// A walk the processor makes on its own account, for any address, also of a root that is only
  /// lazily loaded. Pre: lock held.
  void speculate(VirtAddr address);

  /// Drops what `request` covers of the context `id`; this is the flush that made its generation
  /// `generation`.
  void flush(std::uint64_t id, const FlushRequest& request, std::uint64_t generation);
  /// Drops what is remembered of every context.
  void flush_all(FlushRequest::Depth depth);
  /// Drops all of the context `id`, and its root if it is loaded.
  void retire(std::uint64_t id);

  void set_policy(CachePolicy policy, std::uint64_t seed);
  /// Moves whenever something cached was dropped: a host pointer from translate() is stale then.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  [[nodiscard]] unsigned index() const { return index_; }

  /// Links the Mmus whose lock this thread holds across calls (Cpu::Section).
  Mmu* next_held = nullptr;

 private:
  /// The caches of one address space, as tagged by a PCID.
  struct Tagged {
    std::uint64_t id = 0;
    std::uint64_t seen_generation = 0;
    std::uint64_t last_use = 0;
    std::unique_ptr<TranslationCache> cache;
  };
  static constexpr std::size_t kTags = 64;

  Tagged* find(std::uint64_t id);
  Tagged* claim(std::uint64_t id);
  void moved() { epoch_.fetch_add(1, std::memory_order_release); }

  [[nodiscard]] bool walk(VirtAddr address, Access access, CachedPage& result);
  void start(VirtAddr address, Level& level, CachedTable& from);
  [[nodiscard]] bool set_flags(std::uint64_t* slot, RawEntry seen, bool writes, Pfn table);
  [[nodiscard]] bool usable_table(VirtAddr address, Level level, const CachedTable& table);
  void check_data_frame(VirtAddr address, const CachedPage& page);
  [[nodiscard]] std::uint64_t random();

  Surroundings surroundings_;
  unsigned index_;
  CachePolicy policy_ = CachePolicy::kKeepAll;
  std::uint64_t random_state_ = 1;

  std::atomic<const void*> owner_{nullptr};
  unsigned depth_ = 0;
  std::atomic<std::uint64_t> epoch_{1};

  TlbContext* running_ = nullptr;  ///< whose `running` mask names this CPU
  std::uint64_t loaded_id_ = 0;
  Pfn root_;
  Tagged* tagged_ = nullptr;  ///< of the loaded context; null when the host had no memory for it
  std::array<Tagged, kTags> tags_;
  std::uint64_t clock_ = 0;
};

}  // namespace mmu
}  // namespace quire
