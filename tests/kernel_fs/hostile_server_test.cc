// A 9p server that breaks the protocol at one reply, whichever: what is asked of it ends as it should, or in an error, and nothing wrong is
// remembered. Random damage, contents included, is nine_p_test.cc's.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "kernel_fs/fixture.h"
#include "mm/memory.h"
#include "quire/quire.h"

namespace quire::kernel::test {
namespace {

using nine_p::Message;
using nine_p::Sharing;

enum class Damage : std::uint8_t {
  kEmpty,
  kHalf,
  kLastByteMissing,
  kHalfThatSaysSo,
  kOneByteTooMany,
  kLengthZero,
  kLengthHuge,
  kOthersTag,
  kNoTag,
  kOthersType,
  kRequestAsReply,
  kNoSuchErrno,
  kErrnoZero,
  kErrorWithoutErrno,
  kIoError,
  kLast = kIoError,
};

void set_length(std::string& reply, std::uint32_t length) { std::memcpy(reply.data(), &length, sizeof length); }

void become_error(std::string& reply, std::uint32_t error) {
  reply.resize(nine_p::kHeaderSize);
  reply[4] = static_cast<char>(Message::kRlerror);
  reply.append(reinterpret_cast<const char*>(&error), sizeof error);
  set_length(reply, static_cast<std::uint32_t>(reply.size()));
}

void do_damage(Damage damage, int type, std::string& reply) {
  switch (damage) {
    case Damage::kEmpty: return reply.clear();
    case Damage::kHalf: return reply.resize(reply.size() / 2);
    case Damage::kLastByteMissing: return reply.resize(reply.size() - 1);
    case Damage::kHalfThatSaysSo:
      // Nothing but the header is a whole reply to some requests; to others it is one without its fields.
      reply.resize(reply.size() / 2);
      if (reply.size() >= sizeof(std::uint32_t)) set_length(reply, static_cast<std::uint32_t>(reply.size()));
      return;
    case Damage::kOneByteTooMany: return reply.push_back('x');
    case Damage::kLengthZero: return set_length(reply, 0);
    case Damage::kLengthHuge: return set_length(reply, ~0U);
    case Damage::kOthersTag: reply[5] = static_cast<char>(reply[5] ^ 1); return;
    case Damage::kNoTag: reply[5] = reply[6] = static_cast<char>(type == static_cast<int>(Message::kTversion) ? 0 : 0xff); return;
    case Damage::kOthersType: reply[4] = static_cast<char>(reply[4] ^ 2); return;
    case Damage::kRequestAsReply: reply[4] = static_cast<char>(type); return;
    case Damage::kNoSuchErrno: return become_error(reply, 100'000);
    case Damage::kErrnoZero: return become_error(reply, 0);
    case Damage::kErrorWithoutErrno:
      become_error(reply, EIO);
      reply.resize(nine_p::kHeaderSize);
      return set_length(reply, nine_p::kHeaderSize);
    case Damage::kIoError: return become_error(reply, EIO);
  }
}

std::string program() {
  std::string text;
  while (text.size() < 200'000) text += std::to_string(text.size()) + " ";
  return text;
}

class HostileServer : public NinePRoot {
 protected:
  void SetUp() override {
    server.add("/usr", S_IFDIR | 0755);
    server.add("/usr/bin", S_IFDIR | 0755);
    server.add("/usr/bin/program", S_IFREG | 0755, program());
    server.add("/usr/bin/script", S_IFREG | 0755, "#!/bin/sh\n");
    server.add("/bin", S_IFLNK | 0777, "usr/bin");
  }
  /// Whether `got` is what a good server gives, or an error.
  static void expect_right_or_error(const std::string& got, const std::string& right) {
    if (got.starts_with("error ")) return;
    EXPECT_TRUE(got == right) << got.size() << " bytes instead of " << right.size();
  }
  /// Asks for a bit of everything.
  void use(Sharing sharing) {
    if (!start(sharing)) return mount_table().drop();
    expect_right_or_error(load("/usr/bin/script"), "#!/bin/sh\n");
    expect_right_or_error(load("/bin/program"), program());
    const std::vector<std::string> names = list("/usr/bin");
    const bool is_listed = names.empty() || !names.back().starts_with("error ");
    EXPECT_TRUE(!is_listed || names == (std::vector<std::string>{"program", "script"}));
    const FileInfo script = info("/usr/bin/script");
    EXPECT_TRUE(script.error != 0 || script.size == 10U);
    EXPECT_NE(info("/usr/bin/nothing").error, 0);
    if (sharing == Sharing::kShared) {
      store("/new", "text", O_CREAT | O_WRONLY);
      make_directory("/directory");
      rename_file("/new", "/directory/newer");
      symlink_file("newer", "/directory/link");
      unlink_file("/directory/link");
      unlink_file("/directory/newer");
      remove_directory("/directory");
    }
    end_task();
  }
  void clean_up() {
    for (const char* name : {"new", "directory"}) server.find("/")->children.erase(name);
  }
};

TEST_F(HostileServer, BreaksOneReplyAndDoesNoHarm) {
  unsigned broken = 0;
  for (const Sharing sharing : {Sharing::kStable, Sharing::kShared}) {
    for (unsigned damage = 0; damage <= static_cast<unsigned>(Damage::kLast); ++damage) {
      for (int target = 0;; ++target) {
        int number = 0;
        server.mangle = [&](int type, std::string& reply) {
          if (number++ == target) do_damage(static_cast<Damage>(damage), type, reply);
        };
        use(sharing);
        server.mangle = nullptr;
        clean_up();
        if (HasFailure()) FAIL() << "damage " << damage << " of reply " << target;
        if (number <= target) break;
        ++broken;
      }
    }
  }
  EXPECT_GT(broken, 500U);
  use(Sharing::kShared);
  EXPECT_EQ(server.find("/usr/bin/script")->data, "#!/bin/sh\n");
}

/// Fewer bytes than were asked for and are there, in a reply that is well formed.
TEST_F(HostileServer, MayGiveLessThanIsAskedFor) {
  for (const std::uint32_t most : {1U, 1000U, 4096U, 5000U}) {
    server.mangle = [most](int type, std::string& reply) {
      if (type != static_cast<int>(Message::kTread) || reply[4] == static_cast<char>(Message::kRlerror)) return;
      std::uint32_t count = 0;
      std::memcpy(&count, reply.data() + nine_p::kHeaderSize, sizeof count);
      if (count <= most) return;
      std::memcpy(reply.data() + nine_p::kHeaderSize, &most, sizeof most);
      reply.resize(nine_p::kHeaderSize + sizeof most + most);
      set_length(reply, static_cast<std::uint32_t>(reply.size()));
    };
    ASSERT_TRUE(start(Sharing::kStable));
    expect_right_or_error(load("/usr/bin/script"), "#!/bin/sh\n");
    if (most >= 1000) expect_right_or_error(load("/usr/bin/program"), program());
    end_task();
    server.mangle = nullptr;
  }
}

/// Below an overlay, whose files are mapped.
class HostileLowerServer : public OverlayRoot {};

/// A page that cannot be read is a bus error to who touches it, and no page: it is asked for again.
TEST_F(HostileLowerServer, ThatFailsUnderAMappingIsABusErrorAndNothingIsKept) {
  for (const char* directory : {"/usr", "/usr/bin", "/tmp"}) server.add(directory, S_IFDIR | 0755);
  server.add("/usr/bin/program", S_IFREG | 0755, program());
  start();
  const int fd = open_file("/usr/bin/program", O_RDONLY);
  ASSERT_GE(fd, 0);
  {
    const Result<RefPtr<File>> file = machine().files->get(fd);
    ASSERT_TRUE(file.has_value());
    const Result<MemoryObject*> object = (*file)->object_to_map(MapAccess::kReads);
    ASSERT_TRUE(object.has_value());
    AddressSpace* const space = *AddressSpace::create(kernel::memory(), {});
    MmapRequest request;
    request.length = ByteCount(200'000);
    request.prot = quire::uapi::kProtRead;
    request.flags = quire::uapi::kMapPrivate;
    request.object = *object;
    const VirtAddr at = *space->mmap(request);
    const auto page = [&](unsigned n) { return at + ByteCount(n * kPageSize); };
    for (unsigned damage = 0; damage <= static_cast<unsigned>(Damage::kLast); ++damage) {
      server.mangle = [&](int type, std::string& reply) {
        if (type == static_cast<int>(Message::kTread)) do_damage(static_cast<Damage>(damage), type, reply);
      };
      EXPECT_EQ(space->fault(page(7), Access::kRead), FaultOutcome::kBusError) << "damage " << damage;
      EXPECT_FALSE((*object)->has_page(PageIndex(7))) << "damage " << damage;
    }
    server.mangle = nullptr;
    std::byte text[64];
    ASSERT_EQ(space->read(page(7), text)->raw(), sizeof text);
    EXPECT_EQ(std::memcmp(text, program().data() + 7 * kPageSize, sizeof text), 0);
    space->release();
  }
  close_file(fd);
  end_task();
}

}  // namespace
}  // namespace quire::kernel::test
