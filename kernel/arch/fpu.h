// FPU state: x87, SSE, AVX and AVX-512 as far as the CPU has them, saved by XSAVE (FXSAVE where there is no XSAVE).
//
// Eager: saved when a thread with user mode leaves a CPU, loaded when it comes back. A CPU remembers whose state its
// registers hold, so a thread that comes back first finds it there. The kernel itself uses no FPU registers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::kernel {

/// The save area of one thread. Begins as the state a program starts with.
class FpuState {
 public:
  FpuState();
  ~FpuState();
  FpuState(const FpuState&) = delete;
  FpuState& operator=(const FpuState&) = delete;

  /// Saves this CPU's registers here.
  void save();
  /// Loads them, unless they are still in this CPU's registers.
  void load();
  void reset();
  /// Takes over the contents of another area; forgets registers that hold the old ones.
  void copy_from(const FpuState& other);
  /// Bytes as XSAVE's standard format has them; the first 512 are the FXSAVE image.
  [[nodiscard]] std::byte* image() { return image_; }
  /// To be called after changing image(): registers hold something else now.
  void image_changed();

 private:
  static constexpr unsigned kNowhere = ~0U;
  std::byte* image_;
  unsigned cpu_ = kNowhere;  ///< whose registers held this state last
};

/// Switches the FPU on for this CPU; the first call finds the size of the state.
void enable_fpu();
/// Size of a save area, and the components in it (XCR0).
std::size_t fpu_state_size();
std::uint64_t fpu_components();

}  // namespace quire::kernel
