// What an operation has taken out of the tables, to be released only after a flush (I7, P2).
//
// Life cycle: on the stack of one operation, for one address space. Entries are cleared or replaced under table locks and noted here; then,
// without table locks, finish() flushes once and drops what was noted: shares of tables, leaf entries of frames. Records are typed (S0.30).
// Its life is the bracket that secondary MMUs of the space are told of (tlb/notifier.h; S0.56).
#pragma once

#include <cstdint>

#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/tlb/tlb_context.h"

namespace quire {

class AddressSpace;

class Gather {
 public:
  explicit Gather(AddressSpace& space);
  ~Gather() {
    finish();
    if (open_ != 0) close();
  }
  Gather(const Gather&) = delete;
  Gather& operator=(const Gather&) = delete;

  /// Translations in `range` have changed.
  void flush_range(VirtRange range, FlushRequest::Depth depth);
  /// An upper entry that covered `span` no longer names `table`: its share is dropped after the flush.
  void drop_table(Frame& table, VirtRange span);
  /// The leaf entry that maps `mapped` no longer names `frame`.
  void drop_frame(Frame& frame, VirtRange mapped);
  /// Room for one more frame or table; if not, the caller finishes first, without table locks.
  [[nodiscard]] bool is_full() const { return frames_ == kFrames || tables_ == kTables; }
  /// Flushes if anything changed, then releases. May be called again.
  void finish() {
    if (flush_) flush_and_release();
  }

 private:
  void flush_and_release();
  void close();
  static constexpr unsigned kFrames = 128, kTables = 16;
  AddressSpace& space_;
  VirtRange range_;
  bool flush_ = false;
  FlushRequest::Depth depth_ = FlushRequest::Depth::kLeavesOnly;
  unsigned frames_ = 0, tables_ = 0;
  Frame* frame_[kFrames];
  Frame* table_[kTables];
  std::uint32_t open_ = 0;  ///< MmuNotifiers::Open
};

}  // namespace quire
