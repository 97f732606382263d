// The benchmark `fork`: what fork costs as memory and mappings grow, in every fork mode, in
// instructions.
//
// Each point is one guest in exact mode that runs programs/fork_probe.c, so points do not disturb
// each other and two runs agree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/report.h"

namespace quire::cli {

/// One parent to fork.
struct ForkPoint {
  enum class Size : std::uint8_t { kMebibytes, kHugeMebibytes, kMappings };
  std::string mode;
  Size size = Size::kMebibytes;
  std::uint64_t count = 0;
  /// "fork/tree/1024MiB", "fork/tree/1024MiB-huge", "fork/copy/2000mappings"; the results below it are "…/fork",
  /// "…/first_write_parent" and so on.
  [[nodiscard]] std::string name() const;
};

/// All points, in the order they are run and reported.
std::vector<ForkPoint> fork_points();

/// Runs one point and returns its results; one skipped result if this host cannot run it. Throws
/// Failure if the guest fails.
std::vector<BenchResult> run_fork_point(const ForkPoint& point);

/// The growth laws that the results show: largest over smallest, per mode.
std::vector<BenchRatio> fork_ratios(const std::vector<BenchResult>& results);

}  // namespace quire::cli
