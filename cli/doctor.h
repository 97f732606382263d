// `quire doctor`: what is here, what is missing, and what that costs.
#pragma once

namespace quire::cli {

/// Prints one line per thing. Returns 0 if `quire run` can work, 1 if not.
int doctor_command();

}  // namespace quire::cli
