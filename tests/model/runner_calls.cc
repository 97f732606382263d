// The system calls of the model test: each made on both sides, and compared.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>

#include "model/runner.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace quire::model {

void Runner::mmap(Place& place, const Operation& operation) {
  constexpr std::uint32_t kProts[] = {PROT_READ | PROT_WRITE,
                                      PROT_READ | PROT_WRITE,
                                      PROT_READ | PROT_WRITE,
                                      PROT_READ,
                                      PROT_NONE,
                                      PROT_READ | PROT_EXEC,
                                      PROT_WRITE,
                                      PROT_READ | PROT_WRITE | PROT_EXEC};
  const std::uint16_t detail = operation.detail;
  const std::uint32_t prot = kProts[detail & 7U];
  std::uint32_t flags = MAP_ANONYMOUS;
  flags |= (detail & 0x18U) == 0 ? MAP_SHARED : MAP_PRIVATE;
  if ((detail & 0x60U) == 0x20) flags |= MAP_FIXED;
  if ((detail & 0x60U) == 0x40) flags |= MAP_FIXED_NOREPLACE;
  if ((detail & 0x380U) == 0x80) flags |= MAP_NORESERVE;
  if ((detail & 0x380U) == 0x100) flags |= MAP_POPULATE;
  if ((detail & 0x380U) == 0x200) flags |= (detail & 0x400U) != 0 ? MAP_LOCKED : 0;
  if ((detail & 0x1F80U) == 0x180) flags |= MAP_GROWSDOWN;
  if ((detail & 0xF000U) == 0xF000)
    flags &= ~static_cast<std::uint32_t>(MAP_TYPE);  // no type at all
  const bool nowhere = (detail & 0xC00U) == 0 && (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0;
  const std::uint64_t at = nowhere ? 0 : address(place, operation);
  // Growth is bounded: what would make the flat copies too large is made small.
  const std::uint64_t bytes =
      place.oracle->pages().size() > 3000 ? std::min(length(operation), kPage) : length(operation);
  MmapRequest request;
  request.address = VirtAddr(at);
  request.length = ByteCount(bytes);
  request.prot = prot;
  request.flags = flags;
  const Result<VirtAddr> actual = place.space->mmap(request);
  if (failed_as_asked(actual)) return;
  const auto expected = place.oracle->mmap(at, bytes, prot, flags, next_object_);
  if (!same_result("mmap", expected, actual)) return;
  if (*expected != actual->raw()) {
    char text[120];
    std::snprintf(text, sizeof text, "mmap chose %llx, expected %llx",
                  static_cast<unsigned long long>(actual->raw()),
                  static_cast<unsigned long long>(*expected));
    fail(text + ("\n" + describe(place.oracle->mappings())));
    return;
  }
  if (injecting_ && (flags & (MAP_POPULATE | MAP_LOCKED)) != 0) {
    injected_ = machine_->memory().pool().failure_injected();
    make_good(place, actual->raw(), bytes);
  }
  if ((flags & MAP_TYPE) == MAP_SHARED) {
    const auto vma = place.space->find(*actual);
    if (!vma || vma->object == nullptr) {
      fail("a shared mapping without an object");
      return;
    }
    object_numbers_[vma->object] = next_object_++;
  }
}

// Populating gives up silently; the mapping stands (man7 mmap(2)). What it left out is made good.
void Runner::make_good(Place& place, std::uint64_t begin, std::uint64_t bytes) {
  machine_->memory().pool().fail_after(0);
  for (auto page = place.oracle->pages().lower_bound(begin / kPage);
       page != place.oracle->pages().end() && page->first * kPage < begin + bytes; ++page) {
    if (!place.oracle->is_resident(page->second)) continue;
    const Attributes& attributes = page->second.attributes;
    const bool writes = attributes.object == 0 && (attributes.prot & PROT_WRITE) != 0;
    static_cast<void>(place.space->fault(VirtAddr(page->first * kPage), writes ? Access::kWrite : Access::kRead));
  }
}

void Runner::munmap(Place& place, const Operation& operation) {
  const std::uint64_t at = address(place, operation);
  const std::uint64_t bytes = length(operation);
  const auto actual = place.space->munmap(VirtAddr(at), ByteCount(bytes));
  if (failed_as_asked(actual)) return;
  same_result("munmap", place.oracle->munmap(at, bytes), actual);
}

void Runner::mprotect(Place& place, const Operation& operation) {
  constexpr std::uint32_t kProts[] = {PROT_READ | PROT_WRITE,
                                      PROT_READ,
                                      PROT_NONE,
                                      PROT_READ | PROT_EXEC,
                                      PROT_READ | PROT_WRITE,
                                      PROT_WRITE,
                                      PROT_READ | PROT_WRITE | PROT_EXEC,
                                      0x40};
  const std::uint64_t at = address(place, operation);
  const std::uint64_t bytes = length(operation);
  const std::uint32_t prot = kProts[operation.detail & 7U];
  const auto actual = place.space->mprotect(VirtAddr(at), ByteCount(bytes), prot);
  if (failed_as_asked(actual)) return;
  injected_ = injecting_ && machine_->memory().pool().failure_injected();
  if (!same_result("mprotect", place.oracle->mprotect(at, bytes, prot), actual)) return;
  if (injected_) make_good(place, at, bytes);
}

void Runner::madvise(Place& place, const Operation& operation) {
  constexpr int kAdvice[] = {MADV_DONTNEED, MADV_DONTNEED,      MADV_REMOVE,         MADV_DONTFORK,
                             MADV_DOFORK,   MADV_WIPEONFORK,    MADV_KEEPONFORK,     MADV_DONTDUMP,
                             MADV_DODUMP,   MADV_RANDOM,        MADV_SEQUENTIAL,     MADV_NORMAL,
                             MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE, 4711};
  const std::uint64_t at = address(place, operation);
  const std::uint64_t bytes = length(operation);
  const int advice = kAdvice[operation.detail & 15U];
  const auto actual = place.space->madvise(VirtAddr(at), ByteCount(bytes), advice);
  if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE || advice == MADV_REMOVE) partial_ = true;
  if (failed_as_asked(actual)) return;
  same_result("madvise", place.oracle->madvise(at, bytes, advice), actual);
}

