#include "ipc/semaphores.h"

#include <algorithm>

#include "task/process.h"

namespace quire::kernel {
namespace {

constexpr std::int32_t kMostAdjustment = SEMAEM;
constexpr std::int32_t kLeastAdjustment = -SEMAEM - 1;

bool changes_something(std::span<const sembuf> operations) {
  return std::ranges::any_of(operations, [](const sembuf& operation) { return operation.sem_op != 0; });
}

/// One operation. Errors: EAGAIN, ERANGE; nothing has changed.
Result<void> apply(const sembuf& operation, SemaphoreSet::Semaphore& semaphore, std::int16_t* adjustments) {
  if (operation.sem_op == 0 && semaphore.value != 0) return fail(Errno::kAgain);
  const std::int32_t value = semaphore.value + operation.sem_op;
  if (value < 0) return fail(Errno::kAgain);
  if (value > SEMVMX) return fail(Errno::kRange);
  if ((operation.sem_flg & SEM_UNDO) != 0) {
    const std::int32_t adjusted = adjustments[operation.sem_num] - operation.sem_op;
    if (adjusted < kLeastAdjustment || adjusted > kMostAdjustment) return fail(Errno::kRange);
    adjustments[operation.sem_num] = static_cast<std::int16_t>(adjusted);
  }
  semaphore.value = value;
  return {};
}

void revert(const sembuf& operation, SemaphoreSet::Semaphore& semaphore, std::int16_t* adjustments) {
  semaphore.value -= operation.sem_op;
  if ((operation.sem_flg & SEM_UNDO) == 0) return;
  adjustments[operation.sem_num] = static_cast<std::int16_t>(adjustments[operation.sem_num] + operation.sem_op);
}

}  // namespace

Result<void> SemaphoreSet::carry_out(SemaphoreWait& call) {
  std::size_t done = 0;
  for (const sembuf& operation : call.operations) {
    const Result<void> applied = apply(operation, all[operation.sem_num], call.adjustments);
    if (!applied) {
      call.blocked_by = &operation;
      while (done-- != 0) revert(call.operations[done], all[call.operations[done].sem_num], call.adjustments);
      return applied;
    }
    ++done;
  }
  for (const sembuf& operation : call.operations) all[operation.sem_num].pid = call.pid;
  operated = ipc_time();
  return {};
}

Result<void> SemaphoreSet::operate(SemaphoreWait& call) {
  QUIRE_CHECK(carry_out(call));
  if (changes_something(call.operations)) serve_line();
  return {};
}

// From the front each time a counter has changed, so that who came first goes first.
void SemaphoreSet::serve_line() {
  for (auto at = line_.begin(); at != line_.end();) {
    SemaphoreWait& call = *at;
    const Result<void> result = carry_out(call);
    const bool must_wait = !result && result.error() == Errno::kAgain && (call.blocked_by->sem_flg & IPC_NOWAIT) == 0;
    if (must_wait) {
      ++at;
      continue;
    }
    line_.erase(at);
    call.is_over = true;
    if (!result) call.error = result.error();
    call.ended.wake_all();
    at = line_.begin();
  }
}

void SemaphoreSet::end_line() {
  while (!line_.empty()) {
    SemaphoreWait& call = line_.front();
    line_.pop_front();
    call.is_over = true;
    call.error = kRemoved;
    call.ended.wake_all();
  }
}

std::int64_t SemaphoreSet::waiting(std::size_t number, For what) const {
  return std::ranges::count_if(line_, [&](const SemaphoreWait& call) {
    return call.blocked_by->sem_num == number && (call.blocked_by->sem_op == 0) == (what == For::kZero);
  });
}

void SemaphoreTable::forget_undos(std::int32_t id) {
  for (SemaphoreUndos* const undos : undos_) undos->forget(id);
}

void SemaphoreTable::forget_undos(std::int32_t id, std::size_t number) {
  for (SemaphoreUndos* const undos : undos_) undos->forget(id, number);
}

SemaphoreTable& semaphore_table() {
  static constinit std::atomic<SemaphoreTable*> made{nullptr};
  return made_once(made);
}

SemaphoreUndos::SemaphoreUndos() {
  Guard guard(semaphore_table().mutex);
  semaphore_table().undos_.push_back(this);
}

SemaphoreUndos::~SemaphoreUndos() {
  SemaphoreTable& table = semaphore_table();
  Guard guard(table.mutex);
  std::erase(table.undos_, this);
  for (const Entry& entry : entries_) take_back(entry);
}

// Linux v6.12 ipc/sem.c:exit_sem()
void SemaphoreUndos::take_back(const Entry& entry) {
  SemaphoreSet* const set = semaphore_table().find_id(entry.id);
  if (set == nullptr) return;
  for (std::size_t i = 0; i < entry.adjustments.size(); ++i) {
    if (entry.adjustments[i] == 0) continue;
    SemaphoreSet::Semaphore& semaphore = set->all[i];
    semaphore.value = std::clamp(semaphore.value + entry.adjustments[i], 0, SEMVMX);
    semaphore.pid = current_pid();
  }
  set->operated = ipc_time();
  set->serve_line();
}

std::int16_t* SemaphoreUndos::of(const SemaphoreSet& set) {
  const auto found = std::ranges::find(entries_, set.id, &Entry::id);
  if (found != entries_.end()) return found->adjustments.data();
  return entries_.emplace_back(set.id, std::vector<std::int16_t>(set.all.size())).adjustments.data();
}

void SemaphoreUndos::forget(std::int32_t id) {
  std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; });
}

void SemaphoreUndos::forget(std::int32_t id, std::size_t number) {
  for (Entry& entry : entries_) {
    if (entry.id == id) entry.adjustments[number] = 0;
  }
}

SemaphoreUndos& own_semaphore_undos() {
  Task& task = current();
  if (!task.semaphore_undos) task.semaphore_undos = make_ref<SemaphoreUndos>();
  return static_cast<SemaphoreUndos&>(*task.semaphore_undos);
}

}  // namespace quire::kernel
