// Taking entries of pages that have left their object, and perhaps of private copies of them, out of all tables (S4.35, S2.47, R12).
//
// Used by objects whose pages go while they are mapped: truncation, holes. Edits shared tables in place (S1.6) and flushes all processors,
// a batch at a time, before the entries' frames are let go (I7). Life cycle: on the stack of one removal. Locks: none held.
#pragma once

#include <array>
#include <cstdint>

#include "quire/memory_manager.h"
#include "quire/object/memory_object.h"

namespace quire {

class PageRemoval {
 public:
  enum class Copies : std::uint8_t { kStay, kGoToo };
  PageRemoval(MemoryObject& object, Copies copies) : object_(object), memory_(object.memory_), copies_(copies) {}
  PageRemoval(const PageRemoval&) = delete;
  PageRemoval& operator=(const PageRemoval&) = delete;

  /// Pre: what has left is marked Frame::kRemoved.
  void run(PageIndex first, PageIndex last);

 private:
  void walk(PageIndex first, PageIndex last);
  bool clear(Frame& frame, std::int64_t first_index, PageIndex first, PageIndex last);
  [[nodiscard]] bool is_wanted(const Frame& page, std::uint64_t index) const;
  void finish_batch();

  struct Cleared {
    Frame* page;
    EntryKind kind;
  };
  static constexpr unsigned kBatch = 64;
  static constexpr std::uint64_t kLastIndex = ~std::uint64_t{0} >> 2;
  MemoryObject& object_;
  MemoryManager& memory_;
  const Copies copies_;
  std::array<Cleared, kBatch> batch_;
  unsigned count_ = 0;
  MmuNotifiers::Open open_ = 0;
};

}  // namespace quire
