#include "fs/procfs/system_files.h"

#include <array>

#include "boot/launch.h"
#include "boot/start_info.h"
#include "fs/page_cache.h"
#include "fs/procfs/cpu_info.h"
#include "fs/procfs/huge_pages.h"
#include "fs/procfs/memory_statistics.h"
#include "fs/procfs/memory_words.h"
#include "fs/procfs/mounts.h"
#include "fs/procfs/sysrq.h"
#include "fs/procfs/system_format.h"
#include "fs/procfs/table_trace.h"
#include "fs/procfs/text.h"
#include "ipc/inotify.h"
#include "ipc/message_queues.h"
#include "ipc/semaphores.h"
#include "ipc/shared_memory.h"
#include "lib/version.h"
#include "quire/rmap/compact.h"
#include "quire/space/address_space.h"
#include "task/random_layout.h"
#include "task/task.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

/// One more than the largest pid.
constexpr Pid kPidLimit = 32768;

void write_meminfo(std::string& out) {
  MemoryFigures figures = memory_figures();
  count_pages(figures);
  format_meminfo(figures, out);
}
void write_stat(std::string& out) { format_system_stat(system_figures(), out); }
void write_uptime(std::string& out) { format_uptime(system_figures(), monotonic_ns(), out); }
void write_load_average(std::string& out) { format_load_average(load_figures(), out); }

void write_command_line(std::string& out) {
  TextBuilder(out).text(start_info().command()).text("\n");
}

std::string self_target() {
  std::string target;
  TextBuilder(target).number(current_pid());
  return target;
}
std::string thread_self_target() {
  std::string target;
  TextBuilder(target).number(current_pid()).text("/task/").number(current_tid());
  return target;
}
std::string mounts_target() { return "self/mounts"; }

void write_host_name(std::string& out) { TextBuilder(out).text(launch().hostname).text("\n"); }

template <std::uint64_t kNumber>
void write_number(std::string& out) {
  TextBuilder(out).number(kNumber).text("\n");
}

void write_semaphore_limits(std::string& out) {
  TextBuilder(out).number(SEMMSL).text("\t").number(SEMMNS).text("\t").number(SEMOPM).text("\t").number(SEMMNI).text("\n");
}

constexpr std::array kSysvIpc = {
    SystemEntry{"msg", write_message_queues},
    SystemEntry{"sem", write_semaphores},
    SystemEntry{"shm", write_shared_memory},
};

constexpr std::array kSysKernel = {
    SystemEntry{"hostname", write_host_name},
    SystemEntry{"msgmax", write_number<MSGMAX>},
    SystemEntry{"msgmnb", write_number<MSGMNB>},
    SystemEntry{"msgmni", write_number<MSGMNI>},
    SystemEntry{"osrelease",
                [](std::string& out) { TextBuilder(out).text(kKernelRelease).text("\n"); }},
    SystemEntry{"ostype", [](std::string& out) { out += "Linux\n"; }},
    SystemEntry{"pid_max", [](std::string& out) { TextBuilder(out).number(kPidLimit).text("\n"); }},
    SystemEntry{.name = "randomize_va_space",
                .write = [](std::string& out) { out += std::to_string(randomize_va_space.load()) + "\n"; },
                .set =
                    [](int value) {
                      randomize_va_space = value;
                      return Result<void>{};
                    }},
    SystemEntry{"sem", write_semaphore_limits},
    SystemEntry{"shmall", write_number<kMostSegmentBytes>},
    SystemEntry{"shmmax", write_number<kMostSegmentBytes>},
    SystemEntry{"shmmni", write_number<kMostSegments>},
};
/// Errors: EINVAL for anything but 1 (Linux v6.12 mm/compaction.c:compaction_proactiveness_sysctl_handler() and its neighbours).
Result<void> compact_memory(int value) {
  if (value != 1) return fail(Errno::kInval);
  compact(memory());
  return {};
}

/// Pages of files go with bit 0; names and inodes (bit 1) are not kept for their own sake. Linux v6.12 fs/drop_caches.c.
Result<void> drop_caches(int value) {
  if (value < 1 || value > 4) return fail(Errno::kInval);
  if ((value & 1) != 0) drop_unused_file_caches();
  return {};
}

constexpr std::array kSysVm = {
    SystemEntry{.name = "compact_memory", .set = compact_memory},
    SystemEntry{.name = "drop_caches", .set = drop_caches},
    SystemEntry{
        "max_map_count",
        [](std::string& out) { TextBuilder(out).number(Limits{}.max_map_count).text("\n"); }},
    SystemEntry{"mmap_min_addr",
                [](std::string& out) {
                  TextBuilder(out).number(AddressSpaceConfig{}.mmap_floor.raw()).text("\n");
                }},
    SystemEntry{.name = "nr_hugepages", .write = write_huge_pages, .set = set_huge_pages},
    SystemEntry{.name = "nr_overcommit_hugepages", .write = write_huge_overcommit, .set = set_huge_overcommit},
    SystemEntry{"overcommit_memory",
                [](std::string& out) { out += "1\n"; }},  // nothing is refused in advance
    SystemEntry{"unprivileged_userfaultfd", [](std::string& out) { out += "0\n"; }},
};
constexpr std::array kInotify = {
    SystemEntry{"max_queued_events", write_number<kMostQueuedEvents>},
    SystemEntry{"max_user_instances", write_number<kMostInotifies>},
    SystemEntry{"max_user_watches", write_number<kMostWatches>},
};
constexpr std::array kSysFs = {SystemEntry{"inotify", nullptr, nullptr, kInotify}};
constexpr std::array kSys = {
    SystemEntry{"fs", nullptr, nullptr, kSysFs},
    SystemEntry{"kernel", nullptr, nullptr, kSysKernel},
    SystemEntry{"vm", nullptr, nullptr, kSysVm},
};

constexpr std::array kSystem = {
    SystemEntry{"cmdline", write_command_line},
    SystemEntry{"cpuinfo", write_cpu_info},
    SystemEntry{"filesystems", format_file_systems},
    SystemEntry{"kpagecount", nullptr, nullptr, {}, make_frame_counts},
    SystemEntry{"kpageflags", nullptr, nullptr, {}, make_frame_flags},
    SystemEntry{"loadavg", write_load_average},
    SystemEntry{"meminfo", write_meminfo},
    SystemEntry{"mounts", nullptr, mounts_target},
    SystemEntry{"pgtable_trace", nullptr, nullptr, {}, make_table_trace},
    SystemEntry{"self", nullptr, self_target},
    SystemEntry{"stat", write_stat},
    SystemEntry{"sys", nullptr, nullptr, kSys},
    SystemEntry{"sysrq-trigger", nullptr, nullptr, {}, make_sysrq_trigger},
    SystemEntry{"sysvipc", nullptr, nullptr, kSysvIpc},
    SystemEntry{"thread-self", nullptr, thread_self_target},
    SystemEntry{"uptime", write_uptime},
    SystemEntry{"version",
                [](std::string& out) {
                  TextBuilder(out)
                      .text("Linux version ")
                      .text(kKernelRelease)
                      .text(" ")
                      .text(kKernelVersion)
                      .text("\n");
                }},
    SystemEntry{"vmstat", write_memory_statistics},
};

}  // namespace

std::span<const SystemEntry> system_entries() { return kSystem; }

}  // namespace quire::kernel
