// Bytes under way between the caller's descriptors and the guest's channels, with back-pressure
// both ways.
//
// A pump names the descriptors it waits for (want), the session polls, and the pump moves what can
// be moved without blocking (move). The caller's descriptors 0-2 may be shared with other
// processes, so they are never made non-blocking: a read follows POLLIN, a write follows POLLOUT
// and is small enough not to block. A pump reads on only while little is waiting, so a slow reader
// slows the writer.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace quire::cli {

/// The descriptors one call of poll(2) waits for, and what it found.
class PollSet {
 public:
  void want(int fd, short events);
  /// Waits at most `timeout_ms` (negative: for ever).
  void wait(int timeout_ms);
  /// Events of `fd`; 0 if it was not asked for.
  [[nodiscard]] short got(int fd) const;

 private:
  std::vector<pollfd> entries_;
};

/// A queue of bytes, cheap at both ends.
class ByteQueue {
 public:
  void push(std::string_view bytes) { bytes_.append(bytes); }
  [[nodiscard]] std::string_view front() const { return std::string_view(bytes_).substr(taken_); }
  void pop(std::size_t count);
  [[nodiscard]] bool empty() const { return taken_ == bytes_.size(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - taken_; }

 private:
  std::string bytes_;
  std::size_t taken_ = 0;
};

/// What became of reading a descriptor once.
enum class ReadResult : std::uint8_t { kBytes, kNothingNow, kEnd };
/// Appends what is there to `to`. An error is an end.
ReadResult read_available(int fd, std::string& to);

/// Writes what `queue` holds to one of our sockets. False if the other end is gone.
bool flush_to_socket(int fd, ByteQueue& queue);

/// One of the caller's descriptors, to write to.
class HostOutput {
 public:
  explicit HostOutput(int fd);
  enum class Result : std::uint8_t {
    kOk,      ///< some bytes written, or none now
    kClosed,  ///< EPIPE: the reader is gone
    kFailed,  ///< errno says why
  };
  /// Pre: poll(2) just reported POLLOUT.
  Result write_some(ByteQueue& queue) const;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  enum class Kind : std::uint8_t { kPipe, kSocket, kOther };
  int fd_;
  Kind kind_;
};

/// Moves one of the guest's output streams to a descriptor of the caller, or into a string.
class OutputPump {
 public:
  /// `source`: our non-blocking end. Both outlive the pump.
  OutputPump(int source, int caller_fd);
  OutputPump(int source, std::string& capture);

  void want(PollSet& set) const;
  HostOutput::Result move(const PollSet& set);
  /// The source has ended and everything from it has been written.
  [[nodiscard]] bool finished() const { return ended_ && queue_.empty(); }
  [[nodiscard]] bool has_backlog() const { return !queue_.empty(); }
  /// Bytes the caller's descriptor has taken.
  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  int source_;
  HostOutput target_;
  std::string* capture_ = nullptr;
  ByteQueue queue_;
  std::uint64_t written_ = 0;
  bool ended_ = false;
};

/// Moves the caller's input to the guest in frames: length, bytes; length 0 is the end.
class InputPump {
 public:
  InputPump(int caller_fd, int guest_socket);

  /// `may_read`: false while the caller's terminal is not ours to read.
  void want(PollSet& set, bool may_read) const;
  void move(const PollSet& set);

 private:
  void push_frame(std::string_view bytes);

  int source_;
  int guest_;
  ByteQueue queue_;
  bool ended_ = false;
  bool guest_gone_ = false;
};

}  // namespace quire::cli
