#include "net/stream_socket.h"

#include <linux/fcntl.h>
#include <linux/poll.h>

#include <algorithm>

#include "syscall/syscall.h"

namespace quire::kernel {

namespace {

/// Linux's /proc/sys/net/core/somaxconn.
constexpr int kMostPending = 4096;
/// What a TCP connection holds on its way if the program sets no size: both ends' buffers, as far as Linux lets them grow here.
constexpr std::size_t kTcpCapacity = 512 * 1024, kTcpReceiveSide = 128 * 1024;

}  // namespace

StreamSocket::Owner StreamSocket::Owner::of_current() { return {SocketCredentials::of_current(), current_credentials().groups}; }

StreamSocket::StreamSocket(Style style, int its_domain, int its_type, int its_protocol, std::uint32_t file_flags)
    : Socket(its_domain, its_type, its_protocol, file_flags), style_(style) {
  if (style != Style::kTcp) return;
  options.send_buffer = kTcpSendBuffer;  // Linux's tcp_wmem and tcp_rmem
  options.receive_buffer = kTcpReceiveBuffer;
}

StreamSocket::~StreamSocket() {
  std::deque<ReceiveQueue::Record> unread;
  {
    const Guard guard(own->lock);
    own->closed = true;
    unread = own->clear_locked();
  }
  // Nobody will accept these; their other ends learn it before they see an end.
  for (const RefPtr<StreamSocket>& embryo : pending_) reset(*embryo->peer_);
  if (!peer_) return;
  const bool aborts = style_ == Style::kTcp && options.linger_on && options.linger_seconds == 0;
  if (!unread.empty() || aborts) reset(*peer_);
  {
    const Guard guard(peer_->lock);
    peer_->ended = true;
  }
  peer_->wait.wake_all();
}

void StreamSocket::reset(ReceiveQueue& end) const {
  const Guard guard(end.lock);
  end.error = kConnectionReset;
  if (style_ == Style::kTcp) end.broken = true;
}

void StreamSocket::on_close() {
  {
    const Guard guard(state_lock_);
    if (state_ != State::kListening) return;
    state_ = State::kClosed;
  }
  own->wait.wake_all();
}

StreamSocket::State StreamSocket::state() {
  const Guard guard(state_lock_);
  return state_;
}

RefPtr<ReceiveQueue> StreamSocket::peer() {
  const Guard guard(state_lock_);
  return peer_;
}

bool StreamSocket::is_listening() { return state() == State::kListening; }

SocketCredentials StreamSocket::peer_credentials() {
  const Guard guard(state_lock_);
  return state_ == State::kListening ? own_side_.credentials : peer_ ? peer_side_.credentials : Socket::peer_credentials();
}

std::vector<std::uint32_t> StreamSocket::peer_groups() {
  const Guard guard(state_lock_);
  return peer_side_.groups;
}

Result<RawAddress> StreamSocket::peer_name() {
  const Guard guard(state_lock_);
  if (!peer_) return fail(kNotConnected);
  return peer_address_;
}

Result<void> StreamSocket::listen(int backlog) {
  if (const State now = state(); now != State::kNew && now != State::kListening) return fail(Errno::kInval);
  QUIRE_CHECK(prepare_listen());
  const Guard guard(state_lock_);
  backlog_ = static_cast<std::size_t>(backlog < 0 ? kMostPending : std::min(backlog, kMostPending));
  own_side_ = Owner::of_current();
  state_ = State::kListening;
  return {};
}

Result<void> StreamSocket::begin_connect() {
  const Guard guard(state_lock_);
  switch (state_) {
    case State::kNew:
      state_ = State::kConnecting;
      return {};
    case State::kConnecting:
      return fail(Errno::kAlready);
    case State::kConnected:
      return fail(kIsConnected);
    case State::kListening:
    case State::kClosed:
      break;
  }
  return fail(style_ == Style::kTcp ? kIsConnected : Errno::kInval);
}

void StreamSocket::end_connect(State to) {
  const Guard guard(state_lock_);
  state_ = to;
}

void StreamSocket::attach(RefPtr<ReceiveQueue> to, const RawAddress& peer_address, const Owner& owner) {
  const Guard guard(state_lock_);
  peer_ = std::move(to);
  peer_address_ = peer_address;
  peer_side_ = owner;
  state_ = State::kConnected;
}

Result<void> StreamSocket::connect_to(StreamSocket& listener, std::size_t may_overflow) {
  const RefPtr<StreamSocket> server = listener.make_server_end(*this);
  server->attach(own, name(), Owner::of_current());
  const std::size_t beyond = nonblocking() ? may_overflow : 0;
  Owner owner;
  const auto queue_up = [&]() -> Result<bool> {
    const Guard guard(listener.state_lock_);
    if (listener.state_ != State::kListening) return fail(kConnectionRefused);
    if (listener.pending_.size() > listener.backlog_ + beyond) return false;
    owner = listener.own_side_;
    listener.pending_.push_back(server);
    return true;
  };
  QUIRE_CHECK(wait_for(listener.own->wait, nonblocking(), options.send_timeout.load(), queue_up));
  attach(server->own, server->name(), owner);
  listener.own->wait.wake_all(POLLIN | POLLRDNORM);
  own->wait.wake_all();
  return {};
}

Result<void> StreamSocket::pair_with(Socket& other) {
  if (style_ == Style::kTcp) return fail(Errno::kOpNotSupp);
  auto& second = static_cast<StreamSocket&>(other);
  const Owner owner = Owner::of_current();
  attach(second.own, second.name(), owner);
  second.attach(own, name(), owner);
  return {};
}

Result<RefPtr<Socket>> StreamSocket::accept(std::uint32_t file_flags, RawAddress& peer_address) {
  RefPtr<StreamSocket> accepted;
  const auto take = [&]() -> Result<bool> {
    const Guard guard(state_lock_);
    if (state_ != State::kListening) return fail(Errno::kInval);
    if (pending_.empty()) return false;
    accepted = std::move(pending_.front());
    pending_.pop_front();
    return true;
  };
  QUIRE_CHECK(wait_for(own->wait, nonblocking(), options.receive_timeout.load(), take));
  own->wait.wake_all(POLLOUT);  // there is room for another one
  accepted->flags.fetch_or(file_flags & O_NONBLOCK);
  QUIRE_TRY(peer_address, accepted->peer_name());
  return RefPtr<Socket>(accepted);
}

Result<void> StreamSocket::shutdown(int how) {
  const bool reads = how != SHUT_WR, writes = how != SHUT_RD;
  const RefPtr<ReceiveQueue> to = peer();
  if (style_ == Style::kTcp && !to) {
    if (!is_listening()) return fail(kNotConnected);
    if (reads) on_close();
    return {};
  }
  if (reads) {
    const Guard guard(own->lock);
    own->reader_gone = true;
  }
  if (writes) write_shut_ = true;
  own->wait.wake_all();
  if (!to) return {};
  if (writes) {
    const Guard guard(to->lock);
    to->ended = true;
  }
  to->wait.wake_all();
  return {};
}

std::size_t StreamSocket::capacity() const {
  const auto asked = static_cast<std::size_t>(options.send_buffer.load());
  if (style_ == Style::kUnix) return asked;
  return asked == kTcpSendBuffer ? kTcpCapacity : asked + kTcpReceiveSide;
}

std::size_t StreamSocket::unsent_bytes() {
  const RefPtr<ReceiveQueue> to = peer();
  if (!to || style_ == Style::kTcp) return 0;  // what a TCP peer has in its queue has been sent
  const Guard guard(to->lock);
  return to->bytes_locked();
}

/// One try. Returns what was sent; `finished` tells that there is no more to send, or no room that is worth it.
Result<std::size_t> StreamSocket::send_once(ReceiveQueue& to, OutgoingMessage& message, bool& no_room) {
  no_room = false;
  bool own_broken = write_shut_.load();
  if (style_ == Style::kTcp || has_records()) {
    const Guard guard(own->lock);
    if (own->error != kNoError) {
      const Errno error = std::exchange(own->error, kNoError);
      if (error == Errno::kPipe) return broken_pipe(message.flags);
      return fail(error);
    }
    own_broken = own_broken || own->broken;
  }
  if (own_broken) return broken_pipe(message.flags);
  const std::size_t limit = capacity();
  bool to_nobody = false;
  {
    const Guard guard(to.lock);
    if (!to.closed && (style_ == Style::kTcp || !to.reader_gone)) {
      const std::size_t used = to.bytes_locked(), size = message.data.size();
      if (has_records()) {
        if (size > limit) return fail(kMessageTooLong);
        if (used + size > limit && !to.is_empty_locked()) {
          no_room = true;
          return 0;
        }
        QUIRE_CHECK(to.append_packet_locked(message.data, message.ancillary, nullptr, nullptr));
        return size;
      }
      const std::size_t room = limit - std::min(used, limit);
      // A little room would be had a byte at a time.
      if (room < size && room < limit / 4) {
        no_room = true;
        return 0;
      }
      return to.append_locked(message.data, std::min(room, size), message.ancillary);
    }
    to_nobody = to.closed && style_ == Style::kTcp;
  }
  if (!to_nobody) return broken_pipe(message.flags);
  // A TCP peer that is no more answers the first segment with a reset, which the next call finds.
  {
    const Guard guard(own->lock);
    own->broken = true;
    own->error = Errno::kPipe;
  }
  own->wait.wake_all();
  return message.data.size();
}

Result<std::size_t> StreamSocket::send(OutgoingMessage& message) {
  if ((message.flags & MSG_OOB) != 0) return fail(Errno::kOpNotSupp);
  const RefPtr<ReceiveQueue> to = peer();
  if (style_ == Style::kUnix) {
    if (type == SOCK_STREAM && message.to.size != 0) return fail(to ? kIsConnected : Errno::kOpNotSupp);
    if (!to) return fail(kNotConnected);
  } else if (!to) {
    if (const Errno error = take_error(); error != kNoError) return fail(error);
    return broken_pipe(message.flags);
  }
  const std::size_t size = message.data.size();
  std::size_t done = 0;
  const auto step = [&]() -> Result<bool> {
    while (done < size || (has_records() && size == 0)) {
      bool no_room = false;
      message.data.limit(size - done);
      QUIRE_TRY(const std::size_t sent, send_once(*to, message, no_room));
      if (no_room) return false;
      done += sent;
      to->wait.wake_all(POLLIN | POLLRDNORM | POLLRDBAND);
      if (has_records()) break;
    }
    return true;
  };
  if (size == 0 && !has_records()) {
    if (write_shut_.load()) return broken_pipe(message.flags);
    return 0;
  }
  const auto result = wait_for(own->wait, must_not_wait(message.flags), options.send_timeout.load(), step);
  if (!result && done == 0) return fail(result.error());
  return done;
}

Result<std::size_t> StreamSocket::receive(IncomingMessage& message) {
  if ((message.flags & MSG_ERRQUEUE) != 0) return fail(Errno::kAgain);
  if ((message.flags & MSG_OOB) != 0) return fail(has_records() ? Errno::kOpNotSupp : Errno::kInval);
  const RefPtr<ReceiveQueue> from = peer();
  if (!from) {
    if (style_ == Style::kTcp) {
      if (const Errno error = take_error(); error != kNoError) return fail(error);
    }
    return fail(style_ == Style::kUnix && type == SOCK_STREAM ? Errno::kInval : kNotConnected);
  }
  return has_records() ? receive_record(message, *from) : receive_stream(message, *from);
}

/// Whether reading has come to its end. Errors: what waits for the owner. Locks: own->lock.
Result<bool> StreamSocket::at_end_locked() {
  if (own->error != kNoError && own->error != Errno::kPipe) return fail(std::exchange(own->error, kNoError));
  return own->ended || own->reader_gone;
}

Result<std::size_t> StreamSocket::receive_stream(IncomingMessage& message, ReceiveQueue& from) {
  const std::size_t size = message.data.size();
  if (size == 0) return 0;
  const bool peeks = (message.flags & MSG_PEEK) != 0;
  const bool throws_away = style_ == Style::kTcp && (message.flags & MSG_TRUNC) != 0;  // man7 tcp(7)
  using Take = ReceiveQueue::Take;
  const Take take = peeks ? Take::kPeek : throws_away ? Take::kThrowAway : Take::kRemove;
  const auto low = static_cast<std::size_t>(options.receive_low.load());
  const std::size_t target = (message.flags & MSG_WAITALL) != 0 && !peeks ? size : std::min(low, size);
  std::size_t done = 0;
  const auto step = [&]() -> Result<bool> {
    bool finished = false;
    std::size_t got = 0;
    {
      const Guard guard(own->lock);
      if (own->is_empty_locked()) {
        if (done != 0 && own->error != kNoError) return true;
        return at_end_locked();
      }
      if (peeks && own->bytes_locked() < target && !own->ended && !own->reader_gone) return false;
      QUIRE_TRY(got, own->read_locked(message, size - done, options.pass_credentials.load(), take));
      done += got;
      finished = done >= target || peeks || !message.ancillary.rights.empty();
    }
    if (!peeks) from.wait.wake_all(POLLOUT | POLLWRNORM);
    return finished;
  };
  const auto again = [&]() -> Result<bool> {
    for (;;) {
      const std::size_t before = done;
      QUIRE_TRY(const bool finished, step());
      if (finished || done == before) return finished;
    }
  };
  const auto result = wait_for(own->wait, must_not_wait(message.flags), options.receive_timeout.load(), again);
  if (!result && done == 0) return fail(result.error());
  return done;
}

Result<std::size_t> StreamSocket::receive_record(IncomingMessage& message, ReceiveQueue& from) {
  const std::size_t room = message.data.size();
  std::size_t size = 0;
  RefPtr<ReceiveQueue> sender;
  const auto step = [&]() -> Result<bool> {
    const Guard guard(own->lock);
    if (own->is_empty_locked()) return at_end_locked();
    const auto take = (message.flags & MSG_PEEK) != 0 ? ReceiveQueue::Take::kPeek : ReceiveQueue::Take::kRemove;
    QUIRE_TRY(size, own->read_packet_locked(message, take, sender));
    return true;
  };
  QUIRE_CHECK(wait_for(own->wait, must_not_wait(message.flags), options.receive_timeout.load(), step));
  from.wait.wake_all(POLLOUT | POLLWRNORM);
  if (size > room) message.result_flags |= MSG_TRUNC;
  return (message.flags & MSG_TRUNC) != 0 ? size : std::min(size, room);
}

PollMask StreamSocket::poll(Listener* listener) {
  if (listener != nullptr) listener->add(own->wait);
  RefPtr<ReceiveQueue> to;
  {
    const Guard guard(state_lock_);
    if (state_ == State::kListening) return pending_.empty() ? 0 : POLLIN | POLLRDNORM;
    to = peer_;
  }
  PollMask events = 0;
  bool receive_ended = false, send_ended = write_shut_.load();
  {
    const Guard guard(own->lock);
    receive_ended = own->ended || own->reader_gone;
    if (own->broken) receive_ended = send_ended = true;
    if (own->error != kNoError) events |= POLLERR;
    const auto low = static_cast<std::size_t>(options.receive_low.load());
    if (has_records() ? !own->is_empty_locked() : own->bytes_locked() != 0 && own->bytes_locked() >= low) events |= POLLIN | POLLRDNORM;
  }
  constexpr PollMask kWritable = POLLOUT | POLLWRNORM;
  const PollMask writable = style_ == Style::kUnix ? kWritable | POLLWRBAND : kWritable;
  if (to) {
    const Guard guard(to->lock);
    if (style_ == Style::kUnix && (to->closed || to->reader_gone)) send_ended = true;
    const std::size_t limit = capacity(), used = to->bytes_locked();
    if (limit - std::min(used, limit) >= limit / 4 || (style_ == Style::kTcp && send_ended)) events |= writable;
  } else if (state() != State::kConnecting) {
    events |= writable | POLLHUP;
    if ((events & POLLERR) != 0) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  }
  if (receive_ended) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  if (receive_ended && send_ended) events |= POLLHUP;
  return events;
}

}  // namespace quire::kernel