void Runner::brk(Place& place, const Operation& operation) {
  const std::uint64_t now = place.oracle->brk_end();
  const std::uint64_t by = length(operation) % (64 * kPage);
  const std::uint64_t wanted = (operation.detail & 1U) != 0 ? now + by : now - std::min(by, now);
  const std::uint64_t actual = place.space->brk(VirtAddr(wanted)).raw();
  if (injecting_ && machine_->memory().pool().failure_injected() && actual == now) {
    failed_ = true;
    return;
  }
  if (place.oracle->brk(wanted) != actual) fail("brk gave another break");
}

void Runner::mremap(Place& place, const Operation& operation) {
  constexpr std::uint32_t kMayMove = MREMAP_MAYMOVE, kFixed = MREMAP_FIXED, kDontUnmap = 4;
  constexpr std::uint32_t kFlags[] = {kMayMove, kMayMove | kFixed, kMayMove | kFixed, kMayMove | kDontUnmap,
                                      0,        kMayMove | kFixed, kMayMove | kFixed | kDontUnmap, 8};
  const std::uint16_t detail = operation.detail;
  const std::uint64_t old = address(place, operation);
  const std::uint64_t bytes = length(operation);
  // Elsewhere; often at the same place in its tables.
  Operation there = operation;
  there.where = static_cast<std::uint16_t>(operation.where * 7U + detail / 8U);
  const std::uint64_t span = config_.geometry.table_span(kLeafLevel).raw();
  std::uint64_t to = address(place, there);
  if ((detail & 8U) != 0 && to < shape_.user_top) to = (to & ~(span - 1)) + (old & (span - 1));
  const std::uint64_t new_bytes = (detail & 0x30U) == 0    ? bytes + kPage * (detail / 64 % 16U)
                                  : (detail & 0x30U) == 16 ? bytes / 2
                                                           : bytes;
  if (place.oracle->pages().size() > 3000 && new_bytes > bytes) return;
  // A stack that grew up to another one is not merged with it, which single pages do not show.
  const auto page = place.oracle->pages().find(old / kPage);
  if (page != place.oracle->pages().end() && page->second.attributes.grows_down) return;
  const std::uint32_t flags = kFlags[detail & 7U];
  // Of several mappings some have moved when memory runs out, and the oracle does not know how many.
  if (injecting_ && (flags & kFixed) != 0 && new_bytes == bytes) machine_->memory().pool().fail_after(0);
  const MremapRequest request{.old_address = VirtAddr(old),
                              .old_length = ByteCount(bytes),
                              .new_length = ByteCount(new_bytes),
                              .flags = flags,
                              .new_address = VirtAddr(to)};
  const auto actual = place.space->mremap(request);
  // What was in the way is gone before memory runs out, as on Linux.
  partial_ = true;
  if (failed_as_asked(actual)) return;
  injected_ = injecting_ && machine_->memory().pool().failure_injected();
  const auto expected = place.oracle->mremap(old, bytes, new_bytes, flags, to);
  if (!same_result("mremap", expected, actual)) return;
  if (*expected != actual->raw()) fail("mremap chose another address");
  if (injected_) make_good(place, actual->raw(), new_bytes);
}

