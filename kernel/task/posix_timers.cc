#include "task/posix_timers.h"

#include <algorithm>

#include "task/calls.h"
#include "task/signals.h"
#include "task/time_arguments.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kMostTimers = 1024;
/// Expirations closer together than this are counted, not waited for one by one.
constexpr std::uint64_t kFinestNs = 100'000;
constexpr int kMostOverruns = INT32_MAX;

}  // namespace

struct PosixTimers::One {
  One(PosixTimers& its_owner, int its_id, int its_clock, const Event& its_event)
      : owner(its_owner), id(its_id), clock(its_clock), event(its_event), node(make_node(its_event.signal)), timer(&fire, this) {}
  static void fire(void* self);
  /// The signal, unless it is still on its way. Locks: task_lock.
  void send_locked();

  PosixTimers& owner;
  const int id, clock;
  const Event event;
  std::unique_ptr<QueuedSignal> node;
  Deadline next = 0;  ///< monotonic; 0: off
  std::uint64_t interval = 0;
  std::uint64_t overruns = 0;  ///< since the signal was sent
  int last_overruns = 0;       ///< of the signal taken last
  bool is_on_its_way = false;
  Timer timer;
};

void PosixTimers::One::send_locked() {
  Process& process = owner.process_;
  Task* target = nullptr;
  if (event.tid != 0) {
    target = tree().find_task(event.tid);
    if (target == nullptr || target->process.get() != &process) return;
  }
  // It may have been thrown away on its way.
  const PendingSignals& where = target != nullptr ? target->pending : process.pending;
  if (is_on_its_way && where.has(event.signal)) {
    ++overruns;
    return;
  }
  SignalInfo info{};
  info.signal = event.signal;
  info.code = SI_TIMER;
  info.timer = {.id = id, .overrun = 0, .value = event.value_is_id ? static_cast<std::uint64_t>(id) : event.value};
  overruns = 0;
  is_on_its_way = true;
  kernel::send_locked(process, target, info, node);
}

void PosixTimers::One::fire(void* self) {
  One& timer = *static_cast<One*>(self);
  Deadline next = 0;
  {
    const TaskGuard guard(task_lock);
    if (timer.next == 0 || timer.owner.process_.tasks.empty()) return;
    if (timer.event.sends) timer.send_locked();
    if (timer.interval == 0) {
      timer.next = 0;
      return;
    }
    const std::uint64_t soon = monotonic_ns() + std::min(timer.interval, kFinestNs);
    const std::uint64_t passed = timer.next >= soon ? 1 : (soon - timer.next) / timer.interval + 1;
    timer.overruns += passed - 1;
    timer.next += passed * timer.interval;
    next = timer.next;
  }
  timer.timer.arm(next);
}

PosixTimers::PosixTimers(Process& process) : process_(process) {}

PosixTimers::~PosixTimers() {
  for (const auto& timer : timers_) {
    if (timer) timer->timer.cancel();
  }
}

PosixTimers::One* PosixTimers::find(int id) {
  const auto index = static_cast<std::size_t>(id);
  return id >= 0 && index < timers_.size() ? timers_[index].get() : nullptr;
}

Result<int> PosixTimers::create(int clock, const Event& event) {
  const Guard setting(setting_);
  const auto free = std::ranges::find_if(timers_, [](const auto& timer) { return timer == nullptr; });
  const auto id = static_cast<int>(free - timers_.begin());
  if (static_cast<std::size_t>(id) >= kMostTimers) return fail(Errno::kAgain);
  auto timer = std::make_unique<One>(*this, id, clock, event);
  if (free != timers_.end()) {
    const TaskGuard guard(task_lock);
    *free = std::move(timer);
    return id;
  }
  // A taker of signals may look at the old vector meanwhile.
  std::vector<std::unique_ptr<One>> longer;
  longer.reserve(timers_.size() + 1);
  {
    const TaskGuard guard(task_lock);
    for (auto& old : timers_) longer.push_back(std::move(old));
    longer.push_back(std::move(timer));
    timers_.swap(longer);
  }
  return id;
}

