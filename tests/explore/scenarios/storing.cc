// Pages of a file that are stored or given back while processes use them through their mappings.
#include "explore/scenario.h"
#include "quire/rmap/migrate.h"
#include "support/file.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;

/// A file whose pages can be stored, mapped by A. When all is done what has not been stored is, and then no store may be missing.
struct Setting {
  explicit Setting(World& world, unsigned pages = 2)
      : w(world),
        a(w.create("A", 2)),
        source(std::make_shared<test::TestSource>(w.memory())),
        file(**FileObject::create(w.memory(), {.leaf_class = LeafClass::kFile, .size = World::bytes(pages), .source = source.get()})) {
    map(a);
    w.watch_shared(0, 2);
    w.finally([this_source = source, &world, &object = file] {
      world.expect(object.write_back(PageIndex(0), PageIndex(1)).has_value(), "what is left is stored");
      for (std::uint64_t n = 0; n < 2; ++n) {
        Frame* const page = object.page_or_null(PageIndex(n));
        if (page == nullptr) continue;
        std::uint64_t value = 0;
        __builtin_memcpy(&value, world.memory().contents(*page), sizeof value);
        object.put_page(*page);
        const auto found = this_source->stored.find(n);
        const std::uint64_t stored = found == this_source->stored.end() ? test::TestSource::value_of(n) : found->second;
        world.expect(stored == value, "I14: page " + std::to_string(n) + " holds " + std::to_string(value) + ", stored was " +
                                          std::to_string(stored));
      }
      object.drop_user();
    });
  }
  void map(Process& process) const {
    MmapRequest request;
    request.address = World::at(0);
    request.length = file.size();
    request.prot = kReadWrite;
    request.flags = uapi::kMapShared | uapi::kMapFixed;
    request.object = &file;
    w.expect(process.space->mmap(request).has_value(), "a file is mapped");
  }
  void store_pages() {
    w.actor("W", [&world = w, &object = file] {
      world.act("write back", [&object] { return object.write_back(PageIndex(0), PageIndex(1)) ? "done" : "failed"; });
    });
  }
  void reclaim_pages() {
    w.actor("R", [&world = w, &object = file] {
      world.act("reclaim", [&object] {
        static_cast<void>(object.reclaim(PageCount(2)));
        return "done";
      });
    });
  }
  World& w;
  Process& a;
  std::shared_ptr<test::TestSource> source;
  FileObject& file;
};

void write_back_and_store(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  s.store_pages();
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
}

void write_back_and_first_store(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  Process& b = w.create("B");
  s.map(b);
  s.store_pages();
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 72); });
}

void write_back_and_restored_right(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  w.expect(s.file.write_back(PageIndex(0), PageIndex(1)).has_value(), "set-up");
  s.store_pages();
  w.actor("A1", [&w, &a = s.a] {
    w.store(a, 0, 0, 71);
    w.store(a, 0, 0, 72);
  });
}

void write_back_and_store_in_a_lent_table(World& w) {
  Setting s(w, 4);
  Process& b = w.create("B");
  s.map(b);
  w.fill(s.a, 0, 1);
  w.touch(b, 0, 0, 1);
  s.store_pages();
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 72); });
}

void write_back_and_new_store_in_a_lent_table(World& w) {
  Setting s(w, 4);
  Process& b = w.create("B");
  s.map(b);
  w.fill(s.a, 0, 1);
  w.touch(b, 0, 0, 1);
  w.expect(s.file.write_back(PageIndex(0), PageIndex(1)).has_value(), "all is stored");
  s.store_pages();
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 72); });
}

void write_back_and_mremap(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  s.store_pages();
  w.actor("A1", [&w, &a = s.a] {
    w.mremap(a, 0, 2, 9);
    w.store(a, 0, 9, 71);
  });
}

void write_back_and_fork(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  Process& c = w.unborn("C");
  s.store_pages();
  w.actor("A1", [&w, &a = s.a, &c] {
    w.fork_to(a, c);
    w.store(c, 0, 0, 71);
  });
}

void write_back_and_migrate(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  const Pfn pfn = test::path_to(*s.a.space, World::at(0)).leaf;
  s.store_pages();
  w.actor("M", [&w, &a = s.a, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
    w.store(a, 0, 0, 71);
  });
}

void reclaim_and_store(World& w) {
  Setting s(w);
  w.touch(s.a, 0, 0, 2);
  s.reclaim_pages();
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
}

void reclaim_and_second_fault(World& w) {
  Setting s(w);
  w.touch(s.a, 0, 0, 1);
  Process& b = w.create("B");
  s.map(b);
  s.reclaim_pages();
  w.actor("B1", [&w, &b] { w.load(b, 0, 0); });
}

void reclaim_and_lock(World& w) {
  Setting s(w);
  w.touch(s.a, 0, 0, 1);
  s.reclaim_pages();
  w.actor("A1", [&w, &a = s.a] {
    w.act("mlock", [&a] { return a.space->mlock(World::at(0), World::bytes(1), LockWhen::kNow) ? "done" : "refused"; });
  });
  w.finally([&w, &a = s.a] {
    w.expect(test::path_to(*a.space, World::at(0)).leaf_present, "S2.40: a page that is locked was given back");
  });
}

void reclaim_and_write_back(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  s.store_pages();
  s.reclaim_pages();
}

constexpr Scenario kScenarios[] = {
    {"write_back_and_store", "S0.21 I14", "a page is stored while its writer writes it again", write_back_and_store},
    {"write_back_and_first_store", "S0.21 I14", "a page is stored while another process maps and writes it", write_back_and_first_store},
    {"write_back_and_restored_right", "S0.21 I14", "a page is stored while a process that may not write it asks to",
     write_back_and_restored_right},
    {"write_back_and_store_in_a_lent_table", "S1.6 X12", "a page is stored while one writes it who is lent its table",
     write_back_and_store_in_a_lent_table},
    {"write_back_and_new_store_in_a_lent_table", "S1.6 I14", "a page is stored between the leave to write it and its entry in a lent table",
     write_back_and_new_store_in_a_lent_table},
    {"write_back_and_mremap", "R15 I14", "a page is stored while its mapping moves and is written", write_back_and_mremap},
    {"write_back_and_fork", "S0.21 I14", "a page is stored while its process forks and the child writes it", write_back_and_fork},
    {"write_back_and_migrate", "R13 I14", "a page is stored while it is moved and written", write_back_and_migrate},
    {"reclaim_and_store", "R12 I14", "a page is given back while its process writes it", reclaim_and_store},
    {"reclaim_and_second_fault", "R12 S2.46", "a page is given back while another process maps it", reclaim_and_second_fault},
    {"reclaim_and_lock", "S2.40", "a page is given back while a process locks it in memory", reclaim_and_lock},
    {"reclaim_and_write_back", "I14", "a page is given back while it is stored", reclaim_and_write_back},
};

}  // namespace

std::span<const Scenario> storing_scenarios() { return kScenarios; }

}  // namespace quire::explore
