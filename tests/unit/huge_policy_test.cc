// Table P1 of the requirements for huge pages: whoever changes something below a shared table that has large leaves changes it for itself
// alone.
//
// Every writer × every level at which sharing may begin × every mode × which of the two acts: the other sees the same contents, the same
// map, the same pages and frames as before.
#include <span>
#include <string>

#include "quire/space/hold.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;
/// Of the pool, but promised to nobody.
constexpr std::uint32_t kOptional = uapi::kMapHugeTlb | uapi::kMapNoReserve;
constexpr MapStyle kPrivate{.flags = uapi::kMapPrivate | uapi::kMapHugeTlb}, kShared{.flags = uapi::kMapShared | uapi::kMapHugeTlb};
/// Small pages of a huge one; those of a table of level 2, and of level 3.
constexpr std::uint64_t kHuge = 4, kSpan = 16, kFar = 64;

enum class Actor : std::uint8_t { kChild, kParent };
/// The last: how many levels of tables the child has of its own already.
using Case = std::tuple<ForkMode, Actor, int>;

class HugePolicy : public MachineTest, public ::testing::WithParamInterface<Case> {
 protected:
  /// One row of P1.
  struct Writer {
    const char* name;
    void (*act)(HugePolicy& test, Space& space);
  };
  static std::span<const Writer> writers();

  HugePolicy() {
    machine_config_.geometry = Geometry::tiny(4, 2);
    space_config_.fork_mode = std::get<0>(GetParam());
  }
  void TearDown() override {
    memory().huge().close();
    MachineTest::TearDown();
  }
  HugePool& pool() { return memory().huge().of(Level(2)); }
  [[nodiscard]] VirtRange pages(std::uint64_t first, std::uint64_t count) { return {at(first), PageCount(count).bytes()}; }

  // Huge pages, a letter each: "ww-n" written, untouched and without access in the first table, "ss" of shared memory in the second, and
  // "w" below another of level 3.
  void lay_out(Space& where) {
    map_pages(where, 0, 3 * kHuge, kPrivate);
    map_pages(where, 3 * kHuge, kHuge, kPrivate);
    map_pages(where, kSpan, 2 * kHuge, kShared);
    map_pages(where, kFar, 2 * kHuge, kPrivate);
    fill(where, 0, 2 * kHuge);
    fill(where, 3 * kHuge, kHuge);
    EXPECT_TRUE(protect(where, 3 * kHuge, kHuge, 0));
    fill(where, kSpan, 1);
    fill(where, kFar, 3);
  }
  // All that the space's program and its figures show, and which frames serve it. Touches nothing.
  std::string fingerprint(const Space& where) {
    std::string text = draw(*where, base(), 2 * kSpan) + draw_rights(*where, base(), 2 * kSpan);
    for (const std::uint64_t n : {0U, 1U, 7U, 8U, 12U, 16U, 20U, 64U, 66U, 68U}) {
      const Path path = path_to(*where, at(n));
      text += " " + std::to_string(path.leaf.raw()) + ":" + std::to_string(path.depth);
    }
    const Usage usage = where->usage();
    return text + " " + std::to_string(usage.huge.raw()) + " " + std::to_string(usage.mapped.raw()) + " " +
           std::to_string(usage.tables.raw()) + " " + std::to_string(usage.rss().raw());
  }
  void expect_contents(const Space& where) {
    for (std::uint64_t n = 0; n < 2 * kHuge; ++n) EXPECT_EQ(peek(where, n), n + 1);
    EXPECT_EQ(outcome(where, 3 * kHuge, Access::kRead), FaultOutcome::kAccessError);
    EXPECT_EQ(peek(where, kSpan), kSpan + 1);
    EXPECT_EQ(peek(where, kFar + 2), kFar + 3);
  }
};

