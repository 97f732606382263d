// Tasks, processes, groups and sessions as task/ itself sees them. Others use task/task.h.
//
// Ownership: a Task belongs to the scheduler once started and is deleted in on_dead(); it holds its
// Process. The tree holds a Process until it is reaped. Members hold their ProcessGroup, groups
// their Session. A task leaves its process's list under task_lock, as its last act but
// exit_thread(): a Task found in a list under task_lock is alive.
//
// Locks: fields marked [T] are guarded by task_lock; [own] are touched by the task itself alone;
// [own/T] are written by the task itself under task_lock and read by others under it. Nothing
// sleeps, allocates or frees under task_lock.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <memory>

#include "mm/uaccess.h"
#include "sync/lock.h"
#include "syscall/syscall.h"
#include "task/signal_info.h"
#include "task/task.h"
#include "task/trace_state.h"

namespace quire::kernel {

class IntervalTimers;
class PosixTimers;
class Process;
struct TraceStop;  // task/tracing.h

/// The one lock of this area. Taken with interrupts off, because timers send signals.
extern IrqSpinLock task_lock;
using TaskGuard = Guard<IrqSpinLock>;

namespace bi = boost::intrusive;
using ListHook = bi::list_member_hook<bi::link_mode<bi::normal_link>>;
using SetHook = bi::set_member_hook<bi::link_mode<bi::normal_link>, bi::optimize_size<true>>;

/// Credentials do not change: who gets others gets a new object, so that fork shares them.
/// One user of an address space, who releases it at the end.
struct ReleaseSpace {
  void operator()(AddressSpace* space) const { space->release(); }
};
using SpaceUser = std::unique_ptr<AddressSpace, ReleaseSpace>;

struct SharedCredentials final : RefCounted {
  explicit SharedCredentials(Credentials c) : value(std::move(c)) {}
  const Credentials value;
};

/// struct sigaction of the kernel's ABI.
struct SignalAction {
  UserAddr handler;
  std::uint64_t flags;
  UserAddr restorer;
  SignalSet mask;
};

/// Shared by CLONE_SIGHAND. [T]
struct SignalActions final : RefCounted {
  SignalAction action[kSignalCount];
};

/// stack_t.
struct AlternateStack {
  UserAddr base = 0;
  std::int32_t flags = 2;  // SS_DISABLE
  std::int32_t padding = 0;
  std::uint64_t size = 0;
};

/// What getrusage tells. Times in nanoseconds.
struct ResourceTally {
  std::uint64_t user_ns = 0, kernel_ns = 0, minor_faults = 0, major_faults = 0,
                voluntary_switches = 0, involuntary_switches = 0;
  std::uint64_t peak_rss_pages = 0;
  /// Sums, but for the peak, which is the larger one.
  void add(const ResourceTally& other);
};

/// RLIMIT_*. They do not change either.
struct SharedLimits final : RefCounted {
  static constexpr unsigned kCount = 16;
  struct Limit {
    std::uint64_t soft, hard;
  };
  Limit limit[kCount];
};

/// Set when a vfork child has left its parent's memory.
struct VforkEvent final : RefCounted {
  std::atomic<bool> done{false};
  WaitQueue waiters;
};

struct Session final : RefCounted {
  explicit Session(Pid session_id) : id(session_id) {}
  const Pid id;
  Terminal* terminal = nullptr;  ///< [T]
  std::uint32_t groups = 0;      ///< [T] it is in the tree as long as it has one
  SetHook id_hook;
};

/// What a tracer holds of one task (task/tracing.h).
struct Tracing {
  Tracing(const TraceState& initial, bool may_gain);
  ~Tracing();
  [[nodiscard]] bool is_of_leader() const;
  /// Whether the tracee is a zombie, which the tracer may wait for. Locks: task_lock held.
  [[nodiscard]] bool has_ended() const;
  /// Whether the tracer is of another process than the tracee's parent. Locks: task_lock held.
  [[nodiscard]] bool is_by_stranger() const;

