#include "task/out_of_memory.h"

#include <cstring>
#include <vector>

#include "fs/page_cache.h"
#include "fs/vfs.h"
#include "sched/wait.h"
#include "task/control.h"
#include "task/signals.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

struct Candidate {
  RefPtr<Process> process;
  AddressSpace* space;  ///< held
};

/// Whether a process that was killed for its memory still has it. Locks: task_lock held.
bool victim_is_dying_locked() {
  bool dying = false;
  tree().for_each_process(
      [&](Process& process) { dying |= process.out_of_memory_victim && process.space != nullptr; });
  return dying;
}

/// Every process with memory. Processes beyond the room made before the lock are left out.
std::vector<Candidate> candidates() {
  std::vector<Candidate> found;
  std::size_t count = 0;
  {
    const TaskGuard guard(task_lock);
    tree().for_each_process([&](Process&) { ++count; });
  }
  found.reserve(count);
  const TaskGuard guard(task_lock);
  tree().for_each_process([&](Process& process) {
    if (process.space == nullptr || process.ending || found.size() == found.capacity()) return;
    process.space->acquire();
    found.push_back({RefPtr<Process>(&process), process.space});
  });
  return found;
}

/// Asking for sizes may sleep, hence the candidates' references.
Process* largest_of(const std::vector<Candidate>& all) {
  Process* largest = nullptr;
  std::uint64_t most = 0;
  for (const Candidate& candidate : all) {
    const Usage usage = candidate.space->usage();
    const std::uint64_t pages = (usage.rss() + usage.tables).raw();
    if (pages <= most) continue;
    most = pages;
    largest = candidate.process.get();
  }
  return largest;
}

void kill_for_memory(Process& process) {
  char command[sizeof process.last_command] = {};
  {
    const TaskGuard guard(task_lock);
    if (process.tasks.empty() || process.ending || victim_is_dying_locked()) return;
    process.out_of_memory_victim = true;
    std::memcpy(command, process.first_task().command, sizeof command);
    end_process_locked(process, SIGKILL);
  }
  send_control_line("note out of memory: killed {} (pid {}); try a larger -m",
                    static_cast<const char*>(command), process.pid);
}

}  // namespace

bool make_memory_free() {
  Process& process = current_process();
  constexpr std::uint64_t kMomentNs = 5'000'000;
  // The victim may need a lock that this task holds in order to end.
  constexpr unsigned kMostMoments = 400;
  bool dying = false;
  {
    const TaskGuard guard(task_lock);
    if (process.ending) return false;
    dying = victim_is_dying_locked();
  }
  unsigned& moments = current().moments_without_memory;
  if (dying) {
    if (++moments > kMostMoments) return false;
    Sleeper sleeper;
    sleeper.sleep(Interruptible::kNo, monotonic_ns() + kMomentNs);
    return true;
  }
  moments = 0;
  if (drop_file_caches()) return true;
  std::vector<Candidate> all = candidates();
  if (Process* const largest = largest_of(all); largest != nullptr) kill_for_memory(*largest);
  for (const Candidate& candidate : all) candidate.space->release();
  const TaskGuard guard(task_lock);
  return !process.ending;
}

}  // namespace quire::kernel
