#include "quire/host/machine.h"

#include <quire_hooks.h>

#include <bit>
#include <new>
#include <utility>

#include "quire/host/cpu.h"
#include "quire/host/sections.h"

namespace quire {

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config) {
  std::unique_ptr<Machine> machine(new (std::nothrow) Machine(config));
  if (machine == nullptr) return quire::fail(Errno::kNoMem);
  QUIRE_CHECK(machine->init());
  return machine;
}

Result<void> Machine::init() {
  const PageCount frames(config_.memory.raw() >> kPageShift);
  QUIRE_CHECK(physical_.reserve(frames, sizeof(Frame)));
  MemoryConfig config;
  config.geometry = config_.geometry;
  config.machine = this;
  config.window = physical_.window();
  config.descriptors = reinterpret_cast<Frame*>(physical_.descriptors());
  config.frames = frames;
  config.kernel_reserve = config_.kernel_reserve;
  config.metadata_only = config_.contents == Contents::kNone;
  config.zero_page = config_.zero_page;
  config.largest_leaf = config_.largest_leaf;
  config.poison_freed = config_.poison_freed;
  // Frame 0 stays out, so that a zero entry never names usable memory.
  if (frames.raw() < 2) return quire::fail(Errno::kInval);
  const MemoryManager::Range range{.first = Pfn(1), .count = frames - PageCount(1)};
  return memory_.init(config, &range, 1);
}

Machine::~Machine() {
  for (std::atomic<mmu::Mmu*>& mmu : mmus_) delete mmu.load(std::memory_order_acquire);
}

Result<Space> Machine::create_space(const AddressSpaceConfig& config) {
  QUIRE_TRY(AddressSpace * space, AddressSpace::create(memory_, config));
  return Space(space);
}

Result<std::unique_ptr<Cpu>> Machine::create_cpu(CachePolicy policy, std::uint64_t seed) {
  mmu::Mmu* const mmu = borrow_mmu();
  if (mmu == nullptr) return quire::fail(Errno::kAgain);
  mmu->set_policy(policy, seed);
  std::unique_ptr<Cpu> cpu(new (std::nothrow) Cpu(*this, *mmu));
  if (cpu == nullptr) {
    return_mmu(*mmu);
    return quire::fail(Errno::kNoMem);
  }
  return cpu;
}

mmu::Mmu* Machine::borrow_mmu() {
  const std::lock_guard guard(mmus_mutex_);
  const auto index = static_cast<unsigned>(std::countr_one(mmus_in_use_));
  if (index >= kMaxCpus) return nullptr;
  mmu::Mmu* mmu = mmus_[index].load(std::memory_order_acquire);
  if (mmu == nullptr) {
    mmu = new (std::nothrow) mmu::Mmu(index, {.physical = physical_,
                                              .memory = memory_,
                                              .geometry = config_.geometry,
                                              .violations = violations_});
    if (mmu == nullptr) return nullptr;
    mmus_[index].store(mmu, std::memory_order_release);
  }
  mmus_in_use_ |= std::uint64_t{1} << index;
  return mmu;
}

void Machine::return_mmu(mmu::Mmu& mmu) {
  const std::lock_guard guard(mmus_mutex_);
  mmus_in_use_ &= ~(std::uint64_t{1} << mmu.index());
}

PageCount Machine::frames_in_use() {
  return memory_.pool().total_frames() - memory_.pool().free_frames();
}

void Machine::flush(TlbContext& context, const FlushRequest& request) {
  const SectionsReleased released;
  const std::uint64_t generation = context.generation.fetch_add(1) + 1;
  hooks::yield_point("flush_mask", &context);
  for (std::uint64_t mask = context.running.load(); mask != 0; mask &= mask - 1) {
    mmus_[static_cast<unsigned>(std::countr_zero(mask))]
        .load(std::memory_order_acquire)
        ->flush(context.id, request, generation);
  }
}

void Machine::flush_all(FlushRequest::Depth depth) {
  const SectionsReleased released;
  for (std::atomic<mmu::Mmu*>& slot : mmus_) {
    if (mmu::Mmu* const mmu = slot.load(std::memory_order_acquire); mmu != nullptr)
      mmu->flush_all(depth);
  }
}

void Machine::retire(TlbContext& context) {
  const SectionsReleased released;
  for (std::atomic<mmu::Mmu*>& slot : mmus_) {
    if (mmu::Mmu* const mmu = slot.load(std::memory_order_acquire); mmu != nullptr)
      mmu->retire(context.id);
  }
}

}  // namespace quire
