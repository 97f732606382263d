// Initialisers that boot/start.cc calls in order and that have no better home.
#pragma once

namespace quire::kernel {

/// Merges the areas' arrays of system calls into the table.
void init_syscalls();

/// Checks the machine (launch record selftest=1) and powers off.
[[noreturn]] void run_selftest();

}  // namespace quire::kernel
