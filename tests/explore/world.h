// What a scenario is made of: a small machine, processes on it with a CPU per thread, and actors that act on them.
//
// Life cycle: one for each execution. A scenario's function sets it up (single-threaded) and adds actors; the explorer runs them; then
// conclude() audits, looks at all memory through every CPU, with what is stale in it, and from outside, writes to everything to see that
// nobody else notices, ends all processes and audits that nothing is left.
// What actors saw and what memory holds in the end is one line of text, the outcome. The outcomes that are right are those of sequential
// histories: all orders of the actors' actions, each action undisturbed and with the CPUs' caches emptied before it.
//
// The machine's tables have four slots and three levels: a leaf table covers 4 pages, a table of level 2 covers 16, the root 64.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "explore/runner.h"
#include "quire/quire.h"

namespace quire::explore {

/// A process: an address space and a CPU for each of its threads.
struct Process {
  std::string name;
  Space space;
  std::vector<std::unique_ptr<Cpu>> cpus;
};

/// How the simulated CPUs behave and how fork works, for all of a scenario.
struct WorldConfig {
  ForkMode fork_mode = ForkMode::kTree;
  CachePolicy caches = CachePolicy::kKeepAll;
  /// Sequential histories: every action starts with empty caches.
  Grain grain = Grain::kOperations;
};

/// Says what is wrong; does not return.
using Complain = std::function<void(const char* kind, const std::string& message)>;

class World {
 public:
  World(const WorldConfig& config, Runner& runner, Complain complain);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // Set-up.

  /// A process with `cpus` threads, running.
  Process& create(const std::string& name, unsigned cpus = 1);
  /// A child of `parent`, running.
  Process& fork(Process& parent, const std::string& name, unsigned cpus = 1);
  /// A process yet to be born: fork_to() brings it to life.
  Process& unborn(const std::string& name);
  /// Maps `pages` pages from page `first`.
  void map(Process& process, unsigned first, unsigned pages, std::uint32_t prot = uapi::kProtRead | uapi::kProtWrite,
           std::uint32_t flags = uapi::kMapPrivate);
  /// Writes n + 1 into each page n, through CPU 0.
  void fill(Process& process, unsigned first, unsigned pages);
  /// Has CPU `cpu` read (and cache) pages.
  void touch(Process& process, unsigned cpu, unsigned first, unsigned pages);
  /// The pages whose contents belong to the outcome; private unless said to be shared.
  void watch(unsigned first, unsigned pages);
  void watch_shared(unsigned first, unsigned pages);
  void actor(const std::string& name, std::function<void()> body);
  /// Checked when all actors are done, before anything else looks.
  void finally(std::function<void()> check) { checks_.push_back(std::move(check)); }

  // Actions. Each is one step of a sequential history; what it saw becomes part of the outcome.

  void store(Process& process, unsigned cpu, unsigned page, std::uint64_t value);
  void load(Process& process, unsigned cpu, unsigned page);
  void mmap(Process& process, unsigned first, unsigned pages, std::uint32_t prot = uapi::kProtRead | uapi::kProtWrite,
            std::uint32_t flags = uapi::kMapPrivate);
  void munmap(Process& process, unsigned first, unsigned pages);
  /// Moves pages to page `to`, with MREMAP_FIXED.
  void mremap(Process& process, unsigned first, unsigned pages, unsigned to);
  void mprotect(Process& process, unsigned first, unsigned pages, std::uint32_t prot);
  void dont_need(Process& process, unsigned first, unsigned pages);
  void fork_to(Process& parent, Process& child);
  /// Ends a thread's use of its CPU.
  void stop(Process& process, unsigned cpu);
  /// Ends the process: all its CPUs stop, then its space is released.
  void exit(Process& process);
  /// Anything else; `body` returns what it saw.
  void act(const std::string& what, const std::function<std::string()>& body);

  /// For scenarios' own checks.
  void expect(bool condition, const std::string& message) { if (!condition) complain_("contents", message); }
  [[nodiscard]] Machine& machine() { return *machine_; }
  [[nodiscard]] MemoryManager& memory() { return machine_->memory(); }
  [[nodiscard]] static VirtAddr at(unsigned page) { return VirtAddr(page * kPageSize); }
  [[nodiscard]] static ByteCount bytes(unsigned pages) { return PageCount(pages).bytes(); }

  // For the explorer.

  [[nodiscard]] std::span<const Runner::Actor> actors() const { return actors_; }
  /// Gives the calling thread frames of its own, so that allocation does not depend on the schedule.
  void warm_up();
  /// Checks everything there is to check, but not the outcome itself, which it returns.
  std::string conclude();

 private:
  struct Watched {
    unsigned page;
    bool shared;
  };

  void see(const std::string& what);
  /// A yield point between two actions and, in sequential histories, empty caches.
  void begin_action();
  void audit(const char* when);
  [[nodiscard]] std::string contents(Process& process, unsigned page);
  [[nodiscard]] std::string read_all();
  void probe_isolation();
  void end_all();

  WorldConfig config_;
  Complain complain_;
  std::unique_ptr<Machine> machine_;
  std::deque<Process> processes_;
  std::vector<Runner::Actor> actors_;
  std::vector<std::string> seen_;
  std::vector<Watched> watched_;
  std::vector<std::function<void()>> checks_;
  std::uint64_t frames_at_start_ = 0;
};

}  // namespace quire::explore
