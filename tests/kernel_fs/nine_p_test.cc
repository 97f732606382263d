// The 9p client: few requests, and replies that are believed in nothing.
#include <asm/unistd.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "fs/nine_p/protocol.h"
#include "kernel_fs/fixture.h"

namespace quire::kernel::test {
namespace {

using nine_p::Message;
using nine_p::Sharing;

class NineP : public NinePRoot {
 protected:
  void SetUp() override {
    server.add("/usr", S_IFDIR | 0755);
    server.add("/usr/bin", S_IFDIR | 0755);
    server.add("/usr/bin/program", S_IFREG | 0755, std::string(300'000, 'p'));
    server.add("/usr/bin/script", S_IFREG | 0755, "#!/bin/sh\n");
    server.add("/bin", S_IFLNK | 0777, "usr/bin");
  }
  int requests_of(const std::function<void()>& work) {
    const int before = server.total_requests();
    work();
    return server.total_requests() - before;
  }
  int count(Message type) { return server.requests[static_cast<int>(type)]; }
};

TEST_F(NineP, WalksSeveralNamesInOneRequest) {
  ASSERT_TRUE(start(Sharing::kStable));
  const int before = count(Message::kTwalk);
  EXPECT_EQ(info("/usr/bin/script").error, 0);
  EXPECT_EQ(count(Message::kTwalk) - before, 1);
}

TEST_F(NineP, NamesAskedForInTheOrderOfAListingAreFetchedTogether) {
  server.add("/dir", S_IFDIR | 0755);
  for (int i = 0; i < 160; ++i)
    server.add("/dir/" + std::to_string(1000 + i), S_IFREG | 0644,
               std::string(static_cast<std::size_t>(i), 'x'));
  ASSERT_TRUE(start(Sharing::kStable));
  const std::vector<std::string> names = list("/dir");
  const int before = server.rounds;
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(info("/dir/" + names[i]).size, i);
  EXPECT_LE(server.rounds - before, 50);
}

TEST_F(NineP, NamesThatNobodyWantsAreNotFetchedForLong) {
  server.add("/dir", S_IFDIR | 0755);
  for (int i = 0; i < 160; ++i) server.add("/dir/" + std::to_string(1000 + i), S_IFREG | 0644);
  ASSERT_TRUE(start(Sharing::kStable));
  const std::vector<std::string> names = list("/dir");
  const int before = count(Message::kTwalk);
  for (std::size_t i = 0; i < names.size(); i += 5) EXPECT_EQ(info("/dir/" + names[i]).error, 0);
  EXPECT_LE(count(Message::kTwalk) - before, 60);
}

TEST_F(NineP, AbsenceIsRemembered) {
  ASSERT_TRUE(start(Sharing::kStable));
  EXPECT_EQ(info("/usr/bin/nothing").error, ENOENT);
  EXPECT_EQ(requests_of([] { EXPECT_EQ(info("/usr/bin/nothing").error, ENOENT); }), 0);
}

TEST_F(NineP, AStableTreeIsReadOnly) {
  ASSERT_TRUE(start(Sharing::kStable));
  EXPECT_EQ(open_file("/new", O_CREAT | O_WRONLY), -EROFS);
  EXPECT_EQ(open_file("/usr/bin/script", O_WRONLY), -EROFS);
  EXPECT_EQ(make_directory("/d"), -EROFS);
  EXPECT_EQ(unlink_file("/bin"), -EROFS);
}

TEST_F(NineP, ASharedTreeIsWrittenThrough) {
  ASSERT_TRUE(start(Sharing::kShared));
  EXPECT_EQ(store("/new", "text", O_CREAT | O_WRONLY), 4);
  EXPECT_EQ(server.find("/new")->data, "text");
  EXPECT_EQ(make_directory("/d"), 0);
  EXPECT_EQ(rename_file("/new", "/d/moved"), 0);
  EXPECT_EQ(server.find("/d/moved")->data, "text");
  EXPECT_EQ(symlink_file("moved", "/d/link"), 0);
  EXPECT_EQ(load("/d/link"), "text");
  EXPECT_EQ(sys(__NR_truncate, arg("/d/moved"), 2), 0);
  EXPECT_EQ(load("/d/moved"), "te");
  EXPECT_EQ(remove_directory("/d"), -ENOTEMPTY);
  EXPECT_EQ(unlink_file("/d/link"), 0);
  EXPECT_EQ(unlink_file("/d/moved"), 0);
  EXPECT_EQ(remove_directory("/d"), 0);
  EXPECT_EQ(server.find("/d"), nullptr);
}

TEST_F(NineP, ASharedTreeShowsWhatOthersChange) {
  ASSERT_TRUE(start(Sharing::kShared));
  EXPECT_EQ(info("/later").error, ENOENT);
  server.add("/later", S_IFREG | 0644, "now");
  EXPECT_EQ(load("/later"), "now");
  server.find("/later")->data = "longer than before";
  EXPECT_EQ(load("/later"), "longer than before");
}

TEST_F(NineP, FidsAreGivenBack) {
  ASSERT_TRUE(start(Sharing::kStable));
  for (const char* path : {"/bin/program", "/usr/bin/script", "/nothing"}) load(path);
  list("/usr/bin");
  end_task();
  EXPECT_EQ(server.open_fids(), 0U);
}

TEST_F(NineP, LongListingsComeWhole) {
  server.add("/many", S_IFDIR | 0755);
  for (int i = 0; i < 6000; ++i)
    server.add("/many/a-file-with-quite-a-long-name-" + std::to_string(i), S_IFREG | 0644);
  ASSERT_TRUE(start(Sharing::kStable));
  EXPECT_EQ(list("/many").size(), 6000U);
}

TEST_F(NineP, NamesWithSlashesAreNotShown) {
  server.add("/dir", S_IFDIR | 0755);
  server.find("/dir")->children["../../etc/passwd"] = server.find("/bin");
  server.find("/dir")->children[".."] = server.find("/bin");
  server.find("/dir")->children[std::string("n\0l", 3)] = server.find("/bin");
  server.find("/dir")->children["good"] = server.find("/bin");
  ASSERT_TRUE(start(Sharing::kStable));
  EXPECT_EQ(list("/dir"), std::vector<std::string>{"good"});
}

TEST_F(NineP, RepliesOfAnotherTypeTagOrLengthAreErrors) {
  ASSERT_TRUE(start(Sharing::kStable));
  for (const std::size_t byte : {0U, 4U, 5U, 6U}) {
    server.mangle = [byte](int, std::string& reply) {
      reply[byte] = static_cast<char>(reply[byte] ^ 0x40);
    };
    EXPECT_EQ(info("/usr").error, EIO) << "byte " << byte;
    dentry_cache().drop_idle();
  }
  server.mangle = nullptr;
}

TEST_F(NineP, MoreDataThanAskedForIsAnError) {
  ASSERT_TRUE(start(Sharing::kStable));
  server.mangle = [](int type, std::string& reply) {
    if (static_cast<Message>(type) != Message::kTread) return;
    const std::uint32_t huge = 0x7fffffff;
    std::memcpy(reply.data() + 7, &huge, sizeof huge);
  };
  EXPECT_EQ(load("/usr/bin/script"), "error 5");
  server.mangle = nullptr;
}

TEST_F(NineP, AVersionThatIsNotOursIsRefused) {
  server.mangle = [](int type, std::string& reply) {
    if (static_cast<Message>(type) == Message::kTversion) reply.back() = 'u';
  };
  EXPECT_FALSE(start(Sharing::kStable));
}

/// Any damage to any reply: an errno or strange contents, but never a crash (run with sanitizers).
TEST_F(NineP, RandomDamageIsSurvived) {
  std::mt19937 random(7);
  server.mangle = [&random](int, std::string& reply) {
    switch (random() % 6) {
      case 0:
        reply.resize(random() % (reply.size() + 1));
        break;
      case 1:
        reply[random() % reply.size()] = static_cast<char>(random());
        break;
      case 2: {
        reply.resize(reply.size() + random() % 64, 'x');
        const auto size = static_cast<std::uint32_t>(reply.size());
        std::memcpy(reply.data(), &size, sizeof size);
        break;
      }
      default:
        break;
    }
  };
  for (int round = 0; round < 3000; ++round) {
    if (!start(round % 2 == 0 ? Sharing::kStable : Sharing::kShared)) {
      mount_table().drop();
      continue;
    }
    load("/usr/bin/script");
    load("/bin/program");
    list("/usr/bin");
    info("/usr/bin/nothing");
    store("/new", "text", O_CREAT | O_WRONLY);
    rename_file("/new", "/newer");
    unlink_file("/newer");
    end_task();
  }
  server.mangle = nullptr;
}

}  // namespace
}  // namespace quire::kernel::test
