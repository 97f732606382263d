// One step of a model test, in eight bytes: so that a random generator, RapidCheck and libFuzzer
// all feed the same runner.
//
// The fields are raw numbers that the runner interprets in the light of the state it finds; every
// value means something, so shrinking and mutating never leave the valid inputs.
#pragma once

#include <bit>
#include <cstdint>

namespace quire::model {

enum class Kind : std::uint8_t {
  kMmap,
  kMunmap,
  kMprotect,
  kMadvise,
  kBrk,
  kLoad,
  kStore,
  kFetch,
  kRead,   ///< AddressSpace::read
  kWrite,  ///< AddressSpace::write
  kFork,
  kExit,
  kSetLimits,
  kMremap,
  kLock,  ///< mlock and its relatives
  kAsk,   ///< mincore, msync
  kName,  ///< names of anonymous memory
  kRemapPages,  ///< remap_file_pages
  kWatch,       ///< mappings whose faults somebody else resolves
  kTrack,       ///< all pages count as not written
};
inline constexpr unsigned kKinds = 20;

struct Operation {
  std::uint8_t kind = 0;   ///< weighed, not an index: see Runner
  std::uint8_t space = 0;  ///< which of the spaces
  std::uint16_t where = 0;
  std::uint16_t length = 0;
  std::uint16_t detail = 0;

  static Operation from_word(std::uint64_t word) { return std::bit_cast<Operation>(word); }
};

/// SplitMix64: the whole test is a function of its seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace quire::model
