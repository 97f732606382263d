#include "guest_paths.h"

#include <filesystem>

namespace quire::cli {
namespace {

/// Whether `path` is `directory` or lies below it; both absolute and normal.
bool lies_in(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

}  // namespace

std::optional<std::string> path_in_guest(const std::string& root, const std::string& host_path) {
  std::error_code error;
  const auto relative = std::filesystem::canonical(host_path, error)
                            .lexically_relative(std::filesystem::canonical(root));
  if (error || relative.empty() || *relative.begin() == "..") return std::nullopt;
  return ("/" / relative).lexically_normal();
}

std::optional<std::string> hidden_by(const RunOptions& options, const std::string& guest_path) {
  for (const std::string& directory : options.writable_directories) {
    const auto brought_in = path_in_guest(options.root, directory);
    if (brought_in && lies_in(guest_path, *brought_in)) return std::nullopt;
  }
  for (const char* mount : {"/tmp", "/dev", "/proc", "/sys"}) {
    if (guest_path != mount && lies_in(guest_path, mount)) return mount;
  }
  return std::nullopt;
}

std::optional<std::string> callers_directory(const RunOptions& options) {
  std::error_code error;
  return path_in_guest(options.root, std::filesystem::current_path(error));
}

}  // namespace quire::cli
