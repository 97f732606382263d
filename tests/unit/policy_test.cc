// Table P1 of the requirements, row by row: whoever changes something below a shared table changes
// it for itself alone.
//
// Every writer × every level at which sharing may begin × every mode: the other member of the
// family sees the same contents, the same map, the same pages and frames as before.
#include <functional>
#include <string>
#include <vector>

#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kSpan = 512, kGiB = 512 * 512;
/// Columns in which the layout under test lies: three level-1 tables, and one under another level-2
/// table.
constexpr std::uint64_t kFar = kGiB * 2;

/// One row of P1.
struct Writer {
  const char* name;
  std::function<void(MachineTest&, Space&)> act;
};

/// Gives the writers of the table below access to the fixture's helpers.
class Policy : public MachineTest {
 public:
  using MachineTest::advise;
  using MachineTest::at;
  using MachineTest::cpu;
  using MachineTest::map_pages;
  using MachineTest::protect;
  using MachineTest::unmap;
};

Policy& of(MachineTest& test) { return static_cast<Policy&>(test); }

/// An access through the first CPU; whether it succeeds is the writer's business.
void touch(MachineTest& test, Space& space, std::uint64_t page, Access access) {
  Cpu& cpu = of(test).cpu();
  cpu.run(space);
  if (access == Access::kWrite) {
    static_cast<void>(cpu.store<std::uint64_t>(of(test).at(page), 0xdead));
  } else {
    static_cast<void>(cpu.load<std::uint64_t>(of(test).at(page)));
  }
}

void advise(MachineTest& test, Space& space, std::uint64_t first, std::uint64_t pages, int advice) {
  EXPECT_TRUE(of(test).advise(space, first, pages, advice));
}

void protect(MachineTest& test, Space& space, std::uint64_t first, std::uint64_t pages,
             std::uint32_t prot) {
  EXPECT_TRUE(of(test).protect(space, first, pages, prot));
}

/// Refuses whatever it is asked.
class Refusing final : public FaultDelegate {
 public:
  void hold() override {}
  void release() override {}
  Answer ask(const AskedFault&) override { return Answer::kRefused; }
};

VirtRange pages(MachineTest& test, std::uint64_t first, std::uint64_t count) {
  return VirtRange(of(test).at(first), PageCount(count).bytes());
}

void watch(MachineTest& test, Space& space, VmaFlags flags) {
  static Refusing delegate;
  EXPECT_TRUE(space->register_handler(pages(test, 0, kSpan * 2), delegate, flags));
}

const std::vector<Writer>& writers() {
  // Pages 0–7 are written, 8–11 read (zero), 12–13 without access, 14–15 untouched, 16–19 shared
  // memory; kSpan … is a zero table.
  static const std::vector<Writer> all = {
      {"write fault on a private page", [](auto& t, auto& s) { touch(t, s, 3, Access::kWrite); }},
      {"write fault on zero", [](auto& t, auto& s) { touch(t, s, 9, Access::kWrite); }},
      {"write fault below a zero table",
       [](auto& t, auto& s) { touch(t, s, kSpan + 9, Access::kWrite); }},
      {"write fault on an absent page", [](auto& t, auto& s) { touch(t, s, 14, Access::kWrite); }},
      {"read fault", [](auto& t, auto& s) { touch(t, s, 15, Access::kRead); }},
      {"unmap of a part", [](auto& t, auto& s) { EXPECT_TRUE(of(t).unmap(s, 2, 15)); }},
      {"unmap of everything",
       [](auto& t, auto& s) { EXPECT_TRUE(of(t).unmap(s, 0, kFar + kSpan)); }},
      {"fixed mapping over a part", [](auto& t, auto& s) { of(t).map_pages(s, 1, 17); }},
      {"mapping next to it",
       [](auto& t, auto& s) {
         of(t).map_pages(s, 30, 5);
         touch(t, s, 31, Access::kWrite);
       }},
      {"DONTNEED of a part", [](auto& t, auto& s) { advise(t, s, 1, 18, uapi::kMadvDontNeed); }},
      {"DONTNEED of whole spans",
       [](auto& t, auto& s) { advise(t, s, kSpan, kSpan, uapi::kMadvDontNeed); }},
      {"DONTFORK", [](auto& t, auto& s) { advise(t, s, 2, 4, uapi::kMadvDontFork); }},
      {"WIPEONFORK and a fork",
       [](auto& t, auto& s) {
         advise(t, s, 2, 4, uapi::kMadvWipeOnFork);
         EXPECT_TRUE(s.fork());
       }},
      {"populate", [](auto& t, auto& s) { advise(t, s, 0, 11, uapi::kMadvPopulateWrite); }},
      {"protection to read-only", [](auto& t, auto& s) { protect(t, s, 0, 12, uapi::kProtRead); }},
      {"protection to nothing", [](auto& t, auto& s) { protect(t, s, 0, 20, 0); }},
      {"protection with more rights",
       [](auto& t, auto& s) {
         protect(t, s, 0, 20, 7);
         touch(t, s, 12, Access::kWrite);
         touch(t, s, 9, Access::kWrite);
       }},
      {"protection of a zero table", [](auto& t, auto& s) { protect(t, s, kSpan, kSpan, 0); }},
      {"writes told from now on", [](auto&, auto& s) { EXPECT_TRUE(s->track_writes()); }},
      {"registration for missing pages", [](auto& t, auto& s) { watch(t, s, VmaFlag::kAsksMissing); }},
      {"a page supplied",
       [](auto& t, auto& s) {
         watch(t, s, VmaFlag::kAsksMissing);
         EXPECT_TRUE(s->supply(of(t).at(14), {}, Guarded::kNo));
         EXPECT_TRUE(s->supply(of(t).at(15), std::vector<std::byte>(kPageSize), Guarded::kNo));
       }},
      {"guards",
       [](auto& t, auto& s) {
         watch(t, s, VmaFlag::kAsksGuarded);
         EXPECT_TRUE(s->guard(pages(t, 0, 20), Guarded::kYes, Unpopulated::kMarked));
         EXPECT_TRUE(s->guard(pages(t, kSpan, kSpan), Guarded::kYes, Unpopulated::kLeft));
         EXPECT_TRUE(s->guard(pages(t, 2, 4), Guarded::kNo, Unpopulated::kLeft));
       }},
      {"fork", [](auto&, auto& s) { EXPECT_TRUE(s.fork()); }},
      {"end",
       [](auto& t, auto& s) {
         of(t).cpu().stop();
         s.reset();
       }},
  };
  return all;
}

