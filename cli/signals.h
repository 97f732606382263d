// Signals of this process as events of a descriptor.
//
// Life cycle: the constructor blocks the signals it collects, the destructor restores the mask. A
// signal the caller made us ignore stays ignored. Guest::start() gives QEMU an empty mask.
#pragma once

#include <csignal>
#include <optional>

#include "file_descriptor.h"

namespace quire::cli {

class SignalSource {
 public:
  SignalSource();
  ~SignalSource();
  SignalSource(const SignalSource&) = delete;
  SignalSource& operator=(const SignalSource&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  /// The next signal that has come.
  std::optional<int> next();
  /// Stops this process as the default action of SIGTSTP would; returns when it is continued.
  static void stop_self();

 private:
  FileDescriptor fd_;
  sigset_t previous_{};
};

}  // namespace quire::cli
