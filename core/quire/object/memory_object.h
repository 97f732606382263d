// What pages belong to, and where their tables are found: memory objects and attachments (design.md rule 10).
//
// A frame names its object and its index there. An object indexes the tables that hold leaves of its pages: from a frame one
// asks the object for the tables attached around that index, looks at the slot, and compares. No process or mapping is walked, nothing is
// inserted by fork; copying a table attaches the copy behind the original (a higher sequence number), so a walk in order meets it (R13).
//
// Life cycle: an object lives while it has users (mappings' nodes, address spaces) or attachments; two numbers, one atomic, whose result
// tells the last one out (S4.14, S4.30). It does not own its pages' lives unless it says so (FileObject does; S4.15).
// From a page one comes to an object that may be gone, its memory another's: ObjectRegistry tells whether an address is that of an object
// that lives, and holds it (R24, S4.30).
// Locks: `attachment lock` (rank kAttachment), inside table locks.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <span>

#include "quire/base/assert.h"
#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/lock.h"
#include "quire/base/types.h"
#include "quire/frame/frame.h"

namespace quire {

class FrameReservation;
class MemoryManager;
class MemoryObject;

/// "This table holds `entries` leaves of that object; slot 0 would be the object's page `first_index`." Of a table above level 1, indexes
/// count pages of what its entries cover, as those of huge pages do.
struct Attachment : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
  MemoryObject* object = nullptr;
  Frame* table = nullptr;
  std::int64_t first_index = 0;    ///< may be negative: the table begins before the object does
  std::uint64_t sequence = 0;      ///< order of attaching; of a lent table: its rights, below all numbers
  std::uint32_t entries = 0;       ///< guarded by the table's lock
  Attachment* next_in_table = nullptr;  ///< guarded by the table's lock
};

/// Index order: by position, then by age.
struct AttachmentOrder {
  bool operator()(const Attachment& a, const Attachment& b) const {
    return a.first_index != b.first_index ? a.first_index < b.first_index : a.sequence < b.sequence;
  }
};

/// Which of an object's tables: of `level`, slot 0 being for the object's page `first_index`, its leaves granting `rights`.
struct LentKey {
  Level level;
  std::int64_t first_index;
  Prot rights;
};

/// A page of an object, held for the caller.
struct ObjectPage {
  Frame* frame;
  bool was_read;  ///< it had to be waited for (a major fault)
};

/// Base of all objects. The kinds are the subclasses; what the fault path needs of them is virtual.
class MemoryObject {
 public:
  MemoryObject(const MemoryObject&) = delete;
  MemoryObject& operator=(const MemoryObject&) = delete;

  void add_user() {
    const std::uint64_t before = holds_.fetch_add(kUser);
    QUIRE_ASSERT(static_cast<std::int64_t>(before) > 0, "S4.30: a hold on an object that is gone");
  }
  /// The last user takes with it the tables that the object lends to nobody any more. Locks: none but a space's.
  void drop_user();
  [[nodiscard]] std::uint32_t users() const { return static_cast<std::uint32_t>(holds_.load_relaxed()); }
  /// The level of the tables whose leaves map its pages: above 1 if those are huge ones.
  [[nodiscard]] Level leaf_level() const { return leaf_level_; }
  [[nodiscard]] bool is_huge() const { return leaf_level_ != kLeafLevel; }
  [[nodiscard]] std::uint32_t attachment_count() const { return static_cast<std::uint32_t>(holds_.load_relaxed() >> 32); }

  /// Puts an attachment into the index and counts it. Locks: its table's, or the table is not published yet.
  void attach(Attachment& attachment);
  /// Takes it out. The object may be gone afterwards. Locks: its table's.
  void detach(Attachment& attachment);

  /// The object's table for `key`, with one share more for the caller's entry; or null. Locks: a table's, above it.
  [[nodiscard]] Frame* share_lent(const LentKey& key);
  /// Makes the table of `attachment`, which nobody knows yet, the object's for `key`, unless somebody was faster: then that one, with one
  /// share more. Locks: as above.
  [[nodiscard]] Frame& lend(Attachment& attachment, const LentKey& key);
  /// Lets go of the tables that no entry names. Returns how many. Locks: none but a space's.
  PageCount drop_idle_tables();
  /// Tables that the object has a share of, so as to lend them.
  [[nodiscard]] PageCount lent_tables() const { return PageCount(lent_.load_relaxed()); }
  /// For audits: whether the object has its share of `table`. The machine stands still.
  [[nodiscard]] bool lends_for_audit(const Frame& table);

