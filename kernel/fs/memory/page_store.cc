#include "fs/memory/page_store.h"

#include <bit>
#include <new>

#include "fs/vfs.h"
#include "mm/frames.h"

namespace quire::kernel {

bool PageBudget::try_charge(std::uint64_t pages) {
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (pages > limit_ || used > limit_ - pages) return false;
  } while (!used_.compare_exchange_weak(used, used + pages, std::memory_order_relaxed));
  return true;
}

PageStore::Page PageStore::find_or_null(std::uint64_t index) const {
  const auto group = groups_.find(index / kGroupPages);
  return group == groups_.end() ? nullptr : group->pages[index % kGroupPages];
}

PageStore::Page PageStore::get_or_null(std::uint64_t index, bool& fresh) {
  fresh = false;
  auto group = groups_.find(index / kGroupPages);
  if (group != groups_.end() && group->pages[index % kGroupPages] != nullptr)
    return group->pages[index % kGroupPages];
  if (!budget_.try_charge(1)) return nullptr;
  Page page = allocate_spare_frame();
  if (page == nullptr && drop_file_caches()) page = allocate_spare_frame();
  if (page == nullptr) {
    budget_.uncharge(1);
    return nullptr;
  }
  if (group == groups_.end()) group = groups_.insert(*new Group(index / kGroupPages)).first;
  group->pages[index % kGroupPages] = page;
  group->present |= std::uint64_t{1} << (index % kGroupPages);
  ++pages_;
  fresh = true;
  return page;
}

void PageStore::erase_pages(Group& group, std::uint64_t mask) {
  for (std::uint64_t left = group.present & mask; left != 0; left &= left - 1) {
    const auto slot = static_cast<unsigned>(std::countr_zero(left));
    free_frame(group.pages[slot]);
    group.pages[slot] = nullptr;
    --pages_;
    budget_.uncharge(1);
  }
  group.present &= ~mask;
  if (group.present == 0) {
    groups_.erase(groups_.iterator_to(group));
    delete &group;
  }
}

void PageStore::erase(std::uint64_t index) { erase_range(index, index + 1); }

void PageStore::erase_range(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  auto group = groups_.lower_bound(begin / kGroupPages);
  while (group != groups_.end() && group->index <= (end - 1) / kGroupPages) {
    Group& cut = *group++;
    std::uint64_t mask = ~std::uint64_t{0};
    if (cut.index == begin / kGroupPages) mask &= ~std::uint64_t{0} << (begin % kGroupPages);
    if (cut.index == (end - 1) / kGroupPages)
      mask &= ~std::uint64_t{0} >> (kGroupPages - 1 - (end - 1) % kGroupPages);
    erase_pages(cut, mask);
  }
}

std::uint64_t PageStore::next_present(std::uint64_t from) const {
  for (auto group = groups_.lower_bound(from / kGroupPages); group != groups_.end(); ++group) {
    const unsigned skip =
        group->index == from / kGroupPages ? static_cast<unsigned>(from % kGroupPages) : 0;
    const std::uint64_t left = group->present >> skip << skip;
    if (left != 0)
      return group->index * kGroupPages + static_cast<unsigned>(std::countr_zero(left));
  }
  return kEnd;
}

std::uint64_t PageStore::next_hole(std::uint64_t from) const {
  for (;;) {
    const auto group = groups_.find(from / kGroupPages);
    if (group == groups_.end()) return from;
    const std::uint64_t holes = ~group->present >> (from % kGroupPages) << (from % kGroupPages);
    if (holes != 0)
      return group->index * kGroupPages + static_cast<unsigned>(std::countr_zero(holes));
    from = (group->index + 1) * kGroupPages;
  }
}

}  // namespace quire::kernel
