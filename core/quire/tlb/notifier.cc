#include "quire/tlb/notifier.h"

#include <quire_hooks.h>

#include "quire/base/assert.h"
#include "quire/platform.h"

namespace quire {

Result<void> MmuNotifiers::add(const AddressSpace& space, MmuNotifier& notifier) {
  for (Slot& slot : slots_) {
    const AddressSpace* none = nullptr;
    if (!slot.space.compare_exchange(none, &space)) continue;
    slot.notifier.store(&notifier);
    count_.fetch_add(1);
    return {};
  }
  return fail(Errno::kAgain);
}

void MmuNotifiers::vacate(Slot& slot, MmuNotifier* notifier) {
  if (!slot.notifier.compare_exchange(notifier, nullptr)) return;  // its space ends, or its owner is faster
  hooks::yield_point("rw_look", &slot.users);
  for (std::uint32_t users = slot.users.load(); users != 0; users = slot.users.load()) {
    platform::wait(slot.users, users);
  }
  count_.fetch_sub(1);
  slot.space.store(nullptr);
}

void MmuNotifiers::remove(MmuNotifier& notifier) {
  for (Slot& slot : slots_) {
    if (slot.notifier.load() == &notifier) return vacate(slot, &notifier);
  }
}

// Counted before it is looked at again: who takes it out waits for the count after having taken it out.
bool MmuNotifiers::enter(Slot& slot, const AddressSpace* space) {
  if (slot.notifier.load_relaxed() == nullptr || (space != nullptr && slot.space.load() != space)) return false;
  hooks::yield_point("rw_change", &slot.users);
  slot.users.fetch_add(1);
  if (slot.notifier.load() != nullptr && (space == nullptr || slot.space.load() == space)) return true;
  leave(slot);
  return false;
}

void MmuNotifiers::leave(Slot& slot) {
  hooks::yield_point("rw_leave", &slot.users);
  if (slot.users.fetch_sub(1) == 1 && slot.notifier.load() == nullptr) platform::wake(slot.users);
}

MmuNotifiers::Open MmuNotifiers::begin(const AddressSpace* space) {
  Open open = 0;
  for (unsigned n = 0; n < kSlots; ++n) {
    if (!enter(slots_[n], space)) continue;
    // One that is being taken out meanwhile is told to the end.
    if (MmuNotifier* const notifier = slots_[n].notifier.load(); notifier != nullptr) {
      notifier->begin();
      open |= Open{1} << n;
    } else {
      leave(slots_[n]);
    }
  }
  return open;
}

void MmuNotifiers::invalidate(const AddressSpace& space, VirtRange range, Open open) {
  for (unsigned n = 0; n < kSlots; ++n) {
    Slot& slot = slots_[n];
    const bool ours = (open >> n & 1) != 0;
    if (!ours && !enter(slot, &space)) continue;
    if (MmuNotifier* const notifier = slot.notifier.load(); notifier != nullptr) {
      if (!ours) notifier->begin();
      notifier->invalidate(range);
      if (!ours) notifier->end();
    }
    if (!ours) leave(slot);
  }
}

void MmuNotifiers::invalidate_frames(Pfn first, PageCount count, Open open) {
  for (unsigned n = 0; n < kSlots; ++n) {
    Slot& slot = slots_[n];
    const bool ours = (open >> n & 1) != 0;
    if (!ours && !enter(slot, nullptr)) continue;
    if (MmuNotifier* const notifier = slot.notifier.load(); notifier != nullptr) {
      if (!ours) notifier->begin();
      notifier->invalidate_frames(first, count);
      if (!ours) notifier->end();
    }
    if (!ours) leave(slot);
  }
}

void MmuNotifiers::end(Open open) {
  for (unsigned n = 0; n < kSlots; ++n) {
    if ((open >> n & 1) == 0) continue;
    if (MmuNotifier* const notifier = slots_[n].notifier.load(); notifier != nullptr) notifier->end();
    leave(slots_[n]);
  }
}

void MmuNotifiers::release(const AddressSpace& space) {
  for (Slot& slot : slots_) {
    if (!enter(slot, &space)) continue;
    MmuNotifier* const notifier = slot.notifier.load();
    if (notifier != nullptr) notifier->released();
    leave(slot);
    if (notifier != nullptr) vacate(slot, notifier);
  }
}

}  // namespace quire
