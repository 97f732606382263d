#include "quire/host/mmu.h"

#include <quire_hooks.h>

#include <new>
#include <thread>

#include "quire/host/frame_check.h"
#include "quire/platform.h"

namespace quire::mmu {
namespace {

/// Distinguishes threads; its address is unique among those that live.
constinit thread_local char this_thread = 0;

/// The 64-bit slot a hardware walk reads.
std::uint64_t* slot_address(const PhysicalMemory& physical, Pfn table, Slot slot) {
  return reinterpret_cast<std::uint64_t*>(physical.frame(table)) + slot;
}

}  // namespace

void Mmu::lock() {
  const void* const me = &this_thread;
  if (owner_.load(std::memory_order_relaxed) == me) {
    ++depth_;
    return;
  }
  hooks::yield_point("lock_mmu", &owner_);
  const void* nobody = nullptr;
  while (!owner_.compare_exchange_weak(nobody, me, std::memory_order_acquire)) {
    nobody = nullptr;
    platform::relax();
  }
  depth_ = 1;
}

void Mmu::unlock() {
  if (--depth_ != 0) return;
  hooks::yield_point("unlock_mmu", &owner_);
  owner_.store(nullptr, std::memory_order_release);
}

bool Mmu::held_by_this_thread() const {
  return owner_.load(std::memory_order_relaxed) == &this_thread;
}

Mmu::Tagged* Mmu::find(std::uint64_t id) {
  if (tagged_ != nullptr && tagged_->id == id) return tagged_;
  for (Tagged& tagged : tags_) {
    if (tagged.id == id) return &tagged;
  }
  return nullptr;
}

Mmu::Tagged* Mmu::claim(std::uint64_t id) {
  if (Tagged* known = find(id); known != nullptr) return known;
  Tagged* oldest = &tags_[0];
  for (Tagged& tagged : tags_) {
    if (tagged.last_use < oldest->last_use) oldest = &tagged;
  }
  if (oldest->cache == nullptr) {
    oldest->cache.reset(new (std::nothrow) TranslationCache(surroundings_.geometry));
    if (oldest->cache == nullptr) return nullptr;
  }
  oldest->cache->forget_all();
  oldest->id = id;
  oldest->seen_generation = 0;
  return oldest;
}

void Mmu::load(TlbContext& context) {
  if (running_ != nullptr && running_ != &context) unload();
  loaded_id_ = context.id;
  root_ = context.root;
  running_ = &context;
  // The bit first: a flush that does not see it has raised the generation before it is read here.
  hooks::yield_point("load_root", &context);
  context.running.fetch_or(std::uint64_t{1} << index_);
  hooks::yield_point("load_root", &context);
  const std::uint64_t generation = context.generation.load();
  tagged_ = claim(context.id);
  if (tagged_ != nullptr) {
    tagged_->last_use = ++clock_;
    if (tagged_->seen_generation != generation) tagged_->cache->forget_all();
    tagged_->seen_generation = generation;
  }
  moved();
}

void Mmu::unload() {
  if (running_ != nullptr) running_->running.fetch_and(~(std::uint64_t{1} << index_));
  running_ = nullptr;
  loaded_id_ = 0;
  tagged_ = nullptr;
  moved();
}

bool Mmu::translate(VirtAddr address, Access access, Translation& result) {
  if (loaded_id_ == 0 || address >= surroundings_.geometry.user_top()) return false;
  if (policy_ == CachePolicy::kRandom && (random() & 15U) == 0) {
    speculate(VirtAddr(address.raw() ^ ((random() & 0x3FFU) << kPageShift)));
  }
  CachedPage* const cached = tagged_ == nullptr ? nullptr : tagged_->cache->page(address);
  const bool use_cached =
      cached != nullptr && (policy_ != CachePolicy::kRandom || (random() & 3U) != 0);
  if (use_cached && cached->rights.allow(access) && (access != Access::kWrite || cached->dirty)) {
    check_data_frame(address, *cached);
    result = {.frame = cached->frame, .rights = cached->rights};
    return true;
  }
  CachedPage page;
  if (walk(address, access, page)) {
    check_data_frame(address, page);
    if (tagged_ != nullptr && policy_ != CachePolicy::kTablesOnly)
      tagged_->cache->remember_page(address, page);
    result = {.frame = page.frame, .rights = page.rights};
    return true;
  }
  if (tagged_ != nullptr) tagged_->cache->forget_address(address);
  return false;
}

void Mmu::speculate(VirtAddr address) {
  if (loaded_id_ == 0 || address >= surroundings_.geometry.user_top()) return;
  CachedPage page;
  if (!walk(address, Access::kRead, page) || tagged_ == nullptr) return;
  if (tagged_->cache->page(address) == nullptr) tagged_->cache->remember_page(address, page);
}

// Where a walk begins: the deepest cached table, or a shallower one, as real processors may choose;
// else the root.
void Mmu::start(VirtAddr address, Level& level, CachedTable& from) {
  if (tagged_ != nullptr) {
    for (Level above(2); above <= surroundings_.geometry.root_level(); above = above.above()) {
      const CachedTable* const cached = tagged_->cache->table(address, above);
      if (cached == nullptr) continue;
      if (policy_ == CachePolicy::kRandom && (random() & 1U) == 0) continue;
      level = above.below();
      from = *cached;
      return;
    }
  }
  level = surroundings_.geometry.root_level();
  from = {
      .table = root_, .rights = {}, .generation = frame_generation(surroundings_.memory, root_)};
}

bool Mmu::walk(VirtAddr address, Access access, CachedPage& result) {
  Level level = kLeafLevel;
  CachedTable from;
  start(address, level, from);
  for (;;) {
    std::uint64_t* const slot = slot_address(surroundings_.physical, from.table,
                                             surroundings_.geometry.slot_of(address, level));
    hooks::yield_point("walk", slot);
    const RawEntry entry(__atomic_load_n(slot, __ATOMIC_ACQUIRE));
    // Looked at after the load: no flush has completed since this walk began, so the table cannot
    // have been freed, either.
    if (!usable_table(address, level, from)) return false;
    if (!entry.present()) return false;
    if (entry.has_reserved_bits(level) ||
        entry.frame().raw() >= surroundings_.physical.frames().raw()) {
      surroundings_.violations.report("S0.22", "an entry with reserved bits", address.raw(),
                                      from.table.raw());
      return false;
    }
    const Rights rights = entry.narrow(from.rights);
    const bool leaf = entry.maps_memory(level);
    if (leaf && !rights.allow(access)) return false;
    if (!set_flags(slot, entry, leaf && access == Access::kWrite, from.table))
      continue;  // changed meanwhile: read it again
    if (leaf) {
      const std::uint64_t offset = address.raw() & (surroundings_.geometry.span(level).raw() - 1);
      const Pfn frame = entry.frame() + PageCount(offset >> kPageShift);
      result = {.frame = frame,
                .rights = rights,
                .dirty = entry.dirty() || access == Access::kWrite,
                .generation = frame_generation(surroundings_.memory, frame)};
      return true;
    }
    from = {.table = entry.frame(),
            .rights = rights,
            .generation = frame_generation(surroundings_.memory, entry.frame())};
    if (tagged_ != nullptr) tagged_->cache->remember_table(address, level, from);
    level = level.below();
  }
}

bool Mmu::set_flags(std::uint64_t* slot, RawEntry seen, bool writes, Pfn table) {
  const std::uint64_t wanted = seen.bits() | RawEntry::kAccessed | (writes ? RawEntry::kDirty : 0);
  if (wanted == seen.bits()) return true;
  if (is_zero_object(surroundings_.memory, table)) {
    surroundings_.violations.report("I13", "the processor would set a flag in a zero table", 0,
                                    table.raw());
    return true;
  }
  std::uint64_t expected = seen.bits();
  return __atomic_compare_exchange_n(slot, &expected, wanted, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED);
}

bool Mmu::usable_table(VirtAddr address, Level level, const CachedTable& table) {
  hooks::yield_point("look_frame", surroundings_.physical.frame(table.table));
  if (is_table(surroundings_.memory, table.table, level) &&
      frame_generation(surroundings_.memory, table.table) == table.generation) {
    return true;
  }
  surroundings_.violations.report("I7", "a walk reached a frame that is no table any more",
                                  address.raw(), table.table.raw());
  return false;
}

void Mmu::check_data_frame(VirtAddr address, const CachedPage& page) {
  if (is_data(surroundings_.memory, page.frame) &&
      frame_generation(surroundings_.memory, page.frame) == page.generation) {
    return;
  }
  surroundings_.violations.report("I7", "an access reached a frame that was freed", address.raw(),
                                  page.frame.raw());
}

void Mmu::flush(std::uint64_t id, const FlushRequest& request, std::uint64_t generation) {
  lock();
  if (Tagged* const tagged = find(id); tagged != nullptr && tagged->cache != nullptr) {
    tagged->cache->flush(request);
    // Only the next in turn: with one missing, a later load must still drop everything.
    if (tagged->seen_generation + 1 == generation) tagged->seen_generation = generation;
  }
  moved();
  unlock();
}

void Mmu::flush_all(FlushRequest::Depth depth) {
  lock();
  const FlushRequest everything{
      .range = VirtRange(VirtAddr(0), surroundings_.geometry.user_top()), .depth = depth};
  for (const Tagged& tagged : tags_) {
    if (tagged.id != 0 && tagged.cache != nullptr) tagged.cache->flush(everything);
  }
  moved();
  unlock();
}

void Mmu::retire(std::uint64_t id) {
  lock();
  if (Tagged* const tagged = find(id); tagged != nullptr) {
    if (tagged->cache != nullptr) tagged->cache->forget_all();
    tagged->id = 0;
    tagged->last_use = 0;
    if (tagged_ == tagged) tagged_ = nullptr;
  }
  if (loaded_id_ == id) unload();
  unlock();
}

void Mmu::set_policy(CachePolicy policy, std::uint64_t seed) {
  policy_ = policy;
  random_state_ = seed | 1U;
}

// xorshift64: enough to vary what is cached, and the same on each run.
std::uint64_t Mmu::random() {
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return random_state_ >> 11;
}

}  // namespace quire::mmu