  /// Visits the tables of `level` that may hold an entry of page `index`, in order, until `visit(table, slot)` returns false. The table's
  /// lock is taken around each visit and the attachment revalidated under it. If a leaf of the object moves between tables meanwhile, all
  /// are visited once more. Locks: none held.
  template <typename Visit>
  void for_each_table(PageIndex index, Visit visit, Level level = kLeafLevel);

  /// Visits the tables of `level` that may hold entries of pages `first` … `last`, each once for every displacement at which it does, until
  /// `visit(table, first_index)` returns false: slot n would hold page first_index + n. Locks as above.
  /// It does not begin anew: an entry that moves meanwhile may be met twice or not at all.
  template <typename Visit>
  void for_each_attached(PageIndex first, PageIndex last, Visit visit, Level level = kLeafLevel);
  /// A leaf is about to be in another table: walks that are under way begin anew, as they may have passed that table.
  /// Locks: both tables'.
  void note_move() { moves_.fetch_add(1); }

  /// For audits: the first attachment at or after a position, or null. The machine stands still.
  [[nodiscard]] const Attachment* find_attachment_for_audit(const Frame& table, std::int64_t first_index);

  /// Whether it is a DeviceObject, whose pages nothing counts.
  [[nodiscard]] virtual bool is_device() const { return false; }
  /// The class its pages count as.
  [[nodiscard]] virtual LeafClass leaf_class() const = 0;
  /// The frame of page `index` with one reference for the caller, made if absent, read in if need be (this may sleep). Whoever gives notice
  /// (gives_notice()) lets it be written, if that is what `access` is, and marks it Frame::kOwned. Errors: ENOMEM; EFAULT beyond the
  /// object's end; EAGAIN: it is being moved (MigrationWait); EIO: the memory has failed; ENOSPC; what the file system reports.
  virtual Result<ObjectPage> get_page(PageIndex index, Access access) = 0;
  /// The page at `index` with one reference for the caller, or null if there is none; waits for one that is being read. Errors: EFAULT
  /// beyond the object's end; EIO.
  virtual Result<Frame*> find_page(PageIndex /*index*/) { return nullptr; }
  /// Makes `filled`, which the caller holds, the page at `index`, with one reference for the caller. Errors: EEXIST; EFAULT beyond the
  /// object's end; ENOSPC; ENOMEM; EINVAL: the object makes its own. `filled` stays the caller's then.
  virtual Result<void> add_page(PageIndex /*index*/, Frame& /*filled*/) { return fail(Errno::kInval); }
  /// Pages `first`, `first` + 1, … that are in memory and nobody is reading in or moving, each held for the caller; null for others.
  virtual void hold_present(PageIndex /*first*/, std::span<Frame*> pages) {
    for (Frame*& page : pages) page = nullptr;
  }
  /// Whether entries may be writable only while their page is marked Frame::kOwned.
  [[nodiscard]] virtual bool gives_notice() const { return false; }
  /// References that the object itself has on each of its pages.
  [[nodiscard]] virtual std::uint32_t own_references() const { return 0; }
  /// Puts `to` in the place of its page `from`, if the object keeps one. `to` has the object's reference already, that on `from` is the
  /// caller's now. False: `from` is its page no more.
  [[nodiscard]] virtual bool replace_page(PageIndex, Frame&, Frame&) { return true; }
  /// Whether the object itself keeps page `index` in memory now.
  [[nodiscard]] virtual bool has_page(PageIndex index) = 0;
  /// Takes pages `first` … `last` out of memory and out of the mappings: they are a hole again. Private copies stay.
  virtual void punch(PageIndex /*first*/, PageIndex /*last*/) {}
  /// Pages that somebody maps stay in memory from now on, as one who has locked them there may expect (S2.40).
  virtual void keep_mapped() {}
  /// Small pages in memory that the object itself keeps.
  [[nodiscard]] virtual PageCount resident() const { return PageCount(0); }
  /// Whether `page`, which the caller holds and which says that it is this object's, is: the one it means may have gone and left its
  /// address.
  [[nodiscard]] virtual bool owns(const Frame& page) = 0;

