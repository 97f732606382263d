// What fork costs in the library: against the size of memory, the number of mappings and the mode; with what follows it. And what it
// costs to find a page in a large family.
//
// Sizes are of memory mapped and touched: densely up to 64 MiB, sparsely (4096 pages spread evenly)
// above, with frames that hold no data, so that terabytes can be measured. "Law" is the ratio of
// the times at the largest and smallest size: flat is 1.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "quire/quire.h"
#include "quire/rmap/rmap.h"

namespace {

using quire::ByteCount;
using quire::ForkMode;
using quire::VirtAddr;

constexpr VirtAddr kBase{std::uint64_t{1} << 39};
constexpr std::uint64_t kPage = 4096, kMiB = std::uint64_t{1} << 20;

/// A machine with one space of `bytes`, touched, and a CPU that runs it.
struct Setting {
  std::unique_ptr<quire::Machine> machine;
  quire::Space space;
  std::unique_ptr<quire::Cpu> cpu;
  std::uint64_t stride = kPage;  ///< between touched pages
  std::uint64_t touched = 0;

  Setting(std::uint64_t bytes, ForkMode mode, quire::Contents contents) {
    quire::MachineConfig config;
    config.memory = ByteCount(2048 * kMiB);
    config.contents = contents;
    machine = std::move(*quire::Machine::create(config));
    quire::AddressSpaceConfig space_config;
    space_config.fork_mode = mode;
    space = std::move(*machine->create_space(space_config));
    cpu = std::move(*machine->create_cpu());
    cpu->run(space);
    map(kBase, bytes);
    constexpr std::uint64_t kDense = 64 * kMiB, kSparsePages = 4096;
    if (bytes > kDense) stride = bytes / kSparsePages;
    for (std::uint64_t at = 0; at < bytes; at += stride, ++touched) write(at, at + 1);
  }
  void map(VirtAddr at, std::uint64_t bytes, std::uint32_t prot = 3) const {
    quire::MmapRequest request;
    request.address = at;
    request.length = ByteCount(bytes);
    request.prot = prot;
    request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous | quire::uapi::kMapFixed;
    if (!space->mmap(request)) std::abort();
  }
  void write(std::uint64_t offset, std::uint64_t value) const {
    if (!cpu->store(kBase + ByteCount(offset), value)) std::abort();
  }
  [[nodiscard]] double tables_allocated() const {
    return static_cast<double>(machine->memory().counters().sum(quire::Counter::kTableAlloc));
  }
};

ForkMode mode_of(std::int64_t number) { return static_cast<ForkMode>(number); }

/// fork() and the end of the child that did nothing.
void ForkAndDrop(benchmark::State& state) {
  const Setting setting(static_cast<std::uint64_t>(state.range(0)), mode_of(state.range(1)),
                        quire::Contents::kNone);
  const double before = setting.tables_allocated();
  for (auto _ : state) {
    auto child = setting.space.fork();
    benchmark::DoNotOptimize(child);
  }
  state.counters["tables"] = benchmark::Counter((setting.tables_allocated() - before) /
                                                static_cast<double>(state.iterations()));
}
BENCHMARK(ForkAndDrop)
    ->ArgNames({"bytes", "mode"})
    ->ArgsProduct({{1 << 20, 16 << 20, 256LL << 20, 4LL << 30, 64LL << 30, 1LL << 40, 4LL << 40},
                   {0}})
    ->ArgsProduct({{1 << 20, 16 << 20, 256LL << 20, 4LL << 30}, {1, 2}});

/// The same against the number of mappings, one page touched in every second.
void ForkManyMappings(benchmark::State& state) {
  Setting setting(kMiB, ForkMode::kTree, quire::Contents::kNone);
  for (std::int64_t n = 0; n < state.range(0); ++n) {
    const auto offset = kMiB + static_cast<std::uint64_t>(n) * 2 * kPage;
    setting.map(kBase + ByteCount(offset), kPage);
    if (n % 2 == 0) setting.write(offset, 1);
  }
  for (auto _ : state) {
    auto child = setting.space.fork();
    benchmark::DoNotOptimize(child);
  }
}
BENCHMARK(ForkManyMappings)->ArgName("mappings")->Arg(200)->Arg(2000)->Arg(20000)->Arg(60000);

/// fork(), one store by the parent, the end of the child: the store copies one table per level and
/// a page.
void FirstWriteAfterFork(benchmark::State& state) {
  const Setting setting(static_cast<std::uint64_t>(state.range(0)), mode_of(state.range(1)),
                        quire::Contents::kReal);
  std::uint64_t at = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto child = setting.space.fork();
    state.ResumeTiming();
    setting.write(at, 1);
    state.PauseTiming();
    child->reset();
    at = (at + setting.stride) % (setting.touched * setting.stride);
    state.ResumeTiming();
  }
}
BENCHMARK(FirstWriteAfterFork)
    ->ArgNames({"bytes", "mode"})
    ->ArgsProduct({{1 << 20, 64 << 20, 1LL << 30}, {0, 1, 2}});

