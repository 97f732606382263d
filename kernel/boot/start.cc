// From the entry code to the first threads: the order in which the machine is made.
#include <array>
#include <cstring>
#include <string>

#include "arch/apic.h"
#include "arch/cpu.h"
#include "arch/features.h"
#include "arch/layout.h"
#include "arch/panic.h"
#include "arch/segments.h"
#include "arch/smp.h"
#include "boot/init.h"
#include "boot/launch.h"
#include "boot/parse_launch.h"
#include "boot/start_info.h"
#include "drivers/drivers.h"
#include "fs/vfs.h"
#include "lib/log.h"
#include "mm/audit_report.h"
#include "mm/memory.h"
#include "sched/reaper.h"
#include "sched/scheduler.h"
#include "task/task.h"
#include "time/clock.h"
#include "time/tsc.h"
#include "vdso/vdso.h"

extern "C" {
using Constructor = void (*)();
extern const Constructor init_array_begin[];
extern const Constructor init_array_end[];
}

namespace quire::kernel {
namespace {

alignas(16) constinit std::array<std::byte, kEmergencyStacks * kEmergencyStackSize> first_emergency_stacks{};

std::string_view launch_block(const StartInfo& info) {
  return {direct_map<const char>(info.launch_block.begin), info.launch_block.size()};
}

void log_features() {
  const CpuFeatures& f = cpu_features();
  log(LogLevel::kInfo, "cpu: smep {} smap {} pcid {} 1g pages {} xsave {} avx {} x2apic {}; tsc {} Hz", f.smep, f.smap,
      f.pcid, f.huge_pages_1g, f.xsave, f.avx, f.x2apic, tsc_hz());
  log(LogLevel::kInfo, "memory: {} KiB free", memory().pool().free_frames().raw() * 4);
}

/// The first thread that may sleep.
class InitThread final : public Thread {
 public:
  const char* name() const override { return "init"; }

  static void run(void*) {
    init_drivers(start_info().command());
    if (launch().selftest) run_selftest();
    if (const auto mounted = mount_everything(); !mounted) {
      report_error("the root file system cannot be mounted");
    }
    init_vdso();
    run_program();
  }
};

}  // namespace

extern "C" [[noreturn]] void kernel_main(std::uint64_t start_info_address) {
  load_segments(0, first_emergency_stacks.data());
  install_cpu(0, 0);
  for (const Constructor* constructor = init_array_begin; constructor != init_array_end; ++constructor) (*constructor)();
  detect_features();
  const StartInfo& info = read_start_info(start_info_address);
  init_memory(info.ram_ranges(), {&info.launch_block, 1});
  audit_in_panics();
  parse_launch(launch_block(info));
  set_log_level(launch().verbose);
  init_apic();
  bring_up_cpu(0);
  init_tsc(launch().tsc_hz);
  enable_local_apic();
  init_realtime(launch().realtime_ns);
  init_syscalls();
  log_features();
  start_cpus();
  start_reaper();
  Thread& init = *new InitThread;
  if (!init.prepare(&InitThread::run, nullptr)) panic("no memory for the first thread");
  start_thread(init);
  idle_loop();
}

}  // namespace quire::kernel
