#include "ipc/message_queues.h"

#include <algorithm>
#include <limits>

namespace quire::kernel {

// Linux v6.12 ipc/msg.c:convert_mode()
MessageChoice::MessageChoice(std::int64_t type, std::uint32_t flags) : how_(How::kOf), type_(type) {
  if (type == 0) {
    how_ = How::kAny;
  } else if (type < 0) {
    how_ = How::kUpTo;
    type_ = type == std::numeric_limits<std::int64_t>::min() ? std::numeric_limits<std::int64_t>::max() : -type;
  } else if ((flags & MSG_EXCEPT) != 0) {
    how_ = How::kOther;
  }
}

bool MessageChoice::takes(std::int64_t type) const {
  switch (how_) {
    case How::kAny: return true;
    case How::kOf: return type == type_;
    case How::kOther: return type != type_;
    case How::kUpTo: return type <= type_;
  }
  return false;
}

void MessageQueue::send(std::unique_ptr<Message> message) {
  last_sender = current_pid();
  sent = ipc_time();
  if (hand_over(message)) return;
  bytes_ += message->text.size();
  messages_.push_back(std::move(message));
}

// Receivers without room for it are told so and wait no longer.
bool MessageQueue::hand_over(std::unique_ptr<Message>& message) {
  for (auto at = receivers_.begin(); at != receivers_.end();) {
    MessageWait& call = *at;
    if (!call.choice.takes(message->type)) {
      ++at;
      continue;
    }
    at = receivers_.erase(at);
    call.is_over = true;
    const bool fits = message->text.size() <= call.room || call.may_cut;
    if (fits) {
      last_receiver = call.pid;
      received = ipc_time();
      call.message = std::move(message);
    } else {
      call.error = Errno::kTooBig;
    }
    call.ended.wake_all();
    if (fits) return true;
  }
  return false;
}

Result<void> MessageQueue::receive(MessageWait& call) {
  auto found = messages_.end();
  for (auto at = messages_.begin(); at != messages_.end(); ++at) {
    if (!call.choice.takes((*at)->type)) continue;
    if (found == messages_.end() || (*at)->type < (*found)->type) found = at;
    if (!call.choice.wants_lowest()) break;
  }
  if (found == messages_.end()) return fail(kNoMessage);
  if ((*found)->text.size() > call.room && !call.may_cut) return fail(Errno::kTooBig);
  call.message = std::move(*found);
  messages_.erase(found);
  bytes_ -= call.message->text.size();
  last_receiver = call.pid;
  received = ipc_time();
  senders.wake_all();
  return {};
}

void MessageQueue::end_lines() {
  while (!receivers_.empty()) {
    MessageWait& call = receivers_.front();
    receivers_.pop_front();
    call.is_over = true;
    call.error = kRemoved;
    call.ended.wake_all();
  }
  senders.wake_all();
}

MessageTable& message_table() {
  static constinit std::atomic<MessageTable*> made{nullptr};
  return made_once(made);
}

}  // namespace quire::kernel
