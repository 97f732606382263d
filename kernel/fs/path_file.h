// What open(2) with O_PATH gives: a descriptor that stands for a name and can do nothing with what
// is behind it.
#pragma once

#include "fs/vfs.h"

namespace quire::kernel {

class PathFile final : public File {
 public:
  Result<std::size_t> read(IoBuffer&, std::uint64_t) override { return fail(Errno::kBadF); }
  Result<std::size_t> write(IoBuffer&, std::uint64_t) override { return fail(Errno::kBadF); }
  Result<std::int64_t> ioctl(std::uint32_t, std::uint64_t) override { return fail(Errno::kBadF); }
  Result<void> truncate(std::uint64_t) override { return fail(Errno::kBadF); }
  Result<void> sync() override { return fail(Errno::kBadF); }
};

}  // namespace quire::kernel
