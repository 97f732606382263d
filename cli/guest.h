// A running QEMU and our ends of its channels.
//
// Life cycle: start() makes the channels and the child; the destructor kills and reaps what still
// runs. QEMU dies with us, however we end. It sits in a process group of its own, so that keys of
// the caller's terminal reach it only through us, and never sees fds 0-2 of the caller (it would
// make them non-blocking). What it prints itself comes through `diagnostics`.
#pragma once

#include <sys/types.h>

#include <optional>

#include "file_descriptor.h"
#include "launch_block.h"
#include "machine.h"

namespace quire::cli {

/// Exit statuses of QEMU that the kernel asks for by port 0xf4.
inline constexpr int kQemuFinished = 33;
inline constexpr int kQemuPanicked = 65;

class Guest {
 public:
  /// Throws Failure if QEMU cannot be started.
  static Guest start(const MachineConfig& machine, const LaunchBlock& launch);
  Guest(Guest&&) noexcept;
  Guest& operator=(Guest&&) = delete;
  ~Guest();

  FileDescriptor input, output, errors, control, log;  ///< non-blocking sockets
  FileDescriptor diagnostics;                          ///< QEMU's own stdout and stderr
  FileDescriptor process;                              ///< becomes readable when QEMU ends

  /// Sends a signal to QEMU itself.
  void signal(int number) const;
  void kill() const;
  /// QEMU's wait status if it has ended.
  std::optional<int> try_wait();

 private:
  Guest() = default;
  pid_t pid_ = -1;
};

}  // namespace quire::cli
