// An owned file descriptor, and the few system calls on descriptors that the command repeats.
//
// Everything the command opens is close-on-exec; what QEMU gets is handed over by child_process.h.
// Failures of calls that cannot fail on a healthy host throw Failure. No locks: the command has one
// thread.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace quire::cli {

/// Closes what it holds; -1 is "nothing".
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { reset(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

/// Two connected ends.
struct SocketPair {
  FileDescriptor ours;    ///< non-blocking
  FileDescriptor theirs;  ///< blocking, as QEMU expects it
};
SocketPair make_socket_pair();

/// A file in memory with these contents, at offset 0.
FileDescriptor make_memory_file(const char* name, std::string_view contents);

void set_nonblocking(int fd);

}  // namespace quire::cli
