// A terminal: a line discipline between a device and the processes that read, write and control it,
// and job control.
//
// Life cycle: made once per device and kept for ever; open files (TerminalFile) point at it. A
// session adopts it as its controlling terminal by opening it, by TIOCSCTTY or by attach().
// hang_up() is final: reads then give end of file and writes EIO.
//
// Locks: `output_lock_` is held over transmit(), so that echo and programs' output do not mix
// within a chunk and the columns are true; `lock_` guards the rest and is taken inside it. Signals
// are sent, and other areas called, with neither held. Behaviour: man7 termios(3), ioctl_tty(2);
// Linux v6.12 drivers/tty/{tty_io,tty_ioctl,tty_jobctrl,n_tty}.c.
//
// Not there: TIOCSTI, modem lines, struct termio (TCGETA), exclusive mode.
#pragma once

#include <asm/termios.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fs/vfs.h"
#include "lib/ref_ptr.h"
#include "sched/wait.h"
#include "sync/lock.h"
#include "task/task.h"
#include "tty/line_discipline.h"

namespace quire::kernel {

class Terminal {
 public:
  explicit Terminal(std::uint32_t device) : device_(device) {}
  virtual ~Terminal() = default;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  enum class Blocking : std::uint8_t { kYes, kNo };
  /// read(2), write(2), ioctl(2), poll(2) of an open file. Locks: none held.
  /// Errors: EAGAIN; EIO (hung up, or a background reader that cannot be stopped); EFAULT;
  /// kRestartSys.
  Result<std::size_t> read(IoBuffer& buffer, Blocking blocking);
  Result<std::size_t> write(IoBuffer& buffer, Blocking blocking);
  /// Errors: ENOTTY for what it does not know, and as ioctl_tty(2).
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument);
  PollMask poll(Listener* listener);

  /// Bytes from the device. Returns how many were taken; if fewer, wait_for_room() says when to
  /// come again. For one thread.
  std::size_t receive(std::string_view bytes);
  WaitResult wait_for_room(Interruptible interruptible = Interruptible::kNo);
  /// The device is gone: SIGHUP and SIGCONT to the session's leader and to the foreground group.
  void hang_up();
  /// SIGWINCH to the foreground group if the size changed.
  void set_window_size(std::uint16_t rows, std::uint16_t columns);

  /// Makes this the controlling terminal of `session`, with `group` in the foreground. The task
  /// area records it on its side (set_session_terminal()).
  void attach(Pid session, Pid group);
  /// The session gives the terminal up (its leader exits, TIOCNOTTY): SIGHUP and SIGCONT to the
  /// foreground group.
  void detach_session();
  /// open(2) by a session leader without a terminal acquires one that is free (man7
  /// credentials(7)).
  void acquire_on_open(std::uint32_t open_flags);
  /// 0: none.
  [[nodiscard]] Pid foreground_group();
  /// Linux's device number, as stat and /proc/PID/stat show it.
  [[nodiscard]] std::uint32_t device() const { return device_; }
  /// A file on it was opened, or is no more.
  virtual void on_open() {}
  virtual void on_close() {}

 protected:
  /// Hands bytes to the device; may sleep. What a signal keeps from being handed over is lost.
  virtual void transmit(std::string_view bytes, Interruptible interruptible) = 0;
  /// Whether programs may write; if not, on_room() says when. Echo does not ask.
  [[nodiscard]] virtual bool has_output_room() { return true; }
  void on_room() { writers_.wake_all(); }
  /// Room for input: whether there is any, and who is told when there is again.
  [[nodiscard]] bool has_input_room();
  [[nodiscard]] WaitQueue& input_room() { return room_; }
  /// Makes a terminal that was hung up as new. Pre: no file on it is open, and no session has it.
  void start_again();

 private:
  static constexpr std::size_t kChunk = 512;
  static constexpr std::size_t kHeldEchoLimit = 4096;

  Result<void> check_background(int signal);
  WaitResult wait_while_stopped();
  void transmit_echo();
  Result<bool> send_chunk(std::string_view bytes, std::string& scratch);
  Result<void> change_settings(std::uint32_t command, std::uint64_t argument);
  Result<void> flush(std::uint64_t queue);
  Result<void> control_flow(std::uint64_t action);
  Result<void> make_controlling(bool steal);
  Result<void> give_up_controlling();
  Result<void> set_foreground_group(std::uint64_t argument);
  Result<void> require_controlling();
  void signal_foreground(std::uint64_t signals);

  const std::uint32_t device_;
  Mutex output_lock_;
  Mutex lock_;
  LineDiscipline discipline_;
  std::string held_echo_;  ///< echo of input that came while output was stopped
  ::winsize window_{};
  Pid session_ = 0, group_ = 0;
  bool hung_up_ = false;
  WaitQueue readers_;  ///< input, hang-up
  WaitQueue writers_;  ///< output started again, hang-up
  WaitQueue room_;     ///< a reader made room in the input buffer
};

/// Opens /dev/tty (minor 0: the session's controlling terminal) or /dev/console (minor 1).
/// Errors: ENXIO (no controlling terminal), ENODEV (the command gave no terminal; another minor).
Result<RefPtr<File>> open_terminal_device(std::uint32_t rdev_minor, std::uint32_t flags);

/// A new open file on a terminal.
RefPtr<File> make_terminal_file(Terminal& terminal, std::uint32_t flags);

/// The terminal behind quire.stdin and quire.stdout, or null if no standard file is one.
Terminal* console_terminal();
/// Control line `winsize`.
void terminal_set_winsize(std::uint16_t rows, std::uint16_t columns);

}  // namespace quire::kernel
