#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "tty/input_stream.h"

namespace quire::kernel {
namespace {

std::string frame(std::string_view payload) {
  const auto n = static_cast<std::uint32_t>(payload.size());
  std::string bytes;
  for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(n >> shift));
  return bytes.append(payload);
}

/// A port that gives its bytes in portions of a given size.
class ScriptedPort final : public ConsolePort {
 public:
  ScriptedPort(std::string bytes, std::size_t portion)
      : bytes_(std::move(bytes)), portion_(portion) {}
  std::size_t write(const void*, std::size_t size, Interruptible) override { return size; }
  std::size_t read_some(void* to, std::size_t size) override {
    const std::size_t n = std::min({size, portion_, bytes_.size()});
    std::memcpy(to, bytes_.data(), n);
    bytes_.erase(0, n);
    return n;
  }
  [[nodiscard]] bool readable() const override { return !bytes_.empty(); }

 private:
  std::string bytes_;
  std::size_t portion_;
};

class InputStreamTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(InputStreamTest, GivesThePayloadAndTheEnd) {
  const std::string big(40000, 'z');
  ScriptedPort port(frame("a") + frame(std::string_view("\0\xff", 2)) + frame(big) + frame(""),
                    GetParam());
  InputStream stream(port);
  std::string all;
  for (;;) {
    const std::string_view bytes = stream.available();
    if (bytes.empty()) break;
    const std::size_t used = std::min<std::size_t>(bytes.size(), 7777);
    all.append(bytes.substr(0, used));
    stream.consume(used);
  }
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(all, std::string("a\0\xff", 3) + big);
}

INSTANTIATE_TEST_SUITE_P(PortionSizes, InputStreamTest,
                         ::testing::Values(1, 2, 3, 5, 4096, 100000));

TEST(FrameReader, WaitsInTheMiddleOfAHeader) {
  FrameReader reader;
  auto piece = reader.next(std::string_view("\x02\0", 2));
  EXPECT_EQ(piece.consumed, 2U);
  EXPECT_EQ(piece.payload, 0U);
  piece = reader.next(std::string_view("\0\0ab", 4));
  EXPECT_EQ(piece.consumed, 2U);
  EXPECT_EQ(piece.payload, 2U);
  EXPECT_FALSE(reader.ended());
}

}  // namespace
}  // namespace quire::kernel
