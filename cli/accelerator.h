// Whether KVM may be used. A /dev/kvm that opens proves nothing: on some hosts a guest then hangs
// for ever, so the only test that counts is a guest that ran. Its verdict is kept per boot of the
// host in $XDG_CACHE_HOME/quire (or ~/.cache/quire).
#pragma once

#include <cstdint>
#include <string>

#include "machine.h"

namespace quire::cli {

struct KvmVerdict {
  enum class State : std::uint8_t { kUsable, kUnusable };
  State state = State::kUnusable;
  std::string reason;  ///< one phrase, for -v and doctor
};

enum class ProbePolicy : std::uint8_t {
  kCached,  ///< a verdict of this boot is believed
  kFresh,   ///< run the guest again
};

/// Runs the kernel's self-test under KVM with a deadline of 2 s, unless it is plain that it cannot
/// work or the verdict is known.
KvmVerdict probe_kvm(ProbePolicy policy);

struct AcceleratorChoice {
  Accelerator accelerator = Accelerator::kTcg;
  std::string reason;
};
/// `wanted`: auto, kvm or tcg. kvm is taken at its word.
AcceleratorChoice choose_accelerator(const std::string& wanted);

}  // namespace quire::cli
