#include "model/runner.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "quire/rmap/compact.h"
#include "quire/rmap/migrate.h"
#include "support/audit.h"

namespace quire::model {
namespace {

constexpr const char* kNames[kKinds] = {"mmap", "munmap", "mprotect", "madvise", "brk",
                                        "load", "store",  "fetch",    "read",    "write",
                                        "fork", "exit",   "limits",   "mremap",  "lock",  "ask",    "name",
                                        "remap pages", "watch", "track"};

/// How many of 256 operations are of each kind, in the order of Kind.
constexpr std::array<std::uint8_t, kKinds> kWeights = {28, 16, 20, 18, 6, 43, 50, 6,
                                                       6,  8,  12, 8, 4, 14, 6,  3, 2, 1, 4, 1};

Kind kind_of(std::uint8_t raw) {
  unsigned sum = 0;
  for (unsigned kind = 0; kind < kKinds; ++kind) {
    sum += kWeights[kind];
    if (raw < sum) return static_cast<Kind>(kind);
  }
  return Kind::kLoad;
}

Outcome outcome_of(FaultOutcome outcome) {
  if (outcome == FaultOutcome::kBusError) return Outcome::kBusError;
  return outcome == FaultOutcome::kAccessError ? Outcome::kAccessError : Outcome::kMapError;
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  for (unsigned kind = 0; kind < kKinds; ++kind) by_kind[kind] += other.by_kind[kind];
  steps += other.steps;
  audits += other.audits;
  errors += other.errors;
  faults += other.faults;
  return *this;
}

Runner::Runner(const RunnerConfig& config) : config_(config) {
  const Geometry& geometry = config_.geometry;
  shape_.user_top = geometry.user_top().raw();
  shape_.mmap_floor = 2 * kPage;
  shape_.zero_page = config_.zero_page;
  const std::uint64_t leaf_span = geometry.table_span(kLeafLevel).raw();
  for (Level level(2); config_.lend_tables && level >= kLeafLevel; level = level.below()) {
    if (level < geometry.root_level()) shape_.lent_spans.push_back(geometry.table_span(level).raw());
  }
  if (shape_.user_top <= 8192 * kPage) {
    // Narrow tables: all addresses are near every edge.
    zones_ = {0};
    zone_pages_ = shape_.user_top / kPage + 1;
    shape_.mmap_top = shape_.user_top - 8 * kPage;
  } else {
    shape_.mmap_top = shape_.user_top - 64 * leaf_span;
    zones_ = {shape_.mmap_floor, 3 * leaf_span, shape_.mmap_top};
    for (Level level(2); level <= geometry.root_level(); level = level.above()) {
      if (geometry.span(level).raw() < shape_.user_top / 2)
        zones_.push_back(geometry.span(level).raw() * 2);
    }
    zone_pages_ = 40;
  }
  MachineConfig machine;
  machine.memory = ByteCount(config_.memory);
  machine.geometry = geometry;
  machine.zero_page = config_.zero_page;
  machine.poison_freed = true;
  auto made = Machine::create(machine);
  if (!made) {
    fail("the machine cannot be made");
    return;
  }
  machine_ = std::move(*made);
  frames_at_start_ = machine_->frames_in_use().raw();
  constexpr CachePolicy kPolicies[kCpus] = {CachePolicy::kKeepAll, CachePolicy::kTablesOnly,
                                            CachePolicy::kRandom};
  for (unsigned n = 0; n < kCpus; ++n) {
    auto cpu = machine_->create_cpu(kPolicies[n], n + 1);
    if (cpu) cpus_[n] = std::move(*cpu);
  }
}

Runner::~Runner() {
  // Spaces and CPUs go before their machine.
  for (auto& cpu : cpus_) cpu.reset();
  for (Place& place : places_) place.space.reset();
}

void Runner::fail(const std::string& what) {
  if (failure_.empty())
    failure_ = what + "\n  at step " + std::to_string(counts_.steps) + ": " + current_;
}

void Runner::create(Place& place) {
  AddressSpaceConfig config;
  config.fork_mode = config_.mode;
  config.borrow_tables = config_.lend_tables;
  config.mmap_top = VirtAddr(shape_.mmap_top);
  config.mmap_floor = VirtAddr(shape_.mmap_floor);
  auto space = machine_->create_space(config);
  if (!space) {
    fail("no space can be made");
    return;
  }
  place.space = std::move(*space);
  place.oracle = std::make_unique<OracleSpace>(shape_, objects_);
  const std::uint64_t brk = shape_.user_top <= 8192 * kPage
                                ? 4 * kPage
                                : config_.geometry.table_span(kLeafLevel).raw() * 5 + 3 * kPage;
  Layout layout;
  layout.brk_begin = VirtAddr(brk);
  place.space->set_layout(layout);
  place.oracle->set_break(brk);
}

Runner::Place& Runner::pick(std::uint8_t selector) {
  Place& place = places_[selector % kSpaces];
  if (!place.space) create(place);
  return place;
}

std::uint64_t Runner::address(const Place& place, const Operation& operation) const {
  const std::uint16_t where = operation.where;
  const unsigned how = where >> 12;
  if (how >= 11 && how <= 14 && !place.oracle->pages().empty()) {
    // Near an edge of something mapped.
    auto page = place.oracle->pages().lower_bound(zones_[where % zones_.size()] / kPage +
                                                  (where >> 4) % 64);
    if (page == place.oracle->pages().end()) page = place.oracle->pages().begin();
    const std::uint64_t near = page->first + 2 < 4 ? 2 : page->first;
    return (near + where % 5 - 2) * kPage;
  }
  const std::uint64_t zone = zones_[where % zones_.size()];
  const std::uint64_t page = zone / kPage + (where / zones_.size()) % zone_pages_;
  const std::uint64_t half = zone == 0 || zone / kPage < zone_pages_ / 2 ? 0 : zone_pages_ / 2;
  std::uint64_t address = (page - half) * kPage;
  if (how == 15) {
    switch (where & 7U) {
      case 0:
        return 0;
      case 1:
        return shape_.user_top - kPage;
      case 2:
        return shape_.user_top;
      case 3:
        return ~std::uint64_t{0} - kPage + 1;
      case 4:
        return address + 1;
      case 5:
        return address + kPage - 1;
      default:
        break;
    }
  }
  return address;
}

std::uint64_t Runner::length(const Operation& operation) const {
  const std::uint16_t length = operation.length;
  const std::uint64_t span = config_.geometry.table_span(kLeafLevel).raw();
  switch (length >> 12) {
    case 10:
    case 11:
      return (1 + length % 40U) * kPage;
    case 12:
      return span * (1 + length % 2U);
    case 13:
      return (1 + length % 8U) * kPage - 1 - (length >> 4) % 4000U;
    case 14:
      return span - kPage + (length % 3U) * kPage;
    case 15:
      switch (length & 7U) {
        case 0:
          return 0;
        case 1:
          return ~std::uint64_t{0};
        case 2:
          return ~std::uint64_t{0} - kPage;
        default:
          return kPage;
      }
    default:
      return (1 + length % 8U) * kPage;
  }
}

Cpu& Runner::cpu(const Operation& operation, Place& place) {
  Cpu& cpu = *cpus_[operation.detail % kCpus];
  cpu.run(place.space);
  return cpu;
}

void Runner::step(const Operation& operation) {
  if (!ok()) return;
  Place& place = pick(operation.space);
  if (!ok()) return;
  const Kind kind = kind_of(operation.kind);
  char text[200];
  std::snprintf(text, sizeof text, "%s space %u where %llx length %llx detail %x",
                kNames[static_cast<unsigned>(kind)], operation.space % kSpaces,
                static_cast<unsigned long long>(address(place, operation)),
                static_cast<unsigned long long>(length(operation)), operation.detail);
  current_ = text;
  ++counts_.steps;
  ++counts_.by_kind[static_cast<unsigned>(kind)];
  switch (kind) {
    case Kind::kMmap:
      mmap(place, operation);
      break;
    case Kind::kMunmap:
      munmap(place, operation);
      break;
    case Kind::kMprotect:
      mprotect(place, operation);
      break;
    case Kind::kMadvise:
      madvise(place, operation);
      break;
    case Kind::kBrk:
      brk(place, operation);
      break;
    case Kind::kLoad:
    case Kind::kStore:
    case Kind::kFetch:
      access(place, operation, kind);
      break;
    case Kind::kRead:
    case Kind::kWrite:
      bulk(place, operation, kind);
      break;
    case Kind::kFork:
      fork(place, operation);
      break;
    case Kind::kExit:
      exit(place, operation);
      break;
    case Kind::kSetLimits:
      set_limits(place, operation);
      break;
    case Kind::kMremap:
      mremap(place, operation);
      break;
    case Kind::kLock:
      lock(place, operation);
      break;
    case Kind::kAsk:
      ask(place, operation);
      break;
    case Kind::kName:
      name(place, operation);
      break;
    case Kind::kRemapPages:
      remap_pages(place, operation);
      break;
    case Kind::kWatch:
      watch(place, operation);
      break;
    case Kind::kTrack:
      track(place);
      break;
  }
  if (place.space && place.resolver) place.resolver->tell();
  if (ok() && place.space && counts_.steps % 16 == 0) compare_maps(place);
  if (config_.move_pages && !injecting_) move_pages();
  if (ok() && config_.audit_every != 0 && counts_.steps % config_.audit_every == 0) audit();
  if (machine_->violations().count() != 0) fail(machine_->violations().at(0).text.data());
}

std::uint64_t Runner::window_offset(const Operation& operation) const {
  constexpr std::uint64_t kOffsets[] = {0, 8, 3, 2040, 2043, 4072, 4088, 4090};
  return kOffsets[(operation.detail >> 4) & 7U];
}

void Runner::access(Place& place, const Operation& operation, Kind kind) {
  const std::uint64_t at = (address(place, operation) & ~(kPage - 1)) + window_offset(operation);
  constexpr std::size_t kSizes[] = {1, 2, 4, 8, 8, 11, 1, 2};
  const std::size_t size = kSizes[(operation.detail >> 8) & 7U];
  std::array<std::byte, 16> actual{};
  for (std::size_t n = 0; n < size; ++n)
    actual[n] = static_cast<std::byte>(operation.length >> (n % 2 * 8));
  const std::array<std::byte, 16> written = actual;
  Cpu& processor = cpu(operation, place);
  const std::span bytes(actual.data(), size);
  const auto done = kind == Kind::kLoad    ? processor.read(VirtAddr(at), bytes)
                    : kind == Kind::kFetch ? processor.fetch(VirtAddr(at), bytes)
                                           : processor.write(VirtAddr(at), bytes);
  partial_ = true;
  if (!done && done.error().outcome == FaultOutcome::kOutOfMemory && injecting_) {
    failed_ = true;
    return;
  }
  const Outcome got = done ? Outcome::kDone : outcome_of(done.error().outcome);
  if (!done && done.error().outcome == FaultOutcome::kOutOfMemory) fail("out of memory");
  const std::uint8_t need = kind == Kind::kLoad    ? PROT_READ
                            : kind == Kind::kFetch ? PROT_EXEC
                                                   : PROT_WRITE;
  Outcome wanted = Outcome::kDone;
  const std::uint64_t second = (at | (kPage - 1)) + 1;
  // A store that crosses a page faults on the second one first, and then changes nothing.
  if (kind == Kind::kStore && at + size > second) wanted = place.oracle->probe(second, need);
  for (std::size_t n = 0; n < size && wanted == Outcome::kDone; ++n) {
    std::byte value = written[n];
    wanted = place.oracle->access(at + n, need, value);
    if (wanted != Outcome::kDone) break;
    if (kind != Kind::kStore && actual[n] != value) {
      char text[100];
      std::snprintf(text, sizeof text, "byte at %llx is %02x, expected %02x",
                    static_cast<unsigned long long>(at + n), static_cast<unsigned>(actual[n]),
                    static_cast<unsigned>(value));
      fail(text);
      return;
    }
  }
  if (wanted != Outcome::kDone) ++counts_.faults;
  if (got != wanted) {
    fail("outcome of the access is " + std::to_string(static_cast<int>(got)) + ", expected " +
         std::to_string(static_cast<int>(wanted)));
  }
  if (done && kind == Kind::kStore) expect_written(place, at, size);
}

// The accessors of the address space itself stop at the first byte that cannot be had.
void Runner::bulk(Place& place, const Operation& operation, Kind kind) {
  const std::uint64_t at = (address(place, operation) & ~(kPage - 1)) + window_offset(operation);
  const std::size_t size =
      kind == Kind::kRead ? 1 + operation.length % 9000U : 1 + operation.length % 8U;
  std::vector<std::byte> actual(size, static_cast<std::byte>(operation.length));
  const auto done = kind == Kind::kRead ? place.space->read(VirtAddr(at), actual)
                                        : place.space->write(VirtAddr(at), actual);
  partial_ = true;
  const std::uint64_t count = done ? done->raw() : 0;
  const std::uint8_t need = kind == Kind::kRead ? PROT_READ : PROT_WRITE;
  for (std::uint64_t n = 0; n < size; ++n) {
    std::byte value = actual[n];
    if (injecting_ && n == count && machine_->memory().pool().failure_injected()) {
      failed_ = true;
      return;
    }
    const bool can = place.oracle->access(at + n, need, value) == Outcome::kDone;
    if (can != (n < count)) {
      fail("bulk access stopped after " + std::to_string(count) + " bytes, the oracle " +
           (can ? "goes on" : "stops earlier"));
      return;
    }
    if (!can) return;
    if (value != actual[n]) {
      fail("bulk read gave another byte at +" + std::to_string(n));
      return;
    }
  }
  if (kind == Kind::kWrite) expect_written(place, at, size);
}

void Runner::fork(Place& place, const Operation& operation) {
  Place& child = places_[operation.where % kSpaces];
  if (&child == &place) return;
  exit(child, operation);
  // What was split by locks stays split in a child (Linux v6.12 kernel/fork.c:dup_mmap()), which
  // single pages do not show.
  if (place.oracle->locked() != 0) {
    const auto unlocked = place.space->munlockall();
    if (failed_as_asked(unlocked)) return;
    if (!unlocked) return fail("munlockall failed");
    place.oracle->unlock_all();
  }
  Result<Space> made = config_.any_mode
                           ? place.space.fork(static_cast<ForkMode>(operation.detail / 8 % 3))
                           : place.space.fork();
  if (failed_as_asked(made)) return;
  if (!made) {
    fail("fork failed");
    return;
  }
  child.space = std::move(*made);
  child.oracle = std::make_unique<OracleSpace>(place.oracle->fork());
}

void Runner::exit(Place& place, const Operation& operation) {
  if (!place.space) return;
  for (auto& cpu : cpus_) {
    if (cpu->space() != place.space.get()) continue;
    // Some processors idle with the root still loaded.
    (operation.detail & 4U) != 0 ? cpu->idle() : cpu->stop();
  }
  place.space.reset();
  place.oracle.reset();
}

void Runner::set_limits(Place& place, const Operation& operation) {
  OracleLimits& limits = place.oracle->limits;
  const std::uint64_t pages = place.oracle->pages().size() + operation.length % 16U;
  const bool bounded = (operation.detail & 3U) == 0;
  limits.address_space =
      bounded && (operation.detail & 4U) != 0 ? pages * kPage : ~std::uint64_t{0};
  limits.data = bounded && (operation.detail & 8U) != 0 ? pages * kPage : ~std::uint64_t{0};
  limits.stack = bounded ? (operation.length % 64U) * kPage : 8U << 20;
  limits.locked = bounded && (operation.detail & 16U) != 0 ? (operation.length % 128U) * kPage
                                                          : ~std::uint64_t{0};
  Limits core = place.space->limits();
  core.address_space = ByteCount(limits.address_space);
  core.data = ByteCount(limits.data);
  core.stack = ByteCount(limits.stack);
  core.locked = ByteCount(limits.locked);
  place.space->set_limits(core);
}

// Whatever is in some frames, as the number of the step chooses them.
void Runner::move_pages() {
  MemoryManager& memory = machine_->memory();
  constexpr std::uint64_t kStride = 0x9e3779b97f4a7c15, kFrames = 4, kBetweenCompactions = 997;
  const std::uint64_t frames = memory.pool().touched_end().raw();
  for (std::uint64_t n = 0; n < kFrames; ++n) {
    const std::uint64_t chosen = ((counts_.steps * kFrames + n) * kStride >> 20) % frames;
    static_cast<void>(migrate_frame(memory, Pfn(chosen)));
  }
  if (counts_.steps % kBetweenCompactions == 0) compact(memory);
}

bool Runner::step_with_failure(const Operation& operation, std::uint64_t nth) {
  if (!ok()) return false;
  injecting_ = true;
  failed_ = injected_ = partial_ = false;
  // Made before, so that only the operation itself can fail.
  pick(operation.space);
  machine_->memory().pool().fail_after(nth);
  step(operation);
  const bool injected = machine_->memory().pool().failure_injected() || injected_;
  machine_->memory().pool().fail_after(0);
  injecting_ = false;
  if (!ok() || !injected) return false;
  for (Place& place : places_) {
    if (!place.space) continue;
    if (partial_) continue;
    compare_maps(place);
    compare_usage(place);
  }
  if (const std::string findings = test::audit_findings(*machine_); !findings.empty())
    fail("audit after a failure:\n" + findings);
  if (failed_) step(operation);  // Now it must succeed, and leave what it would have left.
  return ok();
}

void Runner::finish() {
  if (ok()) audit();
  for (Place& place : places_) {
    if (ok() && place.space) compare_contents(place);
  }
  if (ok()) audit();
  if (machine_ == nullptr) return;
  const std::string before = current_;
  current_ = "finish";
  for (auto& cpu : cpus_) cpu->stop();
  for (Place& place : places_) {
    place.space.reset();
    place.oracle.reset();
  }
  const std::uint64_t left = machine_->frames_in_use().raw() - frames_at_start_;
  if (ok() && left != 0) fail(std::to_string(left) + " frames left over after all spaces are gone");
  if (ok()) {
    const std::string findings = test::leftovers(*machine_) + test::audit_findings(*machine_);
    if (!findings.empty()) fail("audit at the end:\n" + findings);
  }
  if (machine_->violations().count() != 0) fail(machine_->violations().at(0).text.data());
}

bool run_random(const RunnerConfig& config, std::uint64_t seed, std::uint64_t steps, Counts& counts,
                std::string& report) {
  Runner runner(config);
  Random random(seed);
  for (std::uint64_t n = 0; n < steps && runner.ok(); ++n)
    runner.step(Operation::from_word(random.next()));
  runner.finish();
  counts += runner.counts();
  if (!runner.ok()) report = "seed " + std::to_string(seed) + ": " + runner.failure();
  return runner.ok();
}

}  // namespace quire::model
