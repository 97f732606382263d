// Dropping a chain of counted objects, each of which keeps the next, without a destructor inside a
// destructor: programs can make such chains (nested directories) longer than a kernel stack.
#pragma once

#include "lib/ref_ptr.h"

namespace quire::kernel {

/// Drops `object`, and as long as that was the last reference, what `take_next(object)` takes out
/// of it, and so on. Pre: nobody can find these objects any more, so that a count of 1 stays 1.
template <typename T, typename TakeNext>
void release_chain(RefPtr<T> object, TakeNext take_next) {
  while (object && object->ref_count() == 1) {
    RefPtr<T> next = take_next(*object);
    object = std::move(next);
  }
}

}  // namespace quire::kernel
