// Lines, raw mode, signals, flow control, translation. Expectations: man7 termios(3), and what
// Linux's own pty does.
#include <csignal>

#include "terminal_fixture.h"

namespace quire::kernel::test {
namespace {

std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

using Canonical = LineTest;

TEST_F(Canonical, ReadersGetNothingBeforeTheLineEnds) {
  type("abc");
  EXPECT_EQ(read(), "(nothing)");
  type("d\n");
  EXPECT_EQ(read(), "abcd\n");
  EXPECT_EQ(read(), "(nothing)");
}

TEST_F(Canonical, EachReadGivesOneLine) {
  type("one\ntwo\n");
  EXPECT_EQ(read(), "one\n");
  EXPECT_EQ(read(), "two\n");
}

TEST_F(Canonical, ASmallReadLeavesTheRestOfTheLine) {
  type("abcdef\n");
  EXPECT_EQ(read(4), "abcd");
  EXPECT_EQ(read(4), "ef\n");
}

TEST_F(Canonical, CarriageReturnEndsALineAsNewline) {
  EXPECT_EQ(type("a\r"), "a\r\n");
  EXPECT_EQ(read(), "a\n");
}

TEST_F(Canonical, EndOfFileAtTheBeginningOfALineReadsAsNothing) {
  type("\x04");
  EXPECT_EQ(read(), "");
  EXPECT_EQ(read(), "(nothing)");
}

TEST_F(Canonical, EndOfFileInALineGivesTheLineWithoutIt) {
  EXPECT_EQ(type("abc\x04"), "abc");
  EXPECT_EQ(read(), "abc");
  EXPECT_EQ(read(), "(nothing)");
}

TEST_F(Canonical, AReadThatEndsBeforeTheEndOfFileMarkTakesItAlong) {
  type("abc\x04");
  EXPECT_EQ(read(3), "abc");
  EXPECT_EQ(read(3), "(nothing)");
}

TEST_F(Canonical, ControlCharactersAreShownWithACaret) {
  EXPECT_EQ(type("\x01"), "^A");
  set_local(0, ECHOCTL);
  EXPECT_EQ(type("\x01"), "\x01");
}

TEST_F(Canonical, WithoutEchoNothingIsShown) {
  set_local(0, ECHO);
  EXPECT_EQ(type("secret\n"), "");
  EXPECT_EQ(read(), "secret\n");
  set_local(ECHONL);
  EXPECT_EQ(type("x\n"), "\r\n");
}

TEST_F(Canonical, TheLiteralNextCharacterHasNoMeaning) {
  EXPECT_EQ(type("\x16\x03"), "^\b^C");
  EXPECT_EQ(effects_.signals, 0U);
  type("\n");
  EXPECT_EQ(read(), "\x03\n");
}

TEST_F(Canonical, ExtraEndOfLineCharactersEndLines) {
  configure([](Termios& t) { t.c_cc[VEOL] = ';'; });
  EXPECT_EQ(type("a;b;"), "a;b;");
  EXPECT_EQ(read(), "a;");
  EXPECT_EQ(read(), "b;");
}

TEST_F(Canonical, ALineThatFillsTheBufferKeepsRoomForItsEnd) {
  const std::string filler(LineDiscipline::kBufferSize + 10, 'x');
  type(filler);
  EXPECT_EQ(read(), "(nothing)");
  type("\n");
  const std::string line = read();
  EXPECT_EQ(line.size(), LineDiscipline::kBufferSize);
  EXPECT_EQ(line.back(), '\n');
}

TEST_F(Canonical, FullOfLinesItTakesNoMore) {
  type(std::string(2000, 'a') + "\n");
  const std::string more(4000, 'b');
  const LineEffects effects = discipline_.receive(more);
  EXPECT_LT(effects.accepted, more.size());
  EXPECT_FALSE(discipline_.has_room());
  read();
  EXPECT_TRUE(discipline_.has_room());
}

TEST_F(Canonical, CountsReadableBytesWithoutEndOfFileMarks) {
  type(
      "ab\ncd\x04"
      "e");
  EXPECT_EQ(discipline_.readable_bytes(), 5U);
}

using Signals = LineTest;

TEST_F(Signals, ComeFromTheirKeysAndDropTheLine) {
  EXPECT_EQ(type("abc\x03"), "^C");
  EXPECT_EQ(effects_.signals, bit(SIGINT));
  EXPECT_TRUE(effects_.discard_output);
  type("\n");
  EXPECT_EQ(read(), "\n");
  type("\x1c");
  EXPECT_EQ(effects_.signals, bit(SIGQUIT));
  type("\x1a");
  EXPECT_EQ(effects_.signals, bit(SIGTSTP));
}

TEST_F(Signals, KeepTheLineWithNoflsh) {
  set_local(NOFLSH);
  EXPECT_EQ(type("abc\x03"), "abc^C");
  EXPECT_FALSE(effects_.discard_output);
  type("\n");
  EXPECT_EQ(read(), "abc\n");
}

TEST_F(Signals, AreOrdinaryBytesWithoutIsig) {
  set_local(0, ISIG);
  type("\x03\n");
  EXPECT_EQ(effects_.signals, 0U);
  EXPECT_EQ(read(), "\x03\n");
}

TEST_F(Signals, ANulCharacterIsNoSignalKey) {
  configure([](Termios& t) { t.c_cc[VINTR] = 0; });
  type(std::string_view("\0\n", 2));
  EXPECT_EQ(effects_.signals, 0U);
  EXPECT_EQ(read(), std::string_view("\0\n", 2));
}

using Raw = LineTest;

TEST_F(Raw, GivesEveryByteAsItComes) {
  make_raw();
  EXPECT_EQ(type("\x03\r\x04"), "");
  EXPECT_EQ(effects_.signals, 0U);
  EXPECT_EQ(read(), "\x03\r\x04");
}

TEST_F(Raw, PollCountsToMinOnlyWithoutTime) {
  make_raw();
  configure([](Termios& t) { t.c_cc[VMIN] = 3; });
  type("ab");
  EXPECT_FALSE(discipline_.poll_readable());
  type("c");
  EXPECT_TRUE(discipline_.poll_readable());
  read();
  configure([](Termios& t) { t.c_cc[VTIME] = 1; });
  type("a");
  EXPECT_TRUE(discipline_.poll_readable());
}

TEST_F(Raw, ComingBackToLinesMakesWhatIsThereALine) {
  make_raw();
  type("abc");
  configure([](Termios& t) { t = Termios::standard(); });
  EXPECT_EQ(read(), "abc");
  EXPECT_EQ(read(), "(nothing)");
}

TEST_F(Raw, LeavingLinesGivesTheUnfinishedOne) {
  type("abc");
  make_raw();
  EXPECT_EQ(read(), "abc");
}

using FlowControl = LineTest;

TEST_F(FlowControl, StopsAndStartsOutput) {
  EXPECT_EQ(type("\x13"), "");
  EXPECT_TRUE(discipline_.stopped());
  type("\x11");
  EXPECT_FALSE(discipline_.stopped());
  type("\n");
  EXPECT_EQ(read(), "\n");
}

TEST_F(FlowControl, AnyKeyStartsWithIxany) {
  set_input(IXANY);
  type("\x13x");
  EXPECT_FALSE(discipline_.stopped());
}

TEST_F(FlowControl, ASignalStartsOutput) {
  type("\x13\x03");
  EXPECT_FALSE(discipline_.stopped());
}

TEST_F(FlowControl, SwitchingItOffStartsOutput) {
  type("\x13");
  set_input(0, IXON);
  EXPECT_FALSE(discipline_.stopped());
}

using Translation = LineTest;

TEST_F(Translation, OfInput) {
  make_raw();
  set_input(INLCR);
  type("\n");
  EXPECT_EQ(read(), "\r");
  set_input(IGNCR, INLCR);
  type("a\rb");
  EXPECT_EQ(read(), "ab");
  set_input(ISTRIP, IGNCR);
  type("\xe1");
  EXPECT_EQ(read(), "a");
  set_input(PARMRK, ISTRIP);
  type("\xff");
  EXPECT_EQ(read(), "\xff\xff");
}

TEST_F(Translation, OfOutput) {
  EXPECT_EQ(output("a\nb\tc\n"), "a\r\nb\tc\r\n");
  configure([](Termios& t) { t.c_oflag = OPOST | XTABS; });
  EXPECT_EQ(output("\rab\tc"), "\rab      c");
  configure([](Termios& t) { t.c_oflag = OPOST | OCRNL | OLCUC; });
  EXPECT_EQ(output("ab\r"), "AB\n");
  configure([](Termios& t) { t.c_oflag = ONLCR; });
  EXPECT_EQ(output("a\n"), "a\n");
}

TEST_F(Translation, AReturnInTheFirstColumnMayBeDropped) {
  configure([](Termios& t) { t.c_oflag = OPOST | ONOCR; });
  EXPECT_EQ(output("\rab\r\rc"), "ab\rc");
}

}  // namespace
}  // namespace quire::kernel::test
