// An address space (mm): a root table, a map of mappings, limits and counters, with Linux's rules.
//
// Life cycle: create() or fork(); used by any number of threads; release() by the last user tears it down. Fork costs the same
// whatever is mapped: it shares the top tables and the map.
// Operations, one file each: mmap.cc munmap.cc mprotect.cc brk.cc madvise.cc fault.cc fork.cc exit.cc access.cc.
// Owns invariants I3 (with table/), I10, I12. Does not schedule, does not know system call numbers, users or files' names.
//
// Locks: every public operation takes the mm lock itself (exclusive for changes of the map, shared for faults) and must be called
// without any core lock held. All may sleep (platform::wait).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "quire/base/atomic.h"
#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/lock.h"
#include "quire/base/types.h"
#include "quire/object/memory_object.h"
#include "quire/stats/counters.h"
#include "quire/table/writer.h"
#include "quire/tlb/tlb_context.h"
#include "quire/vma/vma.h"
#include "quire/vma/vma_map.h"

namespace quire {

class FrameReservation;
class Gather;
class HugeObject;
class MemoryManager;
class MmuNotifier;
class PageHold;
enum class HoldKind : std::uint8_t;

/// How fork treats tables (design.md section 5). Visible behaviour is the same in all three.
enum class ForkMode : std::uint8_t {
  kTree,  ///< share at the top: O(1)
  kLeaf,  ///< share level-1 tables, copy the levels above
  kCopy,  ///< share nothing
};

/// Limits that Linux keeps per process and that bind memory operations.
struct Limits {
  static constexpr std::uint64_t kInfinity = ~std::uint64_t{0};
  ByteCount address_space{kInfinity};  ///< RLIMIT_AS
  ByteCount data{kInfinity};           ///< RLIMIT_DATA
  ByteCount stack{8U << 20};           ///< RLIMIT_STACK
  ByteCount locked{kInfinity};         ///< RLIMIT_MEMLOCK; infinite for whoever has CAP_IPC_LOCK
  std::uint64_t max_map_count = 65530; ///< /proc/sys/vm/max_map_count
};

/// Where the kernel put things at exec; plain values that only /proc and brk read. Set before the first thread runs.
struct Layout {
  VirtAddr code_begin, code_end, data_begin, data_end, brk_begin, stack_begin, args_begin, args_end, env_begin, env_end;
  VirtAddr brk_end;  ///< the break now: only layout() says it, set_layout() ignores it
};

/// How a new address space is set up.
struct AddressSpaceConfig {
  ForkMode fork_mode = ForkMode::kTree;
  /// Whether mappings that cover whole spans of an object use the tables that it lends (docs/decisions/0012-lent-tables.md).
  bool borrow_tables = true;
  Limits limits;
  /// mmap places mappings downward from here; default: user_top − 128 MiB (scaled down in tiny geometries).
  VirtAddr mmap_top{0};
  /// Lowest address mmap and MAP_FIXED may use (/proc/sys/vm/mmap_min_addr).
  VirtAddr mmap_floor{65536};
};

/// Raw Linux arguments of mmap(2), all but the file: that has become `object`.
struct MmapRequest {
  VirtAddr address;
  ByteCount length;
  std::uint32_t prot = 0;   ///< PROT_*
  std::uint32_t flags = 0;  ///< MAP_*
  /// What to map; null with MAP_ANONYMOUS. Not consumed: mappings take their own user counts.
  MemoryObject* object = nullptr;
  PageIndex offset;
  /// What the mapping holds on to beside the object; null: nothing. Not consumed.
  VmaLabel* label = nullptr;
  /// Whether the file may be written to: a shared mapping of one that may not never becomes writable.
  enum class FileAccess : std::uint8_t { kReadWrite, kReadOnly } file_access = FileAccess::kReadWrite;
  /// kFixed: no program asks for it (VmaFlag::kFixedSize).
  enum class Size : std::uint8_t { kMayGrow, kFixed } size = Size::kMayGrow;
};

/// Raw Linux arguments of mremap(2).
struct MremapRequest {
  VirtAddr old_address;
  ByteCount old_length, new_length;
  std::uint32_t flags = 0;  ///< MREMAP_*
  VirtAddr new_address{};   ///< with MREMAP_FIXED; a hint with MREMAP_DONTUNMAP
};

/// Whether pages are guarded: written only after the mapping's handler has been asked.
enum class Guarded : bool { kNo, kYes };
/// What guarding a range does where there is no page.
enum class Unpopulated : bool { kLeft, kMarked };

/// When the pages of a locked mapping come to stay.
enum class LockWhen : std::uint8_t { kNow, kOnFault };

/// What became of a fault. The caller turns the bad ones into signals.
enum class FaultOutcome : std::uint8_t {
  kMinor,       ///< resolved
  kMajor,       ///< resolved with I/O
  kMapError,    ///< SIGSEGV, SEGV_MAPERR
  kAccessError, ///< SIGSEGV, SEGV_ACCERR
  kBusError,    ///< SIGBUS, BUS_ADRERR
  kOutOfMemory, ///< nothing changed; the OOM policy is the caller's
  kInterrupted, ///< waited for the mapping's handler, and was told to stop: nothing changed
};

/// Memory figures, exact at any quiescent instant (I10). Pages unless named otherwise.
struct Usage {
  PageCount rss_anon, rss_file, rss_shmem;
  PageCount rss_peak;       ///< VmHWM
  PageCount mapped;         ///< VmSize: pages in mappings
  PageCount mapped_peak;    ///< VmPeak
  PageCount data, stack, exec;  ///< VmData, VmStk, VmExe+VmLib
  PageCount locked;             ///< VmLck
  PageCount huge;               ///< HugetlbPages: huge pages mapped, in small ones; not part of the resident size (S2.11)
  PageCount tables;         ///< tables reachable from the root, the root included, zero tables not (VmPTE = tables × 4 KiB)
  std::uint64_t mappings = 0;
  [[nodiscard]] PageCount rss() const { return rss_anon + rss_file + rss_shmem; }
};

/// Pages in mappings, by what limits and figures tell apart.
struct MappedPages {
  PageCount all, data, stack, exec, locked;
  void add(const Vma& vma) { change(vma, 1); }
  void remove(const Vma& vma) { change(vma, -1); }
  friend bool operator==(const MappedPages&, const MappedPages&) = default;
  /// What RLIMIT_DATA counts (Linux v6.12 mm/vma.h:is_data_mapping()).
  [[nodiscard]] static constexpr bool is_data(Prot prot, VmaFlags flags) {
    return prot.write() && !flags.has_any(VmaFlag::kShared | VmaFlag::kGrowsDown);
  }

