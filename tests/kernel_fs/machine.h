// The kernel around its file systems, thin enough for a test on the host: one task, memory of the
// host, locks that spin.
//
// System calls are made as a program makes them, through the table that file_syscalls() fills;
// pointers are the test's own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/console_port.h"
#include "fs/vfs.h"
#include "task/task.h"

namespace quire::kernel::test {

/// The one task, and what else the kernel asks of its surroundings.
struct HostMachine {
  Credentials credentials;
  RefPtr<FdTable> files;
  RefPtr<FsContext> fs;
  std::uint64_t file_size_limit = ~std::uint64_t{0};
  std::vector<int> signals;                         ///< sent to the task
  std::int64_t page_limit = std::int64_t{1} << 62;  ///< frames allocate_spare_frame() still gives
};
HostMachine& machine();
/// Frames that hold data.
std::int64_t pages_in_use();

/// A fresh task whose root and working directory are `root`; root's identity, umask 022.
void start_task(const RefPtr<Dentry>& root);
/// Drops everything that was mounted and opened.
void end_task();

/// Makes a system call. Negative: −errno. A call that does not exist fails the process.
std::int64_t sys(int number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                 std::uint64_t d = 0, std::uint64_t e = 0, std::uint64_t f = 0);
template <typename T>
std::uint64_t arg(const T* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

}  // namespace quire::kernel::test
