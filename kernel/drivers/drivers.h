// Finding and starting the machine's devices.
#pragma once

#include <string_view>

namespace quire::kernel {

/// Starts every device named on the kernel command line (`virtio_mmio.device=SIZE@BASE:IRQ`). In a thread that may sleep.
void init_drivers(std::string_view command_line);

/// Tells the command that Quire itself failed (`error TEXT` on quire.control) and ends the machine.
[[noreturn]] void report_error(std::string_view text);

}  // namespace quire::kernel
