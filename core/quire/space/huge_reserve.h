// Huge pages that a space has reserved for its private mappings (docs/decisions/0016-huge-pages.md).
//
// Nothing is stored: a mapping with VmaFlag::kHugeReserved has one reserved for each of its pages at which the space has no private one. So
// what a range of it has reserved is counted from the tables when it goes. A space that is still being made by a fork has none, whatever
// its map says (AddressSpace::family()). Linux v6.12 mm/hugetlb.c: resv_map, HPAGE_RESV_OWNER.
#pragma once

#include <cstdint>

#include "quire/base/errno.h"
#include "quire/base/types.h"
#include "quire/frame/huge_pool.h"
#include "quire/vma/vma.h"

namespace quire {

class AddressSpace;
class VmaMap;

/// Pages promised to a mapping that is being made; given back unless it is.
class HugeReservation {
 public:
  HugeReservation() = default;
  HugeReservation(const HugeReservation&) = delete;
  HugeReservation& operator=(const HugeReservation&) = delete;
  ~HugeReservation() {
    if (pages_ != 0) pool_->unreserve(pages_);
  }
  /// Errors: ENOMEM.
  Result<void> get(HugePool& pool, std::uint64_t pages) {
    QUIRE_CHECK(pool.reserve(pages));
    pool_ = &pool;
    pages_ = pages;
    return {};
  }
  /// The mapping has them.
  void keep() { pages_ = 0; }

 private:
  HugePool* pool_ = nullptr;
  std::uint64_t pages_ = 0;
};

}  // namespace quire
