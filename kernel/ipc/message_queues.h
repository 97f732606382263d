// System V message queues: messages with a type, taken by type (man7 msgop(2); Linux v6.12 ipc/msg.c).
//
// Life cycle of a queue: made by msgget; in the table until IPC_RMID. A message goes to the receiver that has waited longest for one like
// it, or into the queue. Senders wait until there is room; who is woken first sends first.
// Locks: the table's mutex guards all of it.
#pragma once

#include <linux/msg.h>

#include <boost/intrusive/list.hpp>
#include <deque>
#include <memory>

#include "ipc/system_v.h"
#include "sched/wait.h"

namespace quire::kernel {

struct Message {
  std::int64_t type = 0;
  std::vector<std::byte> text;
};

/// Which message a receiver wants.
class MessageChoice {
 public:
  MessageChoice(std::int64_t type, std::uint32_t flags);
  [[nodiscard]] bool takes(std::int64_t type) const;
  /// Whether of all that it takes it wants that of the lowest type, not the first.
  [[nodiscard]] bool wants_lowest() const { return how_ == How::kUpTo; }

 private:
  enum class How : std::uint8_t { kAny, kOf, kOther, kUpTo };
  How how_;
  std::int64_t type_;
};

/// A receiver in a queue's line.
struct MessageWait {
  MessageChoice choice;
  std::size_t room;
  bool may_cut = false;  ///< MSG_NOERROR
  Pid pid = 0;
  std::unique_ptr<Message> message = nullptr;  ///< what it got
  bool is_over = false;
  Errno error{0};
  WaitQueue ended{};
  boost::intrusive::list_member_hook<> hook{};
};

class MessageQueue final : public IpcObject {
 public:
  MessageQueue(std::int32_t wanted_key, std::uint32_t permissions) : IpcObject(wanted_key, permissions) {}

  [[nodiscard]] bool has_room(std::size_t bytes) const { return bytes + bytes_ <= most_bytes && messages_.size() + 1 <= most_bytes; }
  /// Hands it to a receiver that waits, or keeps it. Pre: there is room.
  void send(std::unique_ptr<Message> message);
  /// Takes a message out for `call`. Errors: ENOMSG, E2BIG.
  Result<void> receive(MessageWait& call);
  /// The message at `position`, which stays. Null: there is none.
  [[nodiscard]] const Message* at(std::size_t position) const { return position < messages_.size() ? messages_[position].get() : nullptr; }
  void stand_in_line(MessageWait& call) { receivers_.push_back(call); }
  void leave_line(MessageWait& call) { receivers_.erase(receivers_.iterator_to(call)); }
  /// Everybody who waits finds it gone.
  void end_lines();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t messages() const { return messages_.size(); }

  std::size_t most_bytes = MSGMNB;
  std::int64_t sent = 0, received = 0;  ///< seconds since the epoch
  Pid last_sender = 0, last_receiver = 0;
  WaitQueue senders;  ///< told when there is more room

 private:
  ~MessageQueue() override = default;
  using Line = boost::intrusive::list<
      MessageWait, boost::intrusive::member_hook<MessageWait, boost::intrusive::list_member_hook<>, &MessageWait::hook>>;
  [[nodiscard]] bool hand_over(std::unique_ptr<Message>& message);

  std::deque<std::unique_ptr<Message>> messages_;
  std::size_t bytes_ = 0;
  Line receivers_;
};

class MessageTable final : public IpcTableOf<MessageQueue> {
 public:
  MessageTable() : IpcTableOf(MSGMNI) {}
};
MessageTable& message_table();

}  // namespace quire::kernel
