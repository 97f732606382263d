#include "quire/memory_manager.h"

#include "quire/base/text.h"
#include "quire/object/device_object.h"
#include "quire/object/file_object.h"
#include "quire/object/huge_object.h"
#include "quire/space/address_space.h"
#include "quire/vma/anon_name.h"
#include "quire/vma/vma_map.h"

namespace quire {

Result<void> MemoryManager::init(const MemoryConfig& config, const Range* ranges, unsigned range_count) {
  if (config.geometry.levels() < 2 || config.geometry.levels() > kMaxLevels) return fail(Errno::kInval);
  config_ = config;
  pool_.init(config_, counters_, huge_);
  huge_.init(pool_, config_);
  for (unsigned i = 0; i < range_count; ++i) pool_.add_range(ranges[i].first, ranges[i].count);
  spaces_.init(*this, "address_space");
  anon_objects_.init(*this, "anon_object");
  file_objects_.init(*this, "file_object");
  device_objects_.init(*this, "device_object");
  huge_objects_.init(*this, "huge_object");
  attachments_.init(*this, "attachment");
  vma_nodes_.init(*this, "vma_node");
  anon_names_.init(*this, "anon_name");
  return zero_.init(*this);
}

void MemoryManager::report_malformed(Entry entry, Level level, const char* where) {
  counters_.add(Counter::kMalformed);
  Text<160> text;
  text.add("malformed entry ").hex(entry.encoded()).add(" of a table of level ").add(std::uint64_t{level.raw()}).add(" met by ").add(where);
  platform::log(text.c_str());
}

void MemoryManager::flush_all(FlushRequest::Depth depth) {
  counters_.add(Counter::kFlushAll);
  platform::flush_all(machine(), depth);
}

std::uint32_t MemoryManager::moves_of_pages() const {
  hooks::yield_point("moves_look", &moves_of_pages_);
  return moves_of_pages_.load();
}

void MemoryManager::wait_for_moves(std::uint32_t seen) const { platform::wait(moves_of_pages_, seen); }

void MemoryManager::end_move() {
  hooks::yield_point("moves_end", &moves_of_pages_);
  moves_of_pages_.fetch_add(1);
  platform::wake(moves_of_pages_);
}

void MemoryManager::fill_zero(std::byte* page) {
#if defined(__x86_64__)
  // One instruction that counts 512 under icount; the compiler's memset would be a loop where vector registers are off limits.
  std::uint64_t count = kPageSize / 8;
  asm volatile("rep stosq" : "+D"(page), "+c"(count) : "a"(0) : "memory");
#else
  __builtin_memset(page, 0, kPageSize);
#endif
}

void MemoryManager::copy_data(const Frame& to, const Frame& from) const {
  if (config_.metadata_only) return;
  hooks::yield_point("copy_frame", contents(from));
  std::byte* target = contents(to);
  const std::byte* source = contents(from);
#if defined(__x86_64__)
  std::uint64_t count = kPageSize / 8;
  asm volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(count) : : "memory");
#else
  __builtin_memcpy(target, source, kPageSize);
#endif
}

void MemoryManager::clear_huge(Frame& page) const {
  for (std::uint64_t n = 0; n < size_of(page).raw(); ++n) clear_data((&page)[n]);
}

void MemoryManager::copy_huge(Frame& to, const Frame& from) const {
  for (std::uint64_t n = 0; n < size_of(from).raw(); ++n) copy_data((&to)[n], (&from)[n]);
}

void MemoryManager::add_space(AddressSpace& space) {
  space.home_ = platform::current_cpu();
  Home& home = homes_[space.home_];
  SpinGuard guard(home.lock, LockRank::kSpaces);
  AddressSpace* const first = home.first_space;
  space.next_space_ = first;
  space.previous_space_ = nullptr;
  if (first != nullptr) first->previous_space_ = &space;
  home.first_space = &space;
}

void MemoryManager::remove_space(AddressSpace& space) {
  Home& home = homes_[space.home_];
  SpinGuard guard(home.lock, LockRank::kSpaces);
  if (space.previous_space_ != nullptr) {
    space.previous_space_->next_space_ = space.next_space_;
  } else {
    home.first_space = space.next_space_;
  }
  if (space.next_space_ != nullptr) space.next_space_->previous_space_ = space.previous_space_;
}

AddressSpace* MemoryManager::hold_next_space(AddressSpace* space, std::uint64_t family) {
  for (unsigned cpu = space == nullptr ? 0 : space->home_; cpu < platform::kMaxCpus; ++cpu, space = nullptr) {
    Home& home = homes_[cpu];
    if (home.first_space == nullptr) continue;
    SpinGuard guard(home.lock, LockRank::kSpaces);
    for (AddressSpace* next = space == nullptr ? home.first_space : space->next_space_; next != nullptr; next = next->next_space_) {
      const std::uint64_t its = next->family();
      if (its != 0 && (family == 0 || its == family) && next->try_acquire()) return next;
    }
  }
  return nullptr;
}

AddressSpace* MemoryManager::next_space(AddressSpace& space) { return space.next_space_; }

}  // namespace quire
