#include "mm/audit_report.h"

#include "arch/panic.h"
#include "mm/memory.h"
#include "quire/audit/audit.h"

namespace quire::kernel {
namespace {

void report() {
  static Audit audit(memory());
  log(LogLevel::kAlways, "audit:");
  audit.run();
  log_findings(LogLevel::kAlways, audit);
  log(LogLevel::kAlways, "  {} tables, {} leaves, {} findings", audit.tables_seen(), audit.leaves_seen(), audit.total());
}

}  // namespace

void log_findings(LogLevel level, const Audit& audit) {
  for (const AuditFinding& finding : audit.findings()) {
    log(level, "  {} {}: {:x} is {}, should be {}", finding.invariant, finding.message, finding.subject, finding.stored,
        finding.counted);
  }
}

void audit_in_panics() { set_panic_report(&report); }

}  // namespace quire::kernel
