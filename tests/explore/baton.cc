#include "explore/baton.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace quire::explore {

void Baton::take() {
  while (here_.exchange(0) == 0) syscall(SYS_futex, &here_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
}

void Baton::pass() {
  here_.store(1);
  syscall(SYS_futex, &here_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace quire::explore
