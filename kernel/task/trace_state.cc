#include "task/trace_state.h"

#include <asm/signal.h>
#include <linux/ptrace.h>

namespace quire::kernel {

namespace {
constexpr int kCallBit = 0x80;
constexpr unsigned kEventShift = 8;
}  // namespace

int TraceState::call_code() const { return (options_ & PTRACE_O_TRACESYSGOOD) != 0 ? SIGTRAP | kCallBit : SIGTRAP; }

int TraceState::event_code(unsigned event) { return SIGTRAP | static_cast<int>(event << kEventShift); }

TraceState TraceState::for_child() const {
  TraceState child(kind_, options_);
  if (is_seized()) child.demand_stop();
  return child;
}

void TraceState::begin_group_stop(int signal) {
  stop_signal_ = signal;
  group_stop_ = true;
  noticed_ |= is_seized();
}

void TraceState::end_group_stop() {
  group_stop_ = false;
  if (is_seized()) {
    noticed_ = true;
  } else {
    demanded_ = false;
  }
}

TraceState::Owed TraceState::owed(bool group_is_stopped) const {
  if (!is_seized()) return {stop_signal_, false};
  return {(group_is_stopped ? stop_signal_ : SIGTRAP) | (PTRACE_EVENT_STOP << kEventShift), true};
}

void TraceState::on_stop(int code, Part part) {
  demanded_ = false;
  if (code >> kEventShift == PTRACE_EVENT_STOP) noticed_ = false;
  if (part == Part::kInGroupStop) group_stop_ = false;
}

}  // namespace quire::kernel
