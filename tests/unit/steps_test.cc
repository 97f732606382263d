// What core does on its way, step by step, where the result alone would not show it.
#include <map>

#include "support/fixture.h"
#include "support/yield_log.h"

#if defined(QUIRE_HOOKS) && QUIRE_HOOKS

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512;

class Steps : public EveryMode {};
QUIRE_IN_EVERY_MODE(Steps);

// Rows: S4.24
TEST_P(Steps, NeverReadTheZeroPageToCopyIt) {
  map_pages(space(), 0, kSpan + 8);
  for (const std::uint64_t page : {std::uint64_t{3}, kSpan + 3}) EXPECT_EQ(peek(space(), page), 0U);
  const Space child = fork();
  unsigned copies = 0;
  {
    const YieldLog log([&](std::string_view what, const void*) { copies += what == "copy_frame" ? 1 : 0; });
    for (const std::uint64_t page : {std::uint64_t{3}, kSpan + 3}) {
      EXPECT_EQ(space()->fault(at(page), Access::kWrite), FaultOutcome::kMinor);
      EXPECT_EQ(child->fault(at(page), Access::kWrite), FaultOutcome::kMinor);
    }
  }
  EXPECT_EQ(copies, 0U);
  EXPECT_EQ(peek(space(), 3), 0U);
}

// Rows: S2.39
TEST_P(Steps, DecideOncePerTableWhenASpaceEnds) {
  for (std::uint64_t n = 0; n < 6; ++n) {
    map_pages(space(), n * kSpan, 3);
    fill(space(), n * kSpan, 3);
  }
  Space child = fork();
  for (const std::uint64_t n : {0U, 1U, 2U}) poke(child, n * kSpan, 7);
  EXPECT_EQ(peek(space(), 0), 1U);  // the CPU leaves the child
  std::map<const Frame*, unsigned> decisions;
  {
    const YieldLog log([&](std::string_view what, const void* where) {
      if (what != "fetch_sub") return;
      for (std::uint64_t pfn = 0; pfn < memory().config().frames.raw(); ++pfn) {
        const Frame& frame = memory().frame(Pfn(pfn));
        if (frame.kind == FrameKind::kTable && where == &frame.table.share) ++decisions[&frame];
      }
    });
    child.reset();
  }
  EXPECT_FALSE(decisions.empty());
  for (const auto& [table, count] : decisions) EXPECT_EQ(count, 1U);
}

// Rows: S4.27
TEST_P(Steps, OfAnUnmappingDoNotDependOnTheSizeOfTheObject) {
  const auto steps_to_unmap_one = [&](std::uint64_t pages) {
    map_pages(space(), 0, pages, {.flags = uapi::kMapShared});
    fill(space(), 0, pages);
    std::uint64_t steps = 0;
    {
      const YieldLog log([&](std::string_view, const void*) { ++steps; });
      EXPECT_TRUE(unmap(space(), 5, 1));
    }
    EXPECT_TRUE(unmap(space(), 0, pages));
    return steps;
  };
  const std::uint64_t of_ten = steps_to_unmap_one(10);
  EXPECT_LE(steps_to_unmap_one(500), of_ten + 4) << "frames may go back to all CPUs' pool";
}

}  // namespace
}  // namespace quire::test

#endif
