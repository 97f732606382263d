#include "pump.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "message.h"

namespace quire::cli {
namespace {

constexpr std::size_t kChunk = 65536;       // bytes moved by one call
constexpr std::size_t kHighWater = kChunk;  // waiting bytes above which a pump stops reading

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

/// Writes without blocking even if another process fills the pipe after our poll. Kernels before
/// Linux 6.4 cannot promise that for pipes; there a write of at most PIPE_BUF bytes after POLLOUT
/// is what does not block.
ssize_t write_to_pipe(int fd, std::string_view bytes) {
  const iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  const ssize_t written = pwritev2(fd, &vector, 1, -1, RWF_NOWAIT);
  if (written >= 0 || errno != EOPNOTSUPP) return written;
  return write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
}

}  // namespace

void PollSet::want(int fd, short events) {
  const auto entry = std::ranges::find(entries_, fd, &pollfd::fd);
  if (entry == entries_.end()) {
    entries_.push_back({fd, events, 0});
  } else {
    entry->events = static_cast<short>(entry->events | events);
  }
}

void PollSet::wait(int timeout_ms) {
  if (poll(entries_.data(), entries_.size(), timeout_ms) < 0 && errno != EINTR) fail_errno("poll");
}

short PollSet::got(int fd) const {
  const auto entry = std::ranges::find(entries_, fd, &pollfd::fd);
  return entry == entries_.end() ? short{0} : entry->revents;
}

void ByteQueue::pop(std::size_t count) {
  taken_ += count;
  if (taken_ == bytes_.size()) {
    bytes_.clear();
    taken_ = 0;
  }
}

ReadResult read_available(int fd, std::string& to) {
  const std::size_t before = to.size();
  to.resize(before + kChunk);
  const ssize_t count = read(fd, to.data() + before, kChunk);
  to.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count > 0) return ReadResult::kBytes;
  return count < 0 && would_block(errno) ? ReadResult::kNothingNow : ReadResult::kEnd;
}

bool flush_to_socket(int fd, ByteQueue& queue) {
  while (!queue.empty()) {
    const ssize_t sent =
        send(fd, queue.front().data(), queue.front().size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return would_block(errno);
    queue.pop(static_cast<std::size_t>(sent));
  }
  return true;
}

HostOutput::HostOutput(int fd) : fd_(fd), kind_(Kind::kOther) {
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) return;
  if (S_ISFIFO(status.st_mode)) kind_ = Kind::kPipe;
  if (S_ISSOCK(status.st_mode)) kind_ = Kind::kSocket;
}

HostOutput::Result HostOutput::write_some(ByteQueue& queue) const {
  constexpr std::size_t kTerminalRoom = 4096;
  const std::string_view bytes = queue.front();
  ssize_t written = 0;
  switch (kind_) {
    case Kind::kPipe:
      written = write_to_pipe(fd_, bytes);
      break;
    case Kind::kSocket:
      written = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      break;
    case Kind::kOther:
      written = write(fd_, bytes.data(), std::min(bytes.size(), kTerminalRoom));
      break;
  }
  if (written >= 0) {
    queue.pop(static_cast<std::size_t>(written));
    return Result::kOk;
  }
  if (would_block(errno)) return Result::kOk;
  return errno == EPIPE ? Result::kClosed : Result::kFailed;
}

OutputPump::OutputPump(int source, int caller_fd) : source_(source), target_(caller_fd) {}

OutputPump::OutputPump(int source, std::string& capture)
    : source_(source), target_(-1), capture_(&capture) {}

void OutputPump::want(PollSet& set) const {
  if (!ended_ && queue_.size() < kHighWater) set.want(source_, POLLIN);
  if (!queue_.empty()) set.want(target_.fd(), POLLOUT);
}

HostOutput::Result OutputPump::move(const PollSet& set) {
  if (set.got(source_) != 0) {
    std::string bytes;
    if (read_available(source_, bytes) == ReadResult::kEnd) ended_ = true;
    if (capture_ != nullptr) {
      capture_->append(bytes);
    } else {
      queue_.push(bytes);
    }
  }
  if (set.got(target_.fd()) == 0) return HostOutput::Result::kOk;
  const std::size_t before = queue_.size();
  const HostOutput::Result result = target_.write_some(queue_);
  written_ += before - queue_.size();
  return result;
}

InputPump::InputPump(int caller_fd, int guest_socket) : source_(caller_fd), guest_(guest_socket) {}

void InputPump::push_frame(std::string_view bytes) {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  char header[4];
  for (unsigned i = 0; i < 4; ++i) header[i] = static_cast<char>(length >> (8 * i));
  queue_.push({header, sizeof header});
  queue_.push(bytes);
}

void InputPump::want(PollSet& set, bool may_read) const {
  if (guest_gone_) return;
  if (!ended_ && may_read && queue_.size() < kHighWater) set.want(source_, POLLIN);
  if (!queue_.empty()) set.want(guest_, POLLOUT);
}

void InputPump::move(const PollSet& set) {
  if (guest_gone_) return;
  if (!ended_ && set.got(source_) != 0) {
    std::string bytes;
    const ReadResult result = read_available(source_, bytes);
    ended_ = result == ReadResult::kEnd;
    if (result != ReadResult::kNothingNow) push_frame(bytes);  // an empty frame is the end
  }
  if (set.got(guest_) != 0 && !flush_to_socket(guest_, queue_)) guest_gone_ = true;
}

}  // namespace quire::cli
