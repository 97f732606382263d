// What the command says to its user: lines on stderr that begin with "quire:", and the failures
// that end it.
//
// A message names the cause, the object and the next step. While the terminal is in raw mode
// (terminal.h) lines end in CR LF.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace quire::cli {

/// Exit statuses that are not the program's own.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitTimeout = 124;  ///< as timeout(1)
inline constexpr int kExitFailure = 125;  ///< Quire's own failure
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignal = 128;  ///< plus the signal's number

/// Ends the command with a message and an exit status.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& text, int status = kExitFailure)
      : std::runtime_error(text), status_(status) {}
  [[nodiscard]] int status() const { return status_; }

 private:
  int status_;
};

/// A command line that makes no sense: status 2.
class UsageError : public Failure {
 public:
  explicit UsageError(const std::string& text) : Failure(text, kExitUsage) {}
};

/// Throws a Failure that names `what` and errno's meaning.
[[noreturn]] void fail_errno(std::string_view what);

enum class Verbosity { kQuiet = -1, kNormal = 0, kVerbose = 1, kVeryVerbose = 2, kDebug = 3 };

/// Writes "quire: TEXT" to stderr.
void say(std::string_view text);
/// Writes a line to stderr as it is.
void say_raw(std::string_view line);

enum class LineEnd { kNewline, kCarriageReturnNewline };
void set_line_end(LineEnd end);

}  // namespace quire::cli
