// `quire run`: runs one Linux program in a guest and ends as it did.
#pragma once

#include "run_options.h"

namespace quire::cli {

/// Returns the command's exit status.
int run_command(const RunOptions& options);

}  // namespace quire::cli
