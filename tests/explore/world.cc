#include "explore/world.h"

#include <array>
#include <cstdio>

#include "quire/audit/audit.h"

namespace quire::explore {
namespace {

constexpr VirtRange kEverything{VirtAddr(0), PageCount(64).bytes()};

std::string text_of(FaultOutcome outcome) {
  switch (outcome) {
    case FaultOutcome::kMinor:
    case FaultOutcome::kMajor: return "ok";
    case FaultOutcome::kMapError: return "unmapped";
    case FaultOutcome::kAccessError: return "forbidden";
    case FaultOutcome::kBusError: return "bus error";
    case FaultOutcome::kOutOfMemory: return "out of memory";
    case FaultOutcome::kInterrupted: return "interrupted";
  }
  return "unknown";
}

template <typename T>
std::string text_of(const Result<T>& result) {
  return result ? "ok" : "errno " + std::to_string(static_cast<int>(result.error()));
}

std::string hex(std::uint64_t number) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%#llx", static_cast<unsigned long long>(number));
  return text.data();
}

}  // namespace

World::World(const WorldConfig& config, Runner& runner, Complain complain) : config_(config), complain_(std::move(complain)) {
  auto made = Machine::create({.memory = PageCount(1024).bytes(), .geometry = Geometry::tiny(3, 2), .poison_freed = true});
  if (!made) complain_("set-up", "no machine");
  machine_ = std::move(*made);
  frames_at_start_ = machine_->frames_in_use().raw();
  runner.begin(*machine_);
  hooks::set_scheduler(&runner);
}

World::~World() { hooks::set_scheduler(nullptr); }

Process& World::create(const std::string& name, unsigned cpus) {
  Process& process = unborn(name);
  AddressSpaceConfig config;
  config.fork_mode = config_.fork_mode;
  config.mmap_floor = VirtAddr(0);
  auto space = machine_->create_space(config);
  process.space = std::move(*space);
  process.cpus.clear();
  for (unsigned n = 0; n < cpus; ++n) {
    process.cpus.push_back(std::move(*machine_->create_cpu(config_.caches)));
    process.cpus.back()->run(process.space);
  }
  return process;
}

Process& World::unborn(const std::string& name) {
  Process& process = processes_.emplace_back();
  process.name = name;
  process.cpus.push_back(std::move(*machine_->create_cpu(config_.caches)));
  process.cpus.back()->stop();  // its Mmu is met here, so that its number does not depend on the schedule
  return process;
}

Process& World::fork(Process& parent, const std::string& name, unsigned cpus) {
  Process& child = unborn(name);
  child.space = std::move(*parent.space.fork());
  for (unsigned n = 0; n < cpus; ++n) {
    if (n != 0) child.cpus.push_back(std::move(*machine_->create_cpu(config_.caches)));
    child.cpus[n]->run(child.space);
  }
  return child;
}

void World::map(Process& process, unsigned first, unsigned pages, std::uint32_t prot, std::uint32_t flags) {
  MmapRequest request;
  request.address = at(first);
  request.length = bytes(pages);
  request.prot = prot;
  request.flags = flags | uapi::kMapAnonymous | uapi::kMapFixed;
  if (!process.space->mmap(request)) complain_("set-up", "mmap fails");
}

void World::fill(Process& process, unsigned first, unsigned pages) {
  for (unsigned n = first; n < first + pages; ++n) {
    if (!process.cpus[0]->store(at(n), std::uint64_t{n} + 1)) complain_("set-up", "a store fails");
  }
}

void World::touch(Process& process, unsigned cpu, unsigned first, unsigned pages) {
  for (unsigned n = first; n < first + pages; ++n) {
    if (!process.cpus[cpu]->load<std::uint64_t>(at(n))) complain_("set-up", "a load fails");
  }
}

void World::watch(unsigned first, unsigned pages) {
  for (unsigned n = first; n < first + pages; ++n) watched_.push_back({n, false});
}
void World::watch_shared(unsigned first, unsigned pages) {
  for (unsigned n = first; n < first + pages; ++n) watched_.push_back({n, true});
}

void World::actor(const std::string& name, std::function<void()> body) {
  actors_.push_back({name, std::move(body)});
  seen_.emplace_back();
}

void World::warm_up() {
  FrameReservation some(memory().pool());
  if (!some.ensure(1, FrameUse::kUser)) complain_("set-up", "no frame");
}

void World::see(const std::string& what) { seen_[Runner::current_actor()] += " " + what; }

void World::begin_action() {
  hooks::yield_point("op", nullptr);
  if (config_.grain != Grain::kWholeActions) return;
  for (Process& process : processes_) {
    if (process.space) machine_->flush(process.space->tlb(), {.range = kEverything});
  }
}

void World::act(const std::string& what, const std::function<std::string()>& body) {
  begin_action();
  see(what + "=" + body());
}

void World::store(Process& process, unsigned cpu, unsigned page, std::uint64_t value) {
  act("store" + std::to_string(page), [&] {
    const auto done = process.cpus[cpu]->store(at(page), value);
    return done ? "ok" : text_of(done.error().outcome);
  });
}

