#include "control.h"

#include <fmt/format.h>

#include "text.h"

namespace quire::cli {

std::optional<std::string> LineSplitter::next() {
  const std::size_t end = pending_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string describe(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kExited:
      return fmt::format("exited with status {}", outcome.number);
    case Outcome::Kind::kKilled:
      return fmt::format("killed by signal {}", outcome.number);
    case Outcome::Kind::kNotFound:
      return "program not found";
    case Outcome::Kind::kNotExecutable:
      return "program not executable";
    case Outcome::Kind::kFailed:
    case Outcome::Kind::kHostFailed:
      return outcome.text;
    case Outcome::Kind::kTimedOut:
      return "did not end in time";
    case Outcome::Kind::kStopped:
      return fmt::format("ended by signal {}", outcome.number);
  }
  return outcome.text;
}

ControlMessage parse_control(std::string_view line) {
  using Kind = ControlMessage::Kind;
  std::string_view rest = line;
  const std::string_view word = take_until(rest, ' ');
  const auto number = parse_integer(rest);
  const auto message = [](Kind kind, std::string_view text = {}, std::int64_t value = 0) {
    return ControlMessage{kind, {}, value, std::string(text)};
  };
  const auto outcome = [](Outcome::Kind kind, std::int64_t value = 0, std::string_view text = {}) {
    return ControlMessage{
        Kind::kOutcome, {kind, static_cast<int>(value), std::string(text)}, 0, {}};
  };
  if (word == "started") return message(Kind::kStarted);
  if (word == "exit" && number) return outcome(Outcome::Kind::kExited, *number & 0xff);
  if (word == "killed" && number) return outcome(Outcome::Kind::kKilled, *number);
  if (word == "notfound") return outcome(Outcome::Kind::kNotFound);
  if (word == "notexec") return outcome(Outcome::Kind::kNotExecutable);
  if (word == "error") return outcome(Outcome::Kind::kFailed, 0, rest);
  if (word == "note") return message(Kind::kNote, rest);
  if (word == "overlay" && number) return message(Kind::kOverlay, {}, *number);
  if (word == "stats") return message(Kind::kStats, rest);
  return message(Kind::kUnknown, line);
}

void LogTail::push(std::string_view bytes) {
  constexpr std::size_t kKept = 65536;
  text_.append(bytes);
  if (text_.size() > 2 * kKept) text_.erase(0, text_.size() - kKept);
}

}  // namespace quire::cli
