// ioctl(2) on terminals: man7 ioctl_tty(2), TCSETS(2const) and its siblings.
#include <asm/ioctls.h>
#include <linux/tty.h>

#include <csignal>
#include <cstring>

#include "mm/uaccess.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

/// struct termios2 begins with struct termios: that is how much the older calls move.
constexpr std::size_t kShortTermios = sizeof(struct termios);
static_assert(kShortTermios == offsetof(struct termios2, c_ispeed));

}  // namespace

Result<std::int64_t> Terminal::ioctl(std::uint32_t command, std::uint64_t argument) {
  // Values are copied under the lock and given to the program, whose memory may fault, without it.
  const auto snapshot = [this](auto member) {
    Guard guard(lock_);
    return member();
  };
  Result<void> done;
  switch (command) {
    case TCGETS:
    case TCGETS2: {
      const Termios t = snapshot([this] { return discipline_.termios(); });
      done =
          copy_to_user(argument, &t, command == TCGETS ? kShortTermios : sizeof(struct termios2));
      break;
    }
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
      done = change_settings(command, argument);
      break;
    case TIOCGWINSZ:
      done = put_user(argument, snapshot([this] { return window_; }));
      break;
    case TIOCSWINSZ: {
      QUIRE_TRY(const ::winsize size, get_user<::winsize>(argument));
      set_window_size(size.ws_row, size.ws_col);
      break;
    }
    case TIOCGPGRP:
      QUIRE_CHECK(require_controlling());
      done = put_user(argument, foreground_group());
      break;
    case TIOCSPGRP:
      done = set_foreground_group(argument);
      break;
    case TIOCGSID:
      QUIRE_CHECK(require_controlling());
      done = put_user(argument, snapshot([this] { return session_; }));
      break;
    case TIOCSCTTY:
      done = make_controlling(argument == 1);
      break;
    case TIOCNOTTY:
      done = give_up_controlling();
      break;
    case FIONREAD:
      done = put_user(argument,
                      static_cast<int>(snapshot([this] { return discipline_.readable_bytes(); })));
      break;
    case TIOCOUTQ:
      done = put_user(argument, static_cast<int>(snapshot([this] { return held_echo_.size(); })));
      break;
    case TCFLSH:
      done = flush(argument);
      break;
    case TCXONC:
      done = control_flow(argument);
      break;
    case TCSBRK:  // tcdrain() is TCSBRK with 1: every write is sent when it returns; there is no
                  // line to break
    case TCSBRKP:
      done = check_background(SIGTTOU);
      break;
    case TIOCGETD:
      done = put_user(argument, int{N_TTY});
      break;
    default:
      return fail(Errno::kNotTty);
  }
  QUIRE_CHECK(done);
  return 0;
}

Result<void> Terminal::change_settings(std::uint32_t command, std::uint64_t argument) {
  QUIRE_CHECK(check_background(SIGTTOU));
  const bool is_short = command == TCSETS || command == TCSETSW || command == TCSETSF;
  Termios wanted;
  {
    Guard guard(lock_);
    wanted = discipline_.termios();
  }
  QUIRE_CHECK(
      copy_from_user(&wanted, argument, is_short ? kShortTermios : sizeof(struct termios2)));
  {
    Guard guard(lock_);
    if (command == TCSETSF || command == TCSETSF2) discipline_.flush_input();
    discipline_.set_termios(wanted);
  }
  // Readers test anew whether there is a line; a stop may have ended with IXON.
  readers_.wake_all();
  writers_.wake_all();
  room_.wake_all();
  return {};
}

Result<void> Terminal::flush(std::uint64_t queue) {
  QUIRE_CHECK(check_background(SIGTTOU));
  if (queue != TCIFLUSH && queue != TCOFLUSH && queue != TCIOFLUSH) return fail(Errno::kInval);
  {
    Guard guard(lock_);
    if (queue != TCOFLUSH) discipline_.flush_input();
    if (queue != TCIFLUSH) held_echo_.clear();
  }
  room_.wake_all();
  return {};
}

Result<void> Terminal::control_flow(std::uint64_t action) {
  QUIRE_CHECK(check_background(SIGTTOU));
  switch (action) {
    case TCOOFF:
    case TCOON: {
      Guard output(output_lock_);
      std::string echo;
      {
        Guard guard(lock_);
        discipline_.set_flow(action == TCOOFF ? LineDiscipline::Flow::kStop
                                              : LineDiscipline::Flow::kStart);
        if (!discipline_.stopped()) echo.swap(held_echo_);
      }
      if (!echo.empty()) transmit(echo, Interruptible::kYes);
      break;
    }
    case TCIOFF:
    case TCION: {
      Guard output(output_lock_);
      char c = 0;
      {
        Guard guard(lock_);
        c = static_cast<char>(discipline_.termios().c_cc[action == TCIOFF ? VSTOP : VSTART]);
      }
      if (c != 0) transmit({&c, 1}, Interruptible::kYes);
      break;
    }
    default:
      return fail(Errno::kInval);
  }
  writers_.wake_all();
  return {};
}

}  // namespace quire::kernel
