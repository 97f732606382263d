#include "guest.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "message.h"

namespace quire::cli {
namespace {

struct Handover {
  int from;
  int to;
};

/// Runs in the child: only async-signal-safe calls. Returns if something failed, errno set.
void become(char* const* arguments, std::span<const Handover> handovers, int diagnostics,
            pid_t parent) {
  if (setpgid(0, 0) != 0) return;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) return;
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0 || dup2(diagnostics, 1) < 0 || dup2(diagnostics, 2) < 0) return;
  // First out of the way of every target, then to the targets.
  constexpr int kAboveTargets = 64;
  std::array<int, 16> moved{};
  for (std::size_t i = 0; i < handovers.size(); ++i) {
    moved[i] = fcntl(handovers[i].from, F_DUPFD_CLOEXEC, kAboveTargets);
    if (moved[i] < 0) return;
  }
  for (std::size_t i = 0; i < handovers.size(); ++i) {
    if (dup2(moved[i], handovers[i].to) < 0) return;
  }
  sigset_t none;
  sigemptyset(&none);
  std::signal(SIGPIPE, SIG_DFL);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return;
  execvp(arguments[0], arguments);
}

}  // namespace

Guest Guest::start(const MachineConfig& machine, const LaunchBlock& launch) {
  if (access(machine.kernel.c_str(), R_OK) != 0) {
    throw Failure(fmt::format("the kernel image {}: {}; build it with: ./quire", machine.kernel,
                              std::strerror(errno)));
  }
  Guest guest;
  SocketPair input = make_socket_pair(), output = make_socket_pair(), errors = make_socket_pair();
  SocketPair control = make_socket_pair(), log = make_socket_pair(),
             diagnostics = make_socket_pair();
  const FileDescriptor launch_file = make_memory_file("quire-launch", launch.bytes());

  int failure_pipe[2];
  if (pipe2(failure_pipe, O_CLOEXEC) != 0) fail_errno("pipe");
  FileDescriptor failure_in(failure_pipe[0]), failure_out(failure_pipe[1]);

  std::vector<std::string> words = qemu_arguments(machine);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const Handover handovers[] = {
      {input.theirs.get(), kStdinChannel},   {output.theirs.get(), kStdoutChannel},
      {errors.theirs.get(), kStderrChannel}, {control.theirs.get(), kControlChannel},
      {log.theirs.get(), kLogChannel},       {launch_file.get(), kLaunchFile}};

  const pid_t parent = getpid();
  guest.pid_ = fork();
  if (guest.pid_ < 0) fail_errno("fork");
  if (guest.pid_ == 0) {
    become(arguments.data(), handovers, diagnostics.theirs.get(), parent);
    const int error = errno;
    [[maybe_unused]] const ssize_t told = write(failure_out.get(), &error, sizeof error);
    _exit(kExitNotFound);
  }
  failure_out.reset();
  int error = 0;
  if (read(failure_in.get(), &error, sizeof error) == sizeof error) {
    throw Failure(fmt::format("{}: {}; install qemu-system-x86, or see quire doctor", machine.qemu,
                              std::strerror(error)));
  }
  guest.process = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, guest.pid_, 0)));
  if (!guest.process.is_open()) fail_errno("pidfd_open");
  guest.input = std::move(input.ours);
  guest.output = std::move(output.ours);
  guest.errors = std::move(errors.ours);
  guest.control = std::move(control.ours);
  guest.log = std::move(log.ours);
  guest.diagnostics = std::move(diagnostics.ours);
  return guest;
}

Guest::Guest(Guest&& other) noexcept
    : input(std::move(other.input)),
      output(std::move(other.output)),
      errors(std::move(other.errors)),
      control(std::move(other.control)),
      log(std::move(other.log)),
      diagnostics(std::move(other.diagnostics)),
      process(std::move(other.process)),
      pid_(std::exchange(other.pid_, -1)) {}

Guest::~Guest() {
  if (pid_ < 0) return;
  kill();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Guest::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void Guest::kill() const { signal(SIGKILL); }

std::optional<int> Guest::try_wait() {
  int status = 0;
  if (pid_ < 0 || waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return status;
}

}  // namespace quire::cli
