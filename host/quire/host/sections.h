// The Mmu locks that a thread keeps between calls (Cpu::Section), and how they are let go while it
// must wait for others.
//
// Two threads that each keep their own CPU and flush the other's would wait for ever; so a thread
// that flushes first lets go of its own, and takes them again afterwards. Their epochs have moved
// by then.
#pragma once

#include "quire/host/mmu.h"

namespace quire {

/// Remembers that this thread keeps `mmu` locked.
void begin_section(mmu::Mmu& mmu);
void end_section(mmu::Mmu& mmu);

/// For its scope, this thread's sections are unlocked.
class SectionsReleased {
 public:
  SectionsReleased();
  ~SectionsReleased();
  SectionsReleased(const SectionsReleased&) = delete;
  SectionsReleased& operator=(const SectionsReleased&) = delete;
};

}  // namespace quire