/// Roll back after `dirty` pages were written: what a fuzzer does for each input.
void Rollback(benchmark::State& state) {
  Setting setting(static_cast<std::uint64_t>(state.range(0)), ForkMode::kTree,
                  quire::Contents::kReal);
  const auto snapshot = std::move(*quire::Snapshot::take(setting.space));
  const std::uint64_t dirty = static_cast<std::uint64_t>(state.range(1));
  for (auto _ : state) {
    for (std::uint64_t n = 0; n < dirty; ++n)
      setting.write(n % setting.touched * setting.stride, n);
    if (!snapshot.restore(setting.space, *setting.cpu)) std::abort();
  }
  state.counters["pages/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(dirty),
                         benchmark::Counter::kIsRate);
}
BENCHMARK(Rollback)
    ->ArgNames({"bytes", "dirty"})
    ->ArgsProduct({{1 << 20, 64 << 20, 1LL << 30}, {0, 1, 10, 100}});

/// A load that hits the simulated TLB.
void LoadThroughTheTlb(benchmark::State& state) {
  const Setting setting(kMiB, ForkMode::kTree, quire::Contents::kReal);
  std::uint64_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(setting.cpu->load<std::uint64_t>(kBase + ByteCount(at)));
    at = (at + kPage) & (kMiB - 1);
  }
}
BENCHMARK(LoadThroughTheTlb);


/// From a page to its entry, in a family of `children` each of which has as many pages of its own at the same places: what counts is how
/// many tables are looked at.
void RmapLookup(benchmark::State& state) {
  const auto count = static_cast<std::uint64_t>(state.range(0));
  quire::MachineConfig config;
  config.memory = ByteCount(2 * count * count * kPage + 1024 * kMiB);
  config.contents = quire::Contents::kNone;
  const auto machine = std::move(*quire::Machine::create(config));
  const quire::Space parent = std::move(*machine->create_space());
  quire::MmapRequest request;
  request.address = kBase;
  request.length = ByteCount(count * kPage);
  request.prot = 3;
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous | quire::uapi::kMapFixed;
  if (!parent->mmap(request)) std::abort();
  const auto cpu = std::move(*machine->create_cpu());
  const auto write_all = [&](const quire::Space& space) {
    cpu->run(space);
    for (std::uint64_t n = 0; n < count; ++n) {
      if (!cpu->store(kBase + ByteCount(n * kPage), n)) std::abort();
    }
  };
  write_all(parent);
  std::vector<quire::Space> children;
  for (std::uint64_t n = 0; n < count; ++n) {
    children.push_back(std::move(*parent.fork()));
    write_all(children.back());
  }
  std::vector<quire::Frame*> pages;
  quire::MemoryManager& memory = machine->memory();
  const std::uint64_t end = memory.pool().touched_end().raw();
  for (std::uint64_t pfn = 0; pfn < end; ++pfn) {
    quire::Frame& frame = memory.frame(quire::Pfn(pfn));
    if (frame.kind == quire::FrameKind::kAnon) pages.push_back(&frame);
  }
  std::size_t next = 0;
  std::uint64_t tables = 0, entries = 0, most = 0;
  for (auto _ : state) {
    const quire::RmapVisits met = quire::for_each_entry(memory, *pages[next], [](auto&&...) {});
    next = (next + 7919) % pages.size();
    tables += met.tables;
    entries += met.entries;
    most = std::max<std::uint64_t>(most, met.tables);
  }
  const auto lookups = static_cast<double>(state.iterations());
  state.counters["tables"] = static_cast<double>(tables) / lookups;
  state.counters["most_tables"] = static_cast<double>(most);
  state.counters["entries"] = static_cast<double>(entries) / lookups;
}
BENCHMARK(RmapLookup)->ArgName("children")->Arg(100)->Arg(1000);

}  // namespace
