// What the runner compares between core and oracle: maps, figures, every byte, and the audit.
#include <sys/mman.h>

#include <array>
#include <cstdio>

#include "model/runner.h"
#include "support/audit.h"

namespace quire::model {
namespace {

Attributes attributes_of(const Vma& vma, std::uint64_t object) {
  return {.prot = vma.prot.bits(),
          .grows_down = vma.flags.has(VmaFlag::kGrowsDown),
          .no_reserve = vma.flags.has(VmaFlag::kNoReserve),
          .dont_fork = vma.flags.has(VmaFlag::kDontFork),
          .wipe_on_fork = vma.flags.has(VmaFlag::kWipeOnFork),
          .dont_dump = vma.flags.has(VmaFlag::kDontDump),
          .random = vma.flags.has(VmaFlag::kRandom),
          .sequential = vma.flags.has(VmaFlag::kSequential),
          .heap = vma.flags.has(VmaFlag::kHeap),
          .locked = vma.flags.has(VmaFlag::kLocked),
          .lock_on_fault = vma.flags.has(VmaFlag::kLockOnFault),
          .object = object};
}

}  // namespace

void Runner::compare_maps(Place& place) {
  std::vector<OracleMapping> actual;
  place.space->map().for_each([&](const Vma& vma) {
    const auto found = object_numbers_.find(vma.object);
    const std::uint64_t object =
        vma.object == nullptr || found == object_numbers_.end() ? 0 : found->second;
    const Attributes attributes = attributes_of(vma, object);
    // A stack that grew up to another one is not merged with it (Linux v6.12
    // mm/vma.c:expand_downwards()); a page does not show that.
    if (attributes.grows_down && !actual.empty() && actual.back().end == vma.range.begin().raw() &&
        actual.back().attributes == attributes) {
      actual.back().end = vma.range.end().raw();
      return;
    }
    actual.push_back({.begin = vma.range.begin().raw(),
                      .end = vma.range.end().raw(),
                      .index = vma.offset.raw(),
                      .attributes = attributes});
  });
  const std::vector<OracleMapping> expected = place.oracle->mappings();
  if (actual != expected)
    fail("maps differ\nactual:\n" + describe(actual) + "expected:\n" + describe(expected));
}

void Runner::compare_usage(Place& place) {
  const Usage usage = place.space->usage();
  const auto check = [&](const char* what, std::uint64_t actual, std::uint64_t expected) {
    if (actual != expected)
      fail(std::string(what) + " is " + std::to_string(actual) + ", expected " +
           std::to_string(expected));
  };
  check("mapped", usage.mapped.raw(), place.oracle->pages().size());
  check("locked", usage.locked.raw(), place.oracle->locked());
  check("anonymous RSS", usage.rss_anon.raw(), place.oracle->resident_anon());
  check("shared RSS", usage.rss_shmem.raw(), place.oracle->resident_shared());
}

// Every byte of every readable page, in the order of addresses.
void Runner::compare_contents(Place& place) {
  std::array<std::byte, kPage> actual;
  std::vector<std::uint64_t> pages;
  for (const auto& [number, page] : place.oracle->pages()) {
    if (page.attributes.prot != 0) pages.push_back(number);
  }
  for (const std::uint64_t number : pages) {
    const auto done = place.space->read(VirtAddr(number * kPage), actual);
    if (place.oracle->probe(number * kPage, PROT_READ) == Outcome::kBusError) {
      if (done) fail("a page beyond the end of its object could be read");
      continue;
    }
    if (!done || done->raw() != kPage) {
      fail("a readable page could not be read");
      return;
    }
    for (std::uint64_t offset = 0; offset < kPage; ++offset) {
      std::byte value{};
      if (offset == 0 || PageBytes::place(offset))
        place.oracle->access(number * kPage + offset, PROT_READ, value);
      if (actual[offset] == value) continue;
      char text[100];
      std::snprintf(text, sizeof text, "byte at %llx is %02x, expected %02x",
                    static_cast<unsigned long long>(number * kPage + offset),
                    static_cast<unsigned>(actual[offset]), static_cast<unsigned>(value));
      fail(text);
      return;
    }
  }
}

void Runner::audit() {
  ++counts_.audits;
  for (Place& place : places_) {
    if (!place.space) continue;
    compare_maps(place);
    compare_usage(place);
  }
  if (const std::string findings = test::audit_findings(*machine_); !findings.empty())
    fail("audit:\n" + findings);
}

}  // namespace quire::model
