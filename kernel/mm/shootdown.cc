#include "mm/shootdown.h"

#include <array>
#include <atomic>
#include <bit>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/features.h"
#include "arch/interrupts.h"
#include "arch/layout.h"
#include "arch/paging.h"
#include "arch/registers.h"
#include "quire/base/assert.h"
#include "quire/platform.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kKeepTranslations = std::uint64_t{1} << 63;  // of CR3, with PCIDs
/// Beyond this many pages one full flush is cheaper than single ones.
constexpr std::uint64_t kSinglePages = 32;
constexpr unsigned kSlots = 6;

struct Request {
  TlbContext* context = nullptr;  ///< null: kernel memory, or every context
  bool every_context = false;
  std::uint64_t begin = 0, pages = 0;
  FlushRequest::Depth depth = FlushRequest::Depth::kTablesToo;
  std::uint64_t generation = 0;
};

/// Translations this CPU may hold under one PCID (slot n has PCID n + 1; 0 is the kernel's).
struct Slot {
  std::uint64_t id = 0, generation = 0;
};

struct CpuTlb {
  TlbContext* loaded = nullptr;
  unsigned slot = 0;  ///< of `loaded`
  unsigned next_victim = 0;
  std::array<Slot, kSlots> slots{};
  /// This CPU's own request and the CPUs that have not answered it.
  Request request;
  std::atomic<std::uint64_t> pending{0};
  std::atomic<bool> halted{false};  ///< wants an interrupt when `pending` becomes 0
  /// CPUs whose request waits for this one.
  std::atomic<std::uint64_t> inbox{0};
};

constinit PerCpu<CpuTlb> tlbs;

std::uint64_t bit_of(unsigned cpu) { return std::uint64_t{1} << cpu; }

void invalidate_pages(std::uint64_t begin, std::uint64_t pages) {
  for (std::uint64_t i = 0; i < pages; ++i) invalidate_page(begin + i * kPageSize);
}

/// The slot for a context: the one that holds its translations, or the least recently given out.
Slot& slot_for(CpuTlb& tlb, std::uint64_t id) {
  for (unsigned i = 0; i < kSlots; ++i) {
    if (tlb.slots[i].id == id) {
      tlb.slot = i;
      return tlb.slots[i];
    }
  }
  tlb.slot = tlb.next_victim;
  tlb.next_victim = (tlb.next_victim + 1) % kSlots;
  return tlb.slots[tlb.slot];
}

std::uint64_t root_of(const TlbContext& context) { return context.root.address().raw(); }

/// Drops all translations of the loaded context.
void flush_loaded(const CpuTlb& tlb) {
  write_cr3(root_of(*tlb.loaded) | (cpu_features().pcid ? tlb.slot + 1 : 0));
}

void flush_all_kernel() {
  const std::uint64_t cr4 = read_cr4();
  write_cr4(cr4 & ~kCr4Pge);  // Intel SDM 3A 4.10.4.1: drops global translations of every PCID
  write_cr4(cr4);
}

/// Carries a request out on this CPU. Interrupts off.
void perform(CpuTlb& tlb, const Request& request) {
  if (request.every_context) {
    // What is kept under other PCIDs is not good any more; what is loaded goes now.
    for (Slot& slot : tlb.slots) {
      if (tlb.loaded == nullptr || &slot != &tlb.slots[tlb.slot]) slot = Slot{};
    }
    if (tlb.loaded == nullptr) return;
    tlb.slots[tlb.slot].generation = tlb.loaded->generation.load();
    flush_loaded(tlb);
    return;
  }
  if (request.context == nullptr) {
    if (request.pages <= kSinglePages) {
      invalidate_pages(request.begin, request.pages);
    } else {
      flush_all_kernel();
    }
    return;
  }
  if (request.context != tlb.loaded) return;  // the generation tells it when it loads the context again
  Slot& slot = tlb.slots[tlb.slot];
  if (slot.generation >= request.generation) return;
  if (slot.generation + 1 == request.generation && request.pages <= kSinglePages &&
      request.depth == FlushRequest::Depth::kLeavesOnly) {
    slot.generation = request.generation;
    invalidate_pages(request.begin, request.pages);
    return;
  }
  slot.generation = tlb.loaded->generation.load();
  flush_loaded(tlb);
}

