// The console terminal: quire.stdin is its keyboard, quire.stdout (or quire.stderr, if only that is
// the caller's terminal) its screen.
#include <linux/fcntl.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <sys/stat.h>

#include "boot/launch.h"
#include "drivers/console_port.h"
#include "fs/dentry.h"
#include "sched/thread.h"
#include "tty/input_stream.h"
#include "tty/pty.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

constexpr std::uint32_t kTtyMinor = 0, kConsoleMinor = 1, kPtmxMinor = 2;
constexpr std::uint32_t kConsoleDevice = MKDEV(TTYAUX_MAJOR, kConsoleMinor);

class ConsoleTerminal final : public Terminal {
 public:
  ConsoleTerminal(ConsolePort* screen, ConsolePort* keyboard)
      : Terminal(kConsoleDevice), screen_(screen) {
    set_window_size(launch().rows, launch().columns);
    if (keyboard == nullptr) return;
    input_ = std::make_unique<InputStream>(*keyboard);
    if (keyboard_.prepare([](void* self) { static_cast<ConsoleTerminal*>(self)->run_keyboard(); },
                          this)) {
      start_thread(keyboard_);
    }
  }

 protected:
  void transmit(std::string_view bytes, Interruptible interruptible) override {
    if (screen_ != nullptr) screen_->write(bytes.data(), bytes.size(), interruptible);
  }

 private:
  /// Body of the keyboard's thread: host to line discipline, for ever.
  [[noreturn]] void run_keyboard() {
    for (;;) {
      std::string_view bytes;
      const auto has_come = [&] {
        bytes = input_->available();
        return !bytes.empty() || input_->ended();
      };
      (void)wait_until(input_->readers(), has_come, Interruptible::kNo);
      if (bytes.empty()) break;
      const std::size_t taken = receive(bytes);
      input_->consume(taken);
      if (taken < bytes.size()) wait_for_room();
    }
    hang_up();
    exit_thread();
  }

  ConsolePort* const screen_;
  std::unique_ptr<InputStream> input_;
  Thread keyboard_;
};

/// An open terminal.
class TerminalFile final : public File {
 public:
  TerminalFile(Terminal& terminal, std::uint32_t open_flags) : terminal_(terminal) {
    flags = open_flags & ~std::uint32_t{O_NOCTTY};
    terminal.on_open();
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    return terminal_.read(buffer, blocking());
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    return terminal_.write(buffer, blocking());
  }
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    return terminal_.ioctl(command, argument);
  }
  [[nodiscard]] bool can_poll() const override { return true; }
  PollMask poll(Listener* listener) override { return terminal_.poll(listener); }
  Result<Attributes> attributes() override {
    if (inode) return inode->attributes();
    Attributes a;
    a.mode = S_IFCHR | 0620;
    a.rdev = terminal_.device();
    return a;
  }

 protected:
  ~TerminalFile() override { terminal_.on_close(); }

 private:
  [[nodiscard]] Terminal::Blocking blocking() const {
    return nonblocking() ? Terminal::Blocking::kNo : Terminal::Blocking::kYes;
  }
  Terminal& terminal_;
};

Terminal* make_console_terminal() {
  const std::string_view fds = launch().tty;
  const auto is_terminal = [fds](char fd) { return fds.find(fd) != std::string_view::npos; };
  if (fds.empty()) return nullptr;
  ConsolePort* const screen = is_terminal('1')   ? console_port("quire.stdout")
                              : is_terminal('2') ? console_port("quire.stderr")
                                                 : nullptr;
  return new ConsoleTerminal(screen, is_terminal('0') ? console_port("quire.stdin") : nullptr);
}

}  // namespace

Terminal* console_terminal() {
  static Mutex mutex;
  static Terminal* terminal = nullptr;
  Guard guard(mutex);
  if (terminal == nullptr) terminal = make_console_terminal();
  return terminal;
}

void terminal_set_winsize(std::uint16_t rows, std::uint16_t columns) {
  if (Terminal* const terminal = console_terminal()) terminal->set_window_size(rows, columns);
}

RefPtr<File> make_terminal_file(Terminal& terminal, std::uint32_t flags) { return make_ref<TerminalFile>(terminal, flags); }

Result<RefPtr<File>> open_terminal_device(std::uint32_t rdev_minor, std::uint32_t flags) {
  if (rdev_minor == kPtmxMinor) return open_pty_master(flags);
  Terminal* terminal = nullptr;
  if (rdev_minor == kTtyMinor) {
    terminal = current_terminal();
    if (terminal == nullptr) return fail(Errno::kNxIo);
  } else if (rdev_minor == kConsoleMinor) {
    terminal = console_terminal();
  }
  if (terminal == nullptr) return fail(Errno::kNoDev);
  terminal->acquire_on_open(flags);
  return make_terminal_file(*terminal, flags);
}

}  // namespace quire::kernel
