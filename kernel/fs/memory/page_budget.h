// How much memory some files may have together: how a file system in memory has a size.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::kernel {

/// How many pages (or inodes) are granted. Counts; allocates nothing.
class PageBudget {
 public:
  explicit PageBudget(std::uint64_t limit) : limit_(limit) {}
  /// Whether `pages` more are granted.
  [[nodiscard]] bool try_charge(std::uint64_t pages) {
    std::uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (pages > limit_ || used > limit_ - pages) return false;
    } while (!used_.compare_exchange_weak(used, used + pages, std::memory_order_relaxed));
    return true;
  }
  void uncharge(std::uint64_t pages) { used_.fetch_sub(pages, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t limit() const { return limit_; }

 private:
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
};

}  // namespace quire::kernel
