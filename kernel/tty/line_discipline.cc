#include "tty/line_discipline.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "tty/characters.h"

namespace quire::kernel {

void LineDiscipline::set_termios(const Termios& termios) {
  const tcflag_t changed = termios_.c_lflag ^ termios.c_lflag;
  termios_ = termios;
  if ((changed & ICANON) != 0) {
    ends_line_.reset();
    erasing_ = literal_next_ = false;
    pushed_ = canonical() && head_ != tail_;
    line_end_ = pushed_ ? head_ : tail_;
    if (pushed_) ends_line_.set(slot(head_ - 1));
  }
  if (!termios_.input(IXON)) stopped_ = false;
}

LineEffects LineDiscipline::receive(std::string_view bytes) {
  effects_ = {};
  for (const char c : bytes) {
    if (!has_room()) break;
    ++effects_.accepted;
    receive_byte(static_cast<unsigned char>(c));
  }
  return std::exchange(effects_, {});
}

bool LineDiscipline::has_room() const {
  // A full buffer without a line would never drain: then the last byte is replaced until the line
  // ends.
  return head_ - tail_ < kBufferSize - 1 || (canonical() && line_end_ == tail_);
}

void LineDiscipline::receive_byte(unsigned char c) {
  if (termios_.input(ISTRIP)) c &= 0x7f;
  if (termios_.input(IUCLC) && extended()) c = to_lower(c);
  if (literal_next_) {
    literal_next_ = false;
    receive_data(c, NewlineEcho::kVisible);
    return;
  }
  if (stopped_ && termios_.input(IXON) && termios_.input(IXANY) && !termios_.is_control(c, VSTOP))
    stopped_ = false;
  if (termios_.input(IXON) && receive_flow_control(c)) return;
  if (termios_.local(ISIG) && receive_signal(c)) return;
  // Linux moves the cursor for a newline that was a return, and shows as ^J one that was typed, in
  // raw mode.
  auto newline_echo = NewlineEcho::kVisible;
  if (c == '\r') {
    if (termios_.input(IGNCR)) return;
    if (termios_.input(ICRNL)) c = '\n';
    newline_echo = NewlineEcho::kRaw;
  } else if (c == '\n' && termios_.input(INLCR)) {
    c = '\r';
  }
  if (canonical() && receive_canonical(c)) return;
  receive_data(c, newline_echo);
}

bool LineDiscipline::receive_flow_control(unsigned char c) {
  if (termios_.is_control(c, VSTART)) {
    stopped_ = false;
    return true;
  }
  if (termios_.is_control(c, VSTOP)) {
    stopped_ = true;
    return true;
  }
  return false;
}

bool LineDiscipline::receive_signal(unsigned char c) {
  int signal = 0;
  if (termios_.is_control(c, VINTR))
    signal = SIGINT;
  else if (termios_.is_control(c, VQUIT))
    signal = SIGQUIT;
  else if (termios_.is_control(c, VSUSP))
    signal = SIGTSTP;
  else
    return false;
  if (!termios_.local(NOFLSH)) {
    effects_.echo.clear();
    effects_.discard_output = true;
    flush_input();
  }
  effects_.signals |= std::uint64_t{1} << (signal - 1);
  if (termios_.input(IXON)) stopped_ = false;
  if (termios_.local(ECHO)) echo_visible(c);
  return true;
}

bool LineDiscipline::receive_canonical(unsigned char c) {
  const bool echo = termios_.local(ECHO);
  if (termios_.is_control(c, VERASE)) {
    erase(EraseUnit::kCharacter);
  } else if (termios_.is_control(c, VKILL)) {
    erase(EraseUnit::kLine);
  } else if (extended() && termios_.is_control(c, VWERASE)) {
    erase(EraseUnit::kWord);
  } else if (extended() && termios_.is_control(c, VLNEXT)) {
    literal_next_ = true;
    if (echo) {
      finish_erasing();
      if (termios_.local(ECHOCTL)) {
        echo_raw('^');
        echo_raw('\b');
      }
    }
  } else if (extended() && echo && termios_.is_control(c, VREPRINT)) {
    reprint();
  } else if (c == '\n') {
    if (echo || termios_.local(ECHONL)) echo_raw('\n');
    end_line(c);
  } else if (termios_.is_control(c, VEOF)) {
    end_line('\0');
  } else if (termios_.is_control(c, VEOL) || (extended() && termios_.is_control(c, VEOL2))) {
    if (echo) echo_input(c);
    if (termios_.input(PARMRK) && c == 0xff) put(c);
    end_line(c);
  } else {
    return false;
  }
  return true;
}

void LineDiscipline::receive_data(unsigned char c, NewlineEcho newline_echo) {
  if (termios_.local(ECHO)) {
    finish_erasing();
    if (c == '\n' && newline_echo == NewlineEcho::kRaw) {
      echo_raw(c);
    } else {
      echo_input(c);
    }
  }
  if (termios_.input(PARMRK) && c == 0xff) put(c);
  put(c);
}

void LineDiscipline::put(unsigned char c) {
  if (head_ - tail_ == kBufferSize) --head_;
  buffer_[slot(head_)] = static_cast<char>(c);
  ends_line_.reset(slot(head_));
  ++head_;
}

void LineDiscipline::end_line(unsigned char c) {
  put(c);
  ends_line_.set(slot(head_ - 1));
  line_end_ = head_;
}

void LineDiscipline::erase(EraseUnit unit) {
  if (head_ == line_end_) return;
  if (unit == EraseUnit::kLine) {
    const bool echo = termios_.local(ECHO);
    if (!echo || !termios_.local(ECHOK) || !termios_.local(ECHOKE) || !termios_.local(ECHOE)) {
      head_ = line_end_;
      if (!echo) return;
      finish_erasing();
      echo_visible(termios_.c_cc[VKILL]);
      if (termios_.local(ECHOK)) echo_raw('\n');
      return;
    }
  }
  erase_characters(unit);
  if (head_ == line_end_ && termios_.local(ECHO)) finish_erasing();
}

void LineDiscipline::erase_characters(EraseUnit unit) {
  bool in_word = false;
  while (head_ != line_end_) {
    std::size_t begin = head_;
    do {
      --begin;
    } while (is_continuation(termios_, at(begin)) && begin != line_end_);
    const unsigned char c = at(begin);
    if (is_continuation(termios_, c)) return;  // the first byte is not in this line
    if (unit == EraseUnit::kWord) {
      if (is_word_character(c)) {
        in_word = true;
      } else if (in_word) {
        return;
      }
    }
    const std::size_t bytes = head_ - begin;
    head_ = begin;
    if (termios_.local(ECHO)) echo_erased(c, bytes, unit);
    if (unit == EraseUnit::kCharacter) return;
  }
}

void LineDiscipline::echo_erased(unsigned char c, std::size_t bytes, EraseUnit unit) {
  if (termios_.local(ECHOPRT)) {
    if (!erasing_) {
      echo_raw('\\');
      erasing_ = true;
    }
    echo_visible(c);
    for (std::size_t i = 1; i < bytes; ++i) {
      echo_raw(at(head_ + i));
      output_.step_back();
    }
  } else if (unit == EraseUnit::kCharacter && !termios_.local(ECHOE)) {
    echo_visible(termios_.c_cc[VERASE]);
  } else if (c == '\t') {
    echo_erased_tab();
  } else {
    const bool control = is_control_character(c), shown = termios_.local(ECHOCTL);
    const unsigned columns = control ? (shown ? 2 : 0) : 1;
    for (unsigned i = 0; i < columns; ++i) {
      for (const char e : {'\b', ' ', '\b'}) echo_raw(static_cast<unsigned char>(e));
    }
  }
}

void LineDiscipline::echo_erased_tab() {
  unsigned columns = 0;
  auto origin = OutputProcessor::TabOrigin::kLineStart;
  for (std::size_t position = head_; position != line_end_;) {
    const unsigned char c = at(--position);
    if (c == '\t') {
      origin = OutputProcessor::TabOrigin::kTab;
      break;
    }
    if (is_control_character(c)) {
      if (termios_.local(ECHOCTL)) columns += 2;
    } else if (!is_continuation(termios_, c)) {
      ++columns;
    }
  }
  output_.erase_tab(columns, origin, effects_.echo);
}

void LineDiscipline::reprint() {
  finish_erasing();
  echo_visible(termios_.c_cc[VREPRINT]);
  echo_raw('\n');
  for (std::size_t position = line_end_; position != head_; ++position) echo_visible(at(position));
}

void LineDiscipline::finish_erasing() {
  if (std::exchange(erasing_, false)) echo_raw('/');
}

void LineDiscipline::echo_visible(unsigned char c) {
  if (termios_.local(ECHOCTL) && is_control_character(c) && c != '\t') {
    output_.echo_control(c, effects_.echo);
  } else {
    echo_raw(c);
  }
}

void LineDiscipline::echo_input(unsigned char c) {
  if (head_ == line_end_) output_.mark_line_start();
  echo_visible(c);
}

bool LineDiscipline::input_available(std::size_t at_least) const {
  if (canonical()) return line_end_ != tail_;
  return head_ - tail_ >= std::max<std::size_t>(at_least, 1);
}

bool LineDiscipline::poll_readable() const {
  return input_available(termios_.c_cc[VTIME] == 0 ? termios_.c_cc[VMIN] : 1);
}

std::size_t LineDiscipline::readable_bytes() const {
  if (!canonical()) return head_ - tail_;
  std::size_t n = line_end_ - tail_;
  for (std::size_t position = tail_; position != line_end_; ++position) {
    if (ends_line_.test(slot(position)) && at(position) == '\0') --n;
  }
  return n;
}

LineDiscipline::Taken LineDiscipline::take(char* to, std::size_t size) {
  Taken taken;
  const std::size_t end = canonical() ? line_end_ : head_;
  while (tail_ != end && !taken.line_ended) {
    const bool last = canonical() && ends_line_.test(slot(tail_));
    const bool end_of_file = last && at(tail_) == '\0' && !pushed_;
    if (!end_of_file) {
      if (taken.bytes == size) break;
      to[taken.bytes++] = buffer_[slot(tail_)];
    }
    ends_line_.reset(slot(tail_));
    ++tail_;
    if (last) {
      taken.line_ended = !pushed_ || tail_ == end;
      pushed_ = false;
    }
  }
  if (!canonical()) line_end_ = tail_;
  return taken;
}

void LineDiscipline::flush_input() {
  ends_line_.reset();
  tail_ = line_end_ = head_;
  pushed_ = erasing_ = literal_next_ = false;
}

void LineDiscipline::set_flow(Flow flow) { stopped_by_call_ = flow == Flow::kStop; }

}  // namespace quire::kernel