 protected:
  explicit MemoryObject(MemoryManager& memory, Level leaf_level = kLeafLevel) : memory_(memory), leaf_level_(leaf_level) {}
  /// Lets pages find the object. The last thing of each final class's constructor: whoever finds it may call what only that class has.
  void become_known();
  ~MemoryObject() = default;
  /// Called once, when the last hold is gone.
  virtual void destroy() = 0;

  friend class PageRemoval;
  /// A pinned (counted) step of for_each_table: the first attachment of a table of `level` after (first_index, sequence), not beyond
  /// `last`.
  struct Step {
    Level level;
    Frame* table;
    std::int64_t first_index;
    std::uint64_t sequence;
  };
  /// The first index of a table whose last slot is that of page `index`: a table that begins before cannot hold it.
  [[nodiscard]] std::int64_t first_position_of(PageIndex index) const;
  bool next_step(PageIndex last, Step& step);
  /// Whether the step's attachment is still there. It tells by the index, since the frame may be another table's by now, which its maker
  /// alone may look into. Locks: that of the frame, without which no table leaves the index (R24, R25).
  bool is_attached(const Step& step);
  [[nodiscard]] std::uint64_t moves() const { return moves_.load(); }

  MemoryManager& memory_;

 private:
  const Level leaf_level_;
  static constexpr std::uint64_t kUser = 1, kAttachment = std::uint64_t{1} << 32;
  /// Below it are the sequences of lent tables, their rights, and of those above the leaves these and a bit more.
  static constexpr std::uint64_t kFirstSequence = 16, kUpper = 8;
  enum class Tables : std::uint8_t { kIdle, kAll };
  using Index = boost::intrusive::multiset<Attachment, boost::intrusive::compare<AttachmentOrder>,
                                           boost::intrusive::constant_time_size<false>>;

  friend class ObjectRegistry;
  void drop(std::uint64_t hold) {
    if (holds_.fetch_sub(hold) == hold) end();
  }
  void end();
  [[nodiscard]] std::uint64_t fresh_sequence() TA_REQ(lock_);
  [[nodiscard]] static std::uint64_t sequence_of(const LentKey& key) { return key.rights.bits() | (key.level == kLeafLevel ? 0 : kUpper); }
  [[nodiscard]] Attachment* find_lent(const LentKey& key) TA_REQ(lock_);
  PageCount give_up_tables(Tables which);
  Frame* give_up_table(Level level, Tables which, std::int64_t& from);

  Atomic<std::uint64_t> holds_{kUser};
  MemoryObject* next_living_ = nullptr;   ///< guarded by the registry
  MemoryObject** link_living_ = nullptr;  ///< what points to this; guarded by the registry
  Atomic<std::uint64_t> moves_{0};
  std::uint64_t last_sequence_ TA_GUARDED(lock_) = kFirstSequence;
  SpinLock lock_;
  Atomic<std::uint32_t> lent_{0};  ///< tables lent; changed under the lock
  Index index_ TA_GUARDED(lock_);
};

/// The private pages of one address space: index = virtual page number at birth.
class AnonObject final : public MemoryObject {
 public:
  explicit AnonObject(MemoryManager& memory) : MemoryObject(memory) { become_known(); }
  [[nodiscard]] LeafClass leaf_class() const override { return LeafClass::kAnon; }
  Result<ObjectPage> get_page(PageIndex, Access) override { return fail(Errno::kFault); }
  [[nodiscard]] bool has_page(PageIndex) override { return false; }
  /// It keeps no list of pages; one that outlived its object has no entries to be found.
  [[nodiscard]] bool owns(const Frame&) override { return true; }

 private:
  void destroy() override;
};

template <typename Visit>
void MemoryObject::for_each_table(PageIndex index, Visit visit, Level level) {
  std::uint64_t moves;
  bool stopped = false;
  do {
    moves = moves_.load();
    for_each_attached(index, index, [&](Frame& table, std::int64_t first_index) {
      stopped = !visit(table, static_cast<Slot>(static_cast<std::int64_t>(index.raw()) - first_index));
      return !stopped;
    }, level);
  } while (!stopped && moves_.load() != moves);
}

template <typename Visit>
void MemoryObject::for_each_attached(PageIndex first, PageIndex last, Visit visit, Level level) {
  Step step{level, nullptr, first_position_of(first), 0};
  while (next_step(last, step)) {
    SpinGuard guard(step.table->lock, LockRank::kTable, table_lock_key(*step.table));
    const bool valid = is_attached(step);
    if (valid && !visit(*step.table, step.first_index)) return;
  }
}

}  // namespace quire
