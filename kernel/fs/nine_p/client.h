// The calls of 9P2000.L, typed. Each is one request and one reply; errors are the server's, or EIO if the reply makes no sense.
//
// Life cycle: connect() agrees on the protocol and attaches to the tree; handles (FidHandle) keep the client, and give their fid back to
// the server when they go. Fid numbers are not used twice. No locks: calls from many threads run side by side (Session).
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <string>
#include <string_view>

#include "fs/directory_listing.h"
#include "fs/mount.h"
#include "fs/nine_p/protocol.h"
#include "fs/nine_p/session.h"
#include "fs/vfs.h"

namespace quire::kernel::nine_p {

class Client;

/// A fid, as long as this lives. Dropping it is a call to the server: it may sleep.
class FidHandle {
 public:
  FidHandle() = default;
  FidHandle(RefPtr<Client> client, Fid fid);
  FidHandle(FidHandle&& other) noexcept;
  FidHandle& operator=(FidHandle&& other) noexcept;
  ~FidHandle();
  [[nodiscard]] Fid get() const { return fid_; }
  explicit operator bool() const { return fid_ != kNoFid; }

 private:
  RefPtr<Client> client_;
  Fid fid_ = kNoFid;
};

class Client final : public RefCounted {
 public:
  struct Connection {
    RefPtr<Client> client;
    FidHandle root;
    Qid root_qid;
  };
  static Result<Connection> connect(NinePTransport& transport);
  explicit Client(RefPtr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] std::size_t transfer_size() const { return session_->transfer_size(); }

  /// What a walk came to: `qids` of the names that exist, in order; `fid` is set if all do.
  struct Walk {
    std::size_t found = 0;
    FidHandle fid;
  };
  /// Pre: at most kMaxWalk names; `qids` has room for them. Errors: if the first name does not exist.
  Result<Walk> walk(Fid from, std::span<const std::string_view> names, std::span<Qid> qids);
  /// Another fid for the same file.
  Result<FidHandle> clone(Fid from);
  /// Gives a fid back: not at once, but together with others.
  void clunk(Fid fid);
  /// The machine ends: servers need not be told of fids any more.
  static void stop_clunking();

  /// A name to be looked up together with others, and what was found.
  struct Sought {
    std::string_view name;
    Qid qid;
    FidHandle fid;
    Attributes attributes;
    [[nodiscard]] bool is_found() const { return static_cast<bool>(fid); }
  };
  /// Looks up names of one directory, and their attributes, side by side: two round trips for all. What is not there, or fails, is not
  /// found. Pre: at most Session::kMaxBatch.
  void walk_and_stat(Fid directory, std::span<Sought> names);

  Result<Attributes> getattr(Fid fid);
  Result<void> setattr(Fid fid, const AttributeChange& change);
  Result<void> open(Fid fid, std::uint32_t flags);
  /// At most transfer_size() bytes. Returns 0 at the end.
  Result<std::size_t> read(Fid fid, std::uint64_t offset, std::size_t size, IoBuffer& to);
  Result<std::size_t> write(Fid fid, std::uint64_t offset, std::size_t size, IoBuffer& from);
  /// Appends entries from the server's position `offset` on, without "." and "..", and moves it. Says whether there may be more.
  enum class More : std::uint8_t { kNo, kPerhaps };
  Result<More> readdir(Fid fid, std::uint64_t& offset, DirectoryListing& listing);
  Result<std::string> readlink(Fid fid);
  Result<void> fsync(Fid fid);
  Result<FileSystemFigures> statfs(Fid fid);

  Result<void> mkdir(Fid directory, std::string_view name, std::uint32_t mode, std::uint32_t gid);
  /// Also regular files, as Linux's own client makes them (fs/9p/vfs_inode_dotl.c:v9fs_vfs_create_dotl()).
  Result<void> mknod(Fid directory, std::string_view name, std::uint32_t mode, std::uint64_t rdev, std::uint32_t gid);
  Result<void> symlink(Fid directory, std::string_view name, std::string_view target, std::uint32_t gid);
  Result<void> link(Fid directory, Fid target, std::string_view name);
  enum class Remove : std::uint8_t { kFile, kDirectory };
  Result<void> unlink(Fid directory, std::string_view name, Remove what);
  Result<void> rename(Fid from, std::string_view name, Fid to, std::string_view new_name);

 private:
  Fid next_fid() { return last_fid_.fetch_add(1, std::memory_order_relaxed) + 1; }
  /// For requests whose reply holds nothing of interest.
  static Result<void> finish(Call& call) { return call.exchange(); }

  ~Client() override;
  void clunk_all(std::span<const Fid> fids);
  static Result<Attributes> read_attributes(Call& call);

  RefPtr<Session> session_;
  std::atomic<Fid> last_fid_{0};
  SpinLock clunk_lock_;
  std::array<Fid, Session::kMaxBatch> to_clunk_{};
  std::size_t to_clunk_count_ = 0;
};

/// Whether a name from outside may be one of a directory entry: not empty, no slash or NUL, not "." or "..", at most NAME_MAX bytes.
[[nodiscard]] bool is_entry_name(std::string_view name);

}  // namespace quire::kernel::nine_p
