// What waits for a socket: bytes and what came with them.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "kernel_fs/fixture.h"
#include "kernel_fs/machine.h"
#include "net/inet_address.h"
#include "net/receive_queue.h"

namespace quire::kernel {
namespace {

class NamelessFile final : public File {};

class ReceiveQueueTest : public ::testing::Test {
 protected:
  void TearDown() override {
    stream_ = nullptr;
    packets_ = nullptr;
    EXPECT_EQ(Rights::on_their_way(), 0U);
    EXPECT_EQ(test::pages_in_use(), pages_before_);
  }

  static IoBuffer of(std::string& text) { return IoBuffer::kernel(text.data(), text.size()); }
  static Rights rights(const RefPtr<File>& file) { return Rights({file}); }

  static std::size_t append(ReceiveQueue& queue, std::string text, Ancillary ancillary = {}) {
    IoBuffer data = of(text);
    return *queue.append_locked(data, text.size(), ancillary);
  }
  static void append_packet(ReceiveQueue& queue, std::string text, HeaderFields header = {}) {
    IoBuffer data = of(text);
    Ancillary ancillary;
    ancillary.header = header;
    ASSERT_TRUE(queue.append_packet_locked(data, ancillary, nullptr, nullptr));
  }
  std::string read(ReceiveQueue& queue, std::size_t n, bool by_sender = false, ReceiveQueue::Take take = ReceiveQueue::Take::kRemove) {
    std::string text(n, '\0');
    IncomingMessage message{.data = of(text), .from = {}, .ancillary = {}};
    text.resize(*queue.read_locked(message, n, by_sender, take));
    last_ = std::move(message.ancillary);
    return text;
  }
  std::string read_packet(ReceiveQueue& queue, std::size_t room, std::size_t& size) {
    std::string text(room, '\0');
    IncomingMessage message{.data = of(text), .from = {}, .ancillary = {}};
    RefPtr<ReceiveQueue> sender;
    size = *queue.read_packet_locked(message, ReceiveQueue::Take::kRemove, sender);
    text.resize(std::min(size, room));
    last_ = std::move(message.ancillary);
    return text;
  }

