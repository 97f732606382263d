// The `stats` lines that --stats asks for.
#pragma once

namespace quire::kernel {

/// Sends core's counters to the command, one `stats` line each or one JSON object, as the launch
/// record wants.
void send_statistics();

}  // namespace quire::kernel
