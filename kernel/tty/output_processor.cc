#include "tty/output_processor.h"

#include "tty/characters.h"

namespace quire::kernel {

void OutputProcessor::process(const Termios& termios, std::string_view bytes, std::string& out) {
  if (!termios.output(OPOST)) {
    out.append(bytes);
    return;
  }
  for (const char c : bytes) process_byte(termios, static_cast<unsigned char>(c), out);
}

void OutputProcessor::echo(const Termios& termios, unsigned char c, std::string& out) {
  if (termios.output(OPOST)) {
    process_byte(termios, c, out);
  } else {
    out.push_back(static_cast<char>(c));
    // 0xff is the escape of Linux's echo buffer, and counted wherever it is taken out
    // (n_tty.c:__process_echoes()).
    if (c == 0xff) ++column_;
  }
}

void OutputProcessor::echo_control(unsigned char c, std::string& out) {
  out.push_back('^');
  out.push_back(static_cast<char>(c ^ 0100));
  column_ += 2;
}

void OutputProcessor::erase_tab(unsigned characters, TabOrigin origin, std::string& out) {
  if (origin == TabOrigin::kLineStart) characters += line_start_column_;
  for (unsigned n = 8 - (characters & 7); n != 0; --n) {
    out.push_back('\b');
    step_back();
  }
}

void OutputProcessor::process_byte(const Termios& termios, unsigned char c, std::string& out) {
  switch (c) {
    case '\n':
      if (termios.output(ONLRET)) column_ = 0;
      if (termios.output(ONLCR)) {
        column_ = 0;
        out.push_back('\r');
      }
      line_start_column_ = column_;
      break;
    case '\r':
      if (termios.output(ONOCR) && column_ == 0) return;
      if (termios.output(OCRNL)) {
        c = '\n';
        if (!termios.output(ONLRET)) break;
      }
      line_start_column_ = column_ = 0;
      break;
    case '\t': {
      const unsigned spaces = 8 - (column_ & 7);
      column_ += spaces;
      if ((termios.c_oflag & TABDLY) == XTABS) {
        out.append(spaces, ' ');
        return;
      }
      break;
    }
    case '\b':
      step_back();
      break;
    default:
      if (is_control_character(c)) break;
      if (termios.output(OLCUC)) c = to_upper(c);
      if (!is_continuation(termios, c)) ++column_;
      break;
  }
  out.push_back(static_cast<char>(c));
}

}  // namespace quire::kernel
