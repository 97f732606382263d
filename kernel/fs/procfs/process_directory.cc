#include "fs/procfs/process_directory.h"

#include <sys/stat.h>

#include <array>
#include <charconv>

#include "fs/dentry.h"
#include "fs/procfs/clear_refs.h"
#include "fs/procfs/memory_file.h"
#include "fs/procfs/memory_text.h"
#include "fs/procfs/memory_words.h"
#include "fs/procfs/process_text.h"

namespace quire::kernel {

namespace {

// Inode numbers: pid, what kind of thing, and which one of them. Pids stay below 2^22.
enum class NumberSpace : std::uint64_t { kEntry, kFd, kTask, kTaskEntry };
std::uint64_t node_number(Pid pid, NumberSpace space, std::uint64_t index) {
  return (static_cast<std::uint64_t>(pid) << 40) | (static_cast<std::uint64_t>(space) << 36) |
         (index + 1);
}

std::string decimal(Pid number) {
  char digits[16];
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}

ProcNode::Owner owner_of(const ProcessSnapshot& process) {
  return {process.credentials.euid, process.credentials.egid};
}

using Snapshot = std::unique_ptr<ProcessSnapshot>;

/// The process's state for a lookup below its directory. Errors: ENOENT if it has gone.
Result<Snapshot> snapshot_for_lookup(const ProcessIdentity& identity) {
  auto snapshot = identity.snapshot();
  if (!snapshot) return fail(Errno::kNoEnt);
  return snapshot;
}

/// /proc/PID/fd.
class FdDirectory final : public ProcDirectory {
 public:
  FdDirectory(std::uint64_t number, Owner owner, ProcessIdentity identity)
      : ProcDirectory(number, owner, 0500), identity_(identity) {}

  Result<RefPtr<Inode>> lookup(std::string_view name) override {
    const auto fd = parse_number(name);
    if (!fd) return fail(Errno::kNoEnt);
    QUIRE_TRY(const Snapshot process, snapshot_for_lookup(identity_));
    if (!process->files) return fail(Errno::kNoEnt);
    const auto file = process->files->get(*fd);
    if (!file) return fail(Errno::kNoEnt);
    const std::uint32_t permissions =
        ((*file)->readable() ? 0500U : 0U) | ((*file)->writable() ? 0300U : 0U);
    return RefPtr<Inode>(make_ref<ProcJump>(number_of(*fd), owner(),
                                            dentry_of(**file, (*file)->anonymous_name()),
                                            permissions, ProcJump::kFileLinkSize));
  }

  Result<void> list(EntryVisitor& visitor) override {
    QUIRE_TRY(const Snapshot process, snapshot_for_lookup(identity_));
    if (!process->files) return {};
    for (const int fd : process->files->open_fds()) {
      const auto position = static_cast<std::uint64_t>(fd);
      if (visitor.wants(position)) visitor.give(position, decimal(fd), number_of(fd), S_IFLNK);
      if (visitor.full()) break;
    }
    return {};
  }

