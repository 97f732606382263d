// The labels of all yield points in core and host, made by labels.py from their sources: what a full exploration should reach.
#pragma once

#include <span>

namespace quire::explore {

std::span<const char* const> known_labels();

}  // namespace quire::explore
