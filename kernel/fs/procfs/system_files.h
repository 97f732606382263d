// The files of /proc that are about the system, as a table: name and what writes it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fs/vfs.h"

namespace quire::kernel {

/// A file (`write`), to which root may write an integer if there is a `set`, a link (`target`), a
/// directory (`children`), or what `make` makes, readable by root alone.
struct SystemEntry {
  std::string_view name;
  void (*write)(std::string& out) = nullptr;
  std::string (*target)() = nullptr;
  std::span<const SystemEntry> children = {};
  RefPtr<Inode> (*make)(std::uint64_t number) = nullptr;
  Result<void> (*set)(int value) = nullptr;  ///< without `write`: nobody may read it
};
/// What /proc holds besides processes.
std::span<const SystemEntry> system_entries();

}  // namespace quire::kernel