 private:
  void change(const Vma& vma, int sign);
};

class AddressSpace {
 public:
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  /// A new, empty address space with one user and no actor.
  /// Errors: ENOMEM.
  static Result<AddressSpace*> create(MemoryManager& memory, const AddressSpaceConfig& config);

  /// One more holder of the pointer (a thread of the process, a snapshot, /proc).
  void acquire() { users_.fetch_add(1); }
  /// The same for who found the space in the list of all, where it may be on its way out: false, then leave it alone.
  [[nodiscard]] bool try_acquire();
  /// Drops a holder; the last one destroys the space. Never allocates, never fails (S0.55).
  void release();

  /// Declares one more CPU-using thread (a task, a simulated CPU). With one actor some flushes need no second phase.
  /// The first is declared before the space runs; a further one only by a thread that is an actor itself.
  void add_actor();
  void remove_actor();

  /// Linux mmap(2). Returns the address. Errors: as man7 mmap(2): EINVAL (a DeviceObject without such pages, too), ENOMEM, EEXIST, EPERM
  /// (below mmap_floor), EOPNOTSUPP, EACCES (more than reading of a DeviceObject).
  Result<VirtAddr> mmap(const MmapRequest& request);
  /// Linux remap_file_pages(2), raw arguments: other pages of a shared mapping's object appear in its place, as a mapping of their own.
  /// Errors: EINVAL, and those of mmap().
  Result<void> remap_file_pages(VirtAddr address, ByteCount length, std::uint32_t prot, PageIndex offset, std::uint32_t flags);
  /// Linux munmap(2). Errors: EINVAL, ENOMEM (split beyond max_map_count, or no table for an edge; nothing changed).
  Result<void> munmap(VirtAddr address, ByteCount length);
  /// Linux mprotect(2); `prot` raw. Errors: EINVAL, ENOMEM (hole, or no memory; the part before a hole is changed, as on Linux), EACCES.
  Result<void> mprotect(VirtAddr address, ByteCount length, std::uint32_t prot);
  /// Linux mremap(2). Returns the address. Whole tables move by pointer where old and new address lie the same way in their spans.
  /// With MREMAP_FIXED and an unchanged length all mappings of the range move.
  /// Errors: EINVAL, EFAULT (not one mapping), ENOMEM (what MREMAP_FIXED names may be gone then, and of several mappings the first may have
  /// moved, as on Linux), EAGAIN (RLIMIT_MEMLOCK).
  Result<VirtAddr> mremap(const MremapRequest& request);
  /// Linux brk(2) as the raw system call: returns the new break, or the old one if it could not move.
  VirtAddr brk(VirtAddr wanted);
  /// Linux mlock2(2): locks and faults in, or locks what is faulted in from now on. Errors: EINVAL, EPERM (RLIMIT_MEMLOCK is 0),
  /// ENOMEM (beyond RLIMIT_MEMLOCK, a hole, or a page that cannot be had), EAGAIN (no frame).
  Result<void> mlock(VirtAddr address, ByteCount length, LockWhen when);
  Result<void> munlock(VirtAddr address, ByteCount length);
  /// Linux mlockall(2), `flags` raw. Errors: EINVAL, EPERM, ENOMEM.
  Result<void> mlockall(std::uint32_t flags);
  Result<void> munlockall();
  /// Linux mincore(2) of `resident.size()` pages: a byte 1 for each that is resident. Returns of how many pages, up to the first hole.
  /// Errors: EINVAL, ENOMEM (not user space).
  Result<PageCount> mincore(VirtAddr address, std::span<std::uint8_t> resident);
  /// Linux msync(2), `flags` raw: asks the labels of shared mappings to store what was written. Errors: EINVAL, ENOMEM (a hole), EBUSY
  /// (locked memory is to be invalidated), and what a label says. Locks: none held while a label stores.
  Result<void> msync(VirtAddr address, ByteCount length, std::uint32_t flags);
  /// Linux madvise(2). Errors: EINVAL, ENOMEM (hole: the mapped parts are done, as on Linux), EAGAIN.
  Result<void> madvise(VirtAddr address, ByteCount length, int advice);
  /// Names anonymous memory, or takes its name away (Linux prctl PR_SET_VMA_ANON_NAME; shown by /proc/PID/maps). Errors: EINVAL, EBADF (a
  /// file's mapping), ENOMEM (no memory for the name, or a hole: the mapped parts are done, as on Linux), EAGAIN (no memory for the map;
  /// nothing changed).
  Result<void> set_name(VirtAddr address, ByteCount length, std::optional<std::string_view> name);

