#include "tty/terminal.h"

#include <linux/poll.h>

#include <algorithm>
#include <csignal>
#include <memory>

#include "syscall/syscall.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

constexpr std::uint64_t kTenthOfSecondNs = 100'000'000;
/// A hung-up terminal is ready for everything (Linux v6.12
/// drivers/tty/tty_io.c:hung_up_tty_poll()).
constexpr PollMask kHungUpEvents = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;

/// When a read in raw mode is complete (man7 termios(3), MIN and TIME).
struct ReadRule {
  std::size_t minimum;
  std::uint64_t gap_ns;  ///< longest wait between bytes; 0: for ever
  Deadline first;        ///< until when to wait for the first byte

  static ReadRule of(const Termios& termios) {
    if (termios.local(ICANON)) return {0, 0, kForever};
    const std::uint64_t time_ns = termios.c_cc[VTIME] * kTenthOfSecondNs;
    if (termios.c_cc[VMIN] == 0) return {1, 0, monotonic_ns() + time_ns};
    return {termios.c_cc[VMIN], time_ns, kForever};
  }
};

}  // namespace

Result<std::size_t> Terminal::read(IoBuffer& buffer, Blocking blocking) {
  QUIRE_CHECK(check_background(SIGTTIN));
  Sleeper sleeper;
  sleeper.add(readers_);
  ReadRule rule;
  {
    Guard guard(lock_);
    rule = ReadRule::of(discipline_.termios());
  }
  Deadline deadline = rule.first;
  std::size_t done = 0;
  while (buffer.size() != 0) {
    char chunk[kChunk];
    LineDiscipline::Taken taken;
    bool canonical = false, available = false;
    {
      Guard guard(lock_);
      canonical = discipline_.termios().local(ICANON);
      available = discipline_.input_available();
      if (!available && hung_up_) break;
      taken = discipline_.take(chunk, std::min(buffer.size(), kChunk));
    }
    if (available) {
      room_.wake_all();
      QUIRE_CHECK(buffer.copy_out(chunk, taken.bytes));
      done += taken.bytes;
      if (canonical ? taken.line_ended : done >= rule.minimum && taken.bytes < kChunk) break;
      if (rule.gap_ns != 0) deadline = monotonic_ns() + rule.gap_ns;
      continue;
    }
    if (!canonical && done != 0 && done >= rule.minimum) break;
    if (deadline != kForever && monotonic_ns() >= deadline) break;
    if (blocking == Blocking::kNo) {
      if (done != 0) break;
      return fail(Errno::kAgain);
    }
    const WaitResult result = sleeper.sleep(Interruptible::kYes, deadline);
    if (result == WaitResult::kTimedOut) break;
    if (result == WaitResult::kInterrupted) {
      if (done != 0) break;
      return fail(kRestartSys);
    }
  }
  return done;
}

Result<std::size_t> Terminal::write(IoBuffer& buffer, Blocking blocking) {
  bool stops_background = false;
  {
    Guard guard(lock_);
    stops_background = discipline_.termios().local(TOSTOP);
  }
  if (stops_background) QUIRE_CHECK(check_background(SIGTTOU));
  std::string scratch;
  std::size_t done = 0;
  const auto so_far = [&done](Errno error) -> Result<std::size_t> {
    if (done != 0) return done;
    return fail(error);
  };
  while (buffer.size() != 0) {
    if (signal_pending()) return so_far(kRestartSys);
    char chunk[kChunk];
    const std::size_t n = std::min(buffer.size(), kChunk);
    if (auto copied = buffer.copy_in(chunk, n); !copied) return so_far(copied.error());
    for (;;) {
      const auto sent = send_chunk({chunk, n}, scratch);
      if (!sent) return so_far(sent.error());
      if (*sent) break;
      if (blocking == Blocking::kNo) return so_far(Errno::kAgain);
      if (wait_while_stopped() == WaitResult::kInterrupted) return so_far(kRestartSys);
    }
    done += n;
  }
  return done;
}

