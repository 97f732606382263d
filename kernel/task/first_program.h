// The program of the launch record: found, loaded and started as process 2.
#pragma once

#include "task/process.h"

namespace quire::kernel {

/// What became of the attempt, as the command is told.
enum class StartFailure : std::uint8_t {
  kNotFound,       ///< `notfound`: exit status 127
  kNotExecutable,  ///< `notexec`: 126
  kFailed          ///< `error`: 125
};

/// Process 1 and its only task, made by the kernel with the user of the launch record; not started.
std::unique_ptr<Task> make_init_task();

/// Starts the program as a child of the current task, which is process 1's and gets root and
/// working directory here: in a session of its own, with the terminal if there is one.
std::expected<void, StartFailure> start_first_program();

}  // namespace quire::kernel