  /// Registers what is mapped in `range` with `handler`, which is asked from now on as `flags` (some of kAskingFlags) say (Linux
  /// UFFDIO_REGISTER). Errors: EINVAL (nothing is mapped, or what cannot be registered), EPERM (a file that may not be written), EBUSY
  /// (another handler's), ENOMEM.
  Result<void> register_handler(VirtRange range, FaultDelegate& handler, VmaFlags flags);
  /// Ends that, and all guards (Linux UFFDIO_UNREGISTER). Errors: EINVAL, ENOMEM.
  Result<void> unregister_handler(VirtRange range, const FaultDelegate& handler);
  /// Ends all that is registered with `handler`, which retires. Where there is no memory for that the mappings keep it, and it no effect.
  void drop_handler(FaultDelegate& handler);
  /// Puts `contents`, a page (empty: zeros), where there is none (Linux UFFDIO_COPY, UFFDIO_ZEROPAGE), whether anybody waits for it or not.
  /// Errors: ENOENT (not registered), EEXIST, EINVAL (guarded, but not registered for that), EFAULT (beyond the object's end), ENOSPC,
  /// ENOMEM.
  Result<void> supply(VirtAddr page, std::span<const std::byte> contents, Guarded guarded);
  /// Guards the pages of `range`, or ends that (Linux UFFDIO_WRITEPROTECT). Where there is none in shared memory one that comes will be.
  /// Errors: ENOENT (not registered for that: what comes before it is done), ENOMEM.
  Result<void> guard(VirtRange range, Guarded guarded, Unpopulated unpopulated);

