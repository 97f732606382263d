#include "fs/devices.h"

#include <linux/fs.h>
#include <linux/major.h>
#include <linux/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "drivers/console_port.h"
#include "mm/uaccess.h"
#include "tty/pty.h"
#include "tty/terminal.h"

namespace quire::kernel {
namespace {

// Minor numbers of major 1 (Linux Documentation/admin-guide/devices.txt).
enum MemoryMinor : std::uint32_t { kNull = 3, kZero = 5, kFull = 7, kRandom = 8, kUrandom = 9 };

/// Takes all that is written. The base of the devices of major 1; seeks succeed and say 0.
/// Linux v6.12 drivers/char/mem.c:write_null(), null_lseek().
class MemoryDevice : public File {
 public:
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override { return buffer.size(); }
  Result<std::int64_t> seek(std::int64_t, int) override { return 0; }
  [[nodiscard]] bool has_position() const override { return true; }
};

class NullDevice final : public MemoryDevice {
 public:
  Result<std::size_t> read(IoBuffer&, std::uint64_t) override { return 0; }
};

class ZeroDevice : public MemoryDevice {
 public:
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    const std::size_t size = buffer.size();
    QUIRE_CHECK(buffer.zero_out(size));
    return size;
  }
  /// Linux v6.12 drivers/char/mem.c:mmap_zero().
  Result<MemoryObject*> object_to_map(MapAccess) override { return nullptr; }
};

class FullDevice final : public ZeroDevice {
 public:
  Result<std::size_t> write(IoBuffer&, std::uint64_t) override { return fail(Errno::kNoSpc); }
  Result<MemoryObject*> object_to_map(MapAccess access) override { return File::object_to_map(access); }
};

class RandomDevice final : public MemoryDevice {
 public:
  [[nodiscard]] bool can_poll() const override { return true; }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    std::array<std::byte, 256> bytes;
    std::size_t done = 0;
    while (buffer.size() > 0) {
      const std::size_t n = std::min(bytes.size(), buffer.size());
      random_bytes(bytes.data(), n);
      if (auto copied = buffer.copy_out(bytes.data(), n); !copied) {
        if (done == 0) return fail(copied.error());
        break;
      }
      done += n;
    }
    return done;
  }
  Result<std::int64_t> ioctl(std::uint32_t command, std::uint64_t argument) override {
    constexpr int kPoolBits = 256;  // Linux v6.12 drivers/char/random.c: POOL_BITS once ready
    if (command == RNDGETENTCNT) {
      QUIRE_CHECK(put_user(argument, kPoolBits));
      return 0;
    }
    return File::ioctl(command, argument);
  }
};

Result<RefPtr<File>> open_memory_device(std::uint32_t minor) {
  switch (minor) {
    case kNull:
      return make_ref<NullDevice>();
    case kZero:
      return make_ref<ZeroDevice>();
    case kFull:
      return make_ref<FullDevice>();
    case kRandom:
    case kUrandom:
      return make_ref<RandomDevice>();
    default:
      return fail(Errno::kNxIo);
  }
}

}  // namespace

Result<RefPtr<File>> open_device(const Attributes& attributes, std::uint32_t flags) {
  if ((attributes.mode & S_IFMT) != S_IFCHR) return fail(Errno::kNxIo);
  const std::uint32_t minor = device_minor(attributes.rdev);
  switch (device_major(attributes.rdev)) {
    case MEM_MAJOR:
      return open_memory_device(minor);
    case TTYAUX_MAJOR:
      return open_terminal_device(minor, flags);
    case kPtyMajor:
      return open_pty_slave(minor, flags);
    default:
      return fail(Errno::kNxIo);
  }
}

}  // namespace quire::kernel
