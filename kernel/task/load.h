// Load averages as Linux counts them: a decaying mean of the runnable threads, sampled every five
// seconds.
#pragma once

namespace quire::kernel {

/// Starts the sampling. Once.
void start_load_sampling();

}  // namespace quire::kernel
