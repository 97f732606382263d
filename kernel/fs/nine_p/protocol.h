// 9P2000.L: numbers of the protocol (the public description of 9P2000.L in the diod project's
// protocol.md; man7-like semantics follow Linux).
//
// A message is size[4] type[1] tag[2] and then fields; integers are little-endian, strings have a
// 16-bit length. size counts itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::kernel::nine_p {

enum class Message : std::uint8_t {
  kRlerror = 7,
  kTstatfs = 8,
  kTlopen = 12,
  kTsymlink = 16,
  kTmknod = 18,
  kTreadlink = 22,
  kTgetattr = 24,
  kTsetattr = 26,
  kTreaddir = 40,
  kTfsync = 50,
  kTlink = 70,
  kTmkdir = 72,
  kTrenameat = 74,
  kTunlinkat = 76,
  kTversion = 100,
  kTattach = 104,
  kTwalk = 110,
  kTread = 116,
  kTwrite = 118,
  kTclunk = 120,
};
/// The reply to a request is the next number.
[[nodiscard]] constexpr std::uint8_t reply_to(Message request) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(request) + 1);
}

using Fid = std::uint32_t;
using Tag = std::uint16_t;
inline constexpr Fid kNoFid = ~Fid{0};
inline constexpr Tag kNoTag = 0xffff;

inline constexpr std::size_t kHeaderSize = 7;
/// Room for everything around the data of Rread and Twrite.
inline constexpr std::size_t kIoOverhead = 24;
inline constexpr std::size_t kMaxWalk = 16;

/// The server's name for a file.
struct Qid {
  static constexpr std::uint8_t kDirectory = 0x80, kSymlink = 0x02;
  std::uint8_t type = 0;
  std::uint32_t version = 0;
  std::uint64_t path = 0;
};

/// Tgetattr: the fields of stat(2).
inline constexpr std::uint64_t kGetattrBasic = 0x7ff;

/// Tsetattr: which fields count.
inline constexpr std::uint32_t kSetMode = 0x1, kSetUid = 0x2, kSetGid = 0x4, kSetSize = 0x8,
                               kSetAtime = 0x10, kSetMtime = 0x20, kSetAtimeTo = 0x80,
                               kSetMtimeTo = 0x100;

/// Tunlinkat: remove a directory.
inline constexpr std::uint32_t kRemoveDirectory = 0x200;

}  // namespace quire::kernel::nine_p
