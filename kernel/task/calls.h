// The system calls of task/, one function each, named as Linux names them; syscalls.cc lists them
// by number.
//
// Errors and behaviour: the section-2 manual page of the same name, unless the function says
// otherwise.
#pragma once

#include <cstdint>

#include "mm/uaccess.h"
#include "syscall/syscall.h"

namespace quire::kernel {

/// Arguments as the C prototype has them: the upper halves of ints are garbage.
[[nodiscard]] inline std::int32_t int_argument(const SyscallArgs& args, unsigned i) {
  return static_cast<std::int32_t>(args.a[i]);
}
[[nodiscard]] inline std::uint32_t uint_argument(const SyscallArgs& args, unsigned i) {
  return static_cast<std::uint32_t>(args.a[i]);
}
[[nodiscard]] inline UserAddr address_argument(const SyscallArgs& args, unsigned i) {
  return args.a[i];
}

// clang-format off
#define QUIRE_PROCESS_CALLS(X)                                                                     \
  /* clone.cc */ X(fork) X(vfork) X(clone) X(clone3)                                               \
  /* exec.cc */ X(execve) X(execveat)                                                              \
  /* exit.cc */ X(exit) X(exit_group)                                                              \
  /* wait.cc */ X(wait4) X(waitid)                                                                 \
  /* groups.cc */ X(setpgid) X(getpgid) X(getpgrp) X(setsid) X(getsid)                             \
  /* signal_calls.cc */ X(rt_sigaction) X(rt_sigprocmask) X(rt_sigpending) X(rt_sigsuspend)        \
   X(rt_sigtimedwait) X(sigaltstack) X(pause) X(rt_sigreturn)                                      \
  /* signal_file.cc */ X(signalfd) X(signalfd4)                                                   \
  /* ptrace.cc */ X(ptrace)                                                                        \
  /* process_file.cc */ X(pidfd_open) X(pidfd_send_signal) X(pidfd_getfd)                          \
  /* barrier.cc */ X(membarrier)                                                                   \
  /* kill.cc */ X(kill) X(tkill) X(tgkill) X(rt_sigqueueinfo) X(rt_tgsigqueueinfo)                 \
  /* deliver.cc */ X(restart_syscall)                                                              \
  /* futex_calls.cc */ X(futex) X(futex_waitv)                                                                    \
  /* robust.cc */ X(set_robust_list) X(get_robust_list) X(set_tid_address)                         \
  /* rseq.cc */ X(rseq)                                                                            \
  /* clock_calls.cc */ X(clock_gettime) X(clock_getres) X(clock_settime) X(gettimeofday)           \
   X(settimeofday) X(time) X(nanosleep) X(clock_nanosleep)                                         \
  /* itimer.cc */ X(getitimer) X(setitimer) X(alarm)                                               \
  /* posix_timers.cc */ X(timer_create) X(timer_delete) X(timer_settime) X(timer_gettime)            \
   X(timer_getoverrun)                                                                             \
  /* usage.cc */ X(times) X(getrusage)                                                             \
  /* schedule_calls.cc */ X(sched_yield) X(sched_getaffinity) X(sched_setaffinity)                 \
   X(sched_getscheduler) X(sched_setscheduler) X(sched_getparam) X(sched_setparam)                 \
   X(sched_get_priority_max) X(sched_get_priority_min) X(sched_rr_get_interval) X(getpriority)     \
   X(setpriority) X(getcpu)                                                                        \
  /* prctl.cc */ X(prctl) X(arch_prctl)                                                            \
  /* identity.cc */ X(getpid) X(getppid) X(gettid) X(getuid) X(geteuid) X(getgid) X(getegid)       \
   X(getresuid) X(getresgid) X(getgroups) X(setuid) X(setgid) X(setreuid) X(setregid)              \
   X(setresuid) X(setresgid) X(setfsuid) X(setfsgid) X(setgroups) X(capget) X(capset)              \
  /* limits.cc */ X(getrlimit) X(setrlimit) X(prlimit64)                                           \
  /* system_calls.cc */ X(uname) X(sysinfo) X(personality) X(getrandom) X(sethostname)             \
   X(setdomainname) X(reboot) X(syslog)
// clang-format on

#define QUIRE_DECLARE_CALL(name) SyscallResult sys_##name(const SyscallArgs& args);
QUIRE_PROCESS_CALLS(QUIRE_DECLARE_CALL)
#undef QUIRE_DECLARE_CALL

}  // namespace quire::kernel