  /// Resolves a fault at `address`, from the hardware or from a software access.
  FaultOutcome fault(VirtAddr address, Access access);

  /// A copy-on-write child with one user and no actor. Errors: ENOMEM; this space is unchanged to its program.
  Result<AddressSpace*> fork();
  Result<AddressSpace*> fork(ForkMode mode);

  /// Reads memory as the program would (faulting pages in), without its being loaded. Stops at the first byte that cannot be read and
  /// returns how many were read; EFAULT if none. Used for exec, /proc and tests; not the fast user copy.
  Result<ByteCount> read(VirtAddr address, std::span<std::byte> to);
  /// Writes likewise, with copy-on-write.
  Result<ByteCount> write(VirtAddr address, std::span<const std::byte> from);

  /// Holds the page at `address` for whoever uses it without the space's tables, faulting it in for `access` (space/hold.h).
  /// Errors: EFAULT (unmapped, or no right to it), ENOMEM, EAGAIN (pinned too often).
  Result<PageHold> hold(VirtAddr address, Access access, HoldKind kind);
  /// Reads as a debugger does: whatever is mapped, also what the program may not touch (Linux FOLL_FORCE). Errors: as read().
  Result<ByteCount> peek(VirtAddr address, std::span<std::byte> to);
  /// Writes as a debugger does, also where the program may not: into copies of private memory, never into what others share (Linux
  /// FOLL_FORCE).
  /// Errors: as write().
  Result<ByteCount> poke(VirtAddr address, std::span<const std::byte> from);

  /// Tells a secondary MMU of all changes from now on (tlb/notifier.h). Errors: EAGAIN: the machine has too many.
  Result<void> add_notifier(MmuNotifier& notifier);
  void remove_notifier(MmuNotifier& notifier);

  /// The map as it is now: O(1), immutable, to be iterated without a lock.
  VmaMap map();
  Usage usage();
  /// Which pages clear_refs is about.
  enum class Pages : std::uint8_t { kAll, kPrivate, kOfObjects };
  /// Takes the accessed flags off, so that what is touched from now on can be told (Linux /proc/PID/clear_refs). An entry that others share
  /// is theirs too. Cost: all leaf tables. Allocates nothing.
  void forget_references(Pages pages);
  /// Takes all pages for not written, so that those that are from now on can be told (Linux /proc/PID/clear_refs, 4). Nobody else who
  /// shares tables with the space sees it: they are unshared first. Pages that are pinned stay written. Errors: ENOMEM, nothing changed.
  Result<void> track_writes();
  /// The peak of the resident size begins anew.
  void reset_peak() { rss_peak_.store(rss_now().raw()); }
  /// Tables reachable that other address spaces reach too: share above 1 on the table or above it. O(tables).
  PageCount shared_tables();
  /// The mapping that covers `address`, if any.
  std::optional<Vma> find(VirtAddr address);

  void set_limits(const Limits& limits);
  Limits limits();
  void set_fork_mode(ForkMode mode);
  [[nodiscard]] ForkMode fork_mode();
  /// Whether the space takes tables that objects lend, from now on; those it has stay. Inherited.
  void set_borrowing(bool borrows) { borrows_.store(borrows ? 1 : 0); }
  [[nodiscard]] bool borrows() const { return borrows_.load() != 0; }
  /// Sets where brk starts (and is); see Layout.
  void set_layout(const Layout& layout);
  Layout layout();

  [[nodiscard]] MemoryManager& memory() const { return memory_; }
  [[nodiscard]] TlbContext& tlb() { return tlb_; }
  [[nodiscard]] std::uint64_t id() const { return tlb_.id; }
  /// The same for all spaces that come from one by forks: only they may share private pages and fork-shared tables. 0: still being made, by
  /// whoever alone knows its tables.
  [[nodiscard]] std::uint64_t family() const { return family_.load(); }

 private:
  friend class MemoryManager;
  friend class Audit;
  friend class Census;
  friend class Observer;
  friend class ExclusivePath;
  friend class FaultResolver;
  friend class Gather;
  friend class HoldAttempt;
  friend class Move;
  friend class OwnTables;
  friend class Zap;
  friend class ForkCopy;
  template <typename T>
  friend class ObjectPool;

