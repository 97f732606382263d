// Files of huge pages, as hugetlbfs has them: memfd_create(MFD_HUGETLB).
#pragma once

#include <string_view>

#include "fs/vfs.h"
#include "quire/base/geometry.h"

namespace quire::kernel {

/// A new empty file of the caller's, open for reading and writing, whose pages are leaves of tables of `level`. It cannot be written to but
/// through mappings. Errors: ENOMEM.
Result<RefPtr<File>> make_huge_memfd(std::string_view name, Level level);

}  // namespace quire::kernel
