// Which pages were written since somebody asked, in the model test: none when it has just been asked, and each that is written from then
// on. What is told of the others is Quire's choice, as it is Linux's.
#include "model/runner.h"
#include "quire/space/observe.h"

namespace quire::model {

void Runner::track(Place& place) {
  const auto actual = place.space->track_writes();
  if (failed_as_asked(actual)) return;
  if (!actual) return fail("writes could not be tracked");
  place.space->map().for_each([&](const Vma& vma) {
    std::vector<PageState> pages(vma.range.pages().raw());
    Observer(*place.space).look(vma.range.begin(), pages);
    for (const PageState& page : pages) {
      if (page.soft_dirty) return fail("a page counts as written that nobody has written since");
    }
  });
}

void Runner::expect_written(const Place& place, std::uint64_t at, std::uint64_t size) {
  const VirtAddr first = VirtAddr(at).page_floor();
  std::vector<PageState> pages((at + size - 1) / kPage - at / kPage + 1);
  Observer(*place.space).look(first, pages);
  for (const PageState& page : pages) {
    if (!page.soft_dirty) fail("a page was written and does not count as written");
  }
}

}  // namespace quire::model