  /// Whether whoever asks is one of the space's own actors: then, if it is the only one, no other CPU uses the space now.
  enum class Requester : std::uint8_t { kActor, kOther };
  /// What a fault is for: an access, or a page that is the space's own whatever the mapping allows (a pin, a forced write; S1.13).
  enum class Purpose : std::uint8_t { kAccess, kOwnPage };
  /// What a hole in a range does to an operation on its mappings.
  enum class Holes : std::uint8_t { kStop, kPass };
  enum class StackGrowth : std::uint8_t { kGrown, kNotAStack, kRefused, kOutOfMemory };

  AddressSpace(MemoryManager& memory, const AddressSpaceConfig& config);
  ~AddressSpace() = default;

  /// create(), but of no family yet.
  static Result<AddressSpace*> make(MemoryManager& memory, const AddressSpaceConfig& config);
  Result<void> make_root();
  void destroy();
  void drop_reserves();

  FaultOutcome resolve_fault(VirtAddr address, Access access, Requester requester, Purpose purpose = Purpose::kAccess);
  /// The text of both: fault() is the half of all faults that counts.
  FaultOutcome resolve_as(VirtAddr address, Access access, Requester requester, Purpose purpose);
  StackGrowth grow_stack(VirtAddr address);
  Result<AnonObject*> anon_object();

  Result<VirtAddr> mmap_locked(const MmapRequest& request, MemoryObject* object) TA_REQ(lock_);
  /// mmap_locked() of huge pages, which are promised first. Rounds `request`.
  Result<VirtAddr> mmap_huge(MmapRequest& request, HugeObject& object);
  Result<void> remap_file_pages_locked(VirtRange range, PageIndex offset) TA_REQ(lock_);
  Result<void> munmap_locked(VirtAddr address, ByteCount length) TA_REQ(lock_);
  Result<VirtAddr> mremap_locked(const MremapRequest& request) TA_REQ(lock_);
  Result<VirtAddr> move_all_locked(const MremapRequest& request) TA_REQ(lock_);
  Result<VirtAddr> remap_to_locked(const Vma& vma, const MremapRequest& request) TA_REQ(lock_);
  [[nodiscard]] Result<MremapRequest> in_whole_pages(const MremapRequest& request, const Vma& vma) const;
  Result<Vma> resizable_locked(const MremapRequest& request) TA_REQ(lock_);
  [[nodiscard]] bool can_expand_locked(const Vma& vma, ByteCount more) TA_REQ(lock_);
  Result<VirtAddr> move_locked(const Vma& vma, const MremapRequest& request, VirtAddr to) TA_REQ(lock_);
  /// `range`, unmapped in `map`, and what is free around it.
  [[nodiscard]] VirtRange gap_around(const VmaMap& map, VirtRange range) const;
  /// Whether `pages` more may be locked under RLIMIT_MEMLOCK, if the mapping is to be locked (Linux v6.12 mm/mmap.c:mlock_future_ok()).
  [[nodiscard]] bool may_lock(PageCount pages, VmaFlags flags) TA_REQ_SHARED(lock_);
  /// What is to be placed: `object` null for private memory, else `index` is its page at the beginning.
  struct Placing {
    VirtAddr hint;
    ByteCount length;
    std::uint32_t flags = 0;
    const MemoryObject* object = nullptr;
    PageIndex index{};
    /// What the address is a multiple of.
    [[nodiscard]] ByteCount unit(const Geometry& geometry) const {
      return object == nullptr ? ByteCount(kPageSize) : geometry.span(object->leaf_level());
    }
  };
  Result<VirtAddr> place_locked(const Placing& what) TA_REQ(lock_);
  [[nodiscard]] std::optional<VirtAddr> congruent_gap(const Placing& what, VirtAddr floor) TA_REQ(lock_);
  Result<void> unmap_locked(VirtRange range, const VmaMap& changed, Gather& gather, Counter reason = Counter::kUnshareMunmap) TA_REQ(lock_);
  /// Calls visit(pool, pages, private ones that are there) for each mapping in the range that has huge pages reserved (huge_reserve.h).
  template <typename Visit>
  void for_each_reserve(VirtRange range, Visit visit) TA_REQ(lock_);
  /// What the range has reserved goes with its mappings; or: the private huge pages in it go, and are reserved as they were.
  void give_up_reserves(VirtRange range) TA_REQ(lock_);
  void reserve_again(VirtRange range) TA_REQ(lock_);
  Result<void> mprotect_locked(VirtRange asked, std::uint32_t grows, Prot prot, VirtRange& done) TA_REQ(lock_);
  Result<void> protect_locked(const VmaMap& map, VirtRange range, Prot prot, Gather& gather) TA_REQ(lock_);
  Result<void> dont_need_locked(VirtRange range, Gather& gather) TA_REQ(lock_);
  /// madvise(MADV_REMOVE). Errors: EINVAL, EACCES, ENOMEM, and what the files report.
  Result<void> remove(VirtRange range);
  /// As if the program had accessed every page. Errors: as madvise(MADV_POPULATE_READ).
  Result<void> fault_in(VirtRange range, Access access);
  /// The text of set_name(): `label` null takes names away.
  Result<void> set_label(VirtRange range, VmaLabel* label) TA_EXCL(lock_);
  Result<void> unregister_locked(VirtRange range) TA_REQ(lock_);
  Result<void> supply_private(VirtAddr page, std::span<const std::byte> contents, Guarded guarded);
  Result<void> supply_object(VirtAddr page, std::span<const std::byte> contents, Guarded guarded);
  Result<void> set_lock_locked(VirtRange range, VmaFlags lock, Holes holes) TA_REQ(lock_);
  Result<void> lock_range(VirtAddr address, ByteCount length, VmaFlags lock);
  /// As if the program had touched every page that is mapped, but for those that are locked when touched.
  Result<void> populate(VirtRange range);
  VirtAddr brk_locked(VirtAddr wanted) TA_REQ(lock_);
  Result<void> take_over_from(AddressSpace& parent, ForkMode mode) TA_REQ(parent.lock_);
  void copy_state_from(AddressSpace& parent) TA_REQ(parent.lock_) TA_ATTRIBUTE(no_thread_safety_analysis);
  Result<void> drop_fork_special();
  /// Part of one page, in a mapping that gives no rights. EAGAIN: look again.
  Result<void> peek_hidden(VirtAddr address, std::span<std::byte> to) TA_EXCL(lock_);
  template <typename Copy>
  Result<ByteCount> transfer(VirtAddr address, std::size_t size, Access access, Copy copy);

