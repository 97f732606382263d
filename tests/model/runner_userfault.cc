// Mappings whose faults somebody else resolves, in the model test: whoever is asked does what the kernel would have done, so that a program
// sees no difference, and nothing is written that is guarded before somebody was asked.
#include <algorithm>

#include "model/runner.h"

namespace quire::model {

FaultDelegate::Answer Runner::Resolver::ask(const AskedFault& fault) {
  ++asked;
  runner_.machine_->memory().pool().fail_after(0);  // it is the operation that is to fail, not this
  const VirtAddr page = fault.address.page_floor();
  const bool is_missing = fault.reason == AskedFault::Reason::kMissing;
  const auto done = is_missing ? place_.space->supply(page, {}, Guarded::kNo)
                               : place_.space->guard(VirtRange(page, ByteCount(kPage)), Guarded::kNo, Unpopulated::kLeft);
  if (!done) {
    runner_.fail("a fault that was asked about could not be resolved");
    return Answer::kRefused;
  }
  if (is_missing) supplied_.push_back(page.raw() / kPage);
  return Answer::kTryAgain;
}

void Runner::Resolver::tell() {
  for (const std::uint64_t page : supplied_) place_.oracle->supplied(page);
  supplied_.clear();
}

void Runner::watch(Place& place, const Operation& operation) {
  const std::uint64_t top = shape_.user_top;
  const std::uint64_t begin = std::min(address(place, operation) & ~(kPage - 1), top - kPage);
  const std::uint64_t pages = std::clamp(length(operation) / kPage, std::uint64_t{1}, std::uint64_t{40});
  const VirtRange range(VirtAddr(begin), ByteCount(std::min(pages * kPage, top - begin)));
  const std::uint64_t first = begin / kPage, end = range.end().raw() / kPage;
  const std::uint16_t detail = operation.detail;
  if (!place.resolver) place.resolver = std::make_unique<Resolver>(*this, place);
  if ((detail & 3U) == 3) return guard(place, range, detail);
  const bool ends = (detail & 3U) == 2, missing = !ends && (detail & 12U) != 4, guarded = !ends && (detail & 12U) != 0;
  VmaFlags flags;
  if (missing) flags = flags.with(VmaFlag::kAsksMissing);
  if (guarded) flags = flags.with(VmaFlag::kAsksGuarded);
  const auto actual =
      ends ? place.space->unregister_handler(range, *place.resolver) : place.space->register_handler(range, *place.resolver, flags);
  if (failed_as_asked(actual)) return;
  same_result("watch", place.oracle->watch(first, end, missing, guarded), actual);
}

void Runner::guard(Place& place, VirtRange range, std::uint16_t detail) {
  const Guarded guarded = (detail & 0x1CU) != 0 ? Guarded::kYes : Guarded::kNo;
  const Unpopulated unpopulated = (detail & 0x20U) != 0 ? Unpopulated::kMarked : Unpopulated::kLeft;
  const auto actual = place.space->guard(range, guarded, unpopulated);
  if (failed_as_asked(actual)) return;
  const std::uint64_t first = range.begin().raw() / kPage;
  if (!same_result("guard", place.oracle->guard(first, range.end().raw() / kPage), actual)) return;
  const auto page = place.oracle->pages().find(first);
  if (injecting_ || guarded == Guarded::kNo || page == place.oracle->pages().end()) return;
  const bool is_there = place.oracle->is_resident(page->second) || unpopulated == Unpopulated::kMarked;
  const std::uint64_t asked = place.resolver->asked;
  if (place.oracle->probe(first * kPage, 2) != Outcome::kDone) return;
  for (unsigned n = 0; n < 2; ++n) {
    if (place.space->fault(range.begin(), Access::kWrite) != FaultOutcome::kMinor) fail("a guarded page could not be written");
  }
  if (is_there && place.resolver->asked == asked) fail("a guarded page was written and nobody was asked");
}

}  // namespace quire::model
