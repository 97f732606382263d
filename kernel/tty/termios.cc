#include "tty/termios.h"

namespace quire::kernel {

namespace {
constexpr cc_t control(char letter) { return static_cast<cc_t>(letter & 0x1f); }
}  // namespace

Termios Termios::standard() {
  Termios t{};
  t.c_iflag = ICRNL | IXON | IUTF8;
  t.c_oflag = OPOST | ONLCR;
  t.c_cflag = B38400 | CS8 | CREAD | HUPCL;
  t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
  t.c_ispeed = t.c_ospeed = 38400;
  t.c_cc[VINTR] = control('C');
  t.c_cc[VQUIT] = control('\\');
  t.c_cc[VERASE] = 0x7f;
  t.c_cc[VKILL] = control('U');
  t.c_cc[VEOF] = control('D');
  t.c_cc[VMIN] = 1;
  t.c_cc[VSTART] = control('Q');
  t.c_cc[VSTOP] = control('S');
  t.c_cc[VSUSP] = control('Z');
  t.c_cc[VREPRINT] = control('R');
  t.c_cc[VDISCARD] = control('O');
  t.c_cc[VWERASE] = control('W');
  t.c_cc[VLNEXT] = control('V');
  return t;
}

}  // namespace quire::kernel
