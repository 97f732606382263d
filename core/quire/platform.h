// The seam: what core needs from the machine it runs on. Implemented by host/ and by kernel/; nothing else is undefined in a
// freestanding build of core (checked by the test core_undefined_symbols).
//
// `quire_hooks.h` is the inline half of the seam, found through the include path: the explorer's yield points and the run-time
// lock-order check in hosted test builds, empty in the kernel.
#pragma once

#include <atomic>
#include <cstdint>

#include "quire/base/types.h"
#include "quire/tlb/tlb_context.h"

namespace quire::platform {

/// Opaque: which machine. The host has several in a process, the kernel one.
struct Machine;

/// Index of the CPU (or of the host thread's slot) this code runs on, below kMaxCpus. It may change after the call returns:
/// callers use it to choose a cache, never to exclude others.
[[nodiscard]] unsigned current_cpu();
inline constexpr unsigned kMaxCpus = 64;

/// Drops, on every CPU that may cache translations of `context`, those that `request` covers: TLB and paging-structure caches.
/// CPUs that do not run it now must drop them before they run it again (S2.24). Returns when that is certain. Called without
/// table locks; may be called with the mm lock.
void flush(Machine* machine, TlbContext& context, const FlushRequest& request);

/// Drops translations of every context on every CPU, also those kept for contexts that do not run (PCIDs): leaves, or upper entries too.
/// For changes of entries whose users are not known one by one. Returns when that is certain. Called as flush().
void flush_all(Machine* machine, FlushRequest::Depth depth);

/// Called before the root of `context` is freed: no CPU may have it loaded afterwards, not even lazily (R25).
void retire(Machine* machine, TlbContext& context);

/// Fills the platform's own entries (slots from Geometry::user_root_slots() up) of a new root. `entries` is the window.
void prepare_root(Machine* machine, std::uint64_t* entries);

/// Waits until `word` may differ from `expected` (like FUTEX_WAIT: returns at once if it does; may return early).
void wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected);
/// Wakes all who wait for `word`.
void wake(const std::atomic<std::uint32_t>& word);

/// Called on each turn of a spin loop. The kernel answers pending shootdowns here, so that a spinner never blocks one.
void relax();

/// Monotonic time in nanoseconds.
[[nodiscard]] std::uint64_t now();

/// One line to the log; `text` has no newline.
void log(const char* text);

/// Reports and stops; never returns.
[[noreturn]] void panic(const char* text);

}  // namespace quire::platform
