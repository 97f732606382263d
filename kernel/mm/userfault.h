// Faults that a program resolves itself: who waits, who is told (userfaultfd(2); Linux v6.12 fs/userfaultfd.c).
//
// Life cycle: made with its file, counted by it and by each registered mapping (core's FaultDelegate); retires with the file, and from then
// on nobody waits. It belongs to one address space, which it does not keep: that may end first.
// Locks: `lock_` guards the list of who waits; those stay on it, and alive, until they have taken it themselves.
#pragma once

#include <linux/userfaultfd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "lib/ref_ptr.h"
#include "quire/space/address_space.h"
#include "sched/wait.h"
#include "sync/lock.h"

namespace quire::kernel {

class Userfault final : public RefCounted, public FaultDelegate {
 public:
  /// Which faults may wait: with kOfUserMode the kernel's own get EFAULT.
  enum class Faults : std::uint8_t { kAll, kOfUserMode };
  /// Guards where there is no page; linux-libc-dev 6.1 does not know it yet.
  static constexpr std::uint64_t kFeatureUnpopulated = std::uint64_t{1} << 13;
  static constexpr std::uint64_t kFeatures = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_SIGBUS |
                                             UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS |
                                             UFFD_FEATURE_WP_HUGETLBFS_SHMEM | kFeatureUnpopulated;

  Userfault(const AddressSpace& space, Faults faults) : space_id_(space.id()), faults_(faults) {}

  void hold() override { ref(); }
  void release() override { unref(); }
  Answer ask(const AskedFault& fault) override;

  /// The first of two steps: nothing else works before. False: it has been done. `features` are among kFeatures.
  [[nodiscard]] bool initialize(std::uint64_t features);
  [[nodiscard]] bool is_initialized() const { return features_.load() != 0; }
  [[nodiscard]] bool has(std::uint64_t feature) const { return (features_.load() & feature) != 0; }

  struct ReleaseSpace {
    void operator()(AddressSpace* space) const { space->release(); }
  };
  using HeldSpace = std::unique_ptr<AddressSpace, ReleaseSpace>;
  /// The space, or null if it has ended.
  [[nodiscard]] HeldSpace space() const;

  /// What nobody has been told yet; none if there is nothing.
  [[nodiscard]] std::optional<uffd_msg> take_message();
  [[nodiscard]] bool has_message();
  /// Those who wait for pages in `range` try again.
  void wake(VirtRange range);
  /// Lets go of all mappings and wakes everybody: the file has ended.
  void end();

  WaitQueue readers;

 private:
  struct Waiting;
  static constexpr std::uint64_t kInitialized = std::uint64_t{1} << 63;

  [[nodiscard]] uffd_msg message_of(const AskedFault& fault) const;
  void unlink_locked(Waiting& waiting);

  const std::uint64_t space_id_;
  const Faults faults_;
  std::atomic<std::uint64_t> features_{0};
  Mutex lock_;
  Waiting *first_ = nullptr, *last_ = nullptr;
};

}  // namespace quire::kernel
