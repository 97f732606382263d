// Faults: from the mapping that covers an address to an entry that lets the access through.
//
// One entry point for reads, writes and instruction fetches, from hardware and software (S1.13). The space's lock is held shared, so
// siblings fault at the same time; tables on an exclusive path cannot vanish meanwhile, so the walk down writable upper entries takes no
// lock, and only the table whose entry changes is locked. Nothing is allocated under a table lock: an attempt says what it lacks, the
// driver reserves it and tries again; every attempt looks anew at whatever is not exclusive. The first attempt has nothing at hand: most
// faults change one entry of a table of the space's own, and for them anything more would be half the cost.
//
// A leaf replaced by another frame of the same contents is first installed read-only, then flushed, then made writable: no CPU can write
// the new frame while another still reads the old one (P2 "leaf → other frame"). A space with a single actor does it in one step.

#include "quire/space/fault_resolver.h"

namespace quire {

[[gnu::always_inline]] inline FaultOutcome AddressSpace::resolve_as(VirtAddr address, Access access, Requester requester, Purpose purpose) {
  for (;;) {
    bool is_mapped = false;
    AskedFault asked;
    FaultDelegate* handler = nullptr;
    {
      SharedGuard guard(lock_);
      if (const Vma* vma = map_.find(address); vma != nullptr) {
        const bool own_page = purpose == Purpose::kOwnPage;
        if (!own_page && !vma->prot.allows(access)) return FaultOutcome::kAccessError;
        // A page of one's own comes about as for a write; that the entry allows one is up to the mapping.
        const Access what = own_page ? Access::kWrite : access;
        const bool wants_tag = what == Access::kWrite && !vma->is_shared() && vma->anon.is_none();
        if (!wants_tag || map_.try_tag(address) == VmaMap::Tagged::kDone) {
          FaultResolver resolver(*this, *vma, address, what, requester);
          const FaultOutcome outcome = resolver.run();
          if (outcome != FaultOutcome::kInterrupted) [[likely]] return outcome;
          asked = resolver.asked();
          handler = vma->handler;
          handler->hold();
        }
        is_mapped = true;
      }
    }
    if (handler != nullptr) {
      const FaultDelegate::Answer answer = handler->ask(asked);
      handler->release();
      switch (answer) {
        case FaultDelegate::Answer::kTryAgain: continue;
        case FaultDelegate::Answer::kRefused: return FaultOutcome::kBusError;
        case FaultDelegate::Answer::kInterrupted: return FaultOutcome::kInterrupted;
      }
    }
    if (is_mapped) {
      if (!tag(address)) return FaultOutcome::kOutOfMemory;
      continue;
    }
    switch (grow_stack(address)) {
      case StackGrowth::kGrown: break;
      case StackGrowth::kNotAStack:
      case StackGrowth::kRefused: return FaultOutcome::kMapError;
      case StackGrowth::kOutOfMemory: return FaultOutcome::kOutOfMemory;
    }
  }
}

FaultOutcome AddressSpace::fault(VirtAddr address, Access access) {
  return resolve_as(address, access, Requester::kActor, Purpose::kAccess);
}

FaultOutcome AddressSpace::resolve_fault(VirtAddr address, Access access, Requester requester, Purpose purpose) {
  return resolve_as(address, access, requester, purpose);
}

// Concurrent first faults agree on one object (S4.19).
Result<AnonObject*> AddressSpace::anon_object() {
  if (AnonObject* object = anon_object_.load(); object != nullptr) return object;
  AnonObject* fresh = memory_.anon_objects().make_or_null(memory_);
  if (fresh == nullptr) return fail(Errno::kNoMem);
  AnonObject* none = nullptr;
  if (anon_object_.compare_exchange(none, fresh)) return fresh;
  fresh->drop_user();
  return none;
}

}  // namespace quire
