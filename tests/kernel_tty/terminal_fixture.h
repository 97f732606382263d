// A line discipline with somebody who types and somebody who reads.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tty/line_discipline.h"

namespace quire::kernel::test {

class LineTest : public ::testing::Test {
 protected:
  /// Types `keys` and returns the echo; all of them are taken.
  std::string type(std::string_view keys) {
    effects_ = discipline_.receive(keys);
    EXPECT_EQ(effects_.accepted, keys.size());
    return effects_.echo;
  }
  /// What one read(2) of up to `size` bytes gives; "(nothing)" if it would block.
  std::string read(std::size_t size = 8192) {
    if (!discipline_.input_available()) return "(nothing)";
    std::string bytes(size, '\0');
    bytes.resize(discipline_.take(bytes.data(), size).bytes);
    return bytes;
  }
  template <typename Change>
  void configure(Change change) {
    Termios t = discipline_.termios();
    change(t);
    discipline_.set_termios(t);
  }
  void set_local(tcflag_t on, tcflag_t off = 0) {
    configure([=](Termios& t) { t.c_lflag = (t.c_lflag & ~off) | on; });
  }
  void set_input(tcflag_t on, tcflag_t off = 0) {
    configure([=](Termios& t) { t.c_iflag = (t.c_iflag & ~off) | on; });
  }
  void make_raw() {
    configure([](Termios& t) {
      t.c_iflag = 0;
      t.c_oflag = 0;
      t.c_lflag = 0;
    });
  }
  std::string output(std::string_view bytes) {
    std::string out;
    discipline_.process_output(bytes, out);
    return out;
  }

  LineDiscipline discipline_;
  LineEffects effects_;
};

}  // namespace quire::kernel::test
