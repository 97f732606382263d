// What goes through a socket: bytes, and beside them addresses, open files and credentials.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "fs/vfs.h"
#include "task/task.h"

namespace quire::kernel {

/// A socket address as programs pass it: struct sockaddr_un, sockaddr_in … Size 0: none.
struct RawAddress {
  static constexpr std::size_t kCapacity = 128;  // struct sockaddr_storage
  std::array<std::byte, kCapacity> bytes{};
  std::uint32_t size = 0;
  /// AF_*; AF_UNSPEC if it is too short to have one.
  [[nodiscard]] std::uint16_t family() const;
};

/// struct ucred.
struct SocketCredentials {
  Pid pid = 0;
  std::uint32_t uid = 0, gid = 0;
  friend bool operator==(const SocketCredentials&, const SocketCredentials&) = default;
  static SocketCredentials of_current();
};

/// Open files on their way (SCM_RIGHTS). Each counts as a descriptor as long as it is here. Dropping them may sleep.
class Rights {
 public:
  Rights() = default;
  explicit Rights(std::vector<RefPtr<File>> files);
  Rights(Rights&& other) noexcept : files_(std::exchange(other.files_, {})) {}
  Rights& operator=(Rights&& other) noexcept {
    std::swap(files_, other.files_);
    return *this;
  }
  ~Rights();
  [[nodiscard]] Rights copy() const { return Rights(files_); }
  [[nodiscard]] bool empty() const { return files_.empty(); }
  [[nodiscard]] std::span<const RefPtr<File>> files() const { return files_; }
  /// How many files are anywhere in messages.
  [[nodiscard]] static std::uint64_t on_their_way();

 private:
  std::vector<RefPtr<File>> files_;
};

/// What an IP packet's header says beside the addresses. −1: nothing is known of it; of a packet to send: as the socket's options say.
struct HeaderFields {
  int hop_limit = -1, traffic_class = -1;
};

/// What accompanies bytes.
struct Ancillary {
  Rights rights;
  std::optional<SocketCredentials> credentials;
  HeaderFields header{};
};

/// One send. `flags` are MSG_*.
struct OutgoingMessage {
  IoBuffer data;
  std::uint32_t flags = 0;
  RawAddress to;
  Ancillary ancillary;
};

/// One receive: asked with `data` and `flags`, answered with the rest.
struct IncomingMessage {
  IoBuffer data;
  std::uint32_t flags = 0;
  std::uint32_t result_flags = 0;  ///< MSG_TRUNC, MSG_CTRUNC …
  RawAddress from;
  Ancillary ancillary;
};

}  // namespace quire::kernel
