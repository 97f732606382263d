// The overlay: what is below, what is changed, and how both are seen together.
#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <cerrno>

#include "fs/page_cache.h"
#include "kernel_fs/fixture.h"

namespace quire::kernel::test {
namespace {

using Names = std::vector<std::string>;

class Overlay : public OverlayRoot {
 protected:
  void SetUp() override {
    server.add("/etc", S_IFDIR | 0755);
    server.add("/etc/passwd", S_IFREG | 0644, "root:x:0:0\n");
    server.add("/etc/group", S_IFREG | 0644, "root:x:0:\n");
    server.add("/etc/deep", S_IFDIR | 0755);
    server.add("/etc/deep/file", S_IFREG | 0644, std::string(20'000, 'd'));
    server.add("/link", S_IFLNK | 0777, "etc/passwd");
    start();
  }
  [[nodiscard]] std::string below(std::string_view path) { return server.find(path)->data; }
};

TEST_F(Overlay, ShowsWhatIsBelow) {
  EXPECT_EQ(load("/etc/passwd"), "root:x:0:0\n");
  EXPECT_EQ(load("/link"), "root:x:0:0\n");
  EXPECT_EQ(list("/etc"), (Names{"deep", "group", "passwd"}));
  EXPECT_EQ(overlay->files_written, 0U);
}

TEST_F(Overlay, AFileThatWasReadOnceCostsNothingAgain) {
  server.add("/etc/large", S_IFREG | 0644, std::string(300'000, 'p'));
  const auto reads = [this] { return server.requests[static_cast<int>(nine_p::Message::kTread)]; };
  EXPECT_EQ(load("/etc/large").size(), 300'000U);
  EXPECT_LE(reads(), 4);
  const int before = server.total_requests();
  EXPECT_EQ(load("/etc/large").size(), 300'000U);
  EXPECT_EQ(server.total_requests(), before);
}

TEST_F(Overlay, ASmallFileIsReadInOneRequest) {
  const int before = server.total_requests();
  EXPECT_EQ(load("/etc/group"), "root:x:0:\n");
  EXPECT_LE(server.total_requests() - before, 4);  // walk, getattr, lopen, read
}

TEST_F(Overlay, WhatWasOnlyReadIsGivenBackWhenMemoryIsShort) {
  EXPECT_EQ(load("/etc/deep/file").size(), 20'000U);
  EXPECT_EQ(store("/etc/passwd", "me", O_WRONLY), 2);
  EXPECT_EQ(pages_in_use(), 6);
  EXPECT_TRUE(drop_file_caches());
  EXPECT_EQ(pages_in_use(), 1);
  EXPECT_EQ(load("/etc/deep/file"), std::string(20'000, 'd'));
  EXPECT_EQ(load("/etc/passwd"), "meot:x:0:0\n");
}

TEST_F(Overlay, CuttingAFileShortCopiesNothing) {
  EXPECT_EQ(sys(__NR_truncate, arg("/etc/deep/file"), 5000), 0);
  EXPECT_EQ(pages_in_use(), 0);
  EXPECT_EQ(sys(__NR_truncate, arg("/etc/deep/file"), 9000), 0);
  const std::string cut = std::string(5000, 'd') + std::string(4000, '\0');
  EXPECT_EQ(load("/etc/deep/file"), cut);
  EXPECT_TRUE(drop_file_caches());
  EXPECT_EQ(load("/etc/deep/file"), cut);
}

TEST_F(Overlay, WritesStayAbove) {
  EXPECT_EQ(store("/etc/passwd", "me", O_WRONLY), 2);
  EXPECT_EQ(load("/etc/passwd"), "meot:x:0:0\n");
  EXPECT_EQ(below("/etc/passwd"), "root:x:0:0\n");
  EXPECT_EQ(overlay->files_written, 1U);
}

TEST_F(Overlay, OnlyWrittenPagesAreCopied) {
  const int fd = open_file("/etc/deep/file", O_RDWR);
  EXPECT_EQ(sys(__NR_pwrite64, static_cast<std::uint64_t>(fd), arg("XY"), 2, 8191), 2);
  const std::string text = read_text(fd);
  std::string wanted(20'000, 'd');
  wanted.replace(8191, 2, "XY");
  EXPECT_EQ(text, wanted);
  close_file(fd);
}

TEST_F(Overlay, ChangesSurviveTheCacheOfNames) {
  store("/etc/deep/file", "new", O_WRONLY | O_TRUNC);
  sys(__NR_chmod, arg("/etc/group"), 0600);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/deep/file"), "new");
  EXPECT_EQ(info("/etc/group").mode & 07777U, 0600U);
}

TEST_F(Overlay, CutsHideWhatIsBelowForGood) {
  EXPECT_EQ(sys(__NR_truncate, arg("/etc/passwd"), 4), 0);
  EXPECT_EQ(sys(__NR_truncate, arg("/etc/passwd"), 8), 0);
  EXPECT_EQ(load("/etc/passwd"), std::string("root\0\0\0\0", 8));
}

TEST_F(Overlay, RemovedNamesAreGoneAndMayComeBack) {
  EXPECT_EQ(unlink_file("/etc/passwd"), 0);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/passwd"), "error 2");
  EXPECT_EQ(list("/etc"), (Names{"deep", "group"}));
  EXPECT_EQ(store("/etc/passwd", "again", O_CREAT | O_EXCL | O_WRONLY), 5);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/passwd"), "again");
  EXPECT_EQ(list("/etc"), (Names{"deep", "group", "passwd"}));
}

TEST_F(Overlay, ARemadeDirectoryDoesNotShowTheOldOne) {
  EXPECT_EQ(unlink_file("/etc/deep/file"), 0);
  EXPECT_EQ(remove_directory("/etc/deep"), 0);
  EXPECT_EQ(make_directory("/etc/deep"), 0);
  dentry_cache().drop_idle();
  EXPECT_EQ(list("/etc/deep"), Names());
  EXPECT_EQ(load("/etc/deep/file"), "error 2");
}

TEST_F(Overlay, OnlyEmptyDirectoriesAreRemoved) {
  EXPECT_EQ(remove_directory("/etc/deep"), -ENOTEMPTY);
  EXPECT_EQ(unlink_file("/etc/deep/file"), 0);
  EXPECT_EQ(remove_directory("/etc/deep"), 0);
}

TEST_F(Overlay, DirectoriesFromBelowMoveWithAllThatIsInThem) {
  EXPECT_EQ(rename_file("/etc/deep", "/moved"), 0);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/moved/file").size(), 20'000U);
  EXPECT_EQ(list("/etc"), (Names{"group", "passwd"}));
  EXPECT_EQ(list("/"), (Names{"etc", "link", "moved"}));
  EXPECT_EQ(store("/moved/file", "changed", O_WRONLY | O_TRUNC), 7);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/moved/file"), "changed");
}

TEST_F(Overlay, FilesFromBelowMoveAndAreReplaced) {
  EXPECT_EQ(rename_file("/etc/passwd", "/etc/group"), 0);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/group"), "root:x:0:0\n");
  EXPECT_EQ(load("/etc/passwd"), "error 2");
}

TEST_F(Overlay, ExchangedNamesBothStay) {
  EXPECT_EQ(rename_file("/etc/passwd", "/etc/deep", RENAME_EXCHANGE), 0);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/deep"), "root:x:0:0\n");
  EXPECT_EQ(list("/etc/passwd"), Names{"file"});
}

TEST_F(Overlay, CountsFilesThatWereWrittenAndAreStillThere) {
  store("/a", "1", O_CREAT | O_WRONLY);
  store("/b", "1", O_CREAT | O_WRONLY);
  store("/etc/group", "1", O_WRONLY);
  make_directory("/d");
  EXPECT_EQ(overlay->files_written, 3U);
  unlink_file("/a");
  unlink_file("/etc/group");
  EXPECT_EQ(overlay->files_written, 1U);
}

TEST_F(Overlay, AnOpenFileFromBelowIsOneFileForAll) {
  const int reader = open_file("/etc/passwd", O_RDONLY);
  dentry_cache().drop_idle();
  store("/etc/passwd", "ROOT", O_WRONLY);
  EXPECT_EQ(read_text(reader), "ROOT:x:0:0\n");
  close_file(reader);
}

TEST_F(Overlay, UnreadableFilesBelowFailAtOpen) {
  server.add("/etc/shadow", S_IFREG | 0, "secret");
  EXPECT_EQ(open_file("/etc/shadow", O_RDONLY), -EACCES);
}

TEST_F(Overlay, LinksToFilesBelowShareTheFile) {
  EXPECT_EQ(link_file("/etc/passwd", "/other"), 0);
  dentry_cache().drop_idle();
  store("/other", "R", O_WRONLY);
  dentry_cache().drop_idle();
  EXPECT_EQ(load("/etc/passwd"), "Root:x:0:0\n");
  EXPECT_EQ(info("/other").inode, info("/etc/passwd").inode);
}

}  // namespace
}  // namespace quire::kernel::test
