#include "net/datagram_socket.h"

#include <linux/poll.h>

#include <algorithm>

namespace quire::kernel {

DatagramSocket::~DatagramSocket() {
  std::deque<ReceiveQueue::Record> unread;
  {
    const Guard guard(own->lock);
    own->closed = true;
    unread = own->clear_locked();
  }
  own->wait.wake_all();  // whoever waits for room
  for (const ReceiveQueue::Record& record : unread) {
    if (record.sender_queue) record.sender_queue->wait.wake_all(POLLOUT | POLLWRNORM);
  }
}

Result<std::size_t> DatagramSocket::receive(IncomingMessage& message) {
  if ((message.flags & MSG_OOB) != 0) return fail(Errno::kOpNotSupp);
  if ((message.flags & MSG_ERRQUEUE) != 0) return fail(Errno::kAgain);
  const std::size_t room = message.data.size();
  std::size_t size = 0;
  RefPtr<ReceiveQueue> sender;
  const bool peeks = (message.flags & MSG_PEEK) != 0;
  const auto step = [&]() -> Result<bool> {
    const Guard guard(own->lock);
    if (own->error != kNoError) return fail(std::exchange(own->error, kNoError));
    if (own->is_empty_locked()) {
      size = 0;
      return own->reader_gone;
    }
    QUIRE_TRY(size, own->read_packet_locked(message, peeks ? ReceiveQueue::Take::kPeek : ReceiveQueue::Take::kRemove, sender));
    return true;
  };
  QUIRE_CHECK(wait_for(own->wait, must_not_wait(message.flags), options.receive_timeout.load(), step));
  if (sender) {
    own->wait.wake_all(POLLOUT);  // senders that sleep until there is room here
    sender->wait.wake_all(POLLOUT | POLLWRNORM);
  }
  if (size > room) message.result_flags |= MSG_TRUNC;
  return (message.flags & MSG_TRUNC) != 0 ? size : std::min(size, room);
}

Result<void> DatagramSocket::shutdown(int how) {
  if (!may_shut_down()) return fail(kNotConnected);
  if (how != SHUT_WR) {
    const Guard guard(own->lock);
    own->reader_gone = true;
  }
  if (how != SHUT_RD) write_shut_ = true;
  own->wait.wake_all();
  return {};
}

PollMask DatagramSocket::poll(Listener* listener) {
  if (listener != nullptr) listener->add(own->wait);
  PollMask events = 0;
  const bool room = has_room();
  const Guard guard(own->lock);
  if (own->error != kNoError) events |= POLLERR;
  if (!own->is_empty_locked()) events |= POLLIN | POLLRDNORM;
  if (own->reader_gone) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (own->reader_gone && write_shut_.load()) events |= POLLHUP;
  if (room) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return events;
}

}  // namespace quire::kernel
