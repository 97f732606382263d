// How to embed Quire: map memory, run code against it, fork, diverge, take a snapshot and roll
// back. `embed` prints what it sees.
#include <cstdio>

#include "quire/quire.h"

namespace {

using quire::ByteCount;
using quire::VirtAddr;

constexpr VirtAddr kData{0x10000000};

/// Maps 1 GiB of private memory at kData, as mmap(2) would.
bool map_data(const quire::Space& space) {
  quire::MmapRequest request;
  request.address = kData;
  request.length = ByteCount(1U << 30);
  request.prot = quire::uapi::kProtRead | quire::uapi::kProtWrite;
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous | quire::uapi::kMapFixed;
  return space->mmap(request).has_value();
}

unsigned load(quire::Cpu& cpu, std::uint64_t page) {
  return cpu.load<std::uint32_t>(kData + ByteCount(page * 4096)).value_or(0);
}

bool store(quire::Cpu& cpu, std::uint64_t page, std::uint32_t value) {
  return cpu.store(kData + ByteCount(page * 4096), value).has_value();
}

}  // namespace

int main() {
  // A machine with 64 MiB of memory, one processor and one address space. Everything reports
  // errors; nothing throws.
  auto machine = quire::Machine::create({.memory = ByteCount(64U << 20)});
  if (!machine) return 1;
  auto cpu = (*machine)->create_cpu();
  auto parent = (*machine)->create_space();
  if (!cpu || !parent || !map_data(*parent)) return 1;

  (*cpu)->run(*parent);
  for (std::uint32_t page = 0; page < 1000; ++page) {
    if (!store(**cpu, page, page)) return 1;
  }

  // A fork costs one table, whatever is mapped. Both sides diverge from there.
  auto child = parent->fork();
  if (!child) return 1;
  (*cpu)->run(*child);
  if (!store(**cpu, 7, 70)) return 1;
  std::printf("child reads %u and %u\n", load(**cpu, 7), load(**cpu, 8));
  (*cpu)->run(*parent);
  std::printf("parent reads %u and %u\n", load(**cpu, 7), load(**cpu, 8));

  // A snapshot is a fork without a process. Run something, see what it changed, and go back.
  auto snapshot = quire::Snapshot::take(*parent);
  if (!snapshot) return 1;
  for (int round = 1; round <= 3; ++round) {
    if (!store(**cpu, 100, 1) || !store(**cpu, 200000, 2)) return 1;
    int changed = 0;
    quire::for_each_changed_page(*snapshot, *parent, [&changed](VirtAddr) { ++changed; });
    if (!snapshot->restore(*parent, **cpu)) return 1;
    std::printf("round %d changed %d pages; page 100 is %u again\n", round, changed,
                load(**cpu, 100));
  }

  // Accesses outside the mappings come back as faults, with Linux's reason.
  const auto fault = (*cpu)->load<std::uint8_t>(VirtAddr(0x1000));
  std::printf(
      "address 0x1000 %s\n",
      !fault && fault.error().outcome == quire::FaultOutcome::kMapError ? "is not mapped" : "?");
  const quire::Usage usage = (*parent)->usage();
  std::printf("resident %llu pages, %llu tables\n",
              static_cast<unsigned long long>(usage.rss().raw()),
              static_cast<unsigned long long>(usage.tables.raw()));
  return (*machine)->violations().count() == 0 ? 0 : 1;
}
