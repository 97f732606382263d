// Linux's line discipline (N_TTY) as a pure state machine: bytes from the line in; echo, signals
// and lines for readers out.
//
// Life cycle: part of a Terminal, whose lock serialises it. It knows no threads, tasks or devices:
// what has to happen outside comes back as LineEffects, and the terminal does it. Behaviour after
// Linux v6.12 drivers/tty/n_tty.c and man7 termios(3).
//
// The input buffer is a ring of 4096 bytes at three free-running positions: tail_ (next byte for a
// reader) ≤ line_end_ (end of the last complete line) ≤ head_ (next free place). In canonical mode
// the bytes from line_end_ to head_ are the line being edited. A byte that ends a line is flagged;
// a flagged NUL is an end of file typed with VEOF and is not given to readers.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tty/output_processor.h"
#include "tty/termios.h"

namespace quire::kernel {

/// What some input led to.
struct LineEffects {
  std::size_t accepted = 0;     ///< bytes taken; fewer than offered: the buffer is full, come back
                                ///< when a reader made room
  std::string echo;             ///< to be sent to the line
  std::uint64_t signals = 0;    ///< for the foreground group; bit n−1 is signal n
  bool discard_output = false;  ///< drop output that was not sent yet
};

class LineDiscipline {
 public:
  static constexpr std::size_t kBufferSize = 4096;

  [[nodiscard]] const Termios& termios() const { return termios_; }
  /// Changes the settings. Entering canonical mode makes what is buffered a line; leaving it gives
  /// readers everything.
  void set_termios(const Termios& termios);

  /// Takes bytes that came from the line.
  LineEffects receive(std::string_view bytes);

  /// Whether receive() would take a byte.
  [[nodiscard]] bool has_room() const;

  /// What a program's output becomes on the line.
  void process_output(std::string_view bytes, std::string& out) {
    output_.process(termios_, bytes, out);
  }

  /// Whether a read would find something; `at_least` counts only in raw mode.
  [[nodiscard]] bool input_available(std::size_t at_least = 1) const;
  /// What poll waits for: VMIN bytes if VTIME is 0.
  [[nodiscard]] bool poll_readable() const;
  /// FIONREAD.
  [[nodiscard]] std::size_t readable_bytes() const;

  struct Taken {
    std::size_t bytes = 0;
    bool line_ended = false;  ///< canonical mode: the read is complete, even with 0 bytes
  };
  /// Moves up to `size` readable bytes to a reader; in canonical mode at most to the end of a line.
  Taken take(char* to, std::size_t size);

  /// TCIFLUSH.
  void flush_input();

  /// Output stopped by VSTOP or TCOOFF.
  [[nodiscard]] bool stopped() const { return stopped_ || stopped_by_call_; }
  enum class Flow : std::uint8_t { kStop, kStart };
  /// TCXONC with TCOOFF, TCOON.
  void set_flow(Flow flow);

 private:
  [[nodiscard]] static std::size_t slot(std::size_t position) { return position % kBufferSize; }
  [[nodiscard]] unsigned char at(std::size_t position) const {
    return static_cast<unsigned char>(buffer_[slot(position)]);
  }
  [[nodiscard]] bool canonical() const { return termios_.local(ICANON); }
  [[nodiscard]] bool extended() const { return termios_.local(IEXTEN); }

  void receive_byte(unsigned char c);
  bool receive_flow_control(unsigned char c);
  bool receive_signal(unsigned char c);
  bool receive_canonical(unsigned char c);
  enum class NewlineEcho : std::uint8_t { kRaw, kVisible };
  void receive_data(unsigned char c, NewlineEcho newline_echo);
  void put(unsigned char c);
  void end_line(unsigned char c);

  enum class EraseUnit : std::uint8_t { kCharacter, kWord, kLine };
  void erase(EraseUnit unit);
  void erase_characters(EraseUnit unit);
  void echo_erased(unsigned char c, std::size_t bytes, EraseUnit unit);
  void echo_erased_tab();
  void reprint();
  void finish_erasing();
  void echo_raw(unsigned char c) { output_.echo(termios_, c, effects_.echo); }
  void echo_visible(unsigned char c);
  void echo_input(unsigned char c);

  Termios termios_ = Termios::standard();
  OutputProcessor output_;
  std::array<char, kBufferSize> buffer_{};
  std::bitset<kBufferSize> ends_line_;
  std::size_t tail_ = 0, line_end_ = 0, head_ = 0;
  bool literal_next_ = false;  ///< VLNEXT was typed
  bool erasing_ = false;       ///< ECHOPRT: inside \…/
  bool pushed_ = false;  ///< the last line was made by entering canonical mode: its end is not the
                         ///< end of a line
  bool stopped_ = false, stopped_by_call_ = false;
  LineEffects effects_;  ///< being collected
};

}  // namespace quire::kernel
