// The fixture of tests of huge pages: a pool, and mappings from it.
#pragma once

#include <string>

#include "support/fixture.h"

namespace quire::test {

inline constexpr std::uint32_t kRead = uapi::kProtRead, kReadWrite = uapi::kProtRead | uapi::kProtWrite;
inline constexpr MapStyle kPrivate{.prot = kReadWrite, .flags = uapi::kMapPrivate | uapi::kMapHugeTlb};
inline constexpr MapStyle kShared{.prot = kReadWrite, .flags = uapi::kMapShared | uapi::kMapHugeTlb};
/// Small pages of a huge one.
inline constexpr std::uint64_t kHuge = 512;
inline constexpr Level kLevel{2};

class HugeTest : public EveryMode {
 protected:
  HugeTest() { machine_config_.contents = Contents::kReal; }
  void TearDown() override {
    // What is in use goes with its last user.
    memory().huge().close();
    EveryMode::TearDown();
  }
  HugePool& pool() { return memory().huge().of(kLevel); }
  void set_pool(std::uint64_t pages) {
    static_cast<void>(space());
    pool().resize(pages);
    ASSERT_EQ(pool().figures().persistent(), pages);
  }
  /// Idle and reserved pages of the pool.
  [[nodiscard]] std::string figures() {
    const HugePool::Figures now = pool().figures();
    return std::to_string(now.idle) + " idle, " + std::to_string(now.reserved) + " reserved";
  }
  Result<VirtAddr> map_huge(Space& where, std::uint64_t pages, std::uint32_t flags, VirtAddr address = VirtAddr(0)) {
    MmapRequest request;
    request.address = address;
    request.length = PageCount(pages * kHuge).bytes();
    request.prot = kReadWrite;
    request.flags = flags | uapi::kMapAnonymous | uapi::kMapHugeTlb;
    return where->mmap(request);
  }
  Result<VirtAddr> move(Space& where, std::uint64_t from, std::uint64_t pages, std::uint64_t to) {
    return where->mremap({.old_address = at(from),
                          .old_length = PageCount(pages).bytes(),
                          .new_length = PageCount(pages).bytes(),
                          .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                          .new_address = at(to)});
  }
  [[nodiscard]] Pfn table_of(const Space& where, std::uint64_t column) {
    const Path path = path_to(*where, at(column));
    return path.depth == 0 ? Pfn(0) : path.tables[path.depth - 1];
  }
};

}  // namespace quire::test
