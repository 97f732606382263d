// What can be mapped and is not private: the pages of a file, of tmpfs, of shared memory (docs/decisions/0010-file-objects.md).
//
// Life cycle of a page: absent → being read (Frame::kFilling, in the tree, nobody's yet) → a copy of the source → owned (Frame::kOwned: it
// holds what is nowhere else, is charged to the account, and stays) → removed (Frame::kRemoved: truncated; lives as long as somebody holds
// it). A page of a memory file is owned from birth. The object has one reference on each of its pages.
// Owns S4.35, S2.47, R12. Does not know names, rights or times; whoever changes size or contents excludes others who do (an inode's mutex).
// Locks: `lock_` (rank kObject) guards the tree, the end and the pages' states; never held over a call of source or account.
#pragma once

#include <span>

#include "quire/object/memory_object.h"
#include "quire/object/page_removal.h"
#include "quire/object/page_tree.h"

namespace quire {

/// Who answers for the memory of pages that stay. Called without locks of core, but that the last of an object may be given back under any.
class PageAccount {
 public:
  /// One page more will stay. Errors: ENOSPC.
  virtual Result<void> charge() = 0;
  virtual void uncharge(PageCount pages) = 0;

 protected:
  ~PageAccount() = default;
};

/// Where a file's pages come from. Called without locks of core; may sleep.
class FileSource {
 public:
  struct Cluster {
    PageIndex first;
    PageCount count;
  };
  /// The pages worth reading when `index`, one of them, is wanted.
  virtual Cluster cluster(PageIndex index) = 0;
  /// Sets the contents of pages `first` … first + pages.size() − 1; what lies beyond the end of the file becomes zeros. Errors: EIO and its
  /// like: nothing is kept.
  virtual Result<void> read(PageIndex first, std::span<Frame* const> pages) = 0;
  /// Stores the contents of pages `first` …, but for what lies beyond the end of the file. They may be written to meanwhile; then they come
  /// once more. Errors: ENOSPC, EIO and their like: all of them stay owned.
  virtual Result<void> write(PageIndex /*first*/, std::span<Frame* const> /*pages*/) { return fail(Errno::kRoFs); }
  /// A page is about to be written through a mapping.
  virtual void note_mapped_write() = 0;

 protected:
  ~FileSource() = default;
};

class FileObject final : public MemoryObject {
 public:
  struct Config {
    LeafClass leaf_class = LeafClass::kShmem;
    ByteCount size;
    PageAccount* account = nullptr;  ///< null: nobody counts
    FileSource* source = nullptr;    ///< null: the pages are the file, and an absent one is zeros
  };
  /// An object with one user and no pages. Errors: ENOMEM.
  static Result<FileObject*> create(MemoryManager& memory, const Config& config);
  FileObject(MemoryManager& memory, const Config& config)
      : MemoryObject(memory), config_(config), size_(config.size.raw()), tree_(memory) {
    become_known();
  }
  ~FileObject();

  [[nodiscard]] LeafClass leaf_class() const override { return config_.leaf_class; }
  Result<ObjectPage> get_page(PageIndex index, Access access) override;
  Result<Frame*> find_page(PageIndex index) override;
  Result<void> add_page(PageIndex index, Frame& filled) override;
  void hold_present(PageIndex first, std::span<Frame*> pages) override;
  [[nodiscard]] bool gives_notice() const override { return config_.source != nullptr; }
  [[nodiscard]] std::uint32_t own_references() const override { return 1; }
  [[nodiscard]] bool replace_page(PageIndex index, Frame& from, Frame& to) override;
  [[nodiscard]] bool has_page(PageIndex index) override;
  [[nodiscard]] bool owns(const Frame& page) override;

  /// The page at `index`, held, for reading the file. Errors: as get_page(), but never EAGAIN.
  Result<Frame*> page_for_read(PageIndex index);
  /// The page at `index`, held, owned, also beyond the end, as a write to the file needs it. Errors: ENOMEM, ENOSPC, EIO and the source's.
  Result<Frame*> page_for_write(PageIndex index);
  /// The page at `index`, held, if it is there; waits for one that is being read.
  [[nodiscard]] Frame* page_or_null(PageIndex index);
  /// Gives a page back that one of these or get_page() gave.
  void put_page(Frame& page);

