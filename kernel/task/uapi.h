// Linux's user ABI as task/ needs it: numbers and structures straight from linux-libc-dev.
//
// The structures live in namespace `uapi`, because libstdc++'s headers pull in the C library's
// <time.h> and <sched.h>, which define some of the same names. The macros (SIG*, SA_*, CLONE_* …)
// are global, as macros are. Only .cc files of task/ include this.
#pragma once

#include <asm/types.h>
#include <asm/unistd.h>
#include <linux/posix_types.h>
#include <linux/stddef.h>
#include <linux/time_types.h>
#include <linux/types.h>

namespace quire::kernel::uapi {
#include <asm/prctl.h>
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>
#include <linux/auxvec.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/signal.h>
#include <linux/sysinfo.h>
#include <linux/time.h>
#include <linux/times.h>
#include <linux/utsname.h>
#include <linux/wait.h>
}  // namespace quire::kernel::uapi
