// What the simulated hardware saw and should not have: walks through freed tables, loads from freed
// frames, entries it cannot decode.
//
// Life cycle: one log per machine; a bounded number is kept, all are counted. Reading does not
// clear. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace quire {

/// One sighting.
struct Violation {
  const char* invariant = "";  ///< "I7" …
  std::array<char, 160> text{};
};

class ViolationLog {
 public:
  void report(const char* invariant, const char* what, std::uint64_t address, std::uint64_t frame);
  /// Forgets all; for tests that provoke one.
  void clear();
  /// All sightings so far, also those that were not kept.
  [[nodiscard]] std::size_t count() const;
  /// The `n`-th sighting kept; an empty one beyond.
  [[nodiscard]] Violation at(std::size_t n) const;

 private:
  static constexpr std::size_t kKept = 16;
  mutable std::mutex mutex_;
  std::array<Violation, kKept> kept_;
  std::size_t count_ = 0;
};

}  // namespace quire
