#include "fs/procfs/mounts.h"

#include "fs/mount.h"
#include "fs/procfs/text.h"

namespace quire::kernel {

void format_mounts(std::string& out) {
  constexpr std::string_view kSpecial = " \t\n\\";
  for (const auto& mount : mount_table().mounts()) {
    TextBuilder text(out);
    text.escaped(mount->source(), kSpecial)
        .text(" ")
        .escaped(path_of(mount->root()), kSpecial)
        .text(" ");
    text.text(mount->file_system().type())
        .text(mount->is_read_only() ? " ro" : " rw")
        .text(",relatime 0 0\n");
  }
}

void format_file_systems(std::string& out) {
  const auto& mounts = mount_table().mounts();
  for (auto mount = mounts.begin(); mount != mounts.end(); ++mount) {
    const std::string& type = (*mount)->file_system().type();
    bool seen = false;
    for (auto before = mounts.begin(); before != mount; ++before)
      seen |= (*before)->file_system().type() == type;
    if (!seen) TextBuilder(out).text("nodev\t").text(type).text("\n");
  }
}

}  // namespace quire::kernel
