// Layouts as text: a column per page, a letter per mapping. What tests draw and what failures print
// is one picture.
//
//   draw()        AAAA.BB   mappings, lettered in order of address, '.' where nothing is mapped
//   draw_rights() wwwr.xx   w: writable, r: readable only, x: executable, -: no access
//   draw_pages()  aazs..    a: private page, s: page of a shared object, z: zero page, n: page
//   without access, '.': no entry
#pragma once

#include <string>

#include "quire/quire.h"

namespace quire::test {

/// `pages` columns from `begin`.
[[nodiscard]] std::string draw(AddressSpace& space, VirtAddr begin, unsigned pages);
[[nodiscard]] std::string draw_rights(AddressSpace& space, VirtAddr begin, unsigned pages);
[[nodiscard]] std::string draw_pages(AddressSpace& space, VirtAddr begin, unsigned pages);

/// What a walk from the root meets for one address; for tests that count tables.
struct Path {
  /// Share counts from the table below the root down to level 1; shorter where the walk ends early.
  unsigned shares[kMaxLevels] = {};
  unsigned depth = 0;
  Pfn tables[kMaxLevels];
  bool zero_table = false;  ///< ended in a zero table
  bool has_leaf = false;    ///< a leaf names a frame
  Pfn leaf;
  LeafClass leaf_class = LeafClass::kNone;
  bool zero_leaf = false;
  bool leaf_present = false;   ///< accessible to hardware
  bool leaf_writable = false;  ///< W of the leaf alone
  bool path_writable = true;   ///< W of all upper entries
  /// The highest share count on the path: 1 means that the path is exclusive.
  [[nodiscard]] unsigned widest_share() const;
};
[[nodiscard]] Path path_to(AddressSpace& space, VirtAddr address);

}  // namespace quire::test