std::span<const HugePolicy::Writer> HugePolicy::writers() {
  static constexpr Writer kAll[] = {
      {"write fault on a private page", [](auto& t, auto& s) { t.poke(s, 3, 77); }},
      {"write fault on an absent page", [](auto& t, auto& s) { t.poke(s, 2 * kHuge, 77); }},
      {"read fault on an absent page", [](auto& t, auto& s) { EXPECT_EQ(t.peek(s, 2 * kHuge + 1), 0U); }},
      {"read fault on an absent page of shared memory", [](auto& t, auto& s) { EXPECT_EQ(t.peek(s, kSpan + kHuge), 0U); }},
      {"unmap of a part", [](auto& t, auto& s) { EXPECT_TRUE(t.unmap(s, kHuge, 4 * kHuge)); }},
      {"unmap of everything", [](auto& t, auto& s) { EXPECT_TRUE(t.unmap(s, 0, 2 * kFar)); }},
      {"unmap that would cut a page", [](auto& t, auto& s) { EXPECT_FALSE(t.unmap(s, 1, kHuge)); }},
      {"huge pages over a part", [](auto& t, auto& s) { t.map_pages(s, kHuge, 4 * kHuge, {.flags = uapi::kMapPrivate | kOptional}); }},
      {"small pages over a part",
       [](auto& t, auto& s) {
         t.map_pages(s, kHuge, 4 * kHuge);
         t.fill(s, kHuge, 4 * kHuge);
       }},
      {"mapping next to it",
       [](auto& t, auto& s) {
         t.map_pages(s, kSpan + 2 * kHuge, 2 * kHuge);
         t.fill(s, kSpan + 2 * kHuge, kHuge);
       }},
      {"DONTNEED of a part", [](auto& t, auto& s) { EXPECT_TRUE(t.advise(s, kHuge, 2 * kHuge, uapi::kMadvDontNeed)); }},
      {"DONTNEED of whole spans", [](auto& t, auto& s) { EXPECT_TRUE(t.advise(s, 0, 4 * kHuge, uapi::kMadvDontNeed)); }},
      {"DONTFORK", [](auto& t, auto& s) { EXPECT_TRUE(t.advise(s, kHuge, kHuge, uapi::kMadvDontFork)); }},
      {"populate", [](auto& t, auto& s) { EXPECT_TRUE(t.advise(s, 0, 3 * kHuge, uapi::kMadvPopulateWrite)); }},
      {"protection to read-only", [](auto& t, auto& s) { EXPECT_TRUE(t.protect(s, 0, 2 * kHuge, uapi::kProtRead)); }},
      {"protection to nothing", [](auto& t, auto& s) { EXPECT_TRUE(t.protect(s, kHuge, 2 * kHuge, 0)); }},
      {"protection with more rights",
       [](auto& t, auto& s) {
         EXPECT_TRUE(t.protect(s, 0, 4 * kHuge, kReadWrite | uapi::kProtExec));
         t.poke(s, 3 * kHuge, 77);
         t.poke(s, 0, 77);
       }},
      {"move of a part to another table",
       [](auto& t, auto& s) {
         EXPECT_TRUE(s->mremap({.old_address = t.at(kHuge),
                                .old_length = PageCount(2 * kHuge).bytes(),
                                .new_length = PageCount(2 * kHuge).bytes(),
                                .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                                .new_address = t.at(kFar + kSpan)}));
       }},
      {"move of whole spans",
       [](auto& t, auto& s) {
         EXPECT_TRUE(s->mremap({.old_address = t.at(0),
                                .old_length = PageCount(4 * kHuge).bytes(),
                                .new_length = PageCount(4 * kHuge).bytes(),
                                .flags = uapi::kMremapMayMove | uapi::kMremapFixed,
                                .new_address = t.at(kFar + kSpan)}));
       }},
      {"pin", [](auto& t, auto& s) { EXPECT_TRUE(s->hold(t.at(1), Access::kWrite, HoldKind::kPin)); }},
      {"get", [](auto& t, auto& s) { EXPECT_TRUE(s->hold(t.at(1), Access::kRead, HoldKind::kGet)); }},
      {"write by force",
       [](auto& t, auto& s) {
         const std::uint64_t value = 77;
         EXPECT_TRUE(s->poke(t.at(3 * kHuge), std::as_bytes(std::span(&value, 1))));
       }},
      {"fork", [](auto&, auto& s) { EXPECT_TRUE(s.fork()); }},
      {"end",
       [](auto& t, auto& s) {
         t.cpu().stop();
         s.reset();
       }},
  };
  return kAll;
}

// Rows: S0.62 S1.5 S1.6 S2.51 X18
TEST_P(HugePolicy, NobodyElseSeesAnyOfIt) {
  const auto [mode, who, own_levels] = GetParam();
  pool().set_overcommit(64);
  for (const Writer& writer : writers()) {
    SCOPED_TRACE(writer.name);
    Space parent = new_space();
    lay_out(parent);
    Space child = fork(parent);
    if (own_levels == 1) poke(child, kFar + kHuge, 77);
    if (own_levels == 2) poke(child, kSpan + 1, 77);
    if (own_levels == 3) poke(child, 2 * kHuge, 77);
    Space& actor = who == Actor::kChild ? child : parent;
    const Space& bystander = who == Actor::kChild ? parent : child;
    const std::string before = fingerprint(bystander);
    writer.act(*this, actor);
    EXPECT_EQ(fingerprint(bystander), before);
    expect_contents(bystander);
    expect_clean_audit();
    cpu().stop();
  }
}

std::string name_of(const ::testing::TestParamInfo<Case>& parameter) {
  const auto [mode, who, own_levels] = parameter.param;
  return mode_name(mode) + (who == Actor::kChild ? "_child_acts_own_" : "_parent_acts_own_") + std::to_string(own_levels);
}
INSTANTIATE_TEST_SUITE_P(P1, HugePolicy,
                         ::testing::Combine(::testing::Values(ForkMode::kTree, ForkMode::kLeaf, ForkMode::kCopy),
                                            ::testing::Values(Actor::kChild, Actor::kParent), ::testing::Range(0, 4)),
                         name_of);

}  // namespace
}  // namespace quire::test
