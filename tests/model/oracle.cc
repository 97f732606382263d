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

/// The same mapping continues from `a` to `b`, which is the next page.
bool continues(const OraclePage& a, const OraclePage& b) {
  return a.attributes == b.attributes && a.index + 1 == b.index;
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

// Linux v6.12 mm/vma.c:unmapped_area_topdown(): the highest free place below the base; the mapping
// that follows keeps its guard gap if it is a stack. (Linux also passes over further places within
// that gap when the one next to the stack would have been large enough.)
std::optional<std::uint64_t> OracleSpace::highest_gap(std::uint64_t length) const {
  const std::vector<OracleMapping> all = mappings();
  std::uint64_t ceiling = shape_.mmap_top;
  for (auto mapping = all.rbegin(); mapping != all.rend(); ++mapping) {
    const std::uint64_t bottom = std::max(mapping->end, shape_.mmap_floor);
    if (ceiling >= bottom && ceiling - bottom >= length) return ceiling - length;
    const std::uint64_t gap = mapping->attributes.grows_down ? shape_.stack_gap : 0;
    ceiling = std::min(shape_.mmap_top, mapping->begin < gap ? 0 : mapping->begin - gap);
  }
  if (ceiling >= shape_.mmap_floor && ceiling - shape_.mmap_floor >= length)
    return ceiling - length;
  return std::nullopt;
}

// Linux v6.12 mm/vma.c:unmapped_area(): the lowest free place; it need not keep away from what
// begins above, unless that is a stack.
std::optional<std::uint64_t> OracleSpace::lowest_gap(std::uint64_t length,
                                                     std::uint64_t floor) const {
  std::uint64_t bottom = floor;
  for (const OracleMapping& mapping : mappings()) {
    if (mapping.end <= bottom) continue;
    const std::uint64_t gap = mapping.attributes.grows_down ? shape_.stack_gap : 0;
    const std::uint64_t ceiling = mapping.begin < gap ? 0 : mapping.begin - gap;
    if (ceiling > bottom && ceiling - bottom >= length) return bottom;
    bottom = mapping.end;
  }
  if (bottom <= shape_.user_top && shape_.user_top - bottom >= length) return bottom;
  return std::nullopt;
}

// Linux v6.12 arch/x86/kernel/sys_x86_64.c:arch_get_unmapped_area_topdown(): if there is nothing
// below the base, from a third of user space upward.
std::optional<std::uint64_t> OracleSpace::free_place(std::uint64_t length) const {
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

bool OracleSpace::begins_mapping(std::uint64_t page) const {
  const auto here = pages_.find(page);
  if (here == pages_.end()) return false;
  const auto before = pages_.find(page - 1);
  return before == pages_.end() || !continues(before->second, here->second);
}

void OracleSpace::place(std::uint64_t first, std::uint64_t count, const Attributes& attributes) {
  for (std::uint64_t n = 0; n < count; ++n) {
    OraclePage page;
    page.attributes = attributes;
    page.index = attributes.object != 0 ? n : first + n;
    pages_.insert_or_assign(first + n, page);
  }
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
      const auto found = free_place(size);
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
  pages_.erase(pages_.lower_bound(first), pages_.lower_bound(end));
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
    std::uint64_t stop = n + 1;
    while (stop < end / kPage && pages_.contains(stop) && !begins_mapping(stop)) ++stop;
    Attributes changed = pages_.at(n).attributes;
    changed.prot = static_cast<std::uint8_t>(prot & 7U);
    if (changed != pages_.at(n).attributes) {
      if (is_data(changed) && !is_data(pages_.at(n).attributes) &&
          !may_expand(changed, stop - n, 0) && may_expand(pages_.at(n).attributes, stop - n, 0)) {
        return error(ENOMEM);
      }
      for (std::uint64_t page = n; page < stop; ++page) pages_.at(page).attributes = changed;
    }
    n = stop;
  }
  return {};
}

// Linux v6.12 mm/madvise.c:do_madvise(), madvise_vma_behavior()
Outcomes<void> OracleSpace::madvise(std::uint64_t address, std::uint64_t length, int advice) {
  constexpr int kKnown[] = {MADV_NORMAL,     MADV_RANDOM,        MADV_SEQUENTIAL,
                            MADV_DONTNEED,   MADV_DONTFORK,      MADV_DOFORK,
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
  for (std::uint64_t n = address / kPage; n < end; ++n) {
    const auto found = pages_.find(n);
    if (found == pages_.end()) {
      if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) return error(ENOMEM);
      hole = true;
      const auto next = pages_.lower_bound(n);
      if (next == pages_.end() || next->first >= end) break;
      n = next->first - 1;
      continue;
    }
    OraclePage& page = found->second;
    Attributes& attributes = page.attributes;
    switch (advice) {
      case MADV_NORMAL:
        attributes.random = attributes.sequential = false;
        break;
      case MADV_RANDOM:
        attributes.random = true, attributes.sequential = false;
        break;
      case MADV_SEQUENTIAL:
        attributes.sequential = true, attributes.random = false;
        break;
      case MADV_DONTFORK:
        attributes.dont_fork = true;
        break;
      case MADV_DOFORK:
        attributes.dont_fork = false;
        break;
      case MADV_DONTDUMP:
        attributes.dont_dump = true;
        break;
      case MADV_DODUMP:
        attributes.dont_dump = false;
        break;
      case MADV_WIPEONFORK:
        if (attributes.object != 0) return error(EINVAL);
        attributes.wipe_on_fork = true;
        break;
      case MADV_KEEPONFORK:
        attributes.wipe_on_fork = false;
        break;
      case MADV_DONTNEED:
        if (attributes.locked) return error(EINVAL);
        page.resident = false;
        if (attributes.object == 0) page.bytes = {};
        break;
      case MADV_POPULATE_READ:
        if (attributes.prot == 0) return error(EINVAL);
        if (!touch(page, false)) return error(EFAULT);
        break;
      case MADV_POPULATE_WRITE:
        if ((attributes.prot & PROT_WRITE) == 0) return error(EINVAL);
        if (!touch(page, true)) return error(EFAULT);
        break;
      default:
        return error(EINVAL);
    }
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
    attributes.heap = true;
    attributes.locked = future_locked_;
    attributes.lock_on_fault = future_on_fault_;
    if (!may_lock(attributes, (new_end - old_end) / kPage)) return brk_;
    if (!may_expand(attributes, (new_end - old_end) / kPage, 0)) return brk_;
    place(old_end / kPage, (new_end - old_end) / kPage, attributes);
    if (future_locked_) static_cast<void>(populate(brk_ / kPage, new_end / kPage));
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
    if (page->second.attributes.wipe_on_fork) {
      page->second.bytes = {};
      page->second.resident = false;
    }
    page->second.attributes.locked = page->second.attributes.lock_on_fault = false;
    ++page;
  }
  return child;
}

bool OracleSpace::touch(OraclePage& page, bool write) {
  const std::uint64_t object = page.attributes.object;
  if (object != 0 && page.index >= objects_->at(object).size) return false;
  // Reading private memory that was never written maps the zero page, which nobody counts.
  if (object != 0 || write || !shape_.zero_page) page.resident = true;
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
  return touch(page, need == PROT_WRITE) ? Outcome::kDone : Outcome::kBusError;
}

Outcome OracleSpace::access(std::uint64_t address, std::uint8_t need, std::byte& value) {
  if (const Outcome outcome = probe(address, need); outcome != Outcome::kDone) return outcome;
  OraclePage& page = pages_.at(address / kPage);
  PageBytes& bytes =
      page.attributes.object != 0 ? (*objects_)[page.attributes.object].pages[page.index]
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
  std::uint64_t top = next->first;
  while (pages_.contains(top) && (top == next->first || !begins_mapping(top))) ++top;
  if ((top - to) * kPage > limits.stack) return false;
  if (!may_lock(attributes, next->first - to)) return false;
  if (!may_expand(attributes, next->first - to, 0)) return false;
  place(to, next->first - to, attributes);
  return true;
}

std::vector<OracleMapping> OracleSpace::mappings() const {
  std::vector<OracleMapping> all;
  const OraclePage* before = nullptr;
  for (const auto& [number, page] : pages_) {
    if (before != nullptr && all.back().end == number * kPage && continues(*before, page)) {
      all.back().end += kPage;
    } else {
      all.push_back({.begin = number * kPage,
                     .end = (number + 1) * kPage,
                     .index = page.index,
                     .attributes = page.attributes});
    }
    before = &page;
  }
  return all;
}

std::uint64_t OracleSpace::resident_anon() const {
  return static_cast<std::uint64_t>(std::count_if(
      pages_.begin(), pages_.end(),
      [](const auto& page) { return page.second.resident && page.second.attributes.object == 0; }));
}

std::uint64_t OracleSpace::locked() const {
  return static_cast<std::uint64_t>(std::count_if(
      pages_.begin(), pages_.end(), [](const auto& page) { return page.second.attributes.locked; }));
}

std::uint64_t OracleSpace::resident_shared() const {
  return static_cast<std::uint64_t>(std::count_if(
      pages_.begin(), pages_.end(),
      [](const auto& page) { return page.second.resident && page.second.attributes.object != 0; }));
}

std::string describe(const std::vector<OracleMapping>& mappings) {
  std::string text;
  for (const OracleMapping& mapping : mappings) {
    const Attributes& a = mapping.attributes;
    char line[160];
    std::snprintf(
        line, sizeof line, "%012llx-%012llx %c%c%c%c object %llu index %llx%s%s%s%s%s%s%s%s%s%s\n",
        static_cast<unsigned long long>(mapping.begin),
        static_cast<unsigned long long>(mapping.end), (a.prot & PROT_READ) != 0 ? 'r' : '-',
        (a.prot & PROT_WRITE) != 0 ? 'w' : '-', (a.prot & PROT_EXEC) != 0 ? 'x' : '-',
        a.object != 0 ? 's' : 'p', static_cast<unsigned long long>(a.object),
        static_cast<unsigned long long>(mapping.index), a.grows_down ? " grows" : "",
        a.no_reserve ? " noreserve" : "", a.dont_fork ? " dontfork" : "",
        a.wipe_on_fork ? " wipe" : "", a.dont_dump ? " dontdump" : "", a.random ? " random" : "",
        a.sequential ? " sequential" : "", a.heap ? " heap" : "", a.locked ? " locked" : "",
        a.lock_on_fault ? " onfault" : "");
    text += line;
  }
  return text;
}

}  // namespace quire::model
