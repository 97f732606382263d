// A simulated CPU in user mode: loads, stores and fetches through TLB and tables, faults resolved
// by the address space.
//
// Life cycle: made by Machine::create_cpu(); runs one address space at a time; goes before its
// machine. Used by one thread at a time. An access that core cannot resolve is shown to the fault
// handler, which may change the mappings and ask for a retry, and else comes back as a Fault.
// Accesses never throw.
//
// Speed: translate() gives host pointers for an emulator's own loads and stores. They are good
// while epoch() stands still. When other threads run the same address space, an emulator keeps a
// Section open around the code that uses such pointers: no flush by another thread completes
// meanwhile, so it closes it (or calls yield()) regularly.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>

#include "quire/base/types.h"
#include "quire/host/mmu.h"
#include "quire/host/space.h"

namespace quire {

class Machine;
class Cpu;

/// An access that did not succeed, and why.
struct Fault {
  VirtAddr address;
  Access access = Access::kRead;
  FaultOutcome outcome = FaultOutcome::kMapError;
};

/// What to do about it.
enum class FaultAction : std::uint8_t { kDeliver, kRetry };
/// Called without locks; may use the address space and the Cpu. `user` is what was installed with
/// it.
using FaultHandler = FaultAction (*)(void* user, Cpu& cpu, const Fault& fault);

/// The result of an access: a value or a Fault.
template <typename T>
using Accessed = std::expected<T, Fault>;

class Cpu {
 public:
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;
  ~Cpu();

  /// Runs `space` from now on, as an actor of it. The Cpu keeps it alive. When another thread's Cpu
  /// runs `space` already, this call is made by that thread, or while it makes no access
  /// (AddressSpace::add_actor()).
  void run(const Space& space) { run(space.get()); }
  void run(AddressSpace* space);
  /// Runs nothing, but keeps the root loaded lazily as an idle processor does; a later run() of the
  /// same space finds what was cached.
  void idle();
  /// Runs nothing and loads no root.
  void stop();
  /// What it runs; null when idle.
  [[nodiscard]] AddressSpace* space() const { return space_; }

  /// Loads an integer; it may cross a page boundary, and is atomic if aligned.
  template <std::unsigned_integral T>
  [[nodiscard]] Accessed<T> load(VirtAddr address) {
    T value{};
    if (auto done = read(address, std::as_writable_bytes(std::span(&value, 1))); !done)
      return std::unexpected(done.error());
    return value;
  }
  /// Stores an integer. A store that crosses a page boundary happens on both pages or on neither.
  template <std::unsigned_integral T>
  Accessed<void> store(VirtAddr address, T value) {
    return write(address, std::as_bytes(std::span(&value, 1)));
  }
  /// Bytes, page by page. After a Fault, all pages before the one at its address have been done.
  Accessed<void> read(VirtAddr address, std::span<std::byte> to) {
    return copy(address, to, Access::kRead);
  }
  Accessed<void> fetch(VirtAddr address, std::span<std::byte> to) {
    return copy(address, to, Access::kExecute);
  }
  Accessed<void> write(VirtAddr address, std::span<const std::byte> from);

  /// The host memory behind `address` up to the end of its page, for one kind of access. Good while
  /// epoch() does not move.
  [[nodiscard]] Accessed<std::span<std::byte>> translate(VirtAddr address, Access access);
  [[nodiscard]] std::uint64_t epoch() const { return mmu_.epoch(); }

  /// Keeps flushes by other threads waiting while it exists. Nothing that waits for another thread
  /// may be done inside, except accesses through the Cpu and calls of address spaces, which let go
  /// of it while they wait.
  class [[nodiscard]] Section {
   public:
    explicit Section(Cpu& cpu);
    ~Section();
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
    /// Lets waiting flushes happen.
    void yield();

   private:
    Cpu& cpu_;
  };

  void set_fault_handler(FaultHandler handler, void* user) {
    handler_ = handler;
    handler_user_ = user;
  }
  /// A walk on the processor's own account, as branch prediction may cause; no effect a program can
  /// see.
  void speculate(VirtAddr address);
  [[nodiscard]] Machine& machine() const { return machine_; }

 private:
  friend class Machine;
  Cpu(Machine& machine, mmu::Mmu& mmu) : machine_(machine), mmu_(mmu) {}

  /// Translates under the Mmu's lock, faulting as needed, and calls `use(host pointer)` before the
  /// lock is let go.
  template <typename Use>
  Accessed<void> with_page(VirtAddr address, Access access, Use use);
  Accessed<void> copy(VirtAddr address, std::span<std::byte> to, Access access);
  /// Asks the address space, then the handler. True: try again.
  bool resolve(Fault& fault);

  Machine& machine_;
  mmu::Mmu& mmu_;
  AddressSpace* space_ = nullptr;
  FaultHandler handler_ = nullptr;
  void* handler_user_ = nullptr;
};

}  // namespace quire
