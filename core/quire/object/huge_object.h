// What mappings of huge pages map: shared memory in pages of one size, from the pool of that size (docs/decisions/0016-huge-pages.md).
//
// An index of a page is absent → reserved → present: reserved by a mapping, or a segment that is made with its pages promised, and so until
// it is punched out or the object ends. Private mappings find pages here and never put any. Pages are owned from birth; the object has one
// reference on each. Callers count in small pages, as for every object; inside, and in Frame::Page, indexes are in pages of its own.
// Linux v6.12 fs/hugetlbfs/inode.c, mm/hugetlb.c. Does not know names, rights or times; whoever changes its size excludes others who do.
// Locks: `lock_` (rank kObject) guards tree and size; `filling_` (rank kHugeFault, sleeps) lets one at a time bring a page into being.
#pragma once

#include <array>

#include "quire/object/memory_object.h"
#include "quire/object/page_removal.h"
#include "quire/object/page_tree.h"

namespace quire {

class HugePool;

class HugeObject final : public MemoryObject {
 public:
  struct Config {
    Level level;     ///< of the tables whose leaves map its pages
    ByteCount size;  ///< whole pages
  };
  /// An object with one user and no pages. Errors: ENOMEM, EINVAL (the machine has no such pages).
  static Result<HugeObject*> create(MemoryManager& memory, const Config& config);
  HugeObject(MemoryManager& memory, const Config& config)
      : MemoryObject(memory, config.level), size_(config.size.raw()), tree_(memory) {
    become_known();
  }
  ~HugeObject();

  /// Promises the object a page for each index in the range that has none yet. Errors: ENOMEM.
  Result<void> reserve(PageIndex first, PageCount count);

  [[nodiscard]] LeafClass leaf_class() const override { return LeafClass::kShmem; }
  /// Errors: EFAULT beyond the end; ENOMEM; ENOSPC: the pool has no page.
  Result<ObjectPage> get_page(PageIndex index, Access access) override;
  [[nodiscard]] std::uint32_t own_references() const override { return 1; }
  [[nodiscard]] bool has_page(PageIndex index) override;
  [[nodiscard]] bool owns(const Frame& page) override;
  /// Of a page only partly in the range, Linux clears the rest (fs/hugetlbfs/inode.c:hugetlbfs_zero_partial_page()); so does this.
  void punch(PageIndex first, PageIndex last) override;

  /// The page around `index`, held, if it is there.
  [[nodiscard]] Frame* page_or_null(PageIndex index);
  [[nodiscard]] ByteCount size() const { return ByteCount(size_.load()); }
  /// Makes the object longer or shorter, by whole pages. What is cut off goes from every mapping; private copies stay.
  void resize(ByteCount size);
  [[nodiscard]] bool is_beyond_end(PageIndex index) const { return size_.load() <= index.raw() << kPageShift; }
  /// Held by who brings the page around `index`, or a private one in its place, into being.
  [[nodiscard]] RwLock& filling(PageIndex index) { return filling_[own_index(index).raw() % filling_.size()]; }
  /// For audits: pages that the object was promised and has not got.
  [[nodiscard]] std::uint64_t promises_for_audit();
  [[nodiscard]] PageCount resident() const override { return PageCount(present_.load_relaxed() * unit().raw()); }

 private:
  class Still;

  void destroy() override;
  [[nodiscard]] HugePool& pool() const;
  [[nodiscard]] PageCount unit() const;
  [[nodiscard]] PageIndex own_index(PageIndex index) const { return PageIndex(index.raw() / unit().raw()); }
  /// What stands in the tree for a promise.
  [[nodiscard]] Frame* promise() const;
  [[nodiscard]] Frame* find_locked(PageIndex own) TA_REQ(lock_);
  void remove(PageIndex first, PageIndex last);
  void clear_part(PageIndex first, PageIndex end);
  [[nodiscard]] std::uint64_t lock_key() const { return reinterpret_cast<std::uint64_t>(this); }

  Atomic<std::uint64_t> size_;  ///< bytes; changed under lock_
  SpinLock lock_;
  PageTree tree_ TA_GUARDED(lock_);
  Atomic<std::uint64_t> present_{0};
  std::array<RwLock, 8> filling_{RwLock(LockRank::kHugeFault), RwLock(LockRank::kHugeFault), RwLock(LockRank::kHugeFault),
                                 RwLock(LockRank::kHugeFault), RwLock(LockRank::kHugeFault), RwLock(LockRank::kHugeFault),
                                 RwLock(LockRank::kHugeFault), RwLock(LockRank::kHugeFault)};
};

}  // namespace quire
