#include "signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "message.h"

namespace quire::cli {

SignalSource::SignalSource() {
  sigset_t collected;
  sigemptyset(&collected);
  for (const int signal :
       {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT})
    sigaddset(&collected, signal);
  if (sigprocmask(SIG_BLOCK, &collected, &previous_) != 0) fail_errno("sigprocmask");
  fd_ = FileDescriptor(signalfd(-1, &collected, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_.is_open()) fail_errno("signalfd");
}

SignalSource::~SignalSource() {
  while (next()) {  // what has come late changes nothing any more
  }
  sigprocmask(SIG_SETMASK, &previous_, nullptr);
}

std::optional<int> SignalSource::next() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void SignalSource::stop_self() { raise(SIGSTOP); }

}  // namespace quire::cli