Result<void> PosixTimers::remove(int id) {
  std::unique_ptr<One> removed;
  const Guard setting(setting_);
  One* const timer = find(id);
  if (timer == nullptr) return fail(Errno::kInval);
  {
    const TaskGuard guard(task_lock);
    timer->next = timer->interval = 0;
    removed = std::move(timers_[static_cast<std::size_t>(id)]);
  }
  removed->timer.cancel();
  return {};
}

PosixTimers::Setting PosixTimers::setting_of_locked(const One& timer) const {
  if (timer.next == 0) return {0, timer.interval};
  const std::uint64_t now = monotonic_ns();
  return {timer.next > now ? timer.next - now : 1, timer.interval};
}

Result<PosixTimers::Setting> PosixTimers::set(int id, Deadline first, std::uint64_t interval) {
  const Guard setting(setting_);
  One* const timer = find(id);
  if (timer == nullptr) return fail(Errno::kInval);
  std::unique_ptr<QueuedSignal> node = make_node(timer->event.signal);
  Setting before;
  {
    const TaskGuard guard(task_lock);
    before = setting_of_locked(*timer);
    timer->next = 0;
  }
  timer->timer.cancel();
  {
    const TaskGuard guard(task_lock);
    timer->next = first;
    timer->interval = interval;
    timer->overruns = 0;
    timer->last_overruns = 0;
    if (!timer->node && !timer->is_on_its_way) std::swap(timer->node, node);
  }
  if (first != 0) timer->timer.arm(first);
  return before;
}

Result<PosixTimers::Setting> PosixTimers::get(int id) {
  const Guard setting(setting_);
  const One* const timer = find(id);
  if (timer == nullptr) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  return setting_of_locked(*timer);
}

Result<int> PosixTimers::overrun(int id) {
  const Guard setting(setting_);
  const One* const timer = find(id);
  if (timer == nullptr) return fail(Errno::kInval);
  const TaskGuard guard(task_lock);
  return timer->last_overruns;
}

Result<int> PosixTimers::clock_of(int id) {
  const Guard setting(setting_);
  const One* const timer = find(id);
  if (timer == nullptr) return fail(Errno::kInval);
  return timer->clock;
}

void PosixTimers::on_taken_locked(SignalInfo& info, std::unique_ptr<QueuedSignal>& node) {
  One* const timer = find(info.timer.id);
  if (timer == nullptr || !timer->is_on_its_way) return;
  timer->is_on_its_way = false;
  timer->last_overruns = static_cast<int>(std::min<std::uint64_t>(timer->overruns, kMostOverruns));
  timer->overruns = 0;
  info.timer.overrun = timer->last_overruns;
  if (!timer->node) timer->node = std::move(node);
}

