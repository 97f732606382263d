// Core's audit on the log: what a panic prints last, and what anybody may ask for while the machine stands still.
#pragma once

#include <cstdint>

#include "lib/log.h"

namespace quire {
class Audit;
}

namespace quire::kernel {

/// Writes an audit's findings; nothing when there are none.
void log_findings(LogLevel level, const Audit& audit);

/// Has every panic run the audit.
void audit_in_panics();

}  // namespace quire::kernel