  TraceState state;            ///< [T]
  bool tracee_may_gain;        ///< [T] programs give it the rights that they give others: its tracer may trace anybody
  Task* tracer = nullptr;      ///< [T]
  Task* task = nullptr;        ///< [T] null: ended
  RefPtr<Process> process;     ///< the tracee's
  Pid tid = 0;                 ///< [T]
  int end_status = 0;          ///< [T] of a thread that has ended, but does not lead its process
  ResourceTally used;          ///< [T] likewise
  RefPtr<Process> reaped;      ///< dropped with it, without the lock
  ListHook tracer_hook;
  SetHook tid_hook;  ///< in the tree's set of such threads' numbers
};
using TracingList = bi::list<Tracing, bi::member_hook<Tracing, ListHook, &Tracing::tracer_hook>, bi::constant_time_size<false>>;

/// A Linux task: a thread of a process.
class Task final : public Thread {
 public:
  Task() = default;
  ~Task() override;
  void on_dead() override;
  [[nodiscard]] bool has_interruption() const override {
    return attention.load(std::memory_order_acquire);
  }
  const char* name() const override { return command; }

  Pid tid = 0;              ///< changes only when exec makes the task its process's leader [T]
  RefPtr<Process> process;  ///< constant
  ListHook process_hook;
  SetHook tid_hook;
  char command[16] = {};  ///< [own/T]

  SignalSet blocked = 0;  ///< [own/T]
  /// Mask to return to when no handler ran; the sleepers of sigsuspend and ppoll set it. [own]
  SignalSet saved_blocked = 0;
  bool restore_blocked = false;  ///< [own]
  bool stopped = false;          ///< [T] waits for SIGCONT
  bool shares_space = false;     ///< [own] another task has, or had, the same memory
  /// What return_to_user_work() has to do beside signals. [own]
  enum ReturnWork : std::uint8_t { kStarting = 1, kCallWatched = 2 };
  std::uint8_t return_work = 0;
  PendingSignals pending;        ///< [T]
  WaitQueue killed;                ///< woken by SIGKILL and by the tracer; for sleeps that only they may end
  AlternateStack alternate_stack;  ///< [own]
  RestartBlock restart;            ///< [own]
  /// The last exception in user mode, for sigcontext. [own]
  std::uint64_t fault_vector = 0, fault_error = 0, fault_address = 0;

  /// How often it has waited in a row for another process to give memory back. [own]
  unsigned moments_without_memory = 0;

  UserAddr set_child_tid = 0, clear_child_tid = 0;  ///< [own]
  UserAddr robust_list = 0;                         ///< [own/T]
  UserAddr sequence_area = 0;                       ///< [own] what rseq(2) was given; 0: nothing
  std::uint32_t sequence_size = 0, sequence_signature = 0;  ///< [own]
  int parent_death_signal = 0;                      ///< [own/T]
  std::int32_t nice = 0;                            ///< [T]
  int policy = 0;                                   ///< [T] SCHED_NORMAL, BATCH or IDLE; kept, not heeded
  bool resets_policy_on_fork = false;               ///< [T]

  std::atomic<Tracing*> tracing{nullptr};  ///< [T] what its tracer holds of it; the task itself may test for null
  TraceStop* trace_stop = nullptr;         ///< [T] where it has stopped for its tracer
  bool tracer_steps = false;               ///< [own, or T while stopped] RFLAGS.TF is its tracer's
  TracingList tracees;                     ///< [T]

