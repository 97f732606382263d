#include "drivers/drivers.h"

#include "arch/panic.h"

namespace quire::kernel {

void init_drivers(std::string_view) {}
void report_error(std::string_view text) { panic(text); }

}  // namespace quire::kernel