 private:
  [[nodiscard]] std::uint64_t number_of(int fd) const {
    return node_number(identity_.pid, NumberSpace::kFd, static_cast<std::uint64_t>(fd));
  }
  ProcessIdentity identity_;
};

/// One name below /proc/PID or /proc/PID/task/TID.
struct ProcessEntry {
  std::string_view name;
  std::uint32_t mode;
  enum class Where : std::uint8_t { kBoth, kProcessOnly } where;
  /// Errors: ENOENT if the process has no such thing.
  Result<RefPtr<Inode>> (*make)(const ProcessEntry& entry, std::uint64_t number,
                                const ProcessIdentity& identity, Snapshot process);
};

template <ProcessTextFunction kFormat>
Result<RefPtr<Inode>> make_text(const ProcessEntry& entry, std::uint64_t number,
                                const ProcessIdentity& identity, Snapshot process) {
  return make_process_text(number, entry.mode & 0777, owner_of(*process), identity, kFormat);
}

template <auto kMake>
Result<RefPtr<Inode>> make_special(const ProcessEntry& entry, std::uint64_t number,
                                   const ProcessIdentity& identity, Snapshot process) {
  return kMake(number, entry.mode & 0777, owner_of(*process), identity);
}

Result<RefPtr<Inode>> make_executable_link(const ProcessEntry&, std::uint64_t number,
                                           const ProcessIdentity&, Snapshot process) {
  if (process->executable.empty()) return fail(Errno::kNoEnt);
  return RefPtr<Inode>(make_ref<ProcLink>(number, owner_of(*process), process->executable));
}

template <RefPtr<Dentry> FsContext::*kPlace>
Result<RefPtr<Inode>> make_place_link(const ProcessEntry&, std::uint64_t number,
                                      const ProcessIdentity&, Snapshot process) {
  if (!process->fs) return fail(Errno::kNoEnt);
  RefPtr<Dentry> place;
  {
    Guard guard(process->fs->mutex);
    place = (*process->fs).*kPlace;
  }
  return RefPtr<Inode>(make_ref<ProcJump>(number, owner_of(*process), std::move(place)));
}

Result<RefPtr<Inode>> make_fd_directory(const ProcessEntry&, std::uint64_t number,
                                        const ProcessIdentity& identity, Snapshot process) {
  return RefPtr<Inode>(make_ref<FdDirectory>(number, owner_of(*process), identity));
}

Result<RefPtr<Inode>> make_task_list(const ProcessEntry&, std::uint64_t number,
                                     const ProcessIdentity& identity, Snapshot process);

using Where = ProcessEntry::Where;
constexpr std::array kEntries = {
    ProcessEntry{"auxv", S_IFREG | 0400, Where::kBoth, make_special<make_auxiliary_file>},
    ProcessEntry{"clear_refs", S_IFREG | 0200, Where::kBoth, make_special<make_clear_refs>},
    ProcessEntry{"cmdline", S_IFREG | 0444, Where::kBoth, make_special<make_command_line_text>},
    ProcessEntry{"comm", S_IFREG | 0444, Where::kBoth, make_text<write_comm>},
    ProcessEntry{"cwd", S_IFLNK | 0777, Where::kBoth, make_place_link<&FsContext::cwd>},
    ProcessEntry{"environ", S_IFREG | 0400, Where::kBoth, make_special<make_environment_text>},
    ProcessEntry{"exe", S_IFLNK | 0777, Where::kBoth, make_executable_link},
    ProcessEntry{"fd", S_IFDIR | 0500, Where::kBoth, make_fd_directory},
    ProcessEntry{"limits", S_IFREG | 0444, Where::kBoth, make_text<format_process_limits>},
    ProcessEntry{"maps", S_IFREG | 0444, Where::kBoth, make_special<make_maps_text>},
    ProcessEntry{"mem", S_IFREG | 0600, Where::kBoth, make_special<make_memory_file>},
    ProcessEntry{"mounts", S_IFREG | 0444, Where::kBoth, make_text<write_mounts>},
    ProcessEntry{"numa_maps", S_IFREG | 0444, Where::kBoth, make_special<make_numa_maps_text>},
    ProcessEntry{"oom_score", S_IFREG | 0444, Where::kBoth, make_text<format_process_oom_score>},
    ProcessEntry{"oom_score_adj", S_IFREG | 0444, Where::kBoth, make_text<write_oom_score_adj>},
    ProcessEntry{"pagemap", S_IFREG | 0400, Where::kBoth, make_special<make_pagemap>},
    ProcessEntry{"pagetable", S_IFREG | 0400, Where::kBoth, make_special<make_page_table_text>},
    ProcessEntry{"root", S_IFLNK | 0777, Where::kBoth, make_place_link<&FsContext::root>},
    ProcessEntry{"smaps", S_IFREG | 0444, Where::kBoth, make_special<make_smaps_text>},
    ProcessEntry{"smaps_rollup", S_IFREG | 0444, Where::kBoth,
                 make_special<make_smaps_rollup_text>},
    ProcessEntry{"stat", S_IFREG | 0444, Where::kBoth, make_text<format_process_stat>},
    ProcessEntry{"statm", S_IFREG | 0444, Where::kBoth, make_text<format_process_statm>},
    ProcessEntry{"status", S_IFREG | 0444, Where::kBoth, make_text<format_process_status>},
    ProcessEntry{"task", S_IFDIR | 0555, Where::kProcessOnly, make_task_list},
};

/// /proc/PID, or /proc/PID/task/TID.
class ProcessDirectory final : public ProcDirectory {
 public:
  ProcessDirectory(std::uint64_t number, Owner owner, ProcessIdentity identity)
      : ProcDirectory(number, owner), identity_(identity) {}

