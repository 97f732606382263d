// What an object is made of is nobody else's.
// Rows: S4.11
#include "quire/object/memory_object.h"

std::uint64_t look_into(const quire::MemoryObject& object) {
#ifdef QUIRE_MUST_COMPILE
  return object.users();
#else
  return object.holds_.load();
#endif
}
