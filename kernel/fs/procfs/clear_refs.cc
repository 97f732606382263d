#include "fs/procfs/clear_refs.h"

#include <sys/stat.h>

#include <algorithm>

namespace quire::kernel {

namespace {

class ClearRefsFile final : public File {
 public:
  ClearRefsFile(RefPtr<Inode> node, std::uint32_t open_flags, const ProcessIdentity& identity)
      : identity_(identity) {
    inode = std::move(node);
    flags = open_flags;
  }
  [[nodiscard]] bool has_position() const override { return true; }

  /// Linux v6.12 fs/proc/task_mmu.c:clear_refs_write() looks at twelve bytes.
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    const std::size_t size = buffer.size();
    QUIRE_TRY(const int what, copy_in_integer(buffer, 12));
    QUIRE_CHECK(clear(what));
    return size;
  }

 private:
  enum What : int { kAll = 1, kPrivate = 2, kOfObjects = 3, kWritten = 4, kPeak = 5 };

  [[nodiscard]] Result<void> clear(int what) const {
    if (what < kAll || what > kPeak) return fail(Errno::kInval);
    const auto process = identity_.snapshot();
    if (!process) return fail(process.error());
    AddressSpace* const space = (*process)->space;
    if (space == nullptr) return {};
    switch (static_cast<What>(what)) {
      case kAll:
        space->forget_references(AddressSpace::Pages::kAll);
        break;
      case kPrivate:
        space->forget_references(AddressSpace::Pages::kPrivate);
        break;
      case kOfObjects:
        space->forget_references(AddressSpace::Pages::kOfObjects);
        break;
      case kWritten:
        return space->track_writes();
      case kPeak:
        space->reset_peak();
        break;
    }
    return {};
  }
  ProcessIdentity identity_;
};

class ClearRefs final : public ProcNode {
 public:
  ClearRefs(std::uint64_t number, std::uint32_t permissions, Owner owner,
            const ProcessIdentity& identity)
      : ProcNode(number, S_IFREG | permissions, owner), identity_(identity) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    return RefPtr<File>(make_ref<ClearRefsFile>(RefPtr<Inode>(this), flags, identity_));
  }

 private:
  ProcessIdentity identity_;
};

}  // namespace

RefPtr<Inode> make_clear_refs(std::uint64_t number, std::uint32_t permissions,
                              ProcNode::Owner owner, const ProcessIdentity& identity) {
  return make_ref<ClearRefs>(number, permissions, owner, identity);
}

}  // namespace quire::kernel