void World::load(Process& process, unsigned cpu, unsigned page) {
  act("load" + std::to_string(page), [&] {
    const auto value = process.cpus[cpu]->load<std::uint64_t>(at(page));
    return value ? std::to_string(*value) : text_of(value.error().outcome);
  });
}

void World::mmap(Process& process, unsigned first, unsigned pages, std::uint32_t prot, std::uint32_t flags) {
  act("mmap", [&] {
    map(process, first, pages, prot, flags);
    return "ok";
  });
}

void World::munmap(Process& process, unsigned first, unsigned pages) {
  act("munmap", [&] { return text_of(process.space->munmap(at(first), bytes(pages))); });
}

void World::mremap(Process& process, unsigned first, unsigned pages, unsigned to) {
  act("mremap", [&] {
    return text_of(process.space->mremap({.old_address = at(first),
                                          .old_length = bytes(pages),
                                          .new_length = bytes(pages),
                                          .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                                          .new_address = at(to)}));
  });
}

void World::mprotect(Process& process, unsigned first, unsigned pages, std::uint32_t prot) {
  act("mprotect", [&] { return text_of(process.space->mprotect(at(first), bytes(pages), prot)); });
}

void World::dont_need(Process& process, unsigned first, unsigned pages) {
  act("dontneed", [&] { return text_of(process.space->madvise(at(first), bytes(pages), uapi::kMadvDontNeed)); });
}

void World::fork_to(Process& parent, Process& child) {
  act("fork", [&] {
    auto forked = parent.space.fork();
    if (forked) {
      child.space = std::move(*forked);
      child.cpus[0]->run(child.space);
    }
    return text_of(forked);
  });
}

void World::stop(Process& process, unsigned cpu) {
  act("stop", [&] {
    process.cpus[cpu]->stop();
    return "ok";
  });
}

void World::exit(Process& process) {
  act("exit", [&] {
    for (auto& cpu : process.cpus) cpu->stop();
    process.space.reset();
    return "ok";
  });
}

void World::audit(const char* when) {
  Audit audit(memory());
  audit.run();
  if (!audit.clean()) {
    const AuditFinding& found = audit.findings()[0];
    complain_("audit", std::string(found.invariant) + " " + when + ": " + found.message + " " + hex(found.subject) + ", stored " +
                           hex(found.stored) + ", counted " + hex(found.counted));
  }
  if (machine_->violations().count() != 0) {
    const Violation seen = machine_->violations().at(0);
    complain_("stale", std::string(seen.invariant) + " " + when + ": " + seen.text.data());
  }
}

// Through each CPU, with what it remembers, and from outside; what agrees is said once.
std::string World::contents(Process& process, unsigned page) {
  std::string all;
  for (auto& cpu : process.cpus) {
    if (cpu->space() != process.space.get()) continue;
    const auto value = cpu->load<std::uint64_t>(at(page));
    const std::string text = value ? std::to_string(*value) : text_of(value.error().outcome);
    if (all != text) all += (all.empty() ? "" : "/") + text;
  }
  std::uint64_t value = 0;
  const auto read = process.space->read(at(page), std::as_writable_bytes(std::span(&value, 1)));
  const std::string text = read ? std::to_string(value) : all == "forbidden" ? all : "unmapped";
  if (all != text) all += (all.empty() ? "" : "/") + text;
  return all;
}

std::string World::read_all() {
  std::string text;
  for (Process& process : processes_) {
    if (!process.space) continue;
    text += " | " + process.name + ":";
    for (const Watched& each : watched_) text += " " + contents(process, each.page);
  }
  return text;
}

// Each process writes what is its own; then everybody must still read what was written by itself alone.
void World::probe_isolation() {
  std::uint64_t stamp = 1000;
  for (Process& writer : processes_) {
    if (!writer.space) continue;
    for (const Watched& each : watched_) {
      if (each.shared) continue;
      ++stamp;
      if (!writer.space->write(at(each.page), std::as_bytes(std::span(&stamp, 1)))) continue;
      for (Process& reader : processes_) {
        std::uint64_t value = 0;
        if (!reader.space || &reader == &writer) continue;
        if (!reader.space->read(at(each.page), std::as_writable_bytes(std::span(&value, 1)))) continue;
        if (value == stamp) {
          complain_("contents", reader.name + " sees what " + writer.name + " writes to page " + std::to_string(each.page));
        }
      }
    }
  }
}

void World::end_all() {
  checks_.clear();
  for (Process& process : processes_) {
    process.cpus.clear();
    process.space.reset();
  }
  Audit audit(memory());
  audit.check_empty();
  if (!audit.clean()) {
    const AuditFinding& found = audit.findings()[0];
    complain_("leak", std::string(found.invariant) + " in the end: " + found.message + " " + hex(found.subject));
  }
  if (machine_->frames_in_use().raw() != frames_at_start_) complain_("leak", "I6: frames are missing in the end");
}

std::string World::conclude() {
  hooks::set_scheduler(nullptr);
  for (const auto& check : checks_) check();
  audit("when all actors are done");
  std::string outcome;
  for (std::size_t n = 0; n < actors_.size(); ++n) outcome += (n == 0 ? "" : "; ") + actors_[n].name + seen_[n];
  outcome += read_all();
  probe_isolation();
  audit("after everybody wrote");
  end_all();
  return outcome;
}

}  // namespace quire::explore
