// What the runner compares between core and oracle: maps, figures, every byte, and the audit.
#include <sys/mman.h>

#include <array>
#include <cstdio>
#include <utility>

#include "model/runner.h"
#include "quire/space/observe.h"
#include "support/audit.h"

namespace quire::model {
namespace {

/// The runner's names are none, "", "a" and "b".
std::uint8_t number_of(const VmaLabel* label) {
  if (label == nullptr) return 0;
  const std::string_view text = label->name().value();
  return text.empty() ? 1 : static_cast<std::uint8_t>(text[0] - 'a' + 2);
}

Attributes attributes_of(const Vma& vma, std::uint64_t object) {
  return {.prot = vma.prot.bits(),
          .grows_down = vma.flags.has(VmaFlag::kGrowsDown),
          .no_reserve = vma.flags.has(VmaFlag::kNoReserve),
          .dont_fork = vma.flags.has(VmaFlag::kDontFork),
          .wipe_on_fork = vma.flags.has(VmaFlag::kWipeOnFork),
          .dont_dump = vma.flags.has(VmaFlag::kDontDump),
          .random = vma.flags.has(VmaFlag::kRandom),
          .sequential = vma.flags.has(VmaFlag::kSequential),
          .accounted = vma.flags.has(VmaFlag::kAccounted),
          .locked = vma.flags.has(VmaFlag::kLocked),
          .lock_on_fault = vma.flags.has(VmaFlag::kLockOnFault),
          .asks_missing = vma.flags.has(VmaFlag::kAsksMissing),
          .asks_guarded = vma.flags.has(VmaFlag::kAsksGuarded),
          .object = object,
          .name = number_of(vma.label)};
}

}  // namespace

void Runner::compare_maps(Place& place) {
  std::vector<OracleMapping> actual;
  place.space->map().for_each([&](const Vma& vma) {
    const auto found = object_numbers_.find(vma.object);
    const std::uint64_t object =
        vma.object == nullptr || found == object_numbers_.end() ? 0 : found->second;
    const Attributes attributes = attributes_of(vma, object);
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
  if (!config_.lend_tables) check("shared RSS", usage.rss_shmem.raw(), place.oracle->resident_shared());
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

// A page of an object is mapped as often as it is resident anywhere; a private one as often as
// spaces hold the oracle's frame. The sums prove it for pages and tables alike (X8): each space's
// share is rounded down, by less than one unit for each way to the page.
void Runner::compare_observed() {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> shared;
  for (const Place& place : places_) {
    if (!place.space) continue;
    for (const auto& [number, page] : place.oracle->pages()) {
      if (place.oracle->is_resident(page) && page.attributes.object != 0)
        ++shared[{page.attributes.object, page.index}];
    }
  }
  std::uint64_t tables_pss = 0, tables_met = 0;
  for (Place& place : places_) {
    if (!place.space || !ok()) continue;
    std::uint64_t expected_pss = 0, resident = 0;
    Observer observer(*place.space);
    const auto observed = [&](std::uint64_t number) {
      PageState state;
      observer.look(VirtAddr(number * kPage), {&state, 1});
      return state;
    };
    for (const auto& [number, page] : place.oracle->pages()) {
      const bool anon = page.attributes.object == 0;
      if (!anon && config_.lend_tables) continue;
      const bool is_resident = place.oracle->is_resident(page);
      const PageState state = observed(number);
      std::uint32_t mappings = 0;
      if (is_resident)
        mappings = anon ? static_cast<std::uint32_t>(page.frame.use_count())
                        : shared[{page.attributes.object, page.index}];
      if (state.mappings != mappings || state.exclusive != (mappings == 1) ||
          state.counted != is_resident || (state.counted && state.of_object == anon)) {
        char text[120];
        std::snprintf(text, sizeof text, "page %llx is mapped %u times, expected %u",
                      static_cast<unsigned long long>(number * kPage), state.mappings, mappings);
        fail(text);
        return;
      }
      if (!is_resident) continue;
      ++resident;
      expected_pss += pss_of_page(mappings);
    }
    const RangeFigures all =
        observer.measure(VirtRange(VirtAddr(0), config_.geometry.user_top()));
    const bool is_exact = !config_.lend_tables;
    if (is_exact && (all.resident.raw() != resident || all.pss != expected_pss))
      fail("observed: " + std::to_string(all.resident.raw()) + " resident, pss " +
           std::to_string(all.pss) + ", expected " + std::to_string(resident) + " and " +
           std::to_string(expected_pss));
    const TableFigures tables = observer.tables();
    tables_pss += tables.pss;
    tables_met += tables.tables.raw();
    if (tables.tables != place.space->usage().tables) fail("observed: the number of tables");
  }
  const std::uint64_t in_use = machine_->memory().tables_in_use().raw() * pss_of_page(1);
  // What is lent to nobody at the moment is in use all the same.
  const bool too_few = !config_.lend_tables && in_use - tables_pss > tables_met * 64;
  if (ok() && (tables_pss > in_use || too_few))
    fail("observed: the sum of the shares of tables is not the tables in use");
}

void Runner::audit() {
  ++counts_.audits;
  for (Place& place : places_) {
    if (!place.space) continue;
    compare_maps(place);
    compare_usage(place);
  }
  compare_observed();
  if (const std::string findings = test::audit_findings(*machine_); !findings.empty())
    fail("audit:\n" + findings);
}

}  // namespace quire::model
