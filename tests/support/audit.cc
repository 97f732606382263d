#include "support/audit.h"

#include <cstdio>
#include <memory>

#include "quire/audit/audit.h"

namespace quire::test {
namespace {

std::string text_of(const Audit& audit) {
  std::string text;
  for (const AuditFinding& finding : audit.findings()) {
    char line[200];
    std::snprintf(line, sizeof line, "%s: %s 0x%llx: stored 0x%llx, counted 0x%llx\n",
                  finding.invariant, finding.message,
                  static_cast<unsigned long long>(finding.subject),
                  static_cast<unsigned long long>(finding.stored),
                  static_cast<unsigned long long>(finding.counted));
    text += line;
  }
  return text;
}

}  // namespace

std::string audit_findings(Machine& machine) {
  const auto audit = std::make_unique<Audit>(machine.memory());
  audit->run();
  return text_of(*audit);
}

std::string leftovers(Machine& machine) {
  const auto audit = std::make_unique<Audit>(machine.memory());
  audit->check_empty();
  return text_of(*audit);
}

}  // namespace quire::test
