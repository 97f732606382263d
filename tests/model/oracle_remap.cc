// mremap, mlock and msync in the flat oracle.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "model/oracle.h"

namespace quire::model {
namespace {

constexpr std::unexpected<int> error(int number) { return std::unexpected(number); }
constexpr std::uint64_t page_ceil(std::uint64_t bytes) {
  return (bytes + kPage - 1) & ~(kPage - 1);
}

}  // namespace

bool OracleSpace::may_lock(const Attributes& attributes, std::uint64_t pages) const {
  return !attributes.locked || locked() + pages <= limits.locked / kPage;
}

// Linux v6.17 mm/mremap.c:check_mremap_params(), check_prep_vma(), mremap_to()
Outcomes<std::uint64_t> OracleSpace::mremap(std::uint64_t old, std::uint64_t old_length,
                                            std::uint64_t new_length, std::uint32_t flags,
                                            std::uint64_t to) {
  constexpr std::uint32_t kMayMove = MREMAP_MAYMOVE, kFixed = MREMAP_FIXED, kDontUnmap = 4;
  const bool fixed = (flags & kFixed) != 0, keeps_old = (flags & kDontUnmap) != 0;
  if ((flags & ~(kMayMove | kFixed | kDontUnmap)) != 0) return error(EINVAL);
  if (fixed && (flags & kMayMove) == 0) return error(EINVAL);
  if (keeps_old && ((flags & kMayMove) == 0 || page_ceil(old_length) != page_ceil(new_length))) return error(EINVAL);
  if (old % kPage != 0) return error(EINVAL);
  Resizing what{old / kPage, page_ceil(old_length) / kPage, page_ceil(new_length) / kPage};
  const std::uint64_t size = what.new_pages * kPage;
  if (size == 0 || size > shape_.user_top || to > shape_.user_top - size) return error(EINVAL);
  if (fixed || keeps_old) {
    if (to % kPage != 0) return error(EINVAL);
    if (old + what.pages * kPage > to && to + size > old) return error(EINVAL);
  }
  if (fixed && what.pages == what.new_pages) return move_all(what.first, what.pages, to, keeps_old);
  if (!pages_.contains(what.first)) return error(EFAULT);
  const std::uint64_t grown_from = what.pages;
  Outcomes<std::uint64_t> result = old;
  if (fixed || keeps_old) {
    const auto attributes = resizable(what);
    if (!attributes) return error(attributes.error());
    if (fixed) {
      if (const auto cleared = munmap(to, size); !cleared) return error(cleared.error());
    }
    if (what.new_pages < what.pages) {
      const auto cut = munmap(old + size, (what.pages - what.new_pages) * kPage);
      if (!cut) return error(cut.error());
      what.pages = what.new_pages;
    }
    if (!pages_.contains(what.first)) return error(EFAULT);
    if (keeps_old && !may_expand(*attributes, what.pages, 0)) return error(ENOMEM);
    if (fixed && to < shape_.mmap_floor) return error(EPERM);
    if (!fixed) {
      const std::uint64_t hint = to != 0 && to < shape_.mmap_floor ? shape_.mmap_floor : to;
      const auto next = pages_.lower_bound(hint / kPage);
      const std::uint64_t gap =
          next != pages_.end() && next->second.attributes.grows_down ? shape_.stack_gap : 0;
      const bool fits = hint != 0 && shape_.user_top - size >= hint &&
                        (next == pages_.end() || hint + size + gap <= next->first * kPage);
      const auto found = fits ? std::optional(hint) : free_place(size, attributes->object != 0, pages_.at(what.first).index);
      if (!found) return error(ENOMEM);
      to = *found;
    }
    result = move(what, to, keeps_old);
  } else if (what.new_pages <= what.pages) {
    if (what.new_pages == what.pages) return old;
    const auto cut = munmap(old + what.new_pages * kPage, (what.pages - what.new_pages) * kPage);
    if (!cut) return error(cut.error());
    return old;
  } else {
    const auto attributes = resizable(what);
    if (!attributes) return error(attributes.error());
    const std::uint64_t end = what.first + what.pages, new_end = what.first + what.new_pages;
    const bool is_free =
        end == end_of(what.first) && new_end <= shape_.user_top / kPage && !overlaps(end, new_end);
    if (what.pages != 0 && is_free) {
      const OraclePage last = pages_.at(end - 1);
      place(end, new_end - end, *attributes);
      for (std::uint64_t n = end; n < new_end; ++n) {
        pages_.at(n).index = last.index + 1 + (n - end);
        pages_.at(n).tag = last.tag;
      }
      merge(end, new_end);
    } else {
      if ((flags & kMayMove) == 0) return error(ENOMEM);
      const auto found = free_place(what.new_pages * kPage, attributes->object != 0, pages_.at(what.first).index);
      if (!found) return error(ENOMEM);
      result = move(what, *found, false);
    }
  }
  if (result && grown_from < what.new_pages && pages_.at(*result / kPage).attributes.locked)
    static_cast<void>(populate(*result / kPage + grown_from, *result / kPage + what.new_pages));
  return result;
}

// Linux v6.17 mm/mremap.c:remap_move()
Outcomes<std::uint64_t> OracleSpace::move_all(std::uint64_t first, std::uint64_t pages, std::uint64_t to, bool keeps_old) {
  if (!pages_.contains(first)) return error(EFAULT);
  const std::uint64_t end = first + pages;
  for (std::uint64_t n = first; n < end;) {
    const auto page = pages_.lower_bound(n);
    if (page == pages_.end() || page->first >= end) break;
    const std::uint64_t begin = page->first, stop = std::min(end_of(begin), end);
    const bool is_registered = page->second.attributes.asks_missing || page->second.attributes.asks_guarded;
    if (is_registered && (begin != first || stop < end)) return error(EFAULT);
    const Resizing part{begin, stop - begin, stop - begin};
    const std::uint64_t target = to + (begin - first) * kPage;
    const auto attributes = resizable(part);
    if (!attributes) return error(attributes.error());
    if (const auto cleared = munmap(target, part.pages * kPage); !cleared) return error(cleared.error());
    if (keeps_old && !may_expand(*attributes, part.pages, 0)) return error(ENOMEM);
    if (target < shape_.mmap_floor) return error(EPERM);
    if (const auto moved = move(part, target, keeps_old); !moved) return error(moved.error());
    n = stop;
  }
  return to;
}

// Linux v6.12 mm/mmap.c:SYSCALL_DEFINE5(remap_file_pages)
Outcomes<void> OracleSpace::remap_pages(std::uint64_t address, std::uint64_t length,
                                        std::uint32_t prot, std::uint64_t offset,
                                        std::uint32_t flags) {
  const std::uint64_t first = address / kPage, count = length / kPage, end = first + count;
  if (prot != 0 || (end << 12U) <= (first << 12U)) return error(EINVAL);
  const auto page = pages_.find(first);
  if (page == pages_.end() || page->second.attributes.object == 0) return error(EINVAL);
  Attributes attributes = page->second.attributes;
  attributes.name = 0;
  for (std::uint64_t n = first; n < end; ++n) {
    const auto next = pages_.find(n);
    if (next == pages_.end()) return error(EINVAL);
    Attributes other = next->second.attributes;
    other.name = 0;
    if (other != attributes) return error(EINVAL);
  }
  Attributes fresh;
  fresh.prot = attributes.prot;
  fresh.object = attributes.object;
  fresh.locked = future_locked_ || attributes.locked;
  fresh.lock_on_fault = future_on_fault_;
  if (attributes.locked && limits.locked == 0) return error(EPERM);
  if (!may_lock(fresh, count)) return error(EAGAIN);
  if (!may_expand(fresh, count, count)) return error(ENOMEM);
  place(first, count, fresh);
  for (std::uint64_t n = 0; n < count; ++n) pages_.at(first + n).index = offset + n;
  merge(first, end);
  if (fresh.locked || (flags & MAP_NONBLOCK) == 0) static_cast<void>(populate(first, end));
  return {};
}

// Linux v6.12 mm/madvise.c:madvise_set_anon_name(). All memory of the model is anonymous.
Outcomes<void> OracleSpace::name(std::uint64_t address, std::uint64_t length, std::uint8_t number) {
  const std::uint64_t size = page_ceil(length);
  if (address % kPage != 0 || (length != 0 && size == 0) || address + size < address)
    return error(EINVAL);
  const std::uint64_t end = (address + size) / kPage;
  bool hole = false;
  for (std::uint64_t n = address / kPage; n < end;) {
    const auto page = pages_.lower_bound(n);
    hole = hole || page == pages_.end() || page->first != n;
    if (page == pages_.end() || page->first >= end) break;
    n = page->first;
    const std::uint64_t stop = std::min(end_of(n), end);
    Attributes changed = page->second.attributes;
    changed.name = number;
    if (changed != page->second.attributes) change(n, stop, changed);
    n = stop;
  }
  if (hole) return error(ENOMEM);
  return {};
}

// Linux v6.12 fs/userfaultfd.c:userfaultfd_register(), userfaultfd_unregister()
Outcomes<void> OracleSpace::watch(std::uint64_t first, std::uint64_t end, bool missing, bool guarded) {
  bool is_mapped = false;
  for (auto page = pages_.lower_bound(first); page != pages_.end() && page->first < end;) {
    is_mapped = true;
    const std::uint64_t from = page->first, stop = std::min(end_of(from), end);
    Attributes changed = page->second.attributes;
    const bool is_enough = (missing || guarded) && (!missing || changed.asks_missing) && (!guarded || changed.asks_guarded);
    if (!is_enough) {
      changed.asks_missing = missing;
      changed.asks_guarded = guarded;
    }
    if (changed != page->second.attributes) change(from, stop, changed);
    page = pages_.lower_bound(stop);
  }
  if (!is_mapped) return error(EINVAL);
  return {};
}

// Linux v6.12 mm/userfaultfd.c:mwriteprotect_range()
Outcomes<void> OracleSpace::guard(std::uint64_t first, std::uint64_t end) const {
  bool is_whole = false;
  for (auto page = pages_.lower_bound(first); page != pages_.end() && page->first < end; ++page) {
    is_whole = page->second.attributes.asks_guarded;
    if (!is_whole) break;
  }
  if (!is_whole) return error(ENOENT);
  return {};
}

// Linux v6.17 mm/mremap.c:check_prep_vma()
Outcomes<Attributes> OracleSpace::resizable(const Resizing& what) const {
  const auto found = pages_.find(what.first);
  if (found == pages_.end()) return error(EFAULT);
  const Attributes& attributes = found->second.attributes;
  if (what.pages == 0 && attributes.object == 0) return error(EINVAL);
  if (std::min(what.pages, what.new_pages) > end_of(what.first) - what.first) return error(EFAULT);
  if (what.new_pages == what.pages) return attributes;
  if (found->second.index + what.new_pages < found->second.index) return error(EINVAL);
  if (what.new_pages < what.pages) return attributes;
  if (!may_lock(attributes, what.new_pages - what.pages)) return error(EAGAIN);
  if (!may_expand(attributes, what.new_pages - what.pages, 0)) return error(ENOMEM);
  return attributes;
}

// Linux v6.12 mm/mremap.c:move_vma()
Outcomes<std::uint64_t> OracleSpace::move(const Resizing& what, std::uint64_t to, bool keeps_old) {
  const std::uint64_t first = what.first, target = to / kPage;
  // What was never written is known by its new place.
  const OraclePage old = pages_.at(first);
  const std::uint64_t begin = begin_of(first);
  const std::uint64_t old_end = end_of(first);
  const bool is_fresh = old.attributes.object == 0 && old.tag.number == 0;
  const std::uint64_t index = is_fresh ? target : old.index;
  std::vector<OraclePage> moved(what.new_pages);
  for (std::uint64_t n = 0; n < what.pages; ++n) moved[n] = pages_.at(first + n);
  if (keeps_old) {
    for (std::uint64_t n = first; n < first + what.pages; ++n) {
      pages_.at(n).resident = false;
      pages_.at(n).frame.reset();
      pages_.at(n).bytes = {};
    }
  } else {
    remove(first, first + what.pages);
  }
  Attributes attributes = old.attributes;
  attributes.asks_missing = attributes.asks_guarded = false;
  place(target, what.new_pages, attributes);
  for (std::uint64_t n = 0; n < what.new_pages; ++n) {
    OraclePage& page = pages_.at(target + n);
    page.index = index + n;
    page.tag = old.tag;
    page.resident = moved[n].resident;
    page.removals = moved[n].removals;
    page.frame = moved[n].frame;
    page.bytes = moved[n].bytes;
  }
  merge(target, target + what.new_pages);
  if (keeps_old) {
    // The whole mapping is unlocked; one whose pages all went, and that is not one with the new
    // one, is as new.
    const std::uint64_t end = end_of(first);
    const bool is_whole =
        begin == begin_of(first) && begin == first && end == first + what.pages && end == old_end;
    for (std::uint64_t n = begin_of(first); n < end; ++n) {
      OraclePage& page = pages_.at(n);
      page.attributes.locked = page.attributes.lock_on_fault = false;
      if (is_whole) page.tag = {};
    }
  }
  return to;
}

// Linux v6.12 mm/mlock.c:apply_vma_lock_flags(), mlock_fixup()
bool OracleSpace::set_lock(std::uint64_t first, std::uint64_t end, bool locked, bool on_fault,
                           bool stops) {
  bool whole = true;
  for (std::uint64_t n = first; n < end;) {
    const auto next = pages_.lower_bound(n);
    if (next == pages_.end() || next->first >= end) return false;
    if (next->first != n) {
      if (stops) return false;
      whole = false;
      n = next->first;
    }
    const std::uint64_t stop = std::min(end_of(n), end);
    Attributes changed = pages_.at(n).attributes;
    changed.locked = locked;
    changed.lock_on_fault = on_fault;
    if (changed != pages_.at(n).attributes) change(n, stop, changed);
    n = stop;
  }
  return whole;
}

// Linux v6.12 mm/mlock.c:do_mlock(), apply_vma_lock_flags()
Outcomes<void> OracleSpace::lock(std::uint64_t address, std::uint64_t length, bool locked,
                                 bool on_fault) {
  if (locked && limits.locked == 0) return error(EPERM);
  const std::uint64_t begin = address & ~(kPage - 1);
  const std::uint64_t size = page_ceil(length + address % kPage);
  const std::uint64_t first = begin / kPage, end = first + size / kPage;
  if (locked) {
    std::uint64_t already = 0;
    if (begin + size >= begin) {
      for (auto page = pages_.lower_bound(first); page != pages_.end() && page->first < end; ++page)
        already += page->second.attributes.locked ? 1 : 0;
    }
    if (limits.locked != ~std::uint64_t{0} &&
        this->locked() + size / kPage > limits.locked / kPage + already)
      return error(ENOMEM);
  }
  if (begin + size < begin) return error(EINVAL);
  if (!set_lock(first, end, locked, on_fault, true)) return error(ENOMEM);
  return locked ? populate(first, end) : Outcomes<void>{};
}

// Linux v6.12 mm/gup.c:populate_vma_page_range(): with write intent where the mapping is private
// and writable.
Outcomes<void> OracleSpace::populate(std::uint64_t first, std::uint64_t end) {
  for (auto page = pages_.lower_bound(first); page != pages_.end() && page->first < end; ++page) {
    const Attributes& attributes = page->second.attributes;
    if (attributes.lock_on_fault) continue;
    if (attributes.prot == 0) return error(ENOMEM);
    const bool writes = attributes.object == 0 && (attributes.prot & PROT_WRITE) != 0;
    if (!touch(page->first, writes)) return error(ENOMEM);
  }
  return {};
}

// Linux v6.12 mm/mlock.c:SYSCALL_DEFINE1(mlockall)
Outcomes<void> OracleSpace::lock_all(std::uint32_t flags) {
  constexpr std::uint32_t kCurrent = 1, kFuture = 2, kOnFault = 4;
  if (flags == 0 || (flags & ~(kCurrent | kFuture | kOnFault)) != 0 || flags == kOnFault)
    return error(EINVAL);
  if (limits.locked == 0) return error(EPERM);
  if ((flags & kCurrent) != 0 && pages_.size() > limits.locked / kPage) return error(ENOMEM);
  future_locked_ = (flags & kFuture) != 0;
  future_on_fault_ = future_locked_ && (flags & kOnFault) != 0;
  if ((flags & kCurrent) == 0) return {};
  set_lock(0, shape_.user_top / kPage, true, (flags & kOnFault) != 0, false);
  static_cast<void>(populate(0, ~std::uint64_t{0}));
  return {};
}

void OracleSpace::unlock_all() {
  future_locked_ = future_on_fault_ = false;
  set_lock(0, shape_.user_top / kPage, false, false, false);
}

// Linux v6.12 mm/msync.c
Outcomes<void> OracleSpace::msync(std::uint64_t address, std::uint64_t length,
                                  std::uint32_t flags) const {
  if ((flags & ~std::uint32_t{MS_ASYNC | MS_INVALIDATE | MS_SYNC}) != 0) return error(EINVAL);
  if (address % kPage != 0) return error(EINVAL);
  if ((flags & MS_ASYNC) != 0 && (flags & MS_SYNC) != 0) return error(EINVAL);
  const std::uint64_t size = page_ceil(length);
  if (address + size < address) return error(ENOMEM);
  bool hole = false;
  std::uint64_t next = address / kPage;
  const std::uint64_t end = next + size / kPage;
  for (auto page = pages_.lower_bound(next); page != pages_.end() && page->first < end; ++page) {
    hole = hole || page->first != next;
    next = page->first + 1;
    if ((flags & MS_INVALIDATE) != 0 && page->second.attributes.locked) return error(EBUSY);
  }
  if (hole || next < end) return error(ENOMEM);
  return {};
}

}  // namespace quire::model
