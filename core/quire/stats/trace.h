// Tracepoints: what happens to tables, in order, for whoever asks (S0.58).
//
// Nothing is written down until start() says which events are wanted, and of which space; a tracepoint that is not wanted costs one
// branch, or nothing in a core built without them (kTraceIsBuilt). Records go to a ring of frames that holds the last of them; readers
// say from where on, and learn by the numbers what they have missed. The shares of all tables can be told from a whole trace:
// `table_make` gives one, `table_share` and `table_drop` say what there are afterwards, `table_free` ends it.
// Locks: none; a record is whole or not read at all.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/stats/counters.h"

namespace quire {

class MemoryManager;

/// Whether there are tracepoints at all.
inline constexpr bool kTraceIsBuilt = true;

// clang-format off
#define QUIRE_TRACE_EVENTS(X)                                                               \
  X(kFork, "fork")                /* space: the parent, value: the child */                 \
  X(kExec, "exec")                /* space: the new one, value: the old */                  \
  X(kExit, "exit")                                                                          \
  X(kRemap, "mremap")             /* address: from, value: to */                            \
  X(kZap, "zap")                  /* a range of pages; value: its size in bytes */          \
  X(kMake, "table_make")                                                                    \
  X(kShare, "table_share")        /* share: afterwards */                                   \
  X(kUnshare, "table_unshare")    /* share: before; value: the copy; with its reason */     \
  X(kReuse, "table_reuse")        /* taken over: the share was back to one */               \
  X(kDetach, "table_detach")      /* share: before the drop that follows; with its reason */ \
  X(kMove, "table_move")          /* by pointer; value: where to */                         \
  X(kDrop, "table_drop")          /* share: afterwards */                                   \
  X(kFree, "table_free")
// clang-format on

enum class TraceEvent : std::uint8_t {
#define QUIRE_TRACE_ENUM(name, text) name,
  QUIRE_TRACE_EVENTS(QUIRE_TRACE_ENUM)
#undef QUIRE_TRACE_ENUM
};
inline constexpr const char* kTraceEventNames[] = {
#define QUIRE_TRACE_NAME(name, text) text,
    QUIRE_TRACE_EVENTS(QUIRE_TRACE_NAME)
#undef QUIRE_TRACE_NAME
};
inline constexpr unsigned kTraceEvents = sizeof(kTraceEventNames) / sizeof(kTraceEventNames[0]);

/// What is not said is 0.
struct TraceRecord {
  std::uint64_t space = 0;  ///< AddressSpace::id()
  VirtAddr address{};
  std::uint64_t value = 0;
  Pfn table{};
  std::uint32_t share = 0;
  Level level{0};
  TraceEvent event = TraceEvent::kFork;
  Counter reason = Counter::kFork;
  std::uint64_t number = 0;  ///< set by Trace: counts from 0
};

class Trace {
 public:
  static constexpr std::uint32_t kAllEvents = (1U << kTraceEvents) - 1;
  /// Which events are wanted (bits by TraceEvent), and of which space (0: all, and what belongs to none).
  struct Filter {
    std::uint32_t events = kAllEvents;
    std::uint64_t space = 0;
  };

  /// Records what `filter` lets through from now on. The ring's frames are taken at the first start and kept. Errors: ENOMEM.
  Result<void> start(MemoryManager& memory, Filter filter);
  void stop() { events_.store_relaxed(0); }
  /// Stops, forgets all and gives the ring back. Pre: nobody else uses the machine.
  void end(MemoryManager& memory);
  [[nodiscard]] Filter filter() const { return {events_.load_relaxed(), space_.load_relaxed()}; }

  /// The next records from number `from` on, which moves behind them; those that are not there any more are passed over. Returns how many.
  std::size_t read(std::uint64_t& from, std::span<TraceRecord> to) const;
  /// How many there have been.
  [[nodiscard]] std::uint64_t count() const { return next_.load_relaxed(); }

  [[nodiscard]] bool wants(TraceEvent event) const {
    return kTraceIsBuilt && (events_.load_relaxed() >> static_cast<unsigned>(event) & 1) != 0;
  }
  /// A tracepoint: `make` gives its record, if it is wanted.
  template <typename Make>
  [[gnu::always_inline]] void add(TraceEvent event, Make make) {
    if (wants(event)) [[unlikely]] put(event, make());
  }

 private:
  static constexpr unsigned kFrames = 16, kWords = 6;
  static constexpr unsigned kSlotsPerFrame = kPageSize / (8 * (kWords + 1));
  static constexpr std::uint64_t kSlots = std::uint64_t{kFrames} * kSlotsPerFrame;
  static constexpr std::uint64_t kBusy = ~std::uint64_t{0};
  /// A record in words, and its number + 1; kBusy while it is written.
  struct Slot {
    Atomic<std::uint64_t> stamp;
    std::array<Atomic<std::uint64_t>, kWords> words;
  };

  [[gnu::cold, gnu::noinline]] void put(TraceEvent event, TraceRecord record);
  [[nodiscard]] Slot& slot_of(std::uint64_t number) const {
    return ring_[number % kSlots / kSlotsPerFrame][number % kSlotsPerFrame];
  }

  Atomic<std::uint32_t> events_{0};
  Atomic<std::uint64_t> space_{0};
  Atomic<std::uint64_t> next_{0};
  std::array<Slot*, kFrames> ring_{};
};

}  // namespace quire
