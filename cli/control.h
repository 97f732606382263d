// The control channel: text lines both ways (docs/decisions/0001-guest-contract.md), and the
// kernel's log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pump.h"

namespace quire::cli {

/// Cuts a byte stream into lines.
class LineSplitter {
 public:
  void push(std::string_view bytes) { pending_.append(bytes); }
  /// The next whole line, without its end (LF or CR LF).
  std::optional<std::string> next();
  /// What came after the last line end.
  [[nodiscard]] const std::string& rest() const { return pending_; }

 private:
  std::string pending_;
};

/// How a guest ended.
struct Outcome {
  enum class Kind : std::uint8_t {
    kExited,         ///< number: the program's exit status
    kKilled,         ///< number: the signal that ended the program
    kNotFound,       ///< no such program
    kNotExecutable,  ///< not a program
    kFailed,         ///< the guest failed; text says why, and the kernel's log may say more
    kHostFailed,     ///< its output could not be written; text says why
    kTimedOut,       ///< --timeout passed
    kStopped,        ///< number: a signal of the caller that ended the guest at once
  };
  Kind kind = Kind::kFailed;
  int number = 0;
  std::string text;
};

/// An outcome in a few words.
std::string describe(const Outcome& outcome);

/// One message of the guest.
struct ControlMessage {
  enum class Kind : std::uint8_t { kStarted, kOutcome, kNote, kOverlay, kStats, kUnknown };
  Kind kind = Kind::kUnknown;
  Outcome outcome;          ///< for kOutcome
  std::int64_t number = 0;  ///< for kOverlay: files
  std::string text;         ///< for kNote and kStats; the whole line for kUnknown
};
ControlMessage parse_control(std::string_view line);

/// The last part of the kernel's log.
class LogTail {
 public:
  void push(std::string_view bytes);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace quire::cli
