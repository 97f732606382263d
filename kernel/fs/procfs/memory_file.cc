#include "fs/procfs/memory_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "fs/permission.h"
#include "fs/procfs/observe_access.h"

namespace quire::kernel {

namespace {

class ProcessMemoryFile final : public File {
 public:
  ProcessMemoryFile(RefPtr<Inode> node, std::uint32_t open_flags, const ProcessIdentity& identity,
             std::uint64_t space_id)
      : identity_(identity), space_id_(space_id) {
    inode = std::move(node);
    flags = open_flags;
  }
  [[nodiscard]] bool has_position() const override { return true; }

  Result<std::int64_t> seek(std::int64_t offset, int whence) override {
    if (whence != SEEK_SET && whence != SEEK_CUR) return fail(Errno::kInval);
    position = static_cast<std::uint64_t>(offset) + (whence == SEEK_CUR ? position : 0);
    return static_cast<std::int64_t>(position);
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    return move(buffer, offset,
                [&](AddressSpace& space, VirtAddr at, std::span<std::byte> bytes) -> Result<bool> {
                  if (!space.peek(at, bytes)) return false;
                  QUIRE_CHECK(buffer.copy_out(bytes.data(), bytes.size()));
                  return true;
                });
  }
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset) override {
    return move(buffer, offset,
                [&](AddressSpace& space, VirtAddr at, std::span<std::byte> bytes) -> Result<bool> {
                  QUIRE_CHECK(buffer.copy_in(bytes.data(), bytes.size()));
                  return space.poke(at, bytes).has_value();
                });
  }

 private:
  /// Moves page after page by copy(space, address, bytes), which says whether the process's side of
  /// it went well.
  template <typename Copy>
  Result<std::size_t> move(const IoBuffer& buffer, std::uint64_t offset, Copy copy) {
    const auto process = identity_.snapshot();
    if (!process || (*process)->space == nullptr || (*process)->space->id() != space_id_) return 0;
    const auto page = std::make_unique<std::byte[]>(kPageSize);
    std::size_t done = 0;
    while (buffer.size() != 0) {
      const std::uint64_t at = offset + done;
      const auto part = static_cast<std::size_t>(
          std::min<std::uint64_t>(buffer.size(), kPageSize - at % kPageSize));
      QUIRE_TRY(const bool moved,
                copy(*(*process)->space, VirtAddr(at), std::span(page.get(), part)));
      if (!moved) {
        if (done == 0) return fail(Errno::kIo);
        break;
      }
      done += part;
    }
    return done;
  }

  ProcessIdentity identity_;
  std::uint64_t space_id_;
};

class ProcessMemoryNode final : public ProcNode {
 public:
  ProcessMemoryNode(std::uint64_t number, std::uint32_t permissions, Owner owner,
             const ProcessIdentity& identity)
      : ProcNode(number, S_IFREG | permissions, owner), identity_(identity) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    QUIRE_TRY(const auto process, identity_.snapshot());
    QUIRE_CHECK(may_access(*process, filesystem_identity()));
    const std::uint64_t space_id = process->space != nullptr ? process->space->id() : 0;
    return RefPtr<File>(make_ref<ProcessMemoryFile>(RefPtr<Inode>(this), flags, identity_, space_id));
  }

 private:
  ProcessIdentity identity_;
};

}  // namespace

RefPtr<Inode> make_memory_file(std::uint64_t number, std::uint32_t permissions,
                               ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ProcessMemoryNode>(number, permissions, owner, identity);
}

}  // namespace quire::kernel