  /// Gives the mapping at `address` its tag before its first page of its own (see AnonTag), where its node is shared with another map.
  /// Errors: ENOMEM.
  Result<void> tag(VirtAddr address);
  /// Gives mappings that a fork copied tags of their own before `range` is cut out of them: all that overlap it, or only those that reach
  /// beyond its ends. No program sees a difference. Errors: ENOMEM.
  Result<void> adopt_locked(VirtRange range) TA_REQ(lock_);
  Result<void> adopt_edges_locked(VirtRange range) TA_REQ(lock_);
  /// Installs `changed` as the map and moves the page totals of `range` from the old to the new.
  void commit_map(VmaMap changed, VirtRange range) TA_REQ(lock_);
  /// Whether `pages` more may be mapped under RLIMIT_AS and, if they are data, RLIMIT_DATA (Linux v6.12 mm/mmap.c:may_expand_vm()).
  [[nodiscard]] bool may_expand(PageCount pages, Prot prot, VmaFlags flags) TA_REQ_SHARED(lock_);
  void note_peak();
  void add_rss(LeafClass leaf_class, std::int64_t pages) {
    rss_[static_cast<unsigned>(leaf_class)].fetch_add(static_cast<std::uint64_t>(pages));
  }
  [[nodiscard]] PageCount rss_of(LeafClass leaf_class) const;
  [[nodiscard]] PageCount rss_now() const;
  void count_resident_locked() TA_REQ(lock_);
  [[nodiscard]] bool is_only_actor(Requester requester) const { return requester == Requester::kActor && actors_.load() <= 1; }
  [[nodiscard]] Frame& root_frame() const;

