// The thread that lets dead threads go: their on_dead() may sleep, so it cannot run in the middle of a switch.
#pragma once

#include "sched/thread.h"

namespace quire::kernel {

void start_reaper();
/// Hands over a thread that has left its stack for good. Interrupts off.
void bury(Thread::Internals& dead);

}  // namespace quire::kernel
