#include "arch/fpu.h"

#include <cstring>
#include <new>

#include "arch/cpu.h"
#include "arch/features.h"
#include "arch/registers.h"

namespace quire::kernel {
namespace {

constexpr std::uint64_t kX87 = 1, kSse = 2, kAvx = 4, kAvx512 = 0xe0;
constexpr std::size_t kLegacySize = 512;
constexpr std::align_val_t kAlignment{64};
/// Offsets in the FXSAVE image (Intel SDM 1, table 10-2) and their values in a new program.
constexpr std::size_t kControlWordOffset = 0, kMxcsrOffset = 24;
constexpr std::uint16_t kInitialControlWord = 0x37f;
constexpr std::uint32_t kInitialMxcsr = 0x1f80;

constinit std::size_t size = kLegacySize;
constinit std::uint64_t components = kX87 | kSse;

/// Whose state is in this CPU's registers.
constinit PerCpu<const FpuState*> loaded;

}  // namespace

FpuState::FpuState() : image_(static_cast<std::byte*>(::operator new(size, kAlignment))) { reset(); }

FpuState::~FpuState() { ::operator delete(image_, kAlignment); }

void FpuState::save() {
  if (cpu_features().xsave) {
    asm volatile("xsave64 %0" : "+m"(*image_) : "a"(~0U), "d"(~0U) : "memory");
  } else {
    asm volatile("fxsave64 %0" : "+m"(*image_) : : "memory");
  }
  loaded.local() = this;
  cpu_ = this_cpu_data().index;
}

void FpuState::load() {
  const unsigned cpu = this_cpu_data().index;
  if (loaded.local() == this && cpu_ == cpu) return;
  if (cpu_features().xsave) {
    asm volatile("xrstor64 %0" : : "m"(*image_), "a"(~0U), "d"(~0U) : "memory");
  } else {
    asm volatile("fxrstor64 %0" : : "m"(*image_) : "memory");
  }
  loaded.local() = this;
  cpu_ = cpu;
}

void FpuState::reset() {
  std::memset(image_, 0, size);
  std::memcpy(image_ + kControlWordOffset, &kInitialControlWord, sizeof kInitialControlWord);
  std::memcpy(image_ + kMxcsrOffset, &kInitialMxcsr, sizeof kInitialMxcsr);
  image_changed();
}

void FpuState::copy_from(const FpuState& other) {
  std::memcpy(image_, other.image_, size);
  image_changed();
}

void FpuState::image_changed() { cpu_ = kNowhere; }

void enable_fpu() {
  if (!cpu_features().xsave) return;
  if (cpu_features().avx) components |= kAvx;
  if (cpu_features().avx512) components |= kAvx512;
  asm volatile("xsetbv" : : "c"(0), "a"(static_cast<std::uint32_t>(components)), "d"(0));
  size = cpuid(0xd).ebx;
}

std::size_t fpu_state_size() { return size; }
std::uint64_t fpu_components() { return components; }

}  // namespace quire::kernel