/// Sends a chunk unless output is stopped (false). Errors: EIO.
Result<bool> Terminal::send_chunk(std::string_view bytes, std::string& scratch) {
  Guard output(output_lock_);
  {
    Guard guard(lock_);
    if (hung_up_) return fail(Errno::kIo);
    if (discipline_.stopped() || !has_output_room()) return false;
    scratch.clear();
    discipline_.process_output(bytes, scratch);
  }
  transmit(scratch, Interruptible::kYes);
  return true;
}

WaitResult Terminal::wait_while_stopped() {
  const auto started = [this] {
    Guard guard(lock_);
    return hung_up_ || (!discipline_.stopped() && has_output_room());
  };
  return wait_until(writers_, started, Interruptible::kYes);
}

PollMask Terminal::poll(Listener* listener) {
  if (listener != nullptr) {
    listener->add(readers_);
    listener->add(writers_);
  }
  Guard guard(lock_);
  if (hung_up_) return kHungUpEvents;
  PollMask events = 0;
  if (discipline_.poll_readable()) events |= POLLIN | POLLRDNORM;
  if (!discipline_.stopped() && has_output_room()) events |= POLLOUT | POLLWRNORM;
  return events;
}

std::size_t Terminal::receive(std::string_view bytes) {
  // Echo comes before what the input brings about, unless some output waits for a device that takes none: then the signals of the input
  // may be what ends that.
  const bool echo_first = output_lock_.try_lock();
  LineEffects effects;
  bool started = false;
  {
    Guard guard(lock_);
    const bool was_stopped = discipline_.stopped();
    effects = discipline_.receive(bytes);
    if (effects.discard_output) held_echo_.clear();
    held_echo_ += effects.echo;
    if ((discipline_.stopped() || !echo_first) && held_echo_.size() > kHeldEchoLimit) held_echo_.resize(kHeldEchoLimit);
    started = was_stopped && !discipline_.stopped();
  }
  if (echo_first) {
    transmit_echo();
    output_lock_.unlock();
  }
  if (started) writers_.wake_all();
  readers_.wake_all();
  signal_foreground(effects.signals);
  if (!echo_first) {
    Guard output(output_lock_);
    transmit_echo();
  }
  return effects.accepted;
}

/// Locks: output_lock_ held.
void Terminal::transmit_echo() {
  std::string echo;
  {
    Guard guard(lock_);
    if (!discipline_.stopped()) echo.swap(held_echo_);
  }
  if (!echo.empty()) transmit(echo, Interruptible::kNo);
}

bool Terminal::has_input_room() {
  Guard guard(lock_);
  return hung_up_ || discipline_.has_room();
}

WaitResult Terminal::wait_for_room(Interruptible interruptible) {
  return wait_until(room_, [this] { return has_input_room(); }, interruptible);
}

void Terminal::start_again() {
  const auto fresh = std::make_unique<LineDiscipline>();
  Guard guard(lock_);
  discipline_ = *fresh;
  held_echo_.clear();
  window_ = {};
  session_ = group_ = 0;
  hung_up_ = false;
}

void Terminal::hang_up() {
  Pid session = 0, group = 0;
  {
    Guard guard(lock_);
    if (hung_up_) return;
    hung_up_ = true;
    session = session_;
    group = group_;
  }
  readers_.wake_all();
  writers_.wake_all();
  room_.wake_all();
  for (const Pid target : {session, group == session ? 0 : group}) {
    if (target == 0) continue;
    (void)signal_group(target, SIGHUP);
    (void)signal_group(target, SIGCONT);
  }
}

void Terminal::set_window_size(std::uint16_t rows, std::uint16_t columns) {
  {
    Guard guard(lock_);
    if (window_.ws_row == rows && window_.ws_col == columns) return;
    window_.ws_row = rows;
    window_.ws_col = columns;
  }
  signal_foreground(std::uint64_t{1} << (SIGWINCH - 1));
}

void Terminal::signal_foreground(std::uint64_t signals) {
  if (signals == 0) return;
  const Pid group = foreground_group();
  if (group == 0) return;
  for (int signal = 1; signals != 0; ++signal, signals >>= 1) {
    if ((signals & 1) != 0) (void)signal_group(group, signal);
  }
}

}  // namespace quire::kernel