  [[nodiscard]] std::optional<ProcessBirth> process() const override {
    if (identity_.tid != 0) return {};
    return ProcessBirth{identity_.pid, identity_.start_ns};
  }

  Result<RefPtr<Inode>> lookup(std::string_view name) override {
    for (std::size_t i = 0; i < kEntries.size(); ++i) {
      if (kEntries[i].name != name || !is_here(kEntries[i])) continue;
      QUIRE_TRY(Snapshot process, snapshot_for_lookup(identity_));
      return kEntries[i].make(kEntries[i], number_of(i), identity_, std::move(process));
    }
    return fail(Errno::kNoEnt);
  }

  Result<void> list(EntryVisitor& visitor) override {
    QUIRE_CHECK(snapshot_for_lookup(identity_));
    for (std::size_t i = 0; i < kEntries.size() && !visitor.full(); ++i) {
      if (is_here(kEntries[i]))
        visitor.give(i, std::string(kEntries[i].name), number_of(i), kEntries[i].mode);
    }
    return {};
  }

 private:
  [[nodiscard]] bool is_here(const ProcessEntry& entry) const {
    return identity_.tid == 0 || entry.where == Where::kBoth;
  }
  [[nodiscard]] std::uint64_t number_of(std::size_t index) const {
    const bool thread = identity_.tid != 0;
    return node_number(thread ? identity_.tid : identity_.pid,
                       thread ? NumberSpace::kTaskEntry : NumberSpace::kEntry, index + 1);
  }
  ProcessIdentity identity_;
};

/// /proc/PID/task.
class TaskList final : public ProcDirectory {
 public:
  TaskList(std::uint64_t number, Owner owner, ProcessIdentity identity)
      : ProcDirectory(number, owner), identity_(identity) {}

  Result<RefPtr<Inode>> lookup(std::string_view name) override {
    const auto tid = parse_number(name);
    if (!tid) return fail(Errno::kNoEnt);
    QUIRE_TRY(const Snapshot process, snapshot_for_lookup(identity_));
    for (const Pid task : process->tasks) {
      if (task != *tid) continue;
      ProcessIdentity thread = identity_;
      thread.tid = task;
      return RefPtr<Inode>(make_ref<ProcessDirectory>(number_of(task), owner_of(*process), thread));
    }
    return fail(Errno::kNoEnt);
  }

  Result<void> list(EntryVisitor& visitor) override {
    QUIRE_TRY(const Snapshot process, snapshot_for_lookup(identity_));
    for (std::size_t i = 0; i < process->tasks.size() && !visitor.full(); ++i) {
      const Pid task = process->tasks[i];
      if (visitor.wants(i)) visitor.give(i, decimal(task), number_of(task), S_IFDIR);
    }
    return {};
  }

 private:
  static std::uint64_t number_of(Pid task) { return node_number(task, NumberSpace::kTask, 0); }
  ProcessIdentity identity_;
};

Result<RefPtr<Inode>> make_task_list(const ProcessEntry&, std::uint64_t number,
                                     const ProcessIdentity& identity, Snapshot process) {
  return RefPtr<Inode>(make_ref<TaskList>(number, owner_of(*process), identity));
}

}  // namespace

Result<RefPtr<Inode>> make_process_directory(Pid pid) {
  const auto process = snapshot_process(pid);
  if (!process) return fail(Errno::kNoEnt);
  const ProcessIdentity identity{pid, 0, (*process)->start_ns};
  return RefPtr<Inode>(
      make_ref<ProcessDirectory>(process_directory_number(pid), owner_of(**process), identity));
}

std::uint64_t process_directory_number(Pid pid) { return node_number(pid, NumberSpace::kEntry, 0); }

}  // namespace quire::kernel
