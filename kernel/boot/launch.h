// The launch block: what the command wants run (docs/decisions/0001-guest-contract.md).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace quire::kernel {

/// Parsed once at boot; the views point into memory that stays.
struct Launch {
  std::string_view program, cwd = "/", hostname = "quire", fork = "tree", tty, root = "root", stats, seed;
  std::vector<std::string_view> args, env;
  struct RwMount {
    std::string_view tag, path;
  };
  std::vector<RwMount> rw;
  std::uint32_t uid = 0, gid = 0, umask = 022;
  std::vector<std::uint32_t> groups;
  std::uint16_t rows = 0, columns = 0;
  bool root_writable = false, selftest = false, has_block = false;
  bool lends = true;  ///< files lend tables
  int verbose = 0, randomize = 2;
  std::uint64_t realtime_ns = 0, tsc_hz = 0;
};
const Launch& launch();

}  // namespace quire::kernel
