#include "lib/log.h"

#include <algorithm>

#include "arch/registers.h"
#include "sync/lock.h"

namespace quire::kernel {
namespace {

constexpr std::uint16_t kSerialPort = 0x3f8;
constexpr int kUndecided = -1;

constinit IrqSpinLock lock;
constinit bool seized = false;
constinit int verbosity = kUndecided;
constinit std::array<char, 4096> kept{};
constinit std::size_t kept_size = 0;

void write_serial(std::string_view text) {
  for (const char c : text) write_port8(kSerialPort, static_cast<std::uint8_t>(c));
}

/// Keeps an early line with its level in front; write_kept() undoes it.
void keep(LogLevel level, std::string_view text) {
  if (kept_size + text.size() + 2 > kept.size()) return;
  kept[kept_size++] = static_cast<char>(level);
  std::copy(text.begin(), text.end(), kept.begin() + static_cast<std::ptrdiff_t>(kept_size));
  kept_size += text.size();
  kept[kept_size++] = '\n';
}

void write_kept(int verbose) {
  std::string_view rest(kept.data(), kept_size);
  while (!rest.empty()) {
    const std::size_t length = rest.find('\n') + 1;
    if (rest[0] <= verbose) write_serial(rest.substr(1, length - 1));
    rest.remove_prefix(length);
  }
  kept_size = 0;
}

}  // namespace

void set_log_level(int verbose) {
  verbosity = verbose;
  write_kept(verbose);
}

bool log_enabled(LogLevel level) { return verbosity == kUndecided || static_cast<int>(level) <= verbosity; }

void write_log_line(LogLevel level, std::string_view text) {
  if (!log_enabled(level)) return;
  if (!seized) lock.lock();
  if (verbosity == kUndecided && !seized) {
    keep(level, text);
  } else {
    write_serial(text);
    write_serial("\n");
  }
  if (!seized) lock.unlock();
}

void seize_log() {
  seized = true;
  write_kept(static_cast<int>(LogLevel::kTrace));
}

}  // namespace quire::kernel