/// Waits until all have answered. A CPU that is slow to answer may be one that the host does not run just now, so
/// after a while this one halts and has itself woken by the last that answers.
void wait_for_answers(CpuTlb& mine) {
  constexpr int kSpins = 100;
  for (int i = 0; i < kSpins; ++i) {
    if (mine.pending.load() == 0) return;
    platform::relax();
  }
  if (!interrupts_enabled()) {
    while (mine.pending.load() != 0) platform::relax();
    return;
  }
  mine.halted.store(true);
  for (;;) {
    disable_interrupts();
    if (mine.pending.load() == 0) break;
    enable_interrupts_and_halt();
  }
  enable_interrupts();
  mine.halted.store(false);
}

/// Has the CPUs in `others` carry out this CPU's request.
void post(CpuTlb& mine, std::uint64_t others) {
  const std::uint64_t self = bit_of(this_cpu_data().index);
  mine.pending.store(others);
  for (std::uint64_t rest = others; rest != 0; rest &= rest - 1) {
    tlbs.of(static_cast<unsigned>(std::countr_zero(rest))).inbox.fetch_or(self);
  }
  send_interrupt_to(others, kShootdownVector);
  wait_for_answers(mine);
}

[[gnu::always_inline]] inline void perform_on(const Request& request, std::uint64_t cpus) {
  CpuTlb& mine = tlbs.local();
  const std::uint64_t self = bit_of(this_cpu_data().index);
  if ((cpus & self) != 0) {
    const InterruptsOff off;
    perform(mine, request);
  }
  if ((cpus & ~self) == 0) return;
  mine.request = request;
  post(mine, cpus & ~self);
}

}  // namespace

void load_context(TlbContext* context) {
  CpuTlb& tlb = tlbs.local();
  TlbContext* const old = tlb.loaded;
  if (context == old) return;
  const std::uint64_t self = bit_of(this_cpu_data().index);
  if (context == nullptr) {
    // PCID 0 never has user translations.
    write_cr3(kernel_root() | (cpu_features().pcid ? kKeepTranslations : 0));
  } else {
    context->running.fetch_or(self);
    const std::uint64_t generation = context->generation.load();
    Slot& slot = slot_for(tlb, context->id);
    const bool good = slot.id == context->id && slot.generation == generation;
    slot = {context->id, generation};
    std::uint64_t cr3 = root_of(*context);
    if (cpu_features().pcid) cr3 |= (tlb.slot + 1) | (good ? kKeepTranslations : 0);
    write_cr3(cr3);
  }
  tlb.loaded = context;
  if (old != nullptr) old->running.fetch_and(~self);
}

bool shootdowns_wait() { return tlbs.local().inbox.load(std::memory_order_relaxed) != 0; }

void answer_shootdowns() {
  const InterruptsOff off;
  CpuTlb& mine = tlbs.local();
  const std::uint64_t self = bit_of(this_cpu_data().index);
  for (std::uint64_t from = mine.inbox.exchange(0); from != 0; from &= from - 1) {
    const auto cpu = static_cast<unsigned>(std::countr_zero(from));
    CpuTlb& asker = tlbs.of(cpu);
    perform(mine, asker.request);
    if (asker.pending.fetch_and(~self) == self && asker.halted.load()) {
      send_interrupt(cpu_data(cpu).apic_id, kShootdownVector);
    }
  }
}

void flush_kernel_range(std::uint64_t address, std::uint64_t size) {
  Request request;
  request.begin = address;
  request.pages = size >> kPageShift;
  perform_on(request, online_cpus.load());
}

}  // namespace quire::kernel

namespace quire::platform {

void flush(Machine*, TlbContext& context, const FlushRequest& request) {
  kernel::Request posted;
  posted.context = &context;
  posted.begin = request.range.begin().raw();
  posted.pages = request.range.pages().raw();
  posted.depth = request.depth;
  posted.generation = context.generation.fetch_add(1) + 1;
  kernel::perform_on(posted, context.running.load());
}

void flush_all(Machine*, FlushRequest::Depth depth) {
  kernel::Request posted;
  posted.every_context = true;
  posted.depth = depth;
  kernel::perform_on(posted, kernel::online_cpus.load());
}

void retire(Machine*, TlbContext& context) {
  QUIRE_ASSERT(context.running.load() == 0, "R25: a root is loaded somewhere when it is freed");
}

void prepare_root(Machine*, std::uint64_t* entries) {
  constexpr unsigned kHalf = 256;
  const auto* source = kernel::direct_map<const std::uint64_t>(kernel::kernel_root()) + kHalf;
  std::uint64_t* target = entries + kHalf;
  std::uint64_t count = kHalf;
  asm volatile("rep movsq" : "+S"(source), "+D"(target), "+c"(count) : : "memory");
}

}  // namespace quire::platform
