#include "quire/host/violations.h"

#include <cinttypes>
#include <cstdio>

namespace quire {

void ViolationLog::report(const char* invariant, const char* what, std::uint64_t address,
                          std::uint64_t frame) {
  const std::lock_guard guard(mutex_);
  if (count_ < kKept) {
    Violation& violation = kept_[count_];
    violation.invariant = invariant;
    std::snprintf(violation.text.data(), violation.text.size(),
                  "%s: %s (address 0x%" PRIx64 ", frame 0x%" PRIx64 ")", invariant, what, address,
                  frame);
  }
  ++count_;
}

void ViolationLog::clear() {
  const std::lock_guard guard(mutex_);
  count_ = 0;
}

std::size_t ViolationLog::count() const {
  const std::lock_guard guard(mutex_);
  return count_;
}

Violation ViolationLog::at(std::size_t n) const {
  const std::lock_guard guard(mutex_);
  return n < kKept ? kept_[n] : Violation{};
}

}  // namespace quire
