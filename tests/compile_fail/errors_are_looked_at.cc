// What an operation answers is not thrown away.
// Rows: S1.24
#include "quire/space/address_space.h"

void hasty(quire::AddressSpace& space) {
#ifndef QUIRE_MUST_COMPILE
  space.munmap(quire::VirtAddr(0), quire::ByteCount(4096));
#else
  if (!space.munmap(quire::VirtAddr(0), quire::ByteCount(4096))) return;
#endif
}
