#include "launch_block.h"

namespace quire::cli {

void LaunchBlock::add(std::string_view key, std::string_view value) {
  bytes_.append(key).push_back('\0');
  bytes_.append(value).push_back('\0');
}

}  // namespace quire::cli
