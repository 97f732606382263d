// A simulated machine: physical memory, the memory manager on it, and up to 64 CPUs. Several may
// live in one process.
//
// Life cycle: create(); then address spaces and CPUs in any number and order; every Space and Cpu
// is gone before the machine is. Errors come back as errno values or as Fault; nothing here throws,
// and misuse is answered, not aborted. The exception is a broken invariant inside the memory
// manager, which stops the process with its id (set_panic_handler).
//
// Threads: all members may be called from any thread. What runs on which CPU is decided by the
// caller (quire/host/cpu.h).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "quire/base/errno.h"
#include "quire/base/geometry.h"
#include "quire/base/types.h"
#include "quire/host/mmu.h"
#include "quire/host/physical_memory.h"
#include "quire/host/space.h"
#include "quire/host/violations.h"
#include "quire/memory_manager.h"
#include "quire/platform.h"

/// The seam's opaque machine is a base of ours.
struct quire::platform::Machine {};

namespace quire {

class Cpu;

/// Whether frames hold data.
enum class Contents : std::uint8_t {
  kReal,
  kNone,  ///< only tables and counts are kept: terabytes can be mapped; loads give 0 and stores are
          ///< dropped
};

struct MachineConfig {
  /// Physical memory. Host memory is used only as frames are touched.
  ByteCount memory{std::uint64_t{256} << 20};
  Geometry geometry = Geometry::x86_64();
  Contents contents = Contents::kReal;
  /// Whether reads of untouched private memory map the zero page and zero tables.
  bool zero_page = true;
  /// The highest level whose tables may have leaves; 1: no huge pages.
  Level largest_leaf{3};
  /// Fills freed frames with a pattern.
  bool poison_freed = false;
  /// Frames that user memory may not take.
  PageCount kernel_reserve{0};
};

class Machine : private platform::Machine {
 public:
  /// Errors: ENOMEM (the host refuses, or the memory is too small for the zero objects), EINVAL (no
  /// memory, no such geometry).
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config = {});
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  /// A new, empty address space. Errors: ENOMEM.
  Result<Space> create_space(const AddressSpaceConfig& config = {});
  /// A CPU, idle. Errors: ENOMEM; EAGAIN if 64 are in use.
  Result<std::unique_ptr<Cpu>> create_cpu(CachePolicy policy = CachePolicy::kKeepAll,
                                          std::uint64_t seed = 1);

  [[nodiscard]] MemoryManager& memory() { return memory_; }
  [[nodiscard]] const MachineConfig& config() const { return config_; }
  [[nodiscard]] const PhysicalMemory& physical() const { return physical_; }
  /// What the simulated hardware saw and should not have seen; empty unless the memory manager is
  /// wrong.
  [[nodiscard]] const ViolationLog& violations() const { return violations_; }
  void forget_violations() { violations_.clear(); }
  /// Frames in use, the machine's own and zero objects included.
  [[nodiscard]] PageCount frames_in_use();

  /// For the seam (platform.cc): the machine behind core's opaque pointer.
  static Machine& of(platform::Machine* machine) { return *static_cast<Machine*>(machine); }
  void flush(TlbContext& context, const FlushRequest& request);
  void flush_all(FlushRequest::Depth depth);
  void retire(TlbContext& context);

 private:
  friend class Cpu;
  static constexpr unsigned kMaxCpus = 64;

  explicit Machine(const MachineConfig& config) : config_(config) {}
  Result<void> init();
  mmu::Mmu* borrow_mmu();
  void return_mmu(mmu::Mmu& mmu);

  MachineConfig config_;
  PhysicalMemory physical_;
  ViolationLog violations_;
  MemoryManager memory_;

  std::mutex mmus_mutex_;
  std::uint64_t mmus_in_use_ = 0;  ///< guarded by mmus_mutex_
  /// Set once, each; freed with the machine, so that a flush may follow a mask that is a little
  /// old.
  std::array<std::atomic<mmu::Mmu*>, kMaxCpus> mmus_{};
};

/// Called with the text of a broken invariant before the process is aborted; it may end the process
/// in another way, or throw in a test.
using PanicHandler = void (*)(const char* text);
/// Installs a handler for the process; null for none. Returns the one before.
PanicHandler set_panic_handler(PanicHandler handler);
/// Receives each line the memory manager logs; null prints to stderr. Returns the one before.
using LogHandler = void (*)(const char* text);
LogHandler set_log_handler(LogHandler handler);

}  // namespace quire
