// One guest from its start to its end: moves the three streams, the control lines, the log, signals
// and the terminal's keys.
//
// The session ends when the guest has said how its program ended and QEMU has gone, when QEMU has
// gone without saying so, when a deadline passes, when a reader of the program's output is gone (as
// SIGPIPE would end a writer), or when a second signal comes within a second. All output of the
// guest has been written to the caller by then, unless the guest was killed.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "control.h"
#include "guest.h"
#include "message.h"
#include "terminal.h"

namespace quire::cli {

enum class SignalPolicy : std::uint8_t {
  kForward,  ///< signals of the caller go to the program
  kLeave,    ///< they do what they do by default
};

struct SessionConfig {
  /// The caller's stdin. Without one nothing is ever sent, not even an end: it would come at a
  /// moment of the host's choosing, and two exact runs would differ.
  std::optional<int> input;
  int output = -1, errors = -1;            ///< the caller's descriptors; not used if captured
  std::string* captured_output = nullptr;  ///< takes both streams instead
  bool on_terminal = false;                ///< raw mode, keys and window size to the guest
  SignalPolicy signals = SignalPolicy::kForward;
  Verbosity verbosity = Verbosity::kNormal;
  std::chrono::milliseconds start_deadline{10'000};       ///< for `started`
  std::optional<std::chrono::milliseconds> timeout;       ///< for everything
  std::function<void(const ControlMessage&)> on_message;  ///< notes, overlay and stats
};

struct SessionResult {
  Outcome outcome;
  std::string log;  ///< the kernel's log, its last part
};

/// Pre: `guest` was just started. Throws Failure only for failures of this host.
SessionResult run_session(Guest& guest, const SessionConfig& config);

}  // namespace quire::cli