  const std::int64_t pages_before_ = test::pages_in_use();
  RefPtr<ReceiveQueue> stream_ = make_ref<ReceiveQueue>(ReceiveQueue::Kind::kStream);
  RefPtr<ReceiveQueue> packets_ = make_ref<ReceiveQueue>(ReceiveQueue::Kind::kPackets);
  Ancillary last_;
};

TEST_F(ReceiveQueueTest, APacketKeepsWhatItsHeaderSays) {
  append_packet(*packets_, "one", {.hop_limit = 3, .traffic_class = 8});
  append_packet(*packets_, "two");
  std::size_t size = 0;
  read_packet(*packets_, 10, size);
  EXPECT_EQ(last_.header.hop_limit, 3);
  EXPECT_EQ(last_.header.traffic_class, 8);
  read_packet(*packets_, 10, size);
  EXPECT_EQ(last_.header.hop_limit, -1);
}

TEST_F(ReceiveQueueTest, BytesOfAStreamRunTogether) {
  append(*stream_, "ab");
  append(*stream_, "cd");
  EXPECT_EQ(stream_->packets_locked(), 1U);
  EXPECT_EQ(read(*stream_, 3), "abc");
  EXPECT_EQ(read(*stream_, 10), "d");
  EXPECT_TRUE(stream_->is_empty_locked());
}

TEST_F(ReceiveQueueTest, AReadEndsWithTheBytesThatFilesCameWith) {
  const RefPtr<File> file = make_ref<NamelessFile>();
  append(*stream_, "plain");
  append(*stream_, "file", {.rights = rights(file), .credentials = {}});
  append(*stream_, "after");
  EXPECT_EQ(file->descriptors.load(), 1U) << "a file on its way counts as open";
  EXPECT_EQ(read(*stream_, 100), "plainfile");
  ASSERT_EQ(last_.rights.files().size(), 1U);
  EXPECT_EQ(last_.rights.files()[0], file);
  EXPECT_EQ(read(*stream_, 100), "after");
  EXPECT_TRUE(last_.rights.empty());
  EXPECT_EQ(file->descriptors.load(), 0U);
}

TEST_F(ReceiveQueueTest, FilesGoWithTheFirstOfTheirBytes) {
  const RefPtr<File> file = make_ref<NamelessFile>();
  append(*stream_, "file", {.rights = rights(file), .credentials = {}});
  EXPECT_EQ(read(*stream_, 1), "f");
  EXPECT_EQ(last_.rights.files().size(), 1U);
  EXPECT_EQ(read(*stream_, 10), "ile");
  EXPECT_TRUE(last_.rights.empty());
  last_ = {};
}

TEST_F(ReceiveQueueTest, APeekLeavesBytesAndFilesWhereTheyAre) {
  const RefPtr<File> file = make_ref<NamelessFile>();
  append(*stream_, "file", {.rights = rights(file), .credentials = {}});
  EXPECT_EQ(read(*stream_, 2, false, ReceiveQueue::Take::kPeek), "fi");
  EXPECT_EQ(last_.rights.files().size(), 1U);
  EXPECT_EQ(read(*stream_, 10), "file");
  EXPECT_EQ(last_.rights.files().size(), 1U);
  last_ = {};
}

TEST_F(ReceiveQueueTest, SendersAreKeptApartForWhoAsks) {
  append(*stream_, "one", {.rights = {}, .credentials = SocketCredentials{1, 2, 3}});
  append(*stream_, "two", {.rights = {}, .credentials = SocketCredentials{4, 2, 3}});
  EXPECT_EQ(read(*stream_, 100, true), "one");
  EXPECT_EQ(last_.credentials->pid, 1);
  append(*stream_, "three", {.rights = {}, .credentials = SocketCredentials{5, 2, 3}});
  EXPECT_EQ(read(*stream_, 100, false), "twothree");
}

TEST_F(ReceiveQueueTest, PacketsStayApartAndWhatDoesNotFitIsLost) {
  append_packet(*packets_, "first");
  append_packet(*packets_, "");
  append_packet(*packets_, "second");
  std::size_t size = 0;
  EXPECT_EQ(read_packet(*packets_, 2, size), "fi");
  EXPECT_EQ(size, 5U);
  EXPECT_EQ(read_packet(*packets_, 2, size), "");
  EXPECT_EQ(size, 0U);
  EXPECT_EQ(packets_->first_packet_size_locked(), 6U);
  EXPECT_EQ(read_packet(*packets_, 100, size), "second");
}

TEST_F(ReceiveQueueTest, APacketThatDoesNotArriveWholeDoesNotArrive) {
  append_packet(*packets_, std::string(3000, 'a'));
  const auto limit = std::exchange(test::machine().page_limit, test::pages_in_use() + 1);
  std::string text(20000, 'b');
  IoBuffer data = of(text);
  Ancillary ancillary;
  EXPECT_EQ(packets_->append_packet_locked(data, ancillary, nullptr, nullptr).error(), Errno::kNoMem);
  test::machine().page_limit = limit;
  EXPECT_EQ(packets_->bytes_locked(), 3000U);
  append_packet(*packets_, "after");
  std::size_t size = 0;
  EXPECT_EQ(read_packet(*packets_, 5000, size), std::string(3000, 'a'));
  EXPECT_EQ(read_packet(*packets_, 5000, size), "after");
}

TEST_F(ReceiveQueueTest, WhatIsClearedCountsNoMore) {
  const RefPtr<File> file = make_ref<NamelessFile>();
  append(*stream_, "file", {.rights = rights(file), .credentials = {}});
  EXPECT_EQ(stream_->clear_locked().size(), 1U);
  EXPECT_EQ(file->descriptors.load(), 0U);
  EXPECT_EQ(stream_->bytes_locked(), 0U);
}

TEST(InetAddress, IsTheSameWayBackInBothFamilies) {
  const InetAddress four = InetAddress::v4(INADDR_LOOPBACK, 80);
  EXPECT_EQ(*InetAddress::from(four.to_raw(AF_INET), AF_INET), four);
  EXPECT_EQ(*InetAddress::from(four.to_raw(AF_INET6), AF_INET6), four);
  const InetAddress six = InetAddress::loopback(AF_INET6, 443);
  EXPECT_EQ(*InetAddress::from(six.to_raw(AF_INET6), AF_INET6), six);
  EXPECT_FALSE(six.is_v4());
}

TEST(InetAddress, KnowsWhatIsHere) {
  EXPECT_TRUE(InetAddress::v4(INADDR_LOOPBACK + 0x10203, 0).is_here());
  EXPECT_FALSE(InetAddress::v4(0x0a000001, 0).is_here());
  EXPECT_TRUE(InetAddress::any(AF_INET, 0).is_any());
  EXPECT_TRUE(InetAddress::any(AF_INET6, 0).is_any());
  EXPECT_FALSE(InetAddress::any(AF_INET, 0).is_here());
}

TEST(InetAddress, OfTheWrongFamilyOrTooShortIsRefused) {
  RawAddress raw = InetAddress::v4(INADDR_LOOPBACK, 80).to_raw(AF_INET);
  EXPECT_EQ(InetAddress::from(raw, AF_INET6).error(), Errno::kInval);
  raw.size = 8;
  EXPECT_EQ(InetAddress::from(raw, AF_INET).error(), Errno::kInval);
  RawAddress other;
  other.size = 28;
  EXPECT_EQ(InetAddress::from(other, AF_INET6).error(), Errno::kAfNoSupport);
}

}  // namespace
}  // namespace quire::kernel
