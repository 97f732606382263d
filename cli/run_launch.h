// What the guest of `quire run` is told: program, identity, environment and places, the caller's
// unless the options say otherwise.
#pragma once

#include <string>

#include "launch_block.h"
#include "machine.h"
#include "run_options.h"

namespace quire::cli {

/// `terminals`: which of stdin, stdout and stderr are the caller's terminal, a part of "012".
/// Throws Failure for a user that does not exist.
LaunchBlock launch_for(const RunOptions& options, const MachineConfig& machine,
                       const std::string& terminals);

/// Records of every exact guest: its clock counts instructions, its time and entropy are the same
/// each time.
void add_exact_records(LaunchBlock& block);

}  // namespace quire::cli
