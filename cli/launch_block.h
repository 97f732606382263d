// The launch block: the records that tell the guest what to run
// (docs/decisions/0001-guest-contract.md).
#pragma once

#include <string>
#include <string_view>

namespace quire::cli {

/// A sequence of `key NUL value NUL`, in the order added.
class LaunchBlock {
 public:
  /// Pre: neither holds a NUL byte (nothing that came through argv, environ or a path can).
  void add(std::string_view key, std::string_view value);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace quire::cli
