// What has come for one socket and has not been read: the half of a connection that its reader owns.
//
// Life cycle: made with its socket; whoever sends to the socket keeps it too, so that a sender needs no hold on the socket. The other
// half of a connection is the peer's. One class serves streams, whose bytes run together, and packets, which stay apart; what accompanies
// bytes is kept in records, in order, each for some of the bytes.
//
// Locks: `lock` guards all fields; it is held while bytes are copied, which may sleep for a page fault. Never two of them at once.
// References to files that leave a queue are dropped without it.
#pragma once

#include <deque>

#include "ipc/byte_queue.h"
#include "net/message.h"
#include "sched/wait.h"
#include "sync/lock.h"

namespace quire::kernel {

class ReceiveQueue final : public RefCounted {
 public:
  enum class Kind : std::uint8_t { kStream, kPackets };
  explicit ReceiveQueue(Kind its_kind) : kind(its_kind) {}

  /// Appends up to `n` bytes of `data` to a stream. What accompanies them goes with the first. Returns how many. Errors: EFAULT, ENOMEM.
  Result<std::size_t> append_locked(IoBuffer& data, std::size_t n, Ancillary& ancillary);
  /// Appends all of `data` as one packet. `from` may be null: nobody. Errors: EFAULT, ENOMEM; then nothing is there.
  Result<void> append_packet_locked(IoBuffer& data, Ancillary& ancillary, const RawAddress* from, RefPtr<ReceiveQueue> sender);

  enum class Take : std::uint8_t { kRemove, kPeek, kThrowAway };
  /// Reads a stream up to `n` bytes: not past bytes that files came with, nor, if `by_sender`, past those of one sender.
  /// kThrowAway copies nothing. Pre: not empty.
  Result<std::size_t> read_locked(IncomingMessage& into, std::size_t n, bool by_sender, Take take);
  /// Reads the first packet. Returns its whole size, of which what did not fit is lost. `sender` gets whom to tell that there is room.
  /// Pre: has_packet().
  Result<std::size_t> read_packet_locked(IncomingMessage& into, Take take, RefPtr<ReceiveQueue>& sender);

  [[nodiscard]] std::size_t bytes_locked() const { return bytes_.size(); }
  [[nodiscard]] std::size_t packets_locked() const { return records_.size(); }
  [[nodiscard]] std::size_t first_packet_size_locked() const { return records_.empty() ? 0 : records_.front().size; }
  [[nodiscard]] bool is_empty_locked() const { return records_.empty(); }
  /// Takes everything out. The records are the caller's to drop without the lock.
  struct Record {
    std::size_t size = 0;
    Rights rights;
    SocketCredentials sender;
    HeaderFields header;
    std::unique_ptr<RawAddress> from;
    RefPtr<ReceiveQueue> sender_queue;
  };
  [[nodiscard]] std::deque<Record> clear_locked();
  /// Files that wait here, for the collection of sockets that only hold each other.
  template <typename Visit>
  void for_each_file_locked(Visit visit) {
    for (const Record& record : records_) {
      for (const RefPtr<File>& file : record.rights.files()) visit(*file);
    }
  }

  const Kind kind;
  Mutex lock;
  WaitQueue wait;            ///< the owner's readers and writers, and whoever polls its socket
  bool ended = false;        ///< no more will come: after the last byte there is the end
  bool reader_gone = false;  ///< its owner reads no more (shutdown)
  bool closed = false;       ///< its owner is no more
  bool broken = false;       ///< the connection was reset: its owner cannot send
  const ReceiveQueue* only_from = nullptr;  ///< the one sender its owner wants packets from (connect); only compared
  Errno error{};             ///< to be told to the owner once; 0: none

 private:
  std::deque<Record> records_;
  ByteQueue bytes_;
};

}  // namespace quire::kernel
