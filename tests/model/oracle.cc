#include "model/oracle.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace quire::model {
namespace {

constexpr std::uint64_t page_ceil(std::uint64_t bytes) {
  return (bytes + kPage - 1) & ~(kPage - 1);
}
constexpr bool aligned(std::uint64_t address) { return (address & (kPage - 1)) == 0; }
constexpr std::unexpected<int> error(int number) { return std::unexpected(number); }

/// Linux v6.12 mm/mprotect.c:mprotect_fixup()
void account(Attributes& attributes, bool was_writable, bool is_tagged) {
  if ((attributes.prot & PROT_WRITE) != 0) {
    if (!was_writable && attributes.object == 0 && !attributes.no_reserve)
      attributes.accounted = true;
  } else if (attributes.object == 0 && !is_tagged) {
    attributes.accounted = false;
  }
}

}  // namespace

std::optional<std::size_t> PageBytes::place(std::uint64_t offset) {
  if (offset < 24) return offset;
  if (offset >= 2040 && offset < 2056) return 24 + (offset - 2040);
  if (offset >= 4072 && offset < 4096) return 40 + (offset - 4072);
  return std::nullopt;
}

std::byte PageBytes::get(std::uint64_t offset) const {
  const auto at = place(offset);
  return at ? bytes_[*at] : std::byte{0};
}

bool OracleSpace::overlaps(std::uint64_t first, std::uint64_t end) const {
  const auto next = pages_.lower_bound(first);
  return next != pages_.end() && next->first < end;
}

// Linux v6.12 mm/vma.c:unmapped_area_topdown(): the highest free place below the base; if the
// mapping that follows is a stack and the place reaches into its guard gap, the search begins anew
// below the gap.
std::optional<std::uint64_t> OracleSpace::highest_gap(std::uint64_t length) const {
  const std::vector<OracleMapping> all = mappings();
  std::uint64_t top = shape_.mmap_top;
  for (;;) {
    std::uint64_t ceiling = top;
    const OracleMapping* next = nullptr;
    std::optional<std::uint64_t> found;
    for (auto mapping = all.rbegin(); mapping != all.rend() && !found; ++mapping) {
      const std::uint64_t bottom = std::max(mapping->end, shape_.mmap_floor);
      if (ceiling >= bottom && ceiling - bottom >= length) {
        found = ceiling - length;
      } else {
        next = &*mapping;
        ceiling = std::min(top, mapping->begin);
      }
    }
    if (!found && ceiling >= shape_.mmap_floor && ceiling - shape_.mmap_floor >= length)
      found = ceiling - length;
    if (!found || next == nullptr || !next->attributes.grows_down) return found;
    const std::uint64_t gap = std::min(shape_.stack_gap, next->begin);
    if (next->begin - gap >= *found + length) return found;
    top = next->begin - gap;
  }
}

// Linux v6.12 mm/vma.c:unmapped_area(): the lowest free place; it need not keep away from what
// begins above, unless that is a stack.
std::optional<std::uint64_t> OracleSpace::lowest_gap(std::uint64_t length,
                                                     std::uint64_t floor) const {
  std::uint64_t bottom = floor;
  for (const OracleMapping& mapping : mappings()) {
    if (mapping.end <= bottom) continue;
    const std::uint64_t gap =
        mapping.attributes.grows_down ? std::min(shape_.stack_gap, mapping.begin) : 0;
    const std::uint64_t ceiling = mapping.begin - gap;
    if (ceiling > bottom && ceiling - bottom >= length) return bottom;
    bottom = mapping.end;
  }
  if (bottom <= shape_.user_top && shape_.user_top - bottom >= length) return bottom;
  return std::nullopt;
}

