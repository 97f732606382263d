// What an actor is about to do at a yield point, and where: the alphabet of a schedule.
//
// A yield point comes with a label and an address (host/hooks/quire_hooks.h). The label tells whether the operation reads or changes what
// is there, and whether it can only go on when something is free. The address becomes a Place: a number that names the same thing in
// every execution of a scenario, wherever the host put it.
// Does not know schedules, scenarios or what the operations are for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace quire {
class Machine;
}

namespace quire::explore {

/// What an operation does to its place.
enum class Effect : std::uint8_t {
  kBoundary,   ///< nothing: between two operations of a scenario's actor
  kRead,
  kWrite,
  kConfirm,    ///< a write that only happens if nothing has changed since the read just before it; else the read is done again
  kTakeSpin,   ///< takes a spin lock: a 32-bit word that is not zero while held
  kTakeMmu,    ///< takes a simulated Mmu: a pointer that is not null while held
  kRelease,    ///< gives either back; whoever wants it runs afterwards anyway, so nobody need be run before
  kRelax,      ///< a turn of a spin loop on the place of the operation before
};

/// The effect that a label stands for; labels nobody has classified are writes, which is always sound.
[[nodiscard]] Effect effect_of(const char* label);

/// A thing that operations may meet at; 0 is nowhere.
using Place = std::uint64_t;

struct Operation {
  const char* label = "start";
  const void* where = nullptr;
  Place place = 0;
  Effect effect = Effect::kBoundary;
  const void* site = nullptr;  ///< the code that does it
};

/// Turns addresses into places, for one execution after another.
///
/// Physical memory and descriptors are named by offset: entries and small objects by 8 bytes, the data of a page as a whole. Things on the
/// host's heap are numbered in the order in which the set-up, which is the same each time, meets them.
class Places {
 public:
  void begin(const Machine& machine);
  [[nodiscard]] Place of(const char* label, const void* where);
  /// Whether only the allocator's bookkeeping lives there. It is left out of schedules (but in scenarios about it): frames are alike, and
  /// each actor has a cache of its own.
  [[nodiscard]] bool is_allocator(Place place) const;
  /// In words, for schedules; looks at the machine as it is now.
  [[nodiscard]] std::string describe(const Operation& operation) const;

 private:
  enum class Area : std::uint64_t { kNowhere, kMachine, kWindow, kFrame, kDescriptor, kHeap };
  static constexpr unsigned kAreaShift = 56;
  [[nodiscard]] static Place place(Area area, std::uint64_t offset) { return (static_cast<std::uint64_t>(area) << kAreaShift) | offset; }
  [[nodiscard]] std::string describe_frame(std::uint64_t pfn) const;

  const Machine* machine_ = nullptr;
  std::unordered_map<const void*, std::uint64_t> heap_;
};

/// mixes two numbers into one that names both.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9E3779B97F4A7C15ULL ^ (b + 0x632BE59BD9B4E019ULL + (a << 6));
  x ^= x >> 32;
  x *= 0xD6E8FEB86659FD93ULL;
  x ^= x >> 29;
  return x;
}

}  // namespace quire::explore
