// Which name a directory of the host has in the guest of `quire run`, and whether it can be seen
// there.
#pragma once

#include <optional>
#include <string>

#include "run_options.h"

namespace quire::cli {

/// A path of the host as the guest sees it under `root`; nothing if it lies outside.
std::optional<std::string> path_in_guest(const std::string& root, const std::string& host_path);

/// The guest's own file system, such as "/tmp", that hides a path of the host; nothing if none does
/// or --rwdir brings the path in.
std::optional<std::string> hidden_by(const RunOptions& options, const std::string& guest_path);

/// The caller's working directory as the guest would name it; nothing if it lies outside the root.
std::optional<std::string> callers_directory(const RunOptions& options);

}  // namespace quire::cli
