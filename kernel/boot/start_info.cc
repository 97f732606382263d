#include "boot/start_info.h"

#include <xen/arch-x86/hvm/start_info.h>

#include <algorithm>

#include "arch/layout.h"
#include "arch/panic.h"

namespace quire::kernel {
namespace {

constinit StartInfo info;

void copy_command_line(const char* from) {
  for (std::size_t i = 0; i + 1 < info.command_line.size() && from[i] != '\0'; ++i) info.command_line[i] = from[i];
}

}  // namespace

const StartInfo& read_start_info(std::uint64_t physical) {
  const auto& start = *direct_map<const hvm_start_info>(physical);
  if (start.magic != XEN_HVM_START_MAGIC_VALUE || start.version < 1) panic("not started by PVH with a memory map");
  const std::span entries(direct_map<const hvm_memmap_table_entry>(start.memmap_paddr), start.memmap_entries);
  for (const hvm_memmap_table_entry& entry : entries) {
    if (entry.type != XEN_HVM_MEMMAP_TYPE_RAM || info.ram_count == info.ram.size()) continue;
    info.ram[info.ram_count++] = {entry.addr, entry.addr + entry.size};
  }
  if (start.nr_modules != 0) {
    const auto& module = *direct_map<const hvm_modlist_entry>(start.modlist_paddr);
    info.launch_block = {module.paddr, module.paddr + module.size};
  }
  if (start.cmdline_paddr != 0) copy_command_line(direct_map<const char>(start.cmdline_paddr));
  return info;
}

const StartInfo& start_info() { return info; }

}  // namespace quire::kernel
