// Reading the launch block, once, at boot.
#pragma once

#include <string_view>

namespace quire::kernel {

/// Sets what launch() returns. The block stays where it is: the record's texts point into it. Unknown keys are logged.
void parse_launch(std::string_view block);

}  // namespace quire::kernel