  RefPtr<FdTable> files;                  ///< [own/T]; null once exiting
  RefPtr<FsContext> fs;                   ///< [own/T]; null once exiting
  RefPtr<SharedCredentials> credentials;  ///< [own/T]
  RefPtr<VforkEvent> vfork_event;         ///< [own] parent to tell
  RefPtr<RefCounted> semaphore_undos;     ///< [own] ipc/semaphores.h; null: nothing to undo yet
};

using TaskList = bi::list<Task, bi::member_hook<Task, ListHook, &Task::process_hook>,
                          bi::constant_time_size<false>>;

class ProcessGroup;

/// A thread group.
class Process final : public RefCounted {
 public:
  Process();
  ~Process() override;

  enum class State : std::uint8_t { kAlive, kZombie, kReaped };
  enum class Stop : std::uint8_t { kRunning, kStopping, kStopped };

  Pid pid = 0;
  State state = State::kAlive;  ///< [T]
  Stop stop = Stop::kRunning;   ///< [T]
  bool kernel_made = false;     ///< pid 1: runs no user code and takes no signals
  bool ending = false;          ///< [T] all tasks are to exit, with end_status
  bool execing = false;         ///< [T] `exec_task` waits for the others to end
  bool has_execed = false;      ///< [T] for setpgid
  bool stop_unreported = false, continue_unreported = false;  ///< [T] for wait
  bool is_subreaper = false, no_new_privileges = false, out_of_memory_victim = false;  ///< [T]
  int dumpable = 1;
  std::uint32_t personality = 0;
  int exit_signal = 0;  ///< told to the parent; 0: none
  int stop_signal = 0;  ///< [T]
  int end_status = 0;   ///< [T] as wait reports it

  Process* parent = nullptr;  ///< [T]
  Pid maker = 0;              ///< the parent's task that made it
  Tracing* leader_tracing = nullptr;  ///< [T] of its leader, also after that has ended
  unsigned execs = 0;                 ///< [T] tasks that are finding out what rights a new program gives; nobody attaches then
  WaitQueue execs_changed;            ///< they have
  ListHook sibling_hook, group_hook;
  SetHook pid_hook;
  bi::list<Process, bi::member_hook<Process, ListHook, &Process::sibling_hook>,
           bi::constant_time_size<false>>
      children;                  ///< [T]
  RefPtr<ProcessGroup> group;    ///< [T]
  TaskList tasks;                ///< [T]
  std::uint32_t task_count = 0;  ///< [T]
  Task* exec_task = nullptr;     ///< [T]

  RefPtr<SignalActions> actions;  ///< [T]
  PendingSignals pending;         ///< [T]
  WaitQueue child_events;         ///< a child changed
  WaitQueue resume;               ///< stopped tasks wait here
  WaitQueue tasks_changed;        ///< a task left
  WaitQueue end_watchers;         ///< pidfds: told when the last task has ended
  std::uint32_t barriers = 0;     ///< [T] MEMBARRIER_CMD_REGISTER_* asked for

  AddressSpace* space = nullptr;               ///< [T] the tasks' memory; they hold it
  std::uint32_t tasks_in_space = 0;            ///< [T] tasks that have not left it
  RefPtr<File> executable;                     ///< [T]
  RefPtr<AuxiliaryVector> auxiliary;           ///< [T]
  RefPtr<SharedCredentials> last_credentials;  ///< [T] of the last task, once it has ended
  char last_command[16] = {};                  ///< [T] likewise

  std::uint64_t start_ns = 0;
  ResourceTally ended;  ///< [T] of tasks that have ended; the peak of address spaces left behind
  ResourceTally children_ended;  ///< [T] of children waited for
  RefPtr<SharedLimits> limits;   ///< [T]
  std::unique_ptr<IntervalTimers>
      timers;  ///< made by the first setitimer; taken down by the last task's exit
  std::unique_ptr<PosixTimers> posix_timers;  ///< [T] made by the first timer_create; taken down by exec

