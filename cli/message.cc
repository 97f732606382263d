#include "message.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace quire::cli {
namespace {

std::string_view line_end = "\n";

}  // namespace

void fail_errno(std::string_view what) {
  throw Failure(fmt::format("{}: {}", what, std::strerror(errno)));
}

void set_line_end(LineEnd end) { line_end = end == LineEnd::kNewline ? "\n" : "\r\n"; }

void say_raw(std::string_view line) {
  const std::string text = fmt::format("{}{}", line, line_end);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nobody listens
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void say(std::string_view text) { say_raw(fmt::format("quire: {}", text)); }

}  // namespace quire::cli
