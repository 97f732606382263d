// Reading and writing a space's memory from outside, as its program would: through faults, with copy-on-write.

#include "quire/base/assert.h"
#include "quire/memory_manager.h"
#include "quire/space/address_space.h"
#include "quire/table/tree.h"

namespace quire {

namespace {

/// The leaf for `address`, of a huge page as if it were one of level 1, in the tree under `root`, whatever it allows, or an absent entry; W
/// only if every entry above has it.
Entry look_up_any(const MemoryManager& memory, Frame& root, VirtAddr address) {
  Frame* table = &root;
  bool writable = true;
  for (;;) {
    const Level level = table->level;
    const Entry entry = TableView(memory, *table).entry(memory.geometry().slot_of(address, level));
    writable = writable && entry.writable();
    if (level == kLeafLevel) return writable ? entry : entry.without_write();
    const EntryKind kind = memory.kind_of(entry, level);
    if (kind == EntryKind::kFrame) {
      const Entry part = entry.part(pages_of(address.page_floor() - memory.geometry().entry_range(address, level).begin()));
      return writable ? part : part.without_write();
    }
    if (kind == EntryKind::kZeroTable) return Entry::leaf(memory.zero().frame(), LeafClass::kNone, kProtRead, Writable::kNo);
    if (kind != EntryKind::kTable) return Entry();
    table = &memory.frame(entry.pfn());
  }
}

/// The same if the processor may use it.
Entry look_up(const MemoryManager& memory, Frame& root, VirtAddr address) {
  const Entry entry = look_up_any(memory, root, address);
  return entry.present() ? entry : Entry();
}

/// The page of which `pfn` is all, or one frame of a huge one: those lie at multiples of their size.
Frame& page_of(const MemoryManager& memory, const Vma& vma, Pfn pfn) {
  const std::uint64_t frames = pages_of(memory.geometry().span(vma.leaf_level())).raw();
  return memory.frame(Pfn(pfn.raw() & ~(frames - 1)));
}

/// Whether a leaf still allows what it did; the processor may have set its flags.
bool same_leaf(Entry now, Entry seen) { return now.present() && now.pfn() == seen.pfn() && now.writable() == seen.writable(); }

}  // namespace

// The exclusive lock keeps siblings from replacing tables between the look-up and the copy; CPUs that run the space's program go on.
template <typename Copy>
Result<ByteCount> AddressSpace::transfer(VirtAddr address, std::size_t size, Access access, Copy copy) {
  std::size_t done = 0;
  while (done < size) {
    const auto at = checked_add(address, ByteCount(done));
    if (!at || memory_.geometry().user_top() <= *at) break;
    const std::size_t offset = at->raw() & (kPageSize - 1);
    const std::size_t part = size - done < kPageSize - offset ? size - done : kPageSize - offset;
    bool copied = false, is_device = false;
    {
      ExclusiveGuard guard(lock_);
      const Vma* vma = map_.find(*at);
      const Entry entry = look_up(memory_, root_frame(), *at);
      is_device = vma != nullptr && vma->flags.has(VmaFlag::kDevice);
      if (vma != nullptr && !is_device && vma->prot.allows(access) && entry.present() && (access != Access::kWrite || entry.writable())) {
        // The entry may be a page's that is about to be moved, which waits for processors but not for us: so the page is held, and the
        // entry looked at again. A page that is held is not moved.
        Frame* const page = memory_.kind_of(entry, kLeafLevel) == EntryKind::kFrame ? &page_of(memory_, *vma, entry.pfn()) : nullptr;
        const bool held = page != nullptr && page->try_get();
        if (page == nullptr || (held && same_leaf(look_up(memory_, root_frame(), *at), entry))) {
          std::byte* const memory = memory_.window(entry.pfn()) + offset;
          hooks::yield_point(access == Access::kWrite ? "store_frame" : "load_frame", memory);
          copy(memory, done, part);
          copied = true;
        }
        if (held && page->put()) memory_.pool().give(page);
      }
    }
    if (is_device) break;
    if (copied) {
      done += part;
      continue;
    }
    const FaultOutcome outcome = resolve_fault(*at, access, Requester::kOther);
    if (outcome != FaultOutcome::kMinor && outcome != FaultOutcome::kMajor) {
      if (done == 0) return fail(outcome == FaultOutcome::kOutOfMemory ? Errno::kNoMem : Errno::kFault);
      break;
    }
  }
  if (done == 0 && size != 0) return fail(Errno::kFault);
  return ByteCount(done);
}

Result<ByteCount> AddressSpace::read(VirtAddr address, std::span<std::byte> to) {
  return transfer(address, to.size(), Access::kRead, [&](const std::byte* from, std::size_t at, std::size_t size) {
    __builtin_memcpy(to.data() + at, from, size);
  });
}

Result<ByteCount> AddressSpace::peek(VirtAddr address, std::span<std::byte> to) {
  std::size_t done = 0;
  while (done < to.size()) {
    const auto at = checked_add(address, ByteCount(done));
    if (!at || memory_.geometry().user_top() <= *at) break;
    const std::size_t left_in_page = kPageSize - (at->raw() & (kPageSize - 1));
    const std::size_t part = to.size() - done < left_in_page ? to.size() - done : left_in_page;
    const auto vma = find(*at);
    if (!vma || vma->flags.has(VmaFlag::kDevice)) break;
    Result<void> result;
    if (vma->prot.allows(Access::kRead)) {
      if (const auto read_now = read(*at, to.subspan(done, part)); !read_now) result = fail(read_now.error());
    } else {
      result = peek_hidden(*at, to.subspan(done, part));
    }
    if (!result && result.error() == Errno::kAgain) continue;
    if (!result) {
      if (done == 0) return fail(result.error());
      break;
    }
    done += part;
  }
  if (done == 0 && !to.empty()) return fail(Errno::kFault);
  return ByteCount(done);
}

// A page that nobody may touch is not made: one of private memory that is not there is zeros.
Result<void> AddressSpace::peek_hidden(VirtAddr address, std::span<std::byte> to) {
  const std::uint32_t moves = memory_.moves_of_pages();
  const std::size_t offset = address.raw() & (kPageSize - 1);
  {
    ExclusiveGuard guard(lock_);
    const Vma* vma = map_.find(address);
    if (vma == nullptr || vma->prot.allows(Access::kRead)) return fail(Errno::kAgain);  // it has changed
    const Entry entry = look_up_any(memory_, root_frame(), address);
    const EntryKind kind = memory_.kind_of(entry, kLeafLevel);
    Frame* page = nullptr;
    Pfn pfn = entry.pfn();
    if (kind == EntryKind::kFrame) {
      page = &page_of(memory_, *vma, pfn);
      if (!page->try_get()) page = nullptr;
      if (page != nullptr && look_up_any(memory_, root_frame(), address) != entry) {
        if (page->put()) memory_.pool().give(page);
        page = nullptr;
      }
    } else if (kind == EntryKind::kAbsent && vma->is_huge()) {
      return fail(Errno::kFault);  // none is taken from the pool for this
    } else if (kind == EntryKind::kAbsent && vma->object != nullptr) {
      const auto made = vma->object->get_page(vma->index_of(address), Access::kRead);
      if (!made && made.error() != Errno::kAgain) return fail(made.error() == Errno::kNoMem ? Errno::kNoMem : Errno::kFault);
      if (made) {
        page = made->frame;
        pfn = memory_.pfn_of(*page);
      }
    } else if (kind == EntryKind::kAbsent || kind == EntryKind::kZeroFrame) {
      __builtin_memset(to.data(), 0, to.size());
      return {};
    } else if (kind != EntryKind::kMigration) {
      return fail(Errno::kFault);
    }
    if (page != nullptr) {
      std::byte* const contents = memory_.window(pfn) + offset;
      hooks::yield_point("load_frame", contents);
      __builtin_memcpy(to.data(), contents, to.size());
      if (page->put()) memory_.pool().give(page);
      return {};
    }
  }
  memory_.wait_for_moves(moves);  // it is being moved
  return fail(Errno::kAgain);
}

Result<ByteCount> AddressSpace::write(VirtAddr address, std::span<const std::byte> from) {
  return transfer(address, from.size(), Access::kWrite, [&](std::byte* to, std::size_t at, std::size_t size) {
    __builtin_memcpy(to, from.data() + at, size);
  });
}

}  // namespace quire
