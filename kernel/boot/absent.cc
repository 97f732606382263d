// Weak answers for what an area does not have yet. To be deleted when nothing is left.
#include "task/task.h"

namespace quire::kernel {

[[gnu::weak]] void set_temporary_signal_mask(SignalSet) {}
[[gnu::weak]] void restore_signal_mask() {}

}  // namespace quire::kernel
