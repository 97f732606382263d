// remap_file_pages: emulated by a new mapping, as on Linux (v6.12 mm/mmap.c:SYSCALL_DEFINE5(remap_file_pages)). Entries in the order of the
// old mapping go before the new one appears, and tables that others share stay as they are (S2.33).

#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/uapi.h"

namespace quire {

namespace {

VmaLabel* file_of(const Vma& vma) { return vma.label == nullptr || vma.label->name() ? nullptr : vma.label; }

bool is_like(const Vma& a, const Vma& b) {
  const bool same_flags = a.flags.with(VmaFlag::kTracked) == b.flags.with(VmaFlag::kTracked);
  return a.object == b.object && file_of(a) == file_of(b) && same_flags && a.prot == b.prot;
}

}  // namespace

Result<void> AddressSpace::remap_file_pages(VirtAddr address, ByteCount length, std::uint32_t prot, PageIndex offset, std::uint32_t flags) {
  const VirtAddr begin = address.page_floor();
  const ByteCount size = PageCount(length.raw() >> kPageShift).bytes();
  const auto end = checked_add(begin, size);
  if (prot != 0 || size.raw() == 0 || !end) return fail(Errno::kInval);
  const VirtRange range(begin, *end);
  if (offset.raw() + range.pages().raw() < offset.raw()) return fail(Errno::kInval);
  bool is_locked = false;
  {
    ExclusiveGuard guard(lock_);
    QUIRE_CHECK(remap_file_pages_locked(range, offset));
    is_locked = map_.find(begin)->flags.has(VmaFlag::kLocked);
  }
  // Linux ignores what cannot be faulted in here.
  if (is_locked || (flags & uapi::kMapNonBlock) == 0) static_cast<void>(populate(range));
  return {};
}

Result<void> AddressSpace::remap_file_pages_locked(VirtRange range, PageIndex offset) {
  const Vma* const first = map_.find(range.begin());
  if (first == nullptr || !first->is_shared() || first->is_huge()) return fail(Errno::kInval);
  VirtAddr reached = range.begin();
  for (const Vma& vma : map_.overlapping(range)) {
    if (reached < vma.range.begin() || !is_like(vma, *first)) return fail(Errno::kInval);
    reached = vma.range.end();
  }
  if (reached < range.end()) return fail(Errno::kInval);
  MmapRequest request;
  request.address = range.begin();
  request.length = range.size();
  request.prot = first->prot.bits();
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  if (first->flags.has(VmaFlag::kLocked)) request.flags |= uapi::kMapLocked;
  request.object = first->object;
  request.offset = offset;
  request.label = file_of(*first);
  if (!first->flags.has(VmaFlag::kMayWrite)) request.file_access = MmapRequest::FileAccess::kReadOnly;
  QUIRE_CHECK(mmap_locked(request, request.object));
  return {};
}

}  // namespace quire
