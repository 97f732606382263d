// A frame number is not a physical address, and neither is a virtual one.
// Rows: S2.3
#include "quire/base/types.h"

quire::PhysAddr address_of(quire::Pfn pfn) {
#ifndef QUIRE_MUST_COMPILE
  return pfn;
#else
  return pfn.address();
#endif
}
