// The locks of two tables at once, in their order (docs/LOCKS.md).
#pragma once

#include "quire/table/writer.h"

namespace quire {

/// Holds the locks of two tables of one level, which may be the same.
class TwoTables {
 public:
  TwoTables(const TableView& a, const TableView& b) TA_ATTRIBUTE(no_thread_safety_analysis) {
    const bool in_order = a.lock_key() <= b.lock_key();
    first_ = &(in_order ? a : b).lock();
    second_ = &(in_order ? b : a).lock();
    first_->lock(LockRank::kTable, (in_order ? a : b).lock_key());
    if (second_ != first_) second_->lock(LockRank::kTable, (in_order ? b : a).lock_key());
  }
  ~TwoTables() TA_ATTRIBUTE(no_thread_safety_analysis) {
    if (second_ != first_) second_->unlock();
    first_->unlock();
  }
  TwoTables(const TwoTables&) = delete;
  TwoTables& operator=(const TwoTables&) = delete;

 private:
  SpinLock* first_;
  SpinLock* second_;
};

}  // namespace quire
