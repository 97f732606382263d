#include "quire/host/sections.h"

namespace quire {
namespace {

constinit thread_local mmu::Mmu* sections = nullptr;

}  // namespace

void begin_section(mmu::Mmu& mmu) {
  mmu.lock();
  mmu.next_held = sections;
  sections = &mmu;
}

void end_section(mmu::Mmu& mmu) {
  mmu::Mmu** link = &sections;
  while (*link != &mmu) link = &(*link)->next_held;
  *link = mmu.next_held;
  mmu.next_held = nullptr;
  mmu.unlock();
}

SectionsReleased::SectionsReleased() {
  for (mmu::Mmu* mmu = sections; mmu != nullptr; mmu = mmu->next_held) mmu->unlock();
}

SectionsReleased::~SectionsReleased() {
  for (mmu::Mmu* mmu = sections; mmu != nullptr; mmu = mmu->next_held) mmu->lock();
}

}  // namespace quire