// Linux v6.12 arch/x86/kernel/sys_x86_64.c:arch_get_unmapped_area_topdown(): if there is nothing
// below the base, from a third of user space upward.
std::optional<std::uint64_t> OracleSpace::free_place(std::uint64_t length, bool shared, std::uint64_t index) const {
  for (const std::uint64_t span : shape_.lent_spans) {
    if (!shared || length < span) continue;
    const auto wide = highest_gap(length + span - kPage);
    if (!wide) continue;
    std::uint64_t page = (*wide + span) / kPage - 1;
    while ((page - index) % (span / kPage) != 0) --page;
    return page * kPage;
  }
  const auto found = highest_gap(length);
  return found ? found : lowest_gap(length, page_ceil(shape_.user_top / 3));
}

// Linux v6.12 mm/vma.h:is_data_mapping()
bool OracleSpace::is_data(const Attributes& attributes) {
  return (attributes.prot & PROT_WRITE) != 0 && attributes.object == 0 && !attributes.grows_down;
}

// Linux v6.12 mm/mmap.c:may_expand_vm()
bool OracleSpace::may_expand(const Attributes& attributes, std::uint64_t pages,
                             std::uint64_t replaced) const {
  const std::uint64_t extra = pages - replaced;
  if (pages_.size() + extra > limits.address_space / kPage) return false;
  if (!is_data(attributes)) return true;
  const auto data =
      static_cast<std::uint64_t>(std::count_if(pages_.begin(), pages_.end(), [](const auto& page) {
        return is_data(page.second.attributes);
      }));
  return data + extra <= limits.data / kPage;
}

// Linux v6.12 mm/mmap.c:do_mmap()
Outcomes<std::uint64_t> OracleSpace::mmap(std::uint64_t address, std::uint64_t length,
                                          std::uint32_t prot, std::uint32_t flags,
                                          std::uint64_t next_object) {
  if (length == 0) return error(EINVAL);
  const bool no_replace = (flags & MAP_FIXED_NOREPLACE) != 0;
  const bool fixed = no_replace || (flags & MAP_FIXED) != 0;
  const std::uint64_t size = page_ceil(length);
  if (size == 0) return error(ENOMEM);
  if (size > shape_.user_top) return error(ENOMEM);
  std::uint64_t at = 0;
  if (fixed) {
    at = address;
    if (at > shape_.user_top - size) return error(ENOMEM);
    if (!aligned(at)) return error(EINVAL);
    if (at < shape_.mmap_floor) return error(EPERM);
  } else {
    std::uint64_t hint = address & ~(kPage - 1);
    if (hint != 0 && hint < shape_.mmap_floor) hint = page_ceil(shape_.mmap_floor);
    const auto next = pages_.lower_bound(hint / kPage);
    const std::uint64_t gap =
        next != pages_.end() && next->second.attributes.grows_down ? shape_.stack_gap : 0;
    const bool fits = hint != 0 && shape_.user_top - size >= hint &&
                      (next == pages_.end() || hint + size + gap <= next->first * kPage) &&
                      !overlaps(hint / kPage, (hint + size) / kPage);
    if (fits) {
      at = hint;
    } else {
      const auto found = free_place(size, (flags & MAP_TYPE) == MAP_SHARED, 0);
      if (!found) return error(ENOMEM);
      at = *found;
    }
  }
  const std::uint64_t first = at / kPage;
  const std::uint64_t count = size / kPage;
  if (no_replace && overlaps(first, first + count)) return error(EEXIST);
  Attributes attributes;
  attributes.locked = future_locked_ || (flags & MAP_LOCKED) != 0;
  attributes.lock_on_fault = future_on_fault_;
  if ((flags & MAP_LOCKED) != 0 && limits.locked == 0) return error(EPERM);
  if (!may_lock(attributes, count)) return error(EAGAIN);
  attributes.prot = static_cast<std::uint8_t>(prot & 7U);
  attributes.grows_down = (flags & MAP_GROWSDOWN) != 0;
  attributes.no_reserve = (flags & MAP_NORESERVE) != 0;
  attributes.accounted =
      (flags & MAP_TYPE) == MAP_PRIVATE && (prot & PROT_WRITE) != 0 && !attributes.no_reserve;
  switch (flags & MAP_TYPE) {
    case MAP_SHARED:
      if (attributes.grows_down) return error(EINVAL);
      attributes.object = next_object;
      break;
    case MAP_PRIVATE:
      break;
    default:
      return error(EINVAL);
  }
  std::uint64_t replaced = 0;
  for (auto page = pages_.lower_bound(first); page != pages_.end() && page->first < first + count;
       ++page)
    ++replaced;
  if (!may_expand(attributes, count, replaced)) return error(ENOMEM);
  place(first, count, attributes);
  merge(first, first + count);
  if (attributes.object != 0) (*objects_)[attributes.object].size = count;
  // Linux ignores what cannot be had.
  if (attributes.locked || (flags & MAP_POPULATE) != 0)
    static_cast<void>(populate(first, first + count));
  return at;
}