class ForEachWriter : public Policy,
                      public ::testing::WithParamInterface<std::tuple<ForkMode, int>> {
 protected:
  ForEachWriter() { space_config_.fork_mode = std::get<0>(GetParam()); }

  void lay_out(Space& where) {
    map_pages(where, 0, 16);
    map_pages(where, 16, 4, {.flags = uapi::kMapShared});
    map_pages(where, kSpan, kSpan);
    map_pages(where, kFar, kSpan);
    fill(where, 0, 8);
    for (std::uint64_t n = 8; n < 12; ++n) (void)peek(where, n);
    fill(where, 12, 2);
    EXPECT_TRUE(MachineTest::protect(where, 12, 2, 0));
    fill(where, 16, 2);
    (void)peek(where, kSpan + 5);
    fill(where, kFar, 3);
  }
  /// All that the space's program and its figures show, and which frames serve it. Touches nothing.
  std::string fingerprint(const Space& where) {
    std::string text = draw(*where, base(), 24) + draw_rights(*where, base(), 24) +
                       draw_pages(*where, base(), 24) + draw_pages(*where, at(kSpan), 16) +
                       draw_pages(*where, at(kFar), 8);
    for (const std::uint64_t n : {0U, 3U, 7U, 13U, 16U, 17U}) {
      const Path path = path_to(*where, at(n));
      text += " " + std::to_string(path.leaf.raw()) + ":" + std::to_string(*contents(path.leaf));
    }
    const Usage usage = where->usage();
    return text + " " + std::to_string(usage.rss_anon.raw()) + " " +
           std::to_string(usage.rss_shmem.raw()) + " " + std::to_string(usage.mapped.raw()) + " " +
           std::to_string(usage.tables.raw());
  }
  const std::uint64_t* contents(Pfn frame) {
    return reinterpret_cast<const std::uint64_t*>(memory().window(frame));
  }
};

// Rows: S0.62 S1.5 S1.6 S0.12 S0.41
TEST_P(ForEachWriter, NobodyElseSeesAnyOfIt) {
  const int shared_below = std::get<1>(GetParam());
  for (const Writer& writer : writers()) {
    SCOPED_TRACE(writer.name);
    Space bystander = new_space();
    lay_out(bystander);
    Space actor = fork(bystander);
    // The actor has its own tables down to some level already: 0 none, 1 to level 3, 2 to level 2,
    // 3 to level 1.
    if (shared_below == 1) poke(actor, kFar, 77);
    if (shared_below == 2) poke(actor, kSpan + 1, 77);
    if (shared_below == 3) poke(actor, 0, 77);
    const std::string before = fingerprint(bystander);
    writer.act(*this, actor);
    EXPECT_EQ(fingerprint(bystander), before);
    for (std::uint64_t n = 0; n < 8; ++n) EXPECT_EQ(peek(bystander, n), n + 1);
    EXPECT_EQ(peek(bystander, 16), 17U);
    EXPECT_EQ(peek(bystander, kSpan + 9), 0U);
    EXPECT_EQ(peek(bystander, kFar + 2), kFar + 3);
    EXPECT_EQ(outcome(bystander, 12, Access::kRead), FaultOutcome::kAccessError);
    expect_clean_audit();
    cpu().stop();
  }
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<ForkMode, int>>& parameter) {
  return mode_name(std::get<0>(parameter.param)) + "_own_" +
         std::to_string(std::get<1>(parameter.param));
}
INSTANTIATE_TEST_SUITE_P(P1, ForEachWriter,
                         ::testing::Combine(::testing::Values(ForkMode::kTree, ForkMode::kLeaf,
                                                              ForkMode::kCopy),
                                            ::testing::Range(0, 4)),
                         name_of);

}  // namespace
}  // namespace quire::test
