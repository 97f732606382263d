// A place to wait for one's turn: one thread waits, another lets it go. A bare futex, since all others of these threads wait anyway and
// spinning would only take the processor from the one that has its turn.
#pragma once

#include <atomic>
#include <cstdint>

namespace quire::explore {

class Baton {
 public:
  /// Waits until pass() has been called since the last take().
  void take();
  void pass();

 private:
  std::atomic<std::uint32_t> here_{0};
};

}  // namespace quire::explore
