// The audit's findings as text for tests; empty when all is well.
#pragma once

#include <string>

#include "quire/quire.h"

namespace quire::test {

[[nodiscard]] std::string audit_findings(Machine& machine);
/// What is still in use on a machine where nothing should be.
[[nodiscard]] std::string leftovers(Machine& machine);

}  // namespace quire::test
