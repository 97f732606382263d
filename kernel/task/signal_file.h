// What senders of signals tell signalfds (task/signal_file.cc).
#pragma once

namespace quire::kernel {

/// `signal` waits for somebody from now on. Locks: task_lock held.
void announce_to_signal_files_locked(int signal);

}  // namespace quire::kernel