  [[nodiscard]] Task& first_task() { return tasks.front(); }
};

class ProcessGroup final : public RefCounted {
 public:
  ProcessGroup(Pid group_id, RefPtr<Session> its_session)
      : id(group_id), session(std::move(its_session)) {}
  const Pid id;
  const RefPtr<Session> session;
  bi::list<Process, bi::member_hook<Process, ListHook, &Process::group_hook>,
           bi::constant_time_size<false>>
      members;  ///< [T]
  SetHook id_hook;
};

/// Everything that has a number. Locks: task_lock, for all members.
class Tree {
 public:
  /// A number that nothing has: no task, process, group or session.
  Pid allocate_id();
  [[nodiscard]] Task* find_task(Pid tid);
  [[nodiscard]] Process* find_process(Pid pid);
  /// The numbers of threads that have ended and whose tracers have not waited for them are not given again.
  void keep_id(Tracing& ended_thread) { ended_threads_.insert(ended_thread); }
  void give_up_id(Tracing& ended_thread) { ended_threads_.erase(ended_threads_.iterator_to(ended_thread)); }
  [[nodiscard]] ProcessGroup* find_group(Pid id);

  void add_task(Process& process, Task& task);
  void remove_task(Task& task);
  /// Gives `task` the number of its process (exec by a task that is not the leader, which is gone).
  void make_leader(Task& task);
  void add_process(Process& process, Process* parent);
  /// Takes a zombie out. The tree's reference passes to the caller.
  [[nodiscard]] RefPtr<Process> remove_process(Process& process);
  /// Moves `process` to `group`, which comes into being with its first member and goes with its
  /// last, as its session does. The reference to the group it leaves passes to the caller, to be
  /// dropped without the lock.
  [[nodiscard]] RefPtr<ProcessGroup> join_group(Process& process,
                                                const RefPtr<ProcessGroup>& group);

  template <typename F>
  void for_each_process(F function) {
    for (Process& process : processes_) function(process);
  }
  [[nodiscard]] std::uint32_t task_count() const { return task_count_; }
  [[nodiscard]] Pid last_id() const { return last_id_; }
  Process* init = nullptr;

 private:
  struct TidOf {
    using type = Pid;
    const Pid& operator()(const Task& task) const { return task.tid; }
    const Pid& operator()(const Tracing& tracing) const { return tracing.tid; }
  };
  struct PidOf {
    using type = Pid;
    const Pid& operator()(const Process& process) const { return process.pid; }
  };
  template <typename T>
  struct IdOf {
    using type = Pid;
    const Pid& operator()(const T& object) const { return object.id; }
  };
  template <typename T, SetHook T::*kHook, typename Key>
  using IdSet = bi::set<T, bi::member_hook<T, SetHook, kHook>, bi::key_of_value<Key>,
                        bi::constant_time_size<false>>;

  IdSet<Task, &Task::tid_hook, TidOf> tasks_;
  IdSet<Tracing, &Tracing::tid_hook, TidOf> ended_threads_;
  IdSet<Process, &Process::pid_hook, PidOf> processes_;
  IdSet<ProcessGroup, &ProcessGroup::id_hook, IdOf<ProcessGroup>> groups_;
  IdSet<Session, &Session::id_hook, IdOf<Session>> sessions_;
  void leave_group(Process& process);

  std::uint32_t task_count_ = 0;
  Pid last_id_ = 0;
};
Tree& tree();

/// The current process.
/// Starts a prepared task, which from then on belongs to the scheduler.
void start_task(std::unique_ptr<Task> task);
/// Sleeps until every task but the current one is gone, down to its stack; that is later than their
/// processes leave the tree. Returns false if `deadline` passes first.
bool wait_for_last_task(Deadline deadline);

inline Process& current_process() { return *current().process; }
/// What all tasks of `process`, living and ended, have used, but for the peak in the address space
/// it has now: asking for that may sleep. Locks: task_lock held.
ResourceTally tally_of_locked(Process& process);
ResourceTally tally_of(const Thread& thread);
/// The credentials of `process`, also of a zombie. Locks: task_lock held.
const Credentials& credentials_of_locked(Process& process);

}  // namespace quire::kernel
