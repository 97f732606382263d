// Counters of the memory manager: what happened, how often, and why (S0.49, S0.66, S3.35).
//
// One list, from which the enum, the names in /proc/vmstat and the JSON keys come. Relaxed atomics, one row per CPU, so that
// counting touches no shared line (S0.65).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "quire/platform.h"

namespace quire {

// clang-format off
#define QUIRE_COUNTERS(X)                                                                             \
  X(kFork, "pgtable_fork")                            /* address spaces forked */                      \
  X(kShareFork, "pgtable_share_fork")                 /* upper entries made to share a table by fork */ \
  X(kShareZero, "pgtable_share_zero")                 /* zero tables mapped */                         \
  X(kLend, "pgtable_lend")                            /* tables made to be lent by an object */        \
  X(kAttach, "pgtable_share_file")                    /* entries made to name a lent table */          \
  X(kZeroMap, "zero_page_map")                        /* zero leaves mapped by read faults */          \
  X(kZeroToFrame, "zero_page_cow")                    /* zero leaves replaced by frames */             \
  X(kReuseTable, "pgtable_reuse")                     /* tables taken over: share was back to 1 */     \
  X(kUnshareFault, "pgtable_unshare_fault")           /* tables copied, by reason */                   \
  X(kUnshareMunmap, "pgtable_unshare_munmap")                                                          \
  X(kUnshareMprotect, "pgtable_unshare_mprotect")                                                      \
  X(kUnshareMadvise, "pgtable_unshare_madvise")                                                        \
  X(kUnshareMremap, "pgtable_unshare_mremap")                                                          \
  X(kUnshareFork, "pgtable_unshare_fork")             /* special spans of a child (S0.16) */           \
  X(kCopyFork, "pgtable_copy_fork")                   /* tables copied by fork in modes leaf and copy */ \
  X(kForkCopyPinned, "cow_copy_pinned")               /* pinned pages copied for a child by fork */    \
  X(kDetach, "pgtable_detach")                        /* whole tables detached */                      \
  X(kFreeEmpty, "pgtable_free_empty")                                                                  \
  X(kMoveTable, "pgtable_move")                       /* whole tables moved by mremap */                \
  X(kTableAlloc, "pgtable_alloc")                                                                      \
  X(kTableFree, "pgtable_free")                                                                        \
  X(kFrameAlloc, "pgalloc_normal")                                                                     \
  X(kFrameFree, "pgfree")                                                                              \
  X(kFaultMinor, "pgfault_minor")                                                                      \
  X(kFaultMajor, "pgmajfault")                                                                         \
  X(kFaultSpurious, "pgfault_spurious")                                                                \
  X(kCowCopy, "cow_copy")                             /* pages copied by write faults */               \
  X(kCowReuse, "cow_reuse")                           /* pages found exclusive and reused */           \
  X(kRmapLookup, "rmap_lookup")                       /* walks from a page to its entries */           \
  X(kRmapVisit, "rmap_visit")                         /* tables they looked at */                      \
  X(kMigrateSuccess, "pgmigrate_success")             /* pages moved to other frames */                \
  X(kMigrateFail, "pgmigrate_fail")                                                                    \
  X(kPoisoned, "hwpoison_pages")                      /* pages whose memory failed */                  \
  X(kCompact, "compact_success")                      /* times memory was compacted */                 \
  X(kMalformed, "pgtable_malformed")                  /* entries that name no table or frame (S0.22) */ \
  X(kFlush, "tlb_flush")                              /* flushes asked of the platform */              \
  X(kFlushAll, "tlb_flush_all")                       /* of all address spaces on all CPUs */          \
  X(kFlushDeferredDrop, "tlb_deferred_drop")          /* shares and frames dropped after a flush */
// clang-format on

enum class Counter : std::uint8_t {
#define QUIRE_COUNTER_ENUM(name, text) name,
  QUIRE_COUNTERS(QUIRE_COUNTER_ENUM)
#undef QUIRE_COUNTER_ENUM
};

inline constexpr const char* kCounterNames[] = {
#define QUIRE_COUNTER_NAME(name, text) text,
    QUIRE_COUNTERS(QUIRE_COUNTER_NAME)
#undef QUIRE_COUNTER_NAME
};
inline constexpr unsigned kCounterCount = sizeof(kCounterNames) / sizeof(kCounterNames[0]);

/// All counters; sums may run while counting goes on and are then a little old.
class Counters {
 public:
  void add(Counter counter, std::uint64_t n = 1) {
    rows_[platform::current_cpu()].value[static_cast<unsigned>(counter)].fetch_add(n, std::memory_order_relaxed);
  }
  /// One more of both.
  [[gnu::always_inline]] void add(Counter one, Counter other) {
    Row& row = rows_[platform::current_cpu()];
    row.value[static_cast<unsigned>(one)].fetch_add(1, std::memory_order_relaxed);
    row.value[static_cast<unsigned>(other)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t sum(Counter counter) const {
    std::uint64_t total = 0;
    for (const Row& row : rows_) total += row.value[static_cast<unsigned>(counter)].load(std::memory_order_relaxed);
    return total;
  }

 private:
  struct alignas(64) Row {
    std::array<std::atomic<std::uint64_t>, kCounterCount> value{};
  };
  std::array<Row, platform::kMaxCpus> rows_{};
};

}  // namespace quire
