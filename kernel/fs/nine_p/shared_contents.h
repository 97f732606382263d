// The pages of a file of a shared tree that is mapped (docs/decisions/0015-writable-mounts.md).
//
// Life cycle: made when the file is first mapped, found by its identity on the server under whatever name; lives as long as an open file
// that has met it, since mappings keep theirs, and longer only while it has pages that could not be stored.
// Calls write through it: what the server has and what is in memory differ by what was stored through mappings alone.
//
// Locks: `order_` orders what goes to the server and what is learnt of its changes, inside inodes' mutexes. No user memory is touched under
// it: a fault may have to store pages first (charge()). Pages are filled without it.
#pragma once

#include <algorithm>
#include <boost/intrusive/set.hpp>
#include <memory>
#include <utility>

#include "fs/nine_p/inode.h"
#include "fs/page_cache.h"

namespace quire::kernel::nine_p {

/// Moves a buffer in parts of at most `room` bytes, each by move(memory, bytes, done), which says how many were: user memory is not touched
/// while a message waits, since a fault may need the buffer that the message is in. Errors: only if nothing was moved.
template <typename Move>
Result<std::size_t> move_in_parts(IoBuffer& buffer, std::size_t room, Move move) {
  room = std::min(room, buffer.size());
  const auto bytes = std::make_unique_for_overwrite<std::byte[]>(room);
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const std::size_t part = std::min(buffer.size(), room);
    const Result<std::size_t> n = move(bytes.get(), part, done);
    if (!n && done == 0) return fail(n.error());
    done += n.value_or(0);
    if (!n || *n < part) break;
  }
  return done;
}

/// Reads on to the end of the buffer or the file. Errors: only if nothing was read.
Result<std::size_t> read_on(Client& client, Fid fid, IoBuffer& buffer, std::uint64_t offset);

/// A fid that is open, for an open file and for whoever reads or stores its pages.
class OpenFid final : public RefCounted {
 public:
  OpenFid(RefPtr<Inode9p> opened, FidHandle fid) : file_(std::move(opened)), fid_(std::move(fid)) {}
  [[nodiscard]] Inode9p& file() const { return *file_; }
  [[nodiscard]] Client& client() const { return file_->client(); }
  [[nodiscard]] Fid get() const { return fid_.get(); }
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) { return read_on(client(), get(), buffer, offset); }
  /// Writes all of the buffer. Errors: only if nothing was written.
  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t offset);

 private:
  const RefPtr<Inode9p> file_;
  const FidHandle fid_;
};

/// Errors of storing, each told once to every open file (Linux v6.12 lib/errseq.c).
class StoreErrors {
 public:
  void note(Errno error);
  /// What an open file has seen when it is opened: not what nobody was told of yet.
  [[nodiscard]] std::uint32_t mark();
  /// The last error since `seen`, which is moved on.
  Result<void> tell(std::uint32_t& seen);
  [[nodiscard]] Errno last();

 private:
  SpinLock lock_;
  std::uint32_t count_ = 0;
  bool is_told_ = true;
  Errno last_{0};
};

using RegistryHook = boost::intrusive::set_base_hook<boost::intrusive::tag<struct RegistryTag>>;

class SharedContents final : public RefCounted, public RegistryHook, public CachedFile, private FileSource, private PageAccount {
 public:
  /// Makes what all share, before there are threads.
  static void prepare();
  /// Those of the file that `reader` has open for reading, made if there are none. Errors: ENOMEM, the server's.
  static Result<RefPtr<SharedContents>> of(const RefPtr<OpenFid>& reader);
  /// Those of `file`, or null.
  static RefPtr<SharedContents> find(const Inode9p& file);
  SharedContents(const RefPtr<OpenFid>& reader, const Attributes& now);

  [[nodiscard]] FileObject& object() const { return *object_; }
  [[nodiscard]] StoreErrors& errors() { return errors_; }
  /// Pages may be stored by `writer`, which is open for writing.
  void set_writer(const RefPtr<OpenFid>& writer);

  /// Asks whether the file has changed behind our back, by one of its names; if so, clean pages go and the size follows.
  Result<void> revalidate(Inode9p& name);
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset);
  /// To the server, then to the pages. Errors: only if nothing was written. Pre: the inode's mutex is held.
  Result<std::size_t> write(OpenFid& to, IoBuffer& buffer, std::uint64_t offset);
  /// The file becomes longer or shorter by `call`, which tells the server.
  template <typename Call>
  Result<void> resize(Inode9p& name, std::uint64_t size, Call call) {
    const Guard guard(order_);
    QUIRE_CHECK(call());
    set_size(size);
    learn(name);
    return {};
  }
  /// Stores what mappings have written to these pages. Errors: also for errors().
  Result<void> store(PageIndex first, PageIndex last);
  Result<void> store_all() { return store(PageIndex(0), PageIndex(~std::uint64_t{0} >> kPageShift)); }
  /// Stores all at the end of an open file; what fails is kept and tried again.
  void store_or_keep();

  /// Stores all of `fs`, or with null of all file systems. Errors: the first.
  static Result<void> store_every(const FileSystem9p* fs);
  /// Stores all there is for the last time, and gives up what cannot be stored.
  static LostWrites give_up_every();

 private:
  using Key = std::pair<const FileSystem9p*, std::uint64_t>;
  struct Registry;
  static Registry& registry();
  static Key key_of(const Inode9p& file);
  /// Calls visit(contents) for each of `fs`, or of all, that there is now.
  template <typename Visit>
  static void for_each(const FileSystem9p* fs, Visit visit);
  ~SharedContents() override;
  Result<void> make_object();

  Cluster cluster(PageIndex index) override { return ahead_.cluster(index, object_->size().raw()); }
  Result<void> read(PageIndex first, std::span<Frame* const> pages) override;
  Result<void> write(PageIndex first, std::span<Frame* const> pages) override;
  void note_mapped_write() override {}
  Result<void> charge() override;
  void uncharge(PageCount pages) override;
  FileObject* cached_pages() override { return object_; }

  Result<void> store_locked(PageIndex first, PageIndex last);
  std::uint64_t give_up();
  void learn(Inode9p& name);
  void set_size(std::uint64_t size);
  void update_pages(std::uint64_t offset, const std::byte* bytes, std::size_t size);

  const Key key_;
  const RefPtr<OpenFid> reader_;
  FileObject* object_ = nullptr;
  ReadAhead ahead_;
  Mutex order_;
  RefPtr<OpenFid> writer_;     ///< guarded by order_
  bool has_written_ = false;   ///< to the server, since it was asked; guarded by order_
  Attributes known_;           ///< as our last change or question left them; guarded by order_
  RefPtr<SharedContents> kept_;  ///< this, while pages could not be stored and nobody has it open; guarded by order_
  StoreErrors errors_;
};

}  // namespace quire::kernel::nine_p
