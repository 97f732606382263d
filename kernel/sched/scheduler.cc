#include "sched/scheduler.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/interrupts.h"
#include "arch/registers.h"
#include "arch/segments.h"
#include "arch/traps.h"
#include "boot/launch.h"
#include "drivers/host_wait.h"
#include "mm/shootdown.h"
#include "quire/base/assert.h"
#include "sched/reaper.h"
#include "sched/run_queue.h"
#include "time/timer_queue.h"
#include "time/tsc.h"

extern "C" void switch_stacks(std::uint64_t* save_rsp, std::uint64_t load_rsp);

namespace quire::kernel {
namespace {

constexpr std::uint64_t kSliceNs = 4'000'000;

PerCpu<RunQueue> queues;
/// CPUs that halt or are about to; they look at the queues once more after setting their bit. Whoever clears a bit wakes the
/// CPU.
constinit std::atomic<std::uint64_t> idle_cpus{0};

std::uint64_t bit_of(unsigned cpu) { return std::uint64_t{1} << cpu; }

void wake_cpu(unsigned cpu) {
  if (cpu != this_cpu_data().index) send_interrupt(cpu_data(cpu).apic_id, kRescheduleVector);
}

/// Takes an idle CPU of `among` for the caller to give work to and wake: `preferred` if that is idle. None if all are busy.
std::optional<unsigned> claim_idle_cpu(unsigned preferred, std::uint64_t among) {
  for (std::uint64_t idle = idle_cpus.load() & among; idle != 0; idle = idle_cpus.load() & among) {
    const auto cpu = (idle & bit_of(preferred)) != 0 ? preferred : static_cast<unsigned>(std::countr_zero(idle));
    if ((idle_cpus.fetch_and(~bit_of(cpu)) & bit_of(cpu)) != 0) return cpu;
  }
  return std::nullopt;
}

/// The CPU of `among` with the fewest threads waiting.
unsigned shortest_queue(std::uint64_t among) {
  among &= online_cpus.load();
  auto best = static_cast<unsigned>(std::countr_zero(among));
  for (std::uint64_t rest = among; rest != 0; rest &= rest - 1) {
    const auto cpu = static_cast<unsigned>(std::countr_zero(rest));
    if (queues.of(cpu).length() < queues.of(best).length()) best = cpu;
  }
  return best;
}

/// Puts a thread where it ran, unless that CPU is busy and another is idle. One whose registers are not saved yet stays
/// (RunQueue).
void enqueue(Thread::Internals& thread) {
  const unsigned last = thread.cpu.load();
  if (thread.on_cpu.load()) {
    const bool may_stay = thread.may_run_on(last);
    queues.of(last).push(thread);
    // It may have gone idle since. If the thread must not stay, that CPU sends it on once the registers are saved.
    if ((idle_cpus.fetch_and(~bit_of(last)) & bit_of(last)) != 0 || !may_stay) wake_cpu(last);
    return;
  }
  const std::uint64_t allowed = thread.thread.allowed_cpus.load();
  const std::optional<unsigned> idle = claim_idle_cpu(last, allowed);
  const unsigned busy = (allowed & bit_of(last)) != 0 ? last : shortest_queue(allowed);
  const unsigned cpu = idle.value_or(busy);
  thread.cpu.store(cpu);
  queues.of(cpu).push(thread);
  if (idle) wake_cpu(cpu);
}

/// Sends on the threads that wait on this CPU and must not run here. Pre: interrupts off.
void send_strays_on() {
  const unsigned cpu = this_cpu_data().index;
  while (Thread::Internals* const stray = queues.local().take_stray(cpu)) enqueue(*stray);
}

Thread::Internals* steal(unsigned thief) {
  const unsigned count = cpu_count();
  for (unsigned i = 1; i < count; ++i) {
    if (Thread::Internals* thread = queues.of((thief + i) % count).steal(thief); thread != nullptr) return thread;
  }
  return nullptr;
}

/// Whether a thread waits somewhere that `taker` may run.
bool work_waits(unsigned taker) {
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    if (queues.of(cpu).has_work_for(taker)) return true;
  }
  return false;
}

/// Has the thread that runs on this CPU settle its sequences before it returns to user mode. Pre: interrupts off.
void interrupt_sequence(Cpu& cpu) {
  if (cpu.current->sequence == Sequence::kNone) return;
  cpu.current->sequence = Sequence::kInterrupted;
  cpu.exit_work = true;
}

/// Pre: interrupts off.
void switch_threads(RunQueue& queue, Thread::Internals& from, Thread::Internals& to) {
  Cpu& cpu = this_cpu_data();
  account_time(cpu, CpuMode::kKernel);
  if (from.thread.space != nullptr) from.fpu.save();
  load_context(to.thread.space != nullptr ? &to.thread.space->tlb() : nullptr);
  if (to.thread.space != nullptr) {
    to.thread.load_bases();
    to.fpu.load();
  }
  if (&from == queue.idle) arm_tick(kSliceNs);
  queue.previous = &from;
  cpu.switches.store(cpu.switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  to.cpu.store(cpu.index, std::memory_order_relaxed);
  to.on_cpu.store(true, std::memory_order_relaxed);
  cpu.current = &to.thread;
  cpu.reschedule = false;
  interrupt_sequence(cpu);
  if (to.stack != nullptr) set_kernel_stack(reinterpret_cast<std::uint64_t>(to.stack) + kKernelStackSize);
  switch_stacks(&from.stack_pointer, to.stack_pointer);
  finish_thread_switch();
}

/// Runs another thread, if there is one, or the idle thread. Returns when the current thread runs again.
void run_next() {
  const InterruptsOff off;
  Cpu& cpu = this_cpu_data();
  RunQueue& queue = queues.local();
  Thread::Internals* next = queue.pop(cpu.index);
  if (next == nullptr) next = steal(cpu.index);
  if (next == nullptr) next = queue.idle;
  Thread::Internals& self = *cpu.current->internals;
  if (next == &self) {  // woken while going to sleep, or nobody else wants to run
    cpu.reschedule = false;
    return;
  }
  switch_threads(queue, self, *next);
}

}  // namespace

void finish_thread_switch() {
  Thread::Internals& previous = *queues.local().previous;
  const bool dead = previous.state.load(std::memory_order_relaxed) == ThreadState::kDead;
  const unsigned cpu = this_cpu_data().index;
  const std::uint64_t allowed = previous.thread.allowed_cpus.load(std::memory_order_relaxed);
  previous.on_cpu.store(false, std::memory_order_seq_cst);
  if (dead) {
    bury(previous);
  } else if ((allowed & bit_of(cpu)) == 0) [[unlikely]] {
    send_strays_on();
  }
}

void init_idle_thread() {
  class IdleThread final : public Thread {
   public:
    const char* name() const override { return "idle"; }
  };
  Thread& thread = *new IdleThread;
  thread.internals = new Thread::Internals(thread);
  Cpu& cpu = this_cpu_data();
  thread.internals->cpu.store(cpu.index);
  thread.internals->on_cpu.store(true);
  cpu.current = &thread;
  cpu.account_tsc = read_tsc();
  queues.local().idle = thread.internals;
}

void idle_loop() {
  const bool exact = launch().tsc_hz != 0;  // the command gives the clock in exact mode only
  const std::uint64_t bit = bit_of(this_cpu_data().index);
  for (;;) {
    run_next();
    disable_interrupts();
    idle_cpus.fetch_or(bit);
    if (work_waits(this_cpu_data().index)) {
      enable_interrupts();
    } else {
      if (exact) prepare_exact_halt(HostWait::any() ? HaltFor::kHost : HaltFor::kEvents);
      enable_interrupts_and_halt();
    }
    idle_cpus.fetch_and(~bit);
  }
}

void start_thread(Thread& thread) {
  QUIRE_ASSERT(thread.internals != nullptr, "a thread is prepared before it starts");
  if (thread.space != nullptr) thread.space->add_actor();
  thread.internals->cpu.store(this_cpu_data().index);
  enqueue(*thread.internals);
}

void yield_cpu() {
  RunQueue& queue = queues.local();
  Thread& self = current_thread();
  const bool may_stay = self.internals->may_run_on(this_cpu_data().index);
  if ((queue.length() == 0 && may_stay) || self.internals == queue.idle) {
    this_cpu_data().reschedule = false;
    return;
  }
  self.involuntary_switches.fetch_add(1, std::memory_order_relaxed);
  queue.push(*self.internals);
  run_next();
}

void exit_thread() {
  Thread& self = current_thread();
  QUIRE_ASSERT(self.space == nullptr, "a thread leaves its address space before it ends");
  disable_interrupts();
  self.internals->state.store(ThreadState::kDead);
  run_next();
  __builtin_unreachable();
}

void announce_sleep() { current_thread().internals->state.store(ThreadState::kSleeping); }

void cancel_sleep() {
  ThreadState expected = ThreadState::kSleeping;
  if (current_thread().internals->state.compare_exchange_strong(expected, ThreadState::kRunnable)) return;
  run_next();  // a waker was faster and has put this thread on a queue: be taken from it
}

void sleep_now() {
  current_thread().voluntary_switches.fetch_add(1, std::memory_order_relaxed);
  run_next();
}

bool wake_thread(Thread& thread) {
  ThreadState expected = ThreadState::kSleeping;
  if (!thread.internals->state.compare_exchange_strong(expected, ThreadState::kRunnable)) return false;
  enqueue(*thread.internals);
  return true;
}

void interrupt_thread(Thread& thread) {
  if (thread.internals == nullptr || wake_thread(thread)) return;
  if (!thread.internals->on_cpu.load()) return;  // it looks before it returns to user mode
  const unsigned cpu = thread.internals->cpu.load();
  if (cpu == this_cpu_data().index) {
    this_cpu_data().exit_work = true;
  } else {
    send_interrupt(cpu_data(cpu).apic_id, kRescheduleVector);
  }
}

void on_reschedule_interrupt() {
  Cpu& cpu = this_cpu_data();
  cpu.exit_work = true;
  interrupt_sequence(cpu);
  send_strays_on();
  if (!cpu.current->internals->may_run_on(cpu.index)) cpu.reschedule = true;
}

void interrupt_sequences(std::uint64_t cpus) {
  for (std::uint64_t rest = cpus & online_cpus.load(); rest != 0; rest &= rest - 1) wake_cpu(static_cast<unsigned>(std::countr_zero(rest)));
}

void restrict_thread(Thread& thread, std::uint64_t cpus) {
  thread.allowed_cpus.store(cpus);
  Thread::Internals& internals = *thread.internals;
  if (&thread == &current_thread()) {
    while (!internals.may_run_on(this_cpu())) yield_cpu();
    return;
  }
  const unsigned cpu = internals.cpu.load();
  if (internals.may_run_on(cpu)) return;
  if (cpu != this_cpu()) {
    wake_cpu(cpu);
  } else {
    const InterruptsOff off;
    send_strays_on();
  }
}

void on_tick() {
  Cpu& cpu = this_cpu_data();
  RunQueue& queue = queues.local();
  if (cpu.current->internals == queue.idle) return;
  arm_tick(kSliceNs);
  if (!cpu.current->internals->may_run_on(cpu.index)) {
    cpu.reschedule = true;
  } else if (queue.length() != 0) {
    if (const auto idle = claim_idle_cpu(cpu.index, ~std::uint64_t{0})) wake_cpu(*idle);  // to steal
  } else {
    // Fairness across CPUs: a thread that waits elsewhere takes turns with this one.
    Thread::Internals* const waiting = steal(cpu.index);
    if (waiting == nullptr) return;
    waiting->cpu.store(cpu.index);
    queue.push(*waiting);
  }
  cpu.reschedule = true;
}

AddressSpace* switch_space(AddressSpace* space) {
  Thread& self = current_thread();
  AddressSpace* const old = self.space;
  if (space == old) return old;
  if (space != nullptr) space->add_actor();
  {
    const InterruptsOff off;
    self.space = space;
    load_context(space != nullptr ? &space->tlb() : nullptr);
    if (old == nullptr) {  // without a space the thread was switched in without its user state
      self.load_bases();
      self.internals->fpu.load();
    }
  }
  if (old != nullptr) old->remove_actor();
  return old;
}


// CPUs come up in any order but have all come before threads run.
unsigned cpu_count() { return static_cast<unsigned>(std::bit_width(online_cpus.load(std::memory_order_relaxed))); }

unsigned this_cpu() { return this_cpu_data().index; }

CpuTimes cpu_times(unsigned cpu) {
  const Cpu& data = cpu_data(cpu);
  const Thread& idle = queues.of(cpu).idle->thread;
  CpuTimes times{data.user_ns.load(), data.kernel_ns.load(), idle.kernel_ns.load(), data.switches.load()};
  times.kernel_ns -= std::min(times.idle_ns, times.kernel_ns);
  // A CPU that idles accounts for it when it wakes.
  const std::uint64_t now = read_tsc(), since = data.account_tsc;
  if (data.current == &idle && now > since) times.idle_ns += tsc_to_ns(now - since);
  return times;
}

unsigned runnable_threads() {
  unsigned count = 0;
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    const Thread* current = cpu_data(cpu).current;
    count += queues.of(cpu).length() + (current != nullptr && current->internals != queues.of(cpu).idle ? 1 : 0);
  }
  return count;
}

}  // namespace quire::kernel