  MemoryManager& memory_;
  TlbContext tlb_;
  Atomic<std::uint32_t> users_{1};
  Atomic<std::uint64_t> family_{0};
  Atomic<std::uint32_t> actors_{0};
  /// Leaves replaced by others of the same contents whose flush is not over: W may be set only after a flush of one's own.
  Atomic<std::uint32_t> replacing_{0};
  Atomic<AnonObject*> anon_object_{nullptr};
  Atomic<std::uint64_t> rss_[kLeafClasses] = {};
  static constexpr std::uint64_t kNoEdit = ~std::uint64_t{0};
  Atomic<std::uint64_t> edits_seen_{0};  ///< MemoryManager::edits() that rss_ and tables_ know of; kNoEdit: they are to be counted anew
  Atomic<std::uint64_t> tables_{0};
  Atomic<std::uint64_t> rss_peak_{0};

  RwLock lock_;
  VmaMap map_ TA_GUARDED(lock_);
  Limits limits_ TA_GUARDED(lock_);
  Layout layout_ TA_GUARDED(lock_);
  VirtAddr brk_ TA_GUARDED(lock_);
  VmaFlags future_flags_ TA_GUARDED(lock_);  ///< of mappings to come: mlockall(MCL_FUTURE); not inherited
  VirtAddr mmap_top_, mmap_floor_;
  Atomic<std::uint8_t> fork_mode_{0};  ///< a ForkMode
  Atomic<std::uint8_t> borrows_{1};
  MappedPages mapped_ TA_GUARDED(lock_);
  PageCount mapped_peak_ TA_GUARDED(lock_);

  unsigned home_ = 0;  ///< the CPU in whose list of spaces it is
  AddressSpace* next_space_ = nullptr;  ///< guarded by that list's lock
  AddressSpace* previous_space_ = nullptr;
};

/// The only way to an ExclusiveTable of a published table: from a space's root, which is always its own, down through entries whose W
/// bit or share count proves the child exclusive (I3).
class ExclusivePath {
 public:
  /// Pre: the space's lock is held, shared or exclusive, so that nobody forks it.
  [[nodiscard]] static ExclusiveTable root(AddressSpace& space) {
    return ExclusiveTable(space.memory_, space.tlb_.root, space.memory_.geometry().root_level());
  }
  /// The child under a writable entry of an exclusive table.
  [[nodiscard]] static ExclusiveTable child(const MemoryManager& memory, const ExclusiveTable& table, Entry entry) {
    QUIRE_DEBUG_ASSERT(entry.writable(), "I3: a child without W may be shared");
    return ExclusiveTable(memory, entry.pfn(), table.level().below());
  }

  /// Notes that pages at `address` may be held, in every table on the way from the root down to `level`. Pre: the way is exclusive.
  static void note_holds(AddressSpace& space, VirtAddr address, Level level);

  /// Whoever holds the page at `slot` of a table that is exclusive may write it, whatever the entry allows. Locks: the table's.
  static void note_write(const TableView& table, Slot slot) { ExclusiveTable(table).mark_soft_dirty(slot); }

  /// What unshare() needs more of before it can be called again, or the exclusive child.
  struct Unshared {
    enum class State : std::uint8_t { kExclusive, kNeedsFrame, kNeedsAttachments, kChanged } state;
    std::uint32_t attachments = 0;
    std::optional<ExclusiveTable> child;
  };
  /// Gives the space its own copy of the table under `slot`, or takes the table over if nobody else names it any more. A zero table gives a
  /// private table full of zeros.
  ///
  /// Locks:  the space's, shared or exclusive. Takes `table`'s and, inside it, the child's.
  /// Pre:    the entry at `slot` names a table or zero table.
  /// Post:   the path down to the child is exclusive; every W below it is honest (I3, R9). The old table's share is dropped by the
  ///         gather, after its flush (I7). The entry went from old to new in one store (S1.25).
  /// Errors: none; what could fail is reserved: if too little is, the state says what is wanted. kChanged: the entry is no table any more.
  [[nodiscard]] static Unshared unshare(AddressSpace& space, ExclusiveTable& table, Slot slot, VirtRange span, FrameReservation& frames,
                                        class AttachmentReservation& attachments, Gather& gather, Counter reason);
};

}  // namespace quire
