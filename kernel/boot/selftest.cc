#include "arch/panic.h"
#include "boot/init.h"
#include "lib/log.h"

namespace quire::kernel {

void run_selftest() {
  log(LogLevel::kInfo, "selftest: ok");
  power_off(MachineEnd::kOk);
}

}  // namespace quire::kernel