// Linux v6.12 mm/vma.c:do_vmi_munmap(), vms_gather_munmap_vmas()
Outcomes<void> OracleSpace::munmap(std::uint64_t address, std::uint64_t length) {
  if (!aligned(address) || address > shape_.user_top || length > shape_.user_top - address)
    return error(EINVAL);
  const std::uint64_t size = page_ceil(length);
  if (size == 0) return error(EINVAL);
  const std::uint64_t first = address / kPage;
  const std::uint64_t end = first + size / kPage;
  remove(first, end);
  return {};
}

// Linux v6.12 mm/mprotect.c:do_mprotect_pkey()
Outcomes<void> OracleSpace::mprotect(std::uint64_t address, std::uint64_t length,
                                     std::uint32_t prot) {
  if (!aligned(address)) return error(EINVAL);
  if (length == 0) return {};
  const std::uint64_t size = page_ceil(length);
  const std::uint64_t end = address + size;
  if (end <= address) return error(ENOMEM);
  constexpr std::uint32_t kSem = 8;
  if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | kSem)) != 0) return error(EINVAL);
  const std::uint64_t first = address / kPage;
  if (!pages_.contains(first)) return error(ENOMEM);
  for (std::uint64_t n = first; n < end / kPage;) {
    if (!pages_.contains(n)) return error(ENOMEM);
    // One mapping at a time, as far as it lies in the range.
    const std::uint64_t stop = std::min(end_of(n), end / kPage);
    Attributes changed = pages_.at(n).attributes;
    const bool was_writable = (changed.prot & PROT_WRITE) != 0;
    changed.prot = static_cast<std::uint8_t>(prot & 7U);
    if (changed != pages_.at(n).attributes) {
      account(changed, was_writable, pages_.at(n).tag.number != 0);
      if (is_data(changed) && !is_data(pages_.at(n).attributes) &&
          !may_expand(changed, stop - n, 0) && may_expand(pages_.at(n).attributes, stop - n, 0)) {
        return error(ENOMEM);
      }
      change(n, stop, changed);
      // Linux v6.12 mm/mprotect.c:mprotect_fixup(): what is locked is there before it is written.
      if (changed.locked && changed.object == 0 && !was_writable && (prot & PROT_WRITE) != 0)
        static_cast<void>(populate(n, stop));
    }
    n = stop;
  }
  return {};
}

