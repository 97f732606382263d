// Guards on pages of a range: set, or taken away (userfaultfd's write protection).
//
// Every shared table in the range is unshared first: what one space guards is nobody else's business (P1). A guard stands in the leaf, or,
// where there is none, in a marker, for which there has to be a table. What all that may need is reserved before the first entry changes
// (I12).
#pragma once

#include "quire/space/own_tables.h"
#include "quire/vma/vma.h"

namespace quire {

class Guards {
 public:
  /// Locks: the space's, exclusive, for the life of the object.
  explicit Guards(AddressSpace& space) : memory_(space.memory()), tables_(space, Counter::kUnshareMprotect) {}
  /// Adds what guarding `range`, which lies in one mapping, needs. Ranges are counted once each, in any order.
  void count(VirtRange range, Unpopulated unpopulated) { tables_.count(range, expansion_for(unpopulated)); }
  /// The same for taking guards away.
  void count_removal(VirtRange range) { tables_.count(range); }
  /// Errors: ENOMEM.
  Result<void> reserve() { return tables_.reserve(); }
  void set(VirtRange range, Unpopulated unpopulated, Gather& gather);
  void remove(VirtRange range, Gather& gather);

 private:
  /// Where only zeros were read each page gets an entry of its own.
  static OwnTables::Expand expansion_for(Unpopulated unpopulated) {
    return unpopulated == Unpopulated::kMarked ? OwnTables::Expand::kAll : OwnTables::Expand::kZeroTables;
  }
  void set_leaf(ExclusiveTable& table, Slot slot, VirtRange page, Unpopulated unpopulated, Gather& gather);
  void remove_leaf(ExclusiveTable& table, Slot slot);

  MemoryManager& memory_;
  OwnTables tables_;
};

}  // namespace quire
