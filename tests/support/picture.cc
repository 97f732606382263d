#include "support/picture.h"

#include <algorithm>

#include "quire/arch/entry.h"
#include "quire/memory_manager.h"

namespace quire::test {
namespace {

/// A string with one character per page, from what `character(address)` says.
template <typename Character>
std::string columns(VirtAddr begin, unsigned pages, Character character) {
  std::string picture(pages, '.');
  for (unsigned n = 0; n < pages; ++n) picture[n] = character(begin + PageCount(n).bytes());
  return picture;
}

}  // namespace

std::string draw(AddressSpace& space, VirtAddr begin, unsigned pages) {
  std::string picture(pages, '.');
  char letter = 'A';
  const VirtRange range(begin, PageCount(pages).bytes());
  const VmaMap map = space.map();
  for (const Vma& vma : map.overlapping(range)) {
    const VirtRange part = vma.range.intersection(range);
    const auto first = static_cast<std::size_t>((part.begin() - begin).raw() / kPageSize);
    std::fill_n(picture.begin() + static_cast<std::ptrdiff_t>(first), part.pages().raw(), letter);
    letter = letter == 'Z' ? 'a' : static_cast<char>(letter + 1);
  }
  return picture;
}

std::string draw_rights(AddressSpace& space, VirtAddr begin, unsigned pages) {
  return columns(begin, pages, [&](VirtAddr at) {
    const auto vma = space.find(at);
    if (!vma) return '.';
    if (vma->prot.exec()) return 'x';
    if (vma->prot.write()) return 'w';
    return vma->prot.none() ? '-' : 'r';
  });
}

std::string draw_pages(AddressSpace& space, VirtAddr begin, unsigned pages) {
  return columns(begin, pages, [&](VirtAddr at) {
    const Path path = path_to(space, at);
    if (path.zero_table || path.zero_leaf) return 'z';
    if (!path.has_leaf) return '.';
    if (!path.leaf_present) return 'n';
    return path.leaf_class == LeafClass::kAnon ? 'a' : 's';
  });
}

unsigned Path::widest_share() const {
  return depth == 0 ? 1 : *std::max_element(shares, shares + depth);
}

Path path_to(AddressSpace& space, VirtAddr address) {
  const MemoryManager& memory = space.memory();
  const Geometry& geometry = memory.geometry();
  Path path;
  Pfn table = space.tlb().root;
  for (Level level = geometry.root_level();; level = level.below()) {
    const auto* const entries = reinterpret_cast<const std::uint64_t*>(memory.window(table));
    const Entry entry = Entry::decoded(
        __atomic_load_n(entries + geometry.slot_of(address, level), __ATOMIC_ACQUIRE));
    if (!entry.names_frame()) return path;
    const bool zero = memory.zero().is_zero(entry.pfn());
    if (level == kLeafLevel || entry.is_large()) {
      path.has_leaf = !zero;
      path.zero_leaf = zero;
      path.leaf = entry.pfn();
      path.leaf_class = entry.leaf_class();
      path.leaf_present = entry.present();
      path.leaf_writable = entry.writable();
      return path;
    }
    path.zero_table = zero;
    path.path_writable = path.path_writable && entry.writable();
    if (zero) return path;
    table = entry.pfn();
    path.tables[path.depth] = table;
    path.shares[path.depth++] = memory.frame(table).table.share.load_relaxed();
  }
}

}  // namespace quire::test