// Linux v6.12 mm/madvise.c:do_madvise(), madvise_vma_behavior()
Outcomes<void> OracleSpace::madvise(std::uint64_t address, std::uint64_t length, int advice) {
  constexpr int kKnown[] = {MADV_NORMAL,     MADV_RANDOM,        MADV_SEQUENTIAL,
                            MADV_DONTNEED,   MADV_DONTFORK,      MADV_DOFORK, MADV_REMOVE,
                            MADV_DONTDUMP,   MADV_DODUMP,        MADV_WIPEONFORK,
                            MADV_KEEPONFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
  if (std::find(std::begin(kKnown), std::end(kKnown), advice) == std::end(kKnown))
    return error(EINVAL);
  if (!aligned(address)) return error(EINVAL);
  const std::uint64_t size = page_ceil(length);
  if (length != 0 && size == 0) return error(EINVAL);
  if (address + size < address) return error(EINVAL);
  bool hole = false;
  const std::uint64_t end = (address + size) / kPage;
  const bool populates = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
  for (std::uint64_t n = address / kPage; n < end;) {
    if (!pages_.contains(n)) {
      if (populates) return error(ENOMEM);
      hole = true;
      const auto next = pages_.lower_bound(n);
      if (next == pages_.end()) break;
      n = next->first;
      continue;
    }
    // One mapping at a time, as far as it lies in the range.
    const std::uint64_t stop = std::min(end_of(n), end);
    Attributes changed = pages_.at(n).attributes;
    switch (advice) {
      case MADV_NORMAL:
        changed.random = changed.sequential = false;
        break;
      case MADV_RANDOM:
        changed.random = true, changed.sequential = false;
        break;
      case MADV_SEQUENTIAL:
        changed.sequential = true, changed.random = false;
        break;
      case MADV_DONTFORK:
        changed.dont_fork = true;
        break;
      case MADV_DOFORK:
        changed.dont_fork = false;
        break;
      case MADV_DONTDUMP:
        changed.dont_dump = true;
        break;
      case MADV_DODUMP:
        changed.dont_dump = false;
        break;
      case MADV_WIPEONFORK:
        if (changed.object != 0) return error(EINVAL);
        changed.wipe_on_fork = true;
        break;
      case MADV_KEEPONFORK:
        changed.wipe_on_fork = false;
        break;
      case MADV_DONTNEED:
        if (changed.locked) return error(EINVAL);
        for (std::uint64_t page = n; page < stop; ++page) {
          pages_.at(page).resident = false;
          pages_.at(page).frame.reset();
          if (changed.object == 0) pages_.at(page).bytes = {};
        }
        break;
      case MADV_REMOVE:
        if (changed.locked || changed.object == 0) return error(EINVAL);
        for (std::uint64_t page = n; page < stop; ++page) {
          OracleObject& object = objects_->at(changed.object);
          ++object.removals[pages_.at(page).index];
          object.pages.erase(pages_.at(page).index);
        }
        break;
      case MADV_POPULATE_READ:
      case MADV_POPULATE_WRITE: {
        const bool write = advice == MADV_POPULATE_WRITE;
        if ((changed.prot & (write ? PROT_WRITE : PROT_READ)) == 0) return error(EINVAL);
        for (std::uint64_t page = n; page < stop; ++page) {
          if (!touch(page, write)) return error(EFAULT);
        }
        break;
      } break;
      default:
        return error(EINVAL);
    }
    if (changed != pages_.at(n).attributes) change(n, stop, changed);
    n = stop;
  }
  if (hole) return error(ENOMEM);
  return {};
}

// Linux v6.12 mm/mmap.c:SYSCALL_DEFINE1(brk)
std::uint64_t OracleSpace::brk(std::uint64_t wanted) {
  if (wanted < brk_begin_) return brk_;
  if (limits.data != ~std::uint64_t{0} && wanted - brk_begin_ > limits.data) return brk_;
  const std::uint64_t new_end = page_ceil(wanted);
  const std::uint64_t old_end = page_ceil(brk_);
  if (new_end < wanted) return brk_;
  if (new_end < old_end) {
    if (!overlaps(new_end / kPage, old_end / kPage)) return brk_;
    if (!munmap(new_end, old_end - new_end)) return brk_;
  } else if (new_end > old_end) {
    const auto next = pages_.lower_bound(old_end / kPage);
    if (next != pages_.end()) {
      const std::uint64_t gap = next->second.attributes.grows_down ? shape_.stack_gap : 0;
      if (new_end + kPage + gap > next->first * kPage) return brk_;
    }
    if (new_end > shape_.user_top) return brk_;
    Attributes attributes;
    attributes.prot = PROT_READ | PROT_WRITE;
    attributes.accounted = true;
    attributes.locked = future_locked_;
    attributes.lock_on_fault = future_on_fault_;
    if (!may_lock(attributes, (new_end - old_end) / kPage)) return brk_;
    if (!may_expand(attributes, (new_end - old_end) / kPage, 0)) return brk_;
    place(old_end / kPage, (new_end - old_end) / kPage, attributes);
    // What lies below the first break is no heap.
    if (old_end > brk_begin_) merge(old_end / kPage, new_end / kPage, Sides::kBelow);
    if (future_locked_) static_cast<void>(populate(old_end / kPage, new_end / kPage));
  }
  return brk_ = wanted;
}

OracleSpace OracleSpace::fork() const {
  OracleSpace child = *this;
  child.future_locked_ = child.future_on_fault_ = false;
  for (auto page = child.pages_.begin(); page != child.pages_.end();) {
    if (page->second.attributes.dont_fork) {
      page = child.pages_.erase(page);
      continue;
    }
    OracleTag& tag = page->second.tag;
    if (page->second.attributes.wipe_on_fork) {
      page->second.bytes = {};
      page->second.resident = false;
      page->second.frame.reset();
      tag = {};
    } else if (tag.number != 0) {
      // Linux v6.12 mm/rmap.c:anon_vma_fork(): a new one for each mapping.
      if (page->second.begins) ++child.last_tag_;
      tag = {.number = child.last_tag_, .copied = true};
    }
    page->second.attributes.locked = page->second.attributes.lock_on_fault = false;
    page->second.attributes.asks_missing = page->second.attributes.asks_guarded = false;
    ++page;
  }
  return child;
}

bool OracleSpace::touch(std::uint64_t number, bool write) {
  OraclePage& page = pages_.at(number);
  const std::uint64_t object = page.attributes.object;
  if (object != 0 && page.index >= objects_->at(object).size) return false;
  if (write && object == 0) tag(number);
  // Reading private memory that was never written maps the zero page, which nobody counts.
  const bool own = object == 0 && (write || !shape_.zero_page);
  if (object != 0 || own) page.resident = true;
  if (object != 0) page.removals = objects_->at(object).removals[page.index];
  // A page that others have too is copied by a write; one that nobody has is made.
  if (own && (page.frame == nullptr || (write && page.frame.use_count() != 1)))
    page.frame = std::make_shared<const int>(0);
  return true;
}

Outcome OracleSpace::probe(std::uint64_t address, std::uint8_t need) {
  auto found = pages_.find(address / kPage);
  if (found == pages_.end()) {
    if (!grow_stack(address)) return Outcome::kMapError;
    found = pages_.find(address / kPage);
  }
  OraclePage& page = found->second;
  // x86: what may be written or executed may be read.
  const bool allowed =
      need == PROT_READ ? page.attributes.prot != 0 : (page.attributes.prot & need) != 0;
  if (!allowed) return Outcome::kAccessError;
  return touch(address / kPage, need == PROT_WRITE) ? Outcome::kDone : Outcome::kBusError;
}

Outcome OracleSpace::access(std::uint64_t address, std::uint8_t need, std::byte& value) {
  if (const Outcome outcome = probe(address, need); outcome != Outcome::kDone) return outcome;
  OraclePage& page = pages_.at(address / kPage);
  PageBytes& bytes = page.attributes.object != 0
                         ? (*objects_)[page.attributes.object].pages[page.index]
                         : page.bytes;
  if (need == PROT_WRITE) {
    bytes.set(address % kPage, value);
  } else {
    value = bytes.get(address % kPage);
  }
  return Outcome::kDone;
}

// Linux v6.12 mm/vma.c:expand_downwards(), acct_stack_growth()
bool OracleSpace::grow_stack(std::uint64_t address) {
  const auto next = pages_.lower_bound(address / kPage);
  if (next == pages_.end() || !next->second.attributes.grows_down) return false;
  const std::uint64_t to = address / kPage;
  const Attributes attributes = next->second.attributes;
  if (address < shape_.mmap_floor) return false;
  if (next != pages_.begin()) {
    const auto& [before, page] = *std::prev(next);
    if (!page.attributes.grows_down && page.attributes.prot != 0 &&
        (to - before - 1) * kPage < shape_.stack_gap)
      return false;
  }
  const std::uint64_t bottom = next->first;
  if ((end_of(bottom) - to) * kPage > limits.stack) return false;
  if (!may_lock(attributes, bottom - to)) return false;
  if (!may_expand(attributes, bottom - to, 0)) return false;
  tag(bottom);  // a stack that grows will be written
  const OraclePage old = pages_.at(bottom);
  place(to, bottom - to, attributes);
  for (std::uint64_t n = to; n < bottom; ++n) {
    pages_.at(n).index = old.index - (bottom - n);
    pages_.at(n).tag = old.tag;
  }
  pages_.at(bottom).begins = false;
  return true;
}

std::vector<OracleMapping> OracleSpace::mappings() const {
  std::vector<OracleMapping> all;
  for (const auto& [number, page] : pages_) {
    if (!page.begins) {
      all.back().end += kPage;
    } else {
      all.push_back({.begin = number * kPage,
                     .end = (number + 1) * kPage,
                     .index = page.index,
                     .attributes = page.attributes});
    }
  }
  return all;
}

bool OracleSpace::is_resident(const OraclePage& page) const {
  if (!page.resident || page.attributes.object == 0) return page.resident;
  return objects_->at(page.attributes.object).removals[page.index] == page.removals;
}

std::uint64_t OracleSpace::resident_anon() const {
  return static_cast<std::uint64_t>(std::count_if(
      pages_.begin(), pages_.end(),
      [](const auto& page) { return page.second.resident && page.second.attributes.object == 0; }));
}

std::uint64_t OracleSpace::locked() const {
  return static_cast<std::uint64_t>(
      std::count_if(pages_.begin(), pages_.end(),
                    [](const auto& page) { return page.second.attributes.locked; }));
}

std::uint64_t OracleSpace::resident_shared() const {
  return static_cast<std::uint64_t>(std::count_if(
      pages_.begin(), pages_.end(),
      [this](const auto& page) { return is_resident(page.second) && page.second.attributes.object != 0; }));
}

std::string describe(const std::vector<OracleMapping>& mappings) {
  std::string text;
  for (const OracleMapping& mapping : mappings) {
    const Attributes& a = mapping.attributes;
    char line[160];
    std::snprintf(
        line, sizeof line, "%012llx-%012llx %c%c%c%c object %llu index %llx%s%s%s%s%s%s%s%s%s%s name %u\n",
        static_cast<unsigned long long>(mapping.begin),
        static_cast<unsigned long long>(mapping.end), (a.prot & PROT_READ) != 0 ? 'r' : '-',
        (a.prot & PROT_WRITE) != 0 ? 'w' : '-', (a.prot & PROT_EXEC) != 0 ? 'x' : '-',
        a.object != 0 ? 's' : 'p', static_cast<unsigned long long>(a.object),
        static_cast<unsigned long long>(mapping.index), a.grows_down ? " grows" : "",
        a.no_reserve ? " noreserve" : "", a.dont_fork ? " dontfork" : "",
        a.wipe_on_fork ? " wipe" : "", a.dont_dump ? " dontdump" : "", a.random ? " random" : "",
        a.sequential ? " sequential" : "", a.accounted ? " accounted" : "",
        a.locked ? " locked" : "", a.lock_on_fault ? " onfault" : "",
        static_cast<unsigned>(a.name));
    text += line;
  }
  return text;
}

}  // namespace quire::model
