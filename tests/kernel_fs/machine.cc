#include "kernel_fs/machine.h"
#include "mm/frames.h"

#include <asm/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "arch/trap_frame.h"
#include "fs/memory/machine_memory.h"
#include "mm/memory.h"
#include "mm/pinned_memory.h"
#include "quire/quire.h"
#include "fs/mount.h"
#include "mm/frames.h"
#include "mm/uaccess.h"
#include "quire/base/assert.h"
#include "sched/thread.h"
#include "sched/wait.h"
#include "sync/lock.h"
#include "syscall/syscall.h"
#include "time/clock.h"
#include "tty/pty.h"
#include "tty/terminal.h"

namespace quire::kernel {

namespace {

void spin(std::atomic<std::uint32_t>& held) {
  while (held.exchange(1, std::memory_order_acquire) != 0) std::this_thread::yield();
}

}  // namespace

// sync/
void SpinLock::lock() { spin(held_); }
void SpinLock::unlock() { held_.store(0, std::memory_order_release); }
bool SpinLock::try_lock() { return held_.exchange(1, std::memory_order_acquire) == 0; }
void IrqSpinLock::lock() { spin(held_); }
void IrqSpinLock::unlock() { held_.store(0, std::memory_order_release); }
void Mutex::lock() { spin(state_); }
bool Mutex::try_lock() { return state_.exchange(1, std::memory_order_acquire) == 0; }
void Mutex::unlock() { state_.store(0, std::memory_order_release); }

// sched/: sleepers look again now and then.
void WaitQueue::wake_all(std::uint32_t) {}
void WaitQueue::wake_one() {}
Sleeper::Sleeper() : thread_(*reinterpret_cast<Thread*>(this)) {}
Sleeper::~Sleeper() = default;
void Listener::add(WaitQueue&) {}
void Listener::leave(PassOn) {}
bool Sleeper::on_wake(std::uint32_t) { return false; }
WaitResult Sleeper::sleep(Interruptible interruptible, Deadline) {
  if (interruptible == Interruptible::kYes && !test::machine().signals.empty())
    return WaitResult::kInterrupted;
  std::this_thread::sleep_for(std::chrono::microseconds(20));
  return WaitResult::kDone;
}

// mm/: the address space is the test's; its first page is not there.
namespace {
std::atomic<std::int64_t> pages{0};
std::atomic<std::uint64_t> test_time{1'700'000'000'000'000'000};

bool is_bad(UserAddr address, std::size_t size) { return size != 0 && address < 4096; }
}  // namespace
Result<void> copy_from_user(void* to, UserAddr from, std::size_t size) {
  if (is_bad(from, size)) return fail(Errno::kFault);
  std::memcpy(to, reinterpret_cast<const void*>(from), size);
  return {};
}
Result<void> copy_to_user(UserAddr to, const void* from, std::size_t size) {
  if (is_bad(to, size)) return fail(Errno::kFault);
  std::memcpy(reinterpret_cast<void*>(to), from, size);
  return {};
}
Result<void> clear_user(UserAddr to, std::size_t size) {
  if (is_bad(to, size)) return fail(Errno::kFault);
  std::memset(reinterpret_cast<void*>(to), 0, size);
  return {};
}
Result<std::string> copy_string_from_user(UserAddr from, std::size_t limit) {
  if (is_bad(from, 1)) return fail(Errno::kFault);
  const char* text = reinterpret_cast<const char*>(from);
  const std::size_t length = strnlen(text, limit);
  if (length == limit) return fail(Errno::kNameTooLong);
  return std::string(text, length);
}
Result<void> PinnedMemory::pin(IoBuffer buffer, Access) {
  while (count_ < kMostPages && buffer.size() > 0) {
    const IoPiece next = buffer.front();
    if (is_bad(next.address, next.size)) return fail(Errno::kFault);
    pieces_[count_++] = next;
    size_ += next.size;
    buffer.skip(next.size);
  }
  return {};
}
void PinnedMemory::mark_dirty() {}
std::byte* allocate_spare_frame() {
  if (pages.load() >= test::machine().page_limit) return nullptr;
  ++pages;
  auto* page = static_cast<std::byte*>(std::aligned_alloc(4096, 4096));
  std::memset(page, 0xdb, 4096);
  return page;
}
void free_frame(std::byte* page) {
  --pages;
  std::free(page);
}
std::uint64_t memory_pages() { return 1U << 20; }
MemoryManager& memory() {
  static quire::Machine& hosted =
      *Machine::create({.memory = ByteCount(std::uint64_t{256} << 20)})->release();
  return hosted.memory();
}

// task/
bool Credentials::in_group(std::uint32_t wanted) const {
  return wanted == egid || std::ranges::find(groups, wanted) != groups.end();
}
Pid current_pid() { return 2; }
FdTable& current_files() { return *test::machine().files; }
FsContext& current_fs() { return *test::machine().fs; }
const Credentials& current_credentials() { return test::machine().credentials; }
std::uint64_t current_rlimit(unsigned resource) {
  return resource == RLIMIT_FSIZE ? test::machine().file_size_limit : ~std::uint64_t{0};
}
void signal_current(int signal) { test::machine().signals.push_back(signal); }

// time/, drivers/, tty/
std::uint64_t realtime_ns() { return test_time++; }
void random_bytes(void* to, std::size_t size) { std::memset(to, 0x5a, size); }
Result<RefPtr<File>> open_terminal_device(std::uint32_t, std::uint32_t) {
  return fail(Errno::kNxIo);
}

Result<RefPtr<File>> open_pty_slave(std::uint32_t, std::uint32_t) { return fail(Errno::kNxIo); }

}  // namespace quire::kernel

namespace quire::kernel::test {

std::int64_t pages_in_use() {
  const std::uint64_t end = memory().pool().touched_end().raw();
  std::int64_t in_use = pages.load();
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    if (memory().frame(Pfn(pfn)).kind == FrameKind::kObject) ++in_use;
  }
  return in_use;
}

HostMachine& machine() {
  static HostMachine instance;
  return instance;
}

void start_task(const RefPtr<Dentry>& root) {
  static_cast<void>(file_syscalls());  // made at its first use, before there are threads
  HostMachine& m = machine();
  m = HostMachine{
      .credentials = {.groups = {}, .capabilities = Capabilities::of_root()},
      .files = make_ref<FdTable>(),
      .fs = make_ref<FsContext>(),
      .signals = {}};
  m.fs->root = m.fs->cwd = root;
  m.fs->umask = 022;
}

void end_task() {
  machine().files = nullptr;
  machine().fs = nullptr;
  mount_table().drop();
}

std::int64_t sys(int number, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d,
                 std::uint64_t e, std::uint64_t f) {
  TrapFrame frame{};
  const SyscallArgs args{.a = {a, b, c, d, e, f}, .frame = frame};
  for (const SyscallEntry& entry : file_syscalls()) {
    if (entry.number != number) continue;
    const SyscallResult result = entry.handler(args);
    return result ? *result : -static_cast<std::int64_t>(result.error());
  }
  std::fprintf(stderr, "no system call %d\n", number);
  std::abort();
}

}  // namespace quire::kernel::test
