// An address plus an address means nothing.
// Rows: S2.3
#include "quire/base/types.h"

quire::VirtAddr middle(quire::VirtAddr a, quire::VirtAddr b) {
#ifndef QUIRE_MUST_COMPILE
  return a + b;
#else
  return a + (b - a);
#endif
}
