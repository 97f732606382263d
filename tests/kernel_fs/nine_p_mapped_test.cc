// Files of a shared tree that are mapped: their pages, what is stored when, and who is told of what could not be.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "fs/nine_p/protocol.h"
#include "fs/nine_p/shared_contents.h"
#include "kernel_fs/fixture.h"
#include "mm/memory.h"

namespace quire::kernel::test {
namespace {

using nine_p::SharedContents;

class Mapped : public NinePRoot {
 protected:
  static constexpr std::size_t kPage = 4096;
  void SetUp() override {
    server.add("/file", S_IFREG | 0644, std::string(3 * kPage, '0'));
    ASSERT_TRUE(start(nine_p::Sharing::kShared));
  }
  NinePServer::Node& node() { return *server.find("/file"); }
  static RefPtr<File> file_of(int fd) { return *current_files().get(fd); }
  /// What mmap of a shared mapping does, but for the mapping.
  static FileObject& map(int fd) {
    return static_cast<FileObject&>(**file_of(fd)->object_to_map(file_of(fd)->writable() ? MapAccess::kWrites : MapAccess::kReads));
  }
  static void poke(FileObject& pages, std::uint64_t index, char byte) {
    const Result<ObjectPage> page = pages.get_page(PageIndex(index), Access::kWrite);
    ASSERT_TRUE(page.has_value());
    *reinterpret_cast<char*>(memory().contents(*page->frame)) = byte;
    pages.put_page(*page->frame);
  }
  static char peek(FileObject& pages, std::uint64_t index) {
    const Result<ObjectPage> page = pages.get_page(PageIndex(index), Access::kRead);
    if (!page) return '-';
    const char byte = *reinterpret_cast<char*>(memory().contents(*page->frame));
    pages.put_page(*page->frame);
    return byte;
  }
  static std::int64_t write_at(int fd, std::string_view text, std::uint64_t offset) {
    return sys(__NR_pwrite64, static_cast<std::uint64_t>(fd), arg(text.data()), text.size(), offset);
  }
  static char read_at(int fd, std::uint64_t offset) {
    char byte = '-';
    sys(__NR_pread64, static_cast<std::uint64_t>(fd), arg(&byte), 1, offset);
    return byte;
  }
  static std::int64_t sync(int fd) { return sys(__NR_fsync, static_cast<std::uint64_t>(fd)); }
  char stored(std::uint64_t index) { return node().data[index * kPage]; }
};

TEST_F(Mapped, WritesAreStoredWhenAskedForAndAtTheEnd) {
  const int fd = open_file("/file", O_RDWR);
  poke(map(fd), 0, 'a');
  EXPECT_EQ(stored(0), '0');
  EXPECT_EQ(sync(fd), 0);
  EXPECT_EQ(stored(0), 'a');
  poke(map(fd), 1, 'b');
  EXPECT_EQ(sys(__NR_sync), 0);
  EXPECT_EQ(stored(1), 'b');
  poke(map(fd), 2, 'c');
  const RefPtr<File> mapping = file_of(fd);
  EXPECT_EQ(close_file(fd), 0);
  EXPECT_EQ(stored(2), 'c');
  poke(static_cast<FileObject&>(**mapping->object_to_map(MapAccess::kWrites)), 2, 'd');
  EXPECT_EQ(stored(2), 'c');
}

TEST_F(Mapped, TheEndOfAMappingStoresWhatItWrote) {
  const int fd = open_file("/file", O_RDWR);
  RefPtr<File> mapping = file_of(fd);
  FileObject& pages = map(fd);
  close_file(fd);
  poke(pages, 1, 'e');
  mapping = nullptr;
  EXPECT_EQ(stored(1), 'e');
}

TEST_F(Mapped, CallsAndMappingsSeeTheSameUnderEveryName) {
  ASSERT_EQ(link_file("/file", "/other"), 0);
  const int one = open_file("/file", O_RDWR), two = open_file("/other", O_RDWR);
  EXPECT_EQ(&map(one), &map(two));
  poke(map(one), 1, 'm');
  EXPECT_EQ(read_at(two, kPage), 'm');
  EXPECT_EQ(write_at(two, "w", 0), 1);
  EXPECT_EQ(stored(0), 'w');
  EXPECT_EQ(peek(map(one), 0), 'w');
  EXPECT_EQ(stored(1), '0') << "what a mapping wrote is stored later";
  close_file(two);
  EXPECT_EQ(stored(1), 'm');
}

TEST_F(Mapped, SizesFollowCalls) {
  const int fd = open_file("/file", O_RDWR);
  FileObject& pages = map(fd);
  EXPECT_EQ(peek(pages, 3), '-');
  EXPECT_EQ(write_at(fd, "xyz", 3 * kPage), 3);
  EXPECT_EQ(peek(pages, 3), 'x');
  EXPECT_EQ(sys(__NR_ftruncate, static_cast<std::uint64_t>(fd), kPage), 0);
  EXPECT_EQ(peek(pages, 1), '-');
  EXPECT_EQ(sys(__NR_truncate, arg("/file"), 2 * kPage), 0);
  EXPECT_EQ(peek(pages, 1), '\0');
  poke(pages, 1, 'p');
  EXPECT_EQ(sys(__NR_fallocate, static_cast<std::uint64_t>(fd), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kPage, kPage), 0);
  EXPECT_EQ(peek(pages, 1), '\0');
  EXPECT_EQ(peek(pages, 0), '0');
}

TEST_F(Mapped, WhatTheServersOthersChangeIsSeenAndWhatWasWrittenHereStays) {
  const int fd = open_file("/file", O_RDWR);
  FileObject& pages = map(fd);
  EXPECT_EQ(peek(pages, 0), '0');
  EXPECT_EQ(peek(pages, 1), '0');
  poke(pages, 2, 'm');
  node().data[0] = node().data[2 * kPage] = 'h';
  ++node().changes;
  EXPECT_EQ(peek(pages, 0), '0') << "nobody has asked";
  EXPECT_EQ(read_at(fd, 0), 'h');
  EXPECT_EQ(peek(pages, 0), 'h');
  EXPECT_EQ(peek(pages, 2), 'm');
  EXPECT_EQ(stored(2), 'm');
  node().data.resize(kPage);
  EXPECT_EQ(read_at(fd, kPage), '-');
  EXPECT_EQ(peek(pages, 1), '-');
  EXPECT_EQ(node().data.size(), kPage) << "what was cut off does not come back";
}

TEST_F(Mapped, WhatIsAppendedThereIsNotOverwrittenByOurLastPage) {
  node().data.resize(kPage + 10);
  const int fd = open_file("/file", O_RDWR);
  FileObject& pages = map(fd);
  poke(pages, 1, 'm');
  node().data += std::string(20, 'a');
  ++node().changes;
  EXPECT_EQ(read_at(fd, kPage + 15), 'a');
  EXPECT_EQ(sync(fd), 0);
  EXPECT_EQ(node().data.substr(kPage + 10), std::string(20, 'a'));
  EXPECT_EQ(stored(1), 'm');
}

TEST_F(Mapped, OwnWritesAreNoChangeByOthers) {
  const int fd = open_file("/file", O_RDWR);
  FileObject& pages = map(fd);
  EXPECT_EQ(peek(pages, 2), '0');
  EXPECT_EQ(write_at(fd, "w", 0), 1);
  poke(pages, 1, 'm');
  EXPECT_EQ(sync(fd), 0);
  const int before = server.requests[static_cast<int>(nine_p::Message::kTread)];
  EXPECT_EQ(read_at(fd, 2 * kPage), '0');
  EXPECT_EQ(read_at(fd, 0), 'w');
  EXPECT_EQ(server.requests[static_cast<int>(nine_p::Message::kTread)], before) << "all pages are still there";
}

TEST_F(Mapped, WhatCannotBeStoredIsToldToEachWhoHasItOpenAndTriedAgain) {
  const int writer = open_file("/file", O_RDWR), reader = open_file("/file", O_RDONLY);
  poke(map(writer), 0, 'a');
  server.write_error = ENOSPC;
  EXPECT_EQ(sync(writer), -ENOSPC);
  server.write_error = 0;
  EXPECT_EQ(stored(0), '0');
  EXPECT_EQ(sync(reader), -ENOSPC) << "it tries again, with success, but has to hear of the failure";
  EXPECT_EQ(stored(0), 'a');
  EXPECT_EQ(sync(reader), 0);
  EXPECT_EQ(sync(writer), 0) << "each once";
  EXPECT_EQ(close_file(writer), 0);
}

TEST_F(Mapped, CloseTellsAndWhatFailsThereIsKept) {
  const int fd = open_file("/file", O_RDWR);
  poke(map(fd), 0, 'a');
  server.write_error = EIO;
  EXPECT_EQ(close_file(fd), -EIO);
  const int later = open_file("/file", O_RDONLY);
  EXPECT_EQ(read_at(later, 0), 'a') << "it is in memory";
  close_file(later);
  server.write_error = 0;
  EXPECT_EQ(sys(__NR_sync), 0);
  EXPECT_EQ(stored(0), 'a');
  EXPECT_EQ(SharedContents::give_up_every().bytes, 0U);
}

TEST_F(Mapped, WhatIsLeftInTheEndIsCounted) {
  const int fd = open_file("/file", O_RDWR);
  poke(map(fd), 0, 'a');
  poke(map(fd), 2, 'b');
  server.write_error = ENOSPC;
  close_file(fd);
  const LostWrites lost = SharedContents::give_up_every();
  EXPECT_EQ(lost.bytes, 2 * kPage);
  EXPECT_EQ(lost.error, Errno::kNoSpc);
}

TEST_F(Mapped, ReadErrorsAreNotCached) {
  const int fd = open_file("/file", O_RDWR);
  FileObject& pages = map(fd);
  server.mangle = [](int type, std::string& reply) {
    if (type == static_cast<int>(nine_p::Message::kTread)) reply[4] ^= 1;
  };
  EXPECT_EQ(peek(pages, 0), '-');
  server.mangle = nullptr;
  EXPECT_EQ(peek(pages, 0), '0');
}

}  // namespace
}  // namespace quire::kernel::test
