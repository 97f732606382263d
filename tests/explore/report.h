// Runs explorations in child processes, several at a time, and collects what they print: a failure ends only its own process.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace quire::explore {

/// What a child process is to do, and what came of it.
struct Job {
  std::function<int()> work;  ///< run in the child; its result is the exit status
  std::string output = {};    ///< all it wrote to stdout
  int status = 0;             ///< exit status; 128 + n if signal n ended it
};

/// Runs all jobs, at most `width` at a time. Pre: the process has one thread.
void run_jobs(std::vector<Job>& jobs, unsigned width);

}  // namespace quire::explore
