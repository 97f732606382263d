// Inodes without a name in any file system: pipes, standard streams, eventfds. What fstat shows of
// them.
//
// Life cycle: made with the object, counted by its files. Attributes are fixed at birth;
// set_attributes() is refused.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

class AnonymousInode : public Inode {
 public:
  /// `mode` with the S_IF* bits (none for eventfds and their like, as on Linux).
  AnonymousInode(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid);

  Result<Attributes> attributes() override { return attributes_; }
  /// Opening it again through /proc/PID/fd. ENXIO unless the subclass can.
  Result<RefPtr<File>> open(std::uint32_t flags) override;
  /// What /proc/PID/fd/N shows: `kind`, colon, the inode's number in brackets.
  [[nodiscard]] std::string link_name(std::string_view kind) const;

 private:
  Attributes attributes_;
};

}  // namespace quire::kernel
