#include "task/trace_state.h"

#include <gtest/gtest.h>
#include <linux/ptrace.h>

#include <csignal>

namespace quire::kernel {
namespace {

constexpr int kEventStop = PTRACE_EVENT_STOP << 8;
using Part = TraceState::Part;

TEST(TraceState, OwesNothingAtFirst) {
  EXPECT_FALSE(TraceState(TraceKind::kAttached).owes_stop());
  EXPECT_FALSE(TraceState(TraceKind::kSeized).owes_stop());
  EXPECT_EQ(TraceState(TraceKind::kSeized).mode, TraceMode::kFree);
}

TEST(TraceState, WantsTheEventsOfItsOptions) {
  const TraceState state(TraceKind::kAttached, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT);
  for (const int event :
       {PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK, PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC, PTRACE_EVENT_VFORK_DONE, PTRACE_EVENT_EXIT}) {
    EXPECT_EQ(state.wants(static_cast<unsigned>(event)), event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_EXIT) << event;
  }
  EXPECT_EQ(TraceState::event_code(PTRACE_EVENT_FORK), SIGTRAP | 0x100);
}

TEST(TraceState, MarksStopsAtSystemCallsIfAsked) {
  TraceState state(TraceKind::kAttached);
  EXPECT_EQ(state.call_code(), SIGTRAP);
  state.set_options(PTRACE_O_TRACESYSGOOD);
  EXPECT_EQ(state.call_code(), SIGTRAP | 0x80);
}

TEST(TraceState, AttachedOnesReportTheGroupsStopBySignalAlone) {
  TraceState state(TraceKind::kAttached);
  state.begin_group_stop(SIGTSTP);
  ASSERT_TRUE(state.owes_stop() && state.owes_group_stop());
  EXPECT_EQ(state.owed(true).code, SIGTSTP);
  EXPECT_FALSE(state.owed(true).has_info);
  state.on_stop(SIGTSTP, Part::kInGroupStop);
  EXPECT_FALSE(state.owes_stop());
}

TEST(TraceState, SeizedOnesReportTheGroupsStopAsAnEvent) {
  TraceState state(TraceKind::kSeized);
  state.begin_group_stop(SIGSTOP);
  EXPECT_EQ(state.owed(true).code, SIGSTOP | kEventStop);
  EXPECT_TRUE(state.owed(true).has_info);
  state.on_stop(state.owed(true).code, Part::kInGroupStop);
  EXPECT_FALSE(state.owes_stop());
}

TEST(TraceState, AnotherStopDoesNotServeTheGroups) {
  TraceState state(TraceKind::kAttached);
  state.begin_group_stop(SIGSTOP);
  state.on_stop(SIGTRAP | 0x80, Part::kNone);
  EXPECT_TRUE(state.owes_group_stop());
}

TEST(TraceState, TheEndOfTheGroupsStopIsNoticeToTheSeizedOnly) {
  TraceState attached(TraceKind::kAttached), seized(TraceKind::kSeized);
  for (TraceState* const state : {&attached, &seized}) {
    state->begin_group_stop(SIGSTOP);
    state->on_stop(state->owed(true).code, Part::kInGroupStop);
    state->end_group_stop();
  }
  EXPECT_FALSE(attached.owes_stop());
  ASSERT_TRUE(seized.owes_stop() && seized.has_notice());
  EXPECT_EQ(seized.owed(false).code, SIGTRAP | kEventStop);
}

TEST(TraceState, AGroupsStopThatEndsBeforeItBeganIsNotOwed) {
  TraceState state(TraceKind::kAttached);
  state.begin_group_stop(SIGSTOP);
  state.end_group_stop();
  EXPECT_FALSE(state.owes_stop());
}

TEST(TraceState, AnyStopServesADemandButOnlyAnEventStopANotice) {
  TraceState state(TraceKind::kSeized);
  state.demand_stop();
  EXPECT_EQ(state.owed(false).code, SIGTRAP | kEventStop);
  state.on_stop(SIGUSR1, Part::kNone);
  EXPECT_FALSE(state.owes_stop());
  state.end_group_stop();
  state.on_stop(SIGUSR1, Part::kNone);
  EXPECT_TRUE(state.has_notice());
  state.on_stop(SIGTRAP | kEventStop, Part::kNone);
  EXPECT_FALSE(state.owes_stop());
}

TEST(TraceState, AChildIsTracedAsItsParent) {
  TraceState parent(TraceKind::kSeized, PTRACE_O_TRACECLONE);
  parent.mode = TraceMode::kSystemCalls;
  const TraceState child = parent.for_child();
  EXPECT_TRUE(child.is_seized());
  EXPECT_EQ(child.options(), std::uint32_t{PTRACE_O_TRACECLONE});
  EXPECT_EQ(child.mode, TraceMode::kFree);
  EXPECT_TRUE(child.owes_stop()) << "its first stop";
  EXPECT_FALSE(TraceState(TraceKind::kAttached).for_child().owes_stop()) << "SIGSTOP is sent to it instead";
}

}  // namespace
}  // namespace quire::kernel