namespace {

/// struct sigevent as far as it is read.
struct SignalEvent {
  std::uint64_t value;
  std::int32_t signal, notify;
  Pid tid;
  std::int32_t padding[11];
};
static_assert(sizeof(SignalEvent) == 64);

struct TimerSetting {
  __kernel_timespec interval, value;
};

PosixTimers* timers_of_current() {
  Process& process = current_process();
  const TaskGuard guard(task_lock);
  return process.posix_timers.get();
}

/// Errors: EINVAL, EFAULT.
Result<PosixTimers::Event> event_argument(UserAddr from) {
  PosixTimers::Event event;
  if (from == 0) {
    event.signal = SIGALRM;
    event.value_is_id = true;
    return event;
  }
  QUIRE_TRY(const auto given, get_user<SignalEvent>(from));
  event.value = given.value;
  event.signal = given.signal;
  switch (given.notify) {
    case SIGEV_NONE:
      event.sends = false;
      event.signal = 0;
      return event;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
      break;
    case SIGEV_THREAD_ID: {
      const TaskGuard guard(task_lock);
      Task* const task = tree().find_task(given.tid);
      if (task == nullptr || task->process != current().process) return fail(Errno::kInval);
      event.tid = given.tid;
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  if (!is_signal(event.signal)) return fail(Errno::kInval);
  return event;
}

/// Errors: EINVAL (no clock, or none to set timers on), EOPNOTSUPP (CPU time), EPERM.
Result<void> check_clock(int clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
      return {};
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
      if (!current_credentials().can(CAP_WAKE_ALARM)) return fail(Errno::kPerm);
      return {};
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return fail(Errno::kOpNotSupp);
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
      return fail(Errno::kOpNotSupp);
    default:
      return fail(clock < 0 ? Errno::kOpNotSupp : Errno::kInval);
  }
}

Result<PosixTimers*> timers_or_error() {
  PosixTimers* const timers = timers_of_current();
  if (timers == nullptr) return fail(Errno::kInval);
  return timers;
}

TimerSetting to_user(const PosixTimers::Setting& setting) { return {to_timespec(setting.interval), to_timespec(setting.remaining)}; }

}  // namespace

SyscallResult sys_timer_create(const SyscallArgs& args) {
  const int clock = int_argument(args, 0);
  QUIRE_TRY(const PosixTimers::Event event, event_argument(address_argument(args, 1)));
  QUIRE_CHECK(check_clock(clock));
  Process& process = current_process();
  if (timers_of_current() == nullptr) {
    auto fresh = std::make_unique<PosixTimers>(process);
    const TaskGuard guard(task_lock);
    if (process.posix_timers == nullptr) process.posix_timers = std::move(fresh);
  }
  QUIRE_TRY(PosixTimers* const timers, timers_or_error());
  QUIRE_TRY(const int id, timers->create(clock, event));
  if (auto told = put_user(address_argument(args, 2), id); !told) {
    static_cast<void>(timers->remove(id));
    return fail(told.error());
  }
  return 0;
}

SyscallResult sys_timer_delete(const SyscallArgs& args) {
  QUIRE_TRY(PosixTimers* const timers, timers_or_error());
  QUIRE_CHECK(timers->remove(int_argument(args, 0)));
  return 0;
}

SyscallResult sys_timer_settime(const SyscallArgs& args) {
  const int id = int_argument(args, 0);
  const UserAddr wanted_at = address_argument(args, 2), old_at = address_argument(args, 3);
  if (wanted_at == 0) return fail(Errno::kInval);
  QUIRE_TRY(const auto wanted, get_user<TimerSetting>(wanted_at));
  QUIRE_TRY(const std::uint64_t value, to_nanoseconds(wanted.value));
  QUIRE_TRY(const std::uint64_t interval, to_nanoseconds(wanted.interval));
  QUIRE_TRY(PosixTimers* const timers, timers_or_error());
  QUIRE_TRY(const int clock, timers->clock_of(id));
  const bool is_wall_clock = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI;
  Deadline first = 0;
  if (value != 0) {
    const bool absolute = (int_argument(args, 1) & TIMER_ABSTIME) != 0;
    first = !absolute ? deadline_after(value) : is_wall_clock ? monotonic_deadline(value) : value;
  }
  QUIRE_TRY(const PosixTimers::Setting before, timers->set(id, first, interval));
  if (old_at != 0) QUIRE_CHECK(put_user(old_at, to_user(before)));
  return 0;
}

SyscallResult sys_timer_gettime(const SyscallArgs& args) {
  QUIRE_TRY(PosixTimers* const timers, timers_or_error());
  QUIRE_TRY(const PosixTimers::Setting now, timers->get(int_argument(args, 0)));
  QUIRE_CHECK(put_user(address_argument(args, 1), to_user(now)));
  return 0;
}

SyscallResult sys_timer_getoverrun(const SyscallArgs& args) {
  QUIRE_TRY(PosixTimers* const timers, timers_or_error());
  QUIRE_TRY(const int count, timers->overrun(int_argument(args, 0)));
  return count;
}

}  // namespace quire::kernel
