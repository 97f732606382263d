#include "explore/report.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#ifdef QUIRE_COVERAGE
extern "C" void __gcov_dump();
#endif

namespace quire::explore {
namespace {

struct Running {
  Job* job;
  pid_t pid;
  int pipe;
};

Running start(Job& job) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) std::abort();
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    const int status = job.work();
    std::fflush(stdout);
#ifdef QUIRE_COVERAGE
    __gcov_dump();
#endif
    _exit(status);
  }
  close(ends[1]);
  return {&job, pid, ends[0]};
}

/// Takes what a job has written; false at its end.
bool collect(const Running& running) {
  std::array<char, 4096> buffer{};
  const ssize_t got = read(running.pipe, buffer.data(), buffer.size());
  if (got > 0) {
    running.job->output.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }
  close(running.pipe);
  int status = 0;
  waitpid(running.pid, &status, 0);
  running.job->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

}  // namespace

void run_jobs(std::vector<Job>& jobs, unsigned width) {
  std::vector<Running> running;
  std::size_t next = 0;
  while (next < jobs.size() || !running.empty()) {
    while (next < jobs.size() && running.size() < width) running.push_back(start(jobs[next++]));
    std::vector<pollfd> polls;
    for (const Running& each : running) polls.push_back({each.pipe, POLLIN, 0});
    poll(polls.data(), polls.size(), -1);
    for (std::size_t n = running.size(); n-- > 0;) {
      if (polls[n].revents != 0 && !collect(running[n])) running.erase(running.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }
}

}  // namespace quire::explore