  [[nodiscard]] ByteCount size() const { return ByteCount(size_.load()); }
  /// Makes the file longer or shorter. What is cut off goes from the cache and from every mapping, private copies too, and the rest of the
  /// last page becomes zeros.
  void resize(ByteCount size);
  /// What is a hole reads as zeros of a memory file, anew from the source otherwise.
  void punch(PageIndex first, PageIndex last) override;
  /// Lets all pages go, and with them what the account is charged; nobody maps the object or will ask it for a page again. Then account and
  /// source may end before the object.
  void retire() { punch(PageIndex(0), PageIndex(~std::uint64_t{0} >> kPageShift)); }
  /// Gives back pages that can be read again and that nobody uses. Returns how many.
  PageCount drop_clean();
  /// Gives back some `wanted` pages that can be read again, also such as are mapped: they are taken from all who map them. A page that was
  /// used since this was last here is passed by once. Not of an object that was told to keep_mapped(). Returns how many.
  PageCount reclaim(PageCount wanted);
  void keep_mapped() override;

  /// Stores what was written to pages `first` … `last` in the source, whose copies they are again until the next write, of which the object
  /// hears. What is not owned when this is called need not be stored. All are tried. Errors: the first of the source's; what failed stays
  /// owned.
  Result<void> write_back(PageIndex first, PageIndex last);
  /// The source's contents have changed behind our back: copies of it go, from cache and mappings, but for owned and for pinned pages.
  void drop_copies() { remove(PageIndex(0), PageIndex(~std::uint64_t{0} >> kPageShift), Which::kCopies, Copies::kStay); }

  [[nodiscard]] PageCount resident() const override { return PageCount(resident_.load_relaxed()); }
  /// Pages that are owned.
  [[nodiscard]] PageCount owned() const { return PageCount(owned_.load_relaxed()); }
  /// The first owned page at or after `from`, or none; the first index at or after `from` without one.
  [[nodiscard]] std::optional<PageIndex> next_owned(PageIndex from);
  [[nodiscard]] PageIndex next_hole(PageIndex from);

 private:
  enum class Limit : std::uint8_t { kEnd, kNone };
  using Copies = PageRemoval::Copies;
  enum class Which : std::uint8_t { kAll, kCopies };
  class WriteBack;
  class Reclaim;

  void destroy() override;
  Result<Frame*> page_for(PageIndex index, Access access, Limit limit);
  Result<ObjectPage> find_or_make(PageIndex index, Access access, Limit limit);
  Result<void> fill(PageIndex index, FrameReservation& nodes);
  /// Puts a page with one reference, the object's own, where there is none.
  void keep_locked(Frame*& place, PageIndex index, Frame& page) TA_REQ(lock_);
  void settle(PageIndex first, std::span<Frame* const> pages, bool filled);
  void wait_for_fills(std::uint32_t seen) const { platform::wait(fills_, seen); }
  void remove(PageIndex first, PageIndex last, Which which, Copies copies);
  /// Takes the entries of pages in this range that have left the object out of all tables.
  void unmap_removed(PageIndex first, PageIndex last);
  /// Whether the page holds what is nowhere else: it is owned, or was written by somebody who held it.
  [[nodiscard]] static bool must_stay(const Frame& page) { return page.has_flag(Frame::kOwned) || page.has_flag(Frame::kDirty); }
  void take_out_locked(PageIndex index, Frame& page) TA_REQ(lock_);
  [[nodiscard]] bool is_beyond_end(PageIndex index) const { return index.raw() >= (size_.load() + kPageSize - 1) >> kPageShift; }
  [[nodiscard]] std::uint64_t lock_key() const { return reinterpret_cast<std::uint64_t>(this); }

  const Config config_;
  Atomic<std::uint64_t> size_;  ///< bytes; changed under lock_
  SpinLock lock_;
  PageTree tree_ TA_GUARDED(lock_);
  Atomic<std::uint64_t> resident_{0}, owned_{0};
  std::atomic<std::uint32_t> fills_{0};  ///< raised whenever pages have been read
  Atomic<std::uint64_t> hand_{0};        ///< index at which reclaim() goes on
  Atomic<std::uint32_t> keeps_mapped_{0};
  std::atomic<std::uint32_t> reclaiming_{0};  ///< calls of reclaim() that may not have seen keeps_mapped_
};

}  // namespace quire
