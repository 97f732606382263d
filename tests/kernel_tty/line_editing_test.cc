// Erasing and reprinting, and what it looks like on the screen.
#include "terminal_fixture.h"

namespace quire::kernel::test {
namespace {

using Editing = LineTest;

constexpr std::string_view kRubout = "\b \b";

std::string repeat(std::string_view s, unsigned n) {
  std::string all;
  for (; n != 0; --n) all += s;
  return all;
}

TEST_F(Editing, EraseTakesTheLastCharacter) {
  type("abx");
  EXPECT_EQ(type("\x7f"), kRubout);
  type("c\n");
  EXPECT_EQ(read(), "abc\n");
}

TEST_F(Editing, EraseStopsAtTheBeginningOfTheLine) {
  type("one\n");
  EXPECT_EQ(type("\x7f"), "");
  EXPECT_EQ(read(), "one\n");
}

TEST_F(Editing, EraseTakesAWholeUtf8Character) {
  type("a\xc3\xa4");
  EXPECT_EQ(type("\x7f"), kRubout);
  type("\n");
  EXPECT_EQ(read(), "a\n");
}

TEST_F(Editing, WithoutIutf8EraseTakesAByte) {
  set_input(0, IUTF8);
  type("\xc3\xa4\x7f\n");
  EXPECT_EQ(read(), "\xc3\n");
}

TEST_F(Editing, AShownControlCharacterHasTwoColumns) {
  type("\x01");
  EXPECT_EQ(type("\x7f"), repeat(kRubout, 2));
}

TEST_F(Editing, ATabIsErasedToWhereItBegan) {
  output("$ ");
  type("ab\t");  // columns 2, 3, then 4 to 8
  EXPECT_EQ(type("\x7f"), repeat("\b", 4));
  type("\x15\tx\t");
  EXPECT_EQ(type("\x7f"), repeat("\b", 7));
}

TEST_F(Editing, KillTakesTheLine) {
  type("abc");
  EXPECT_EQ(type("\x15"), repeat(kRubout, 3));
  type("x\n");
  EXPECT_EQ(read(), "x\n");
}

TEST_F(Editing, KillMayShowItselfInstead) {
  set_local(0, ECHOKE);
  type("abc");
  EXPECT_EQ(type("\x15"), "^U\r\n");
}

TEST_F(Editing, WordEraseTakesBlanksAndTheWordBefore) {
  type("one two_2  ");
  EXPECT_EQ(type("\x17"), repeat(kRubout, 7));
  type("\n");
  EXPECT_EQ(read(), "one \n");
}

TEST_F(Editing, WordEraseStopsAtPunctuation) {
  type("/usr/bin\x17\n");
  EXPECT_EQ(read(), "/usr/\n");
}

TEST_F(Editing, EraseOnAPrinterShowsWhatGoes) {
  set_local(ECHOPRT);
  type("abc");
  EXPECT_EQ(type("\x7f"), "\\c");
  EXPECT_EQ(type("\x7f"), "b");
  EXPECT_EQ(type("x"), "/x");
  type("\n");
  EXPECT_EQ(read(), "ax\n");
}

TEST_F(Editing, WithoutEchoeEraseShowsItself) {
  set_local(0, ECHOE);
  type("ab");
  EXPECT_EQ(type("\x7f"), "^?");
}

TEST_F(Editing, ReprintShowsTheLineAgain) {
  type("ab\x01");
  EXPECT_EQ(type("\x12"), "^R\r\nab^A");
}

TEST_F(Editing, WithoutIextenThereIsNoWordEraseReprintOrLiteralNext) {
  set_local(0, IEXTEN);
  EXPECT_EQ(type("\x17\x12\x16"), "^W^R^V");
}

}  // namespace
}  // namespace quire::kernel::test
