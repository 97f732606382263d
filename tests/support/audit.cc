#include "support/audit.h"

namespace quire::test {

std::string audit_findings(Machine&) { return ""; }

}  // namespace quire::test
