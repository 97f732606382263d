#include "ipc/byte_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "mm/frames.h"

namespace quire::kernel {

// Frames of the hosted tests.
std::byte* allocate_spare_frame() { return new std::byte[4096]; }
void free_frame(std::byte* frame) { delete[] frame; }

namespace {

Result<std::size_t> put(ByteQueue& queue, std::string_view bytes) {
  return queue.append(bytes.size(), [&bytes](std::byte* to, std::size_t n) -> Result<void> {
    std::memcpy(to, bytes.data(), n);
    bytes.remove_prefix(n);
    return {};
  });
}

std::string get(ByteQueue& queue, std::size_t n) {
  std::string bytes;
  const auto taken =
      queue.take(n, [&bytes](const std::byte* from, std::size_t part) -> Result<void> {
        bytes.append(reinterpret_cast<const char*>(from), part);
        return {};
      });
  EXPECT_EQ(taken.value_or(0), bytes.size());
  return bytes;
}

TEST(ByteQueue, GivesBytesInTheOrderTheyCame) {
  ByteQueue queue;
  std::string in, out;
  unsigned seed = 1;
  for (int round = 0; round < 2000; ++round) {
    seed = seed * 1103515245 + 12345;
    const std::string part((seed >> 16) % 6000, static_cast<char>(round));
    EXPECT_EQ(put(queue, part).value_or(~0UL), part.size());
    in += part;
    EXPECT_EQ(queue.size(), in.size() - out.size());
    out += get(queue, (seed >> 8) % 6000);
  }
  out += get(queue, queue.size());
  EXPECT_EQ(in, out);
  EXPECT_EQ(queue.size(), 0U);
}

TEST(ByteQueue, KeepsWhatWasCopiedBeforeAFault) {
  ByteQueue queue;
  std::size_t budget = 5000;
  const auto faulting = [&budget](std::byte* to, std::size_t n) -> Result<void> {
    if (n > budget) return fail(Errno::kFault);
    std::memset(to, 'x', n);
    budget -= n;
    return {};
  };
  const auto appended = queue.append(10000, faulting);
  ASSERT_TRUE(appended);
  EXPECT_EQ(*appended, queue.size());
  EXPECT_GT(*appended, 0U);
  EXPECT_EQ(queue.append(10000, faulting).error(), Errno::kFault);
  EXPECT_EQ(get(queue, 100000), std::string(*appended, 'x'));
}

TEST(ByteQueue, AFaultingReaderLosesNothing) {
  ByteQueue queue;
  ASSERT_TRUE(put(queue, "abc"));
  const auto failed = queue.take(
      3, [](const std::byte*, std::size_t) -> Result<void> { return fail(Errno::kFault); });
  EXPECT_EQ(failed.error(), Errno::kFault);
  EXPECT_EQ(get(queue, 3), "abc");
}

TEST(ByteQueue, APeekLeavesTheBytes) {
  ByteQueue queue;
  ASSERT_TRUE(put(queue, "x" + std::string(9000, 'a') + "b"));
  EXPECT_EQ(get(queue, 1), "x");
  std::string seen;
  const auto look = [&seen](const std::byte* from, std::size_t n) -> Result<void> {
    seen.append(reinterpret_cast<const char*>(from), n);
    return {};
  };
  EXPECT_EQ(*queue.peek(100000, look), 9001U);
  EXPECT_EQ(seen, std::string(9000, 'a') + "b");
  EXPECT_EQ(get(queue, 100000), seen);
  EXPECT_EQ(*queue.peek(10, look), 0U);
}

TEST(ByteQueue, ForgetsTheLastBytes) {
  for (const std::size_t kept : {0U, 1U, 4000U, 4080U, 4081U, 9000U, 12000U}) {
    ByteQueue queue;
    ASSERT_TRUE(put(queue, std::string(kept, 'k')));
    ASSERT_TRUE(put(queue, std::string(12000, 'f')));
    queue.drop_last(12000);
    EXPECT_EQ(queue.size(), kept);
    ASSERT_TRUE(put(queue, "next"));
    EXPECT_EQ(get(queue, 100000), std::string(kept, 'k') + "next");
  }
}

TEST(ByteQueue, CanBeClearedAndUsedAgain) {
  ByteQueue queue;
  ASSERT_TRUE(put(queue, std::string(20000, 'a')));
  queue.clear();
  EXPECT_EQ(queue.size(), 0U);
  ASSERT_TRUE(put(queue, "b"));
  EXPECT_EQ(get(queue, 10), "b");
}

}  // namespace
}  // namespace quire::kernel
