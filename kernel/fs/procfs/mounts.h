// /proc/mounts.
#pragma once

#include <string>

namespace quire::kernel {

/// A line per mount: device, place, type, options (man7 fstab(5)).
void format_mounts(std::string& out);
/// A line per type of file system that is mounted here: all the kernel has.
void format_file_systems(std::string& out);

}  // namespace quire::kernel