void Runner::lock(Place& place, const Operation& operation) {
  const std::uint64_t at = address(place, operation), bytes = length(operation);
  const std::uint16_t detail = operation.detail;
  partial_ = true;
  Result<void> actual;
  Outcomes<void> expected;
  switch (detail & 7U) {
    case 0: {
      const std::uint32_t flags = detail / 8U % 9U;
      if (place.oracle->pages().size() > 500 || injecting_) return;
      actual = place.space->mlockall(flags);
      expected = place.oracle->lock_all(flags);
      break;
    }
    case 1:
      if (injecting_) return;
      actual = place.space->munlockall();
      place.oracle->unlock_all();
      break;
    case 2:
    case 3:
    case 4:
      actual = place.space->munlock(VirtAddr(at), ByteCount(bytes));
      if (failed_as_asked(actual)) return;
      expected = place.oracle->lock(at, bytes, false, false);
      break;
    default: {
      const bool on_fault = (detail & 8U) != 0;
      const LockWhen when = on_fault ? LockWhen::kOnFault : LockWhen::kNow;
      actual = place.space->mlock(VirtAddr(at), ByteCount(bytes), when);
      if (failed_as_asked(actual)) {
        // The lock stands although a page could not be had, as on Linux.
        failed_ = false;
        injected_ = true;
        machine_->memory().pool().fail_after(0);
        actual = place.space->mlock(VirtAddr(at), ByteCount(bytes), when);
      }
      expected = place.oracle->lock(at, bytes, true, on_fault);
      break;
    }
  }
  same_result("lock", expected, actual);
}

void Runner::remap_pages(Place& place, const Operation& operation) {
  const std::uint64_t at = address(place, operation), bytes = length(operation);
  const std::uint64_t offset = operation.detail % 16U;
  const std::uint32_t prot = operation.detail >= 0xf000U ? PROT_READ : 0, flags = (operation.detail & 16U) != 0 ? MAP_NONBLOCK : 0;
  const auto actual = place.space->remap_file_pages(VirtAddr(at), ByteCount(bytes), prot, PageIndex(offset), flags);
  if (failed_as_asked(actual)) return;
  if (!same_result("remap_file_pages", place.oracle->remap_pages(at, bytes, prot, offset, flags), actual)) return;
  injected_ = injecting_ && machine_->memory().pool().failure_injected();
  if (injected_ && actual) make_good(place, at & ~(kPage - 1), bytes);
}

void Runner::name(Place& place, const Operation& operation) {
  const std::uint64_t at = address(place, operation), bytes = length(operation);
  constexpr const char* kTexts[] = {"", "a", "b"};
  const std::uint8_t number = operation.detail % 4U;
  const std::optional<std::string_view> text =
      number == 0 ? std::nullopt : std::optional<std::string_view>(kTexts[number - 1]);
  const auto actual = place.space->set_name(VirtAddr(at), ByteCount(bytes), text);
  if (failed_as_asked(actual)) return;
  same_result("name", place.oracle->name(at, bytes, number), actual);
}

void Runner::ask(Place& place, const Operation& operation) {
  const std::uint64_t at = address(place, operation), bytes = length(operation);
  if ((operation.detail & 1U) != 0) {
    constexpr std::uint32_t kFlags[] = {MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_INVALIDATE, MS_SYNC | MS_ASYNC, 0, 8, MS_SYNC};
    const std::uint32_t flags = kFlags[operation.detail / 2U % 8U];
    const auto actual = place.space->msync(VirtAddr(at), ByteCount(bytes), flags);
    same_result("msync", place.oracle->msync(at, bytes, flags), actual);
    return;
  }
  std::vector<std::uint8_t> resident(1 + operation.length % 64U);
  const auto actual = place.space->mincore(VirtAddr(at), resident);
  const auto page_of = [&](std::size_t n) { return place.oracle->pages().find(at / kPage + n); };
  const auto end = place.oracle->pages().end();
  std::size_t mapped = 0;
  while (mapped < resident.size() && page_of(mapped) != end) ++mapped;
  const bool fits = at % kPage == 0 && at <= shape_.user_top && resident.size() * kPage <= shape_.user_top - at;
  if (fits != actual.has_value()) return fail("mincore has another opinion of its arguments");
  if (!fits) return;
  if (mapped != actual->raw()) return fail("mincore knows another hole");
  // What was read, or lies near what was read, may be mapped as zeros.
  for (std::size_t n = 0; n < mapped; ++n) {
    if (place.oracle->is_resident(page_of(n)->second) && resident[n] != 1) fail("a resident page is said to be none");
  }
}

}  // namespace quire::model
