// The audit: recounts everything from scratch, with code that shares nothing with the mutators, and compares with what is stored.
//
// Life cycle: make one, run() it while nothing else runs, read the findings. Uses scratch fields of the descriptors, allocates nothing.
// Each finding names the invariant (docs/INVARIANTS.md). Checks: I1 share counts; I3 write bits; I4 leaf counts; I6 leaks; I10 figures;
// I11 attachments; I13 zero; the maps; the pools.
#pragma once

#include <cstdint>
#include <span>

#include "quire/base/types.h"
#include "quire/frame/frame.h"
#include "quire/frame/huge_pool.h"

namespace quire {

class AddressSpace;
class MemoryManager;
class TableView;
struct Vma;

/// One broken rule.
struct AuditFinding {
  const char* invariant;
  const char* message;
  std::uint64_t subject;  ///< frame number, address or id, as the message says
  std::uint64_t stored, counted;
};

class Audit {
 public:
  explicit Audit(MemoryManager& memory) : memory_(memory) {}
  /// Checks everything. Pre: the machine stands still.
  void run();
  /// Checks that nothing is in use: no address space, table, page or small object. For the end of a machine.
  void check_empty();

  /// The first kMaxFindings findings.
  [[nodiscard]] std::span<const AuditFinding> findings() const { return {findings_, kept_}; }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] bool clean() const { return total_ == 0; }
  /// Tables, leaves and spaces seen, so that a test can tell an audit that looked from one that did not.
  [[nodiscard]] std::uint64_t tables_seen() const { return tables_seen_; }
  [[nodiscard]] std::uint64_t leaves_seen() const { return leaves_seen_; }

 private:
  static constexpr unsigned kMaxFindings = 32;
  struct SpaceSums {
    std::uint64_t leaves[kLeafClasses] = {};
    std::uint64_t tables = 0;
  };

  void find(const char* invariant, const char* message, std::uint64_t subject, std::uint64_t stored, std::uint64_t counted);
  void check_space(AddressSpace& space);
  /// What the upper entries on a path say together.
  struct Above {
    bool writable = true;  ///< all have W: the path is exclusive
    bool noted = true;     ///< all tables note that pages below may be held
  };
  void visit_table(AddressSpace& space, Frame& table, VirtAddr base, Above above, SpaceSums& sums);
  void count_lent_to_none();
  void check_lent(Frame& table);
  void check_pin(Entry entry, VirtAddr address, Above above);
  void check_leaf(AddressSpace& space, Entry entry, VirtAddr address, bool writable);
  void check_raw_leaf(const Vma& vma, Entry entry, VirtAddr address);
  void check_size(Entry entry, VirtAddr address, Level level);
  void check_huge(std::uint64_t parts);
  void count_table(Frame& table, unsigned slots);
  void check_attachments(Frame& table);
  void check_frames();
  void check_zero();

  /// Huge pages of one size, counted.
  struct Huge {
    std::uint64_t idle = 0, used = 0, promised = 0;
  };
  Huge& huge_of(Level level) { return huge_[level.raw() - HugePools::kSmallest.raw()]; }

  MemoryManager& memory_;
  Huge huge_[2];
  AuditFinding findings_[kMaxFindings];
  unsigned kept_ = 0;
  std::uint64_t total_ = 0, tables_seen_ = 0, leaves_seen_ = 0;
};

}  // namespace quire
