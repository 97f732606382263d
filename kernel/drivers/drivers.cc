#include "drivers/drivers.h"

#include <linux/virtio_ids.h>

#include <charconv>
#include <optional>
#include <string>

#include "arch/panic.h"
#include "drivers/console_port.h"
#include "drivers/devices.h"
#include "lib/log.h"

namespace quire::kernel {
namespace {

/// Takes a number off the front of `text`, with the character after it if that is `after`.
std::optional<std::uint64_t> take_number(std::string_view& text, char after) {
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(after)) return after == ' ' ? std::optional(value) : std::nullopt;
  text.remove_prefix(1);
  return value;
}

void start_device(VirtioMmio& slot) {
  bool started = false;
  const std::uint32_t id = slot.device_id();
  switch (id) {
    case 0: return;
    case VIRTIO_ID_CONSOLE: started = start_console(slot); break;
    case VIRTIO_ID_9P: started = start_nine_p(slot); break;
    case VIRTIO_ID_RNG: started = start_rng(slot); break;
    default: break;
  }
  if (!started) log(LogLevel::kInfo, "virtio device {} is not used", id);
}

}  // namespace

void init_drivers(std::string_view command_line) {
  constexpr std::string_view kKey = "virtio_mmio.device=";
  for (std::size_t at = command_line.find(kKey); at != std::string_view::npos; at = command_line.find(kKey)) {
    command_line.remove_prefix(at + kKey.size());
    // QEMU writes the size as 512 or as 1K.
    const std::size_t separator = command_line.find('@');
    if (separator == std::string_view::npos) break;
    command_line.remove_prefix(separator + 1);
    const auto base = take_number(command_line, ':');
    const auto gsi = base ? take_number(command_line, ' ') : std::nullopt;
    if (!gsi) break;
    constexpr std::size_t kRegisters = 0x200;
    start_device(*new VirtioMmio(*base, kRegisters, static_cast<unsigned>(*gsi)));
  }
  seed_random();
}

void report_error(std::string_view text) {
  log(LogLevel::kInfo, "error: {}", text);
  if (ConsolePort* const control = console_port("quire.control"); control != nullptr) {
    const std::string line = "error " + std::string(text) + "\n";
    control->write(line.data(), line.size());
  }
  power_off(MachineEnd::kOk);
}

}  // namespace quire::kernel
