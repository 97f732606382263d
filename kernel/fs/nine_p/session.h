// One connection to a 9p server: message buffers, tags, and the check of every reply's frame.
//
// Life cycle: made by Client; lives as long as any Call. At most kMaxCalls requests are under way; further callers wait. Requests and
// replies without much data use small buffers; data moves through one of kMaxTransfers large ones.
// A reply is accepted if its size is what was transported and within the buffer, its tag is the request's, and its type is the right
// one or an error with an errno in Linux's range. Anything else is EIO.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "drivers/console_port.h"
#include "fs/nine_p/wire.h"
#include "fs/vfs.h"

namespace quire::kernel::nine_p {

class Session : public RefCounted {
 public:
  static constexpr std::size_t kMaxCalls = 16, kMaxTransfers = 3;
  static constexpr std::size_t kMaxBatch = NinePTransport::kMaxExchanges;
  static constexpr std::size_t kSmallSize = 9216;  ///< a walk of 16 names of 255 bytes, or two paths
  static constexpr std::size_t kTransferSize = 128U << 10;
  static constexpr std::size_t kMessageSize = kTransferSize + 4096;

  explicit Session(NinePTransport& transport) : transport_(transport) {}

  /// Agrees on the protocol. Errors: EPROTO (no 9P2000.L), EIO.
  Result<void> negotiate();
  /// Held by whoever collects calls for Call::exchange_all(): two who did might wait for each other's tags.
  Mutex batch_lock;
  /// Bytes of data in one Tread, Twrite or Treaddir.
  [[nodiscard]] std::size_t transfer_size() const { return transfer_size_; }

 private:
  friend class Call;
  struct Buffers {
    std::unique_ptr<std::byte[]> request, reply;
  };
  /// Things of which there are a few, and a queue for them.
  class Pool {
   public:
    explicit Pool(std::size_t count) : free_((1U << count) - 1) {}
    std::size_t take();
    void give(std::size_t index);

   private:
    bool try_take(std::size_t& index);
    SpinLock lock_;
    std::uint32_t free_;
    WaitQueue waiters_;
  };
  static std::byte* ensure(std::unique_ptr<std::byte[]>& buffer, std::size_t size);

  NinePTransport& transport_;
  std::size_t message_size_ = kSmallSize;
  std::size_t transfer_size_ = 0;
  Pool calls_{kMaxCalls}, transfers_{kMaxTransfers};
  std::array<Buffers, kMaxCalls> small_;
  std::array<std::unique_ptr<std::byte[]>, kMaxTransfers> large_;
};

/// One request and its reply. What the reply's reader gives lives as long as the call. No fid is dropped while its maker has a call.
class Call {
 public:
  enum class Data : std::uint8_t { kNone, kInRequest, kInReply };

  Call(Session& session, Message type, Data data = Data::kNone);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  WireWriter& request() { return request_; }
  /// Sends, waits, checks; then reply() stands at the first field. Errors: the server's; EIO; ENAMETOOLONG (the request does not fit).
  Result<void> exchange();
  /// The same for several calls at once, at most Session::kMaxBatch: each has its result afterwards.
  static void exchange_all(Session& session, std::span<Call* const> calls);
  [[nodiscard]] Result<void> result() const { return result_; }
  WireReader& reply() { return reply_; }
  /// Success if the reply had all that was read from it. Errors: EIO.
  Result<void> check_reply() const;

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  Result<void> finish_request();
  Result<void> accept_reply(std::size_t size);

  Session& session_;
  const Message type_;
  const std::size_t call_;
  std::size_t transfer_ = kNone;
  Tag tag_;
  std::span<std::byte> request_buffer_, reply_buffer_;
  WireWriter request_{{}};
  WireReader reply_;
  Result<void> result_ = fail(Errno::kIo);
};

/// Several calls without much data, made and exchanged together. Holds Session::batch_lock.
class Batch {
 public:
  explicit Batch(Session& session) : session_(session), guard_(session.batch_lock) {}
  /// Pre: fewer than Session::kMaxBatch so far.
  Call& add(Message type) { return calls_[count_++].emplace(session_, type); }
  void exchange();
  Call& operator[](std::size_t index) { return *calls_[index]; }

 private:
  Session& session_;
  Guard<Mutex> guard_;
  std::array<std::optional<Call>, Session::kMaxBatch> calls_;
  std::size_t count_ = 0;
};

}  // namespace quire::kernel::nine_p
