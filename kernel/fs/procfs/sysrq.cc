#include "fs/procfs/sysrq.h"

#include <sys/stat.h>

#include "arch/panic.h"
#include "lib/log.h"

namespace quire::kernel {

namespace {

class SysrqFile final : public File {
 public:
  SysrqFile(RefPtr<Inode> node, std::uint32_t open_flags) {
    inode = std::move(node);
    flags = open_flags;
  }
  Result<std::size_t> read(IoBuffer&, std::uint64_t) override { return fail(Errno::kIo); }

  /// As Linux, takes everything and looks at the first letter.
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    const std::size_t size = buffer.size();
    char letter = 0;
    if (size != 0) QUIRE_CHECK(buffer.copy_in(&letter, 1));
    if (letter == 'c') panic("sysrq triggered crash");
    if (size != 0) log(LogLevel::kInfo, "sysrq: HELP : crash(c)");
    return size;
  }
};

class SysrqTrigger final : public ProcNode {
 public:
  explicit SysrqTrigger(std::uint64_t number) : ProcNode(number, S_IFREG | 0200, Owner{}) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override { return RefPtr<File>(make_ref<SysrqFile>(RefPtr<Inode>(this), flags)); }
};

}  // namespace

RefPtr<Inode> make_sysrq_trigger(std::uint64_t number) { return make_ref<SysrqTrigger>(number); }

}  // namespace quire::kernel
