// The seam (quire/platform.h) on the host: threads stand for CPUs, futexes for sleeping, the
// Machine's Mmus for shootdowns.
#include "quire/platform.h"

#include <linux/futex.h>
#include <quire_hooks.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "quire/host/machine.h"

namespace quire {
namespace {

std::atomic<PanicHandler> panic_handler{nullptr};
std::atomic<LogHandler> log_handler{nullptr};

/// Numbers below kMaxCpus for the threads that live; more threads than that share.
class ThreadSlot {
 public:
  ThreadSlot() {
    std::uint64_t used = taken_.load();
    unsigned slot = 0;
    do {
      slot = static_cast<unsigned>(std::countr_one(used));
      if (slot >= platform::kMaxCpus) {
        index_ = shared_.fetch_add(1) % platform::kMaxCpus;
        return;
      }
    } while (!taken_.compare_exchange_weak(used, used | std::uint64_t{1} << slot));
    index_ = slot;
    owns_ = true;
  }
  ~ThreadSlot() {
    if (owns_) taken_.fetch_and(~(std::uint64_t{1} << index_));
  }
  ThreadSlot(const ThreadSlot&) = delete;
  ThreadSlot& operator=(const ThreadSlot&) = delete;
  [[nodiscard]] unsigned index() const { return index_; }

 private:
  static constinit std::atomic<std::uint64_t> taken_;
  static constinit std::atomic<unsigned> shared_;
  unsigned index_ = 0;
  bool owns_ = false;
};
constinit std::atomic<std::uint64_t> ThreadSlot::taken_{0};
constinit std::atomic<unsigned> ThreadSlot::shared_{0};

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS
bool wait_scheduled(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  hooks::may_sleep("a table lock is held across a wait");
  if (hooks::scheduler() == nullptr) return false;
  hooks::scheduler()->wait(word, expected);
  return true;
}
bool wake_scheduled(const std::atomic<std::uint32_t>& word) {
  if (hooks::scheduler() == nullptr) return false;
  hooks::scheduler()->wake(word);
  return true;
}
void about_to_flush() { hooks::may_sleep("a table lock is held across a flush"); }
#else
bool wait_scheduled(const std::atomic<std::uint32_t>&, std::uint32_t) { return false; }
bool wake_scheduled(const std::atomic<std::uint32_t>&) { return false; }
void about_to_flush() {}
#endif

void futex(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

}  // namespace

PanicHandler set_panic_handler(PanicHandler handler) { return panic_handler.exchange(handler); }
LogHandler set_log_handler(LogHandler handler) { return log_handler.exchange(handler); }

namespace platform {

unsigned current_cpu() {
  thread_local const ThreadSlot slot;
  return slot.index();
}

void flush(Machine* machine, TlbContext& context, const FlushRequest& request) {
  hooks::yield_point("flush", &context);
  about_to_flush();
  quire::Machine::of(machine).flush(context, request);
}

void flush_all(Machine* machine, FlushRequest::Depth depth) {
  hooks::yield_point("flush_all", nullptr);
  about_to_flush();
  quire::Machine::of(machine).flush_all(depth);
}

void retire(Machine* machine, TlbContext& context) {
  hooks::yield_point("retire", &context);
  quire::Machine::of(machine).retire(context);
}

void prepare_root(Machine*, std::uint64_t*) {}

void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  if (!wait_scheduled(word, expected)) futex(word, FUTEX_WAIT, expected);
}

void wake(const std::atomic<std::uint32_t>& word) {
  if (!wake_scheduled(word)) futex(word, FUTEX_WAKE, 0x7fffffff);
}

// The holder may be a thread without a processor to run on.
void relax() {
  hooks::yield_point("relax", nullptr);
  constexpr unsigned kSpins = 64;
  constinit thread_local unsigned turns = 0;
  if (++turns % kSpins == 0) {
    std::this_thread::yield();
  } else {
    __builtin_ia32_pause();
  }
}

std::uint64_t now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

void log(const char* text) {
  if (const LogHandler handler = log_handler.load(); handler != nullptr) {
    handler(text);
  } else {
    std::fprintf(stderr, "quire: %s\n", text);
  }
}

void panic(const char* text) {
  if (const PanicHandler handler = panic_handler.load(); handler != nullptr) handler(text);
  std::fprintf(stderr, "quire: %s\n", text);
  std::abort();
}

}  // namespace platform
}  // namespace quire
