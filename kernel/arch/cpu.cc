#include "arch/cpu.h"

#include "arch/registers.h"

namespace quire::kernel {
namespace {

constinit std::array<Cpu, kCpuLimit> cpus{};

}  // namespace

constinit std::atomic<std::uint64_t> online_cpus{0};

Cpu& cpu_data(unsigned index) { return cpus[index]; }

void install_cpu(unsigned index, std::uint32_t apic_id) {
  Cpu& cpu = cpus[index];
  cpu.self = &cpu;
  cpu.index = index;
  cpu.apic_id = apic_id;
  write_msr(Msr::kGsBase, reinterpret_cast<std::uint64_t>(&cpu));
  write_msr(Msr::kKernelGsBase, 0);
}

}  // namespace quire::kernel
