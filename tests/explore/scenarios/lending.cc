// Tables that files lend: taken, filled, left, cut short and given up while others use them.
#include "explore/scenario.h"
#include "quire/object/file_object.h"
#include "quire/rmap/migrate.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr std::uint32_t kRead = uapi::kProtRead, kReadWrite = uapi::kProtRead | uapi::kProtWrite;
/// What a leaf table covers, and a table above.
constexpr unsigned kLeafPages = 4, kUpperPages = 16;

void map_file(World& w, Process& process, FileObject& file, std::uint32_t prot) {
  MmapRequest request;
  request.address = World::at(0);
  request.length = file.size();
  request.prot = prot;
  request.flags = uapi::kMapShared | uapi::kMapFixed;
  request.object = &file;
  w.expect(process.space->mmap(request).has_value(), "a file is mapped");
}

/// A file that ends with the scenario, mapped by A and B from page 0.
struct Setting {
  explicit Setting(World& world, unsigned pages = kLeafPages, std::uint32_t prot = kReadWrite, unsigned cpus = 1)
      : w(world),
        a(w.create("A", cpus)),
        b(w.create("B")),
        file(**FileObject::create(w.memory(), {.leaf_class = LeafClass::kFile, .size = World::bytes(pages)})) {
    map_file(w, a, file, prot);
    map_file(w, b, file, prot);
    w.watch_shared(0, pages < 5 ? pages : 5);
  }
  ~Setting() {
    w.finally([&object = file] { object.drop_user(); });  // after what the scenario looks at
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;
  void cut_to(unsigned pages) {
    w.actor("T", [&world = w, &object = file, pages] {
      world.act("truncate", [&object, pages] {
        object.resize(World::bytes(pages));
        return "done";
      });
    });
  }
  World& w;
  Process& a;
  Process& b;
  FileObject& file;
};

void two_borrow(World& w) {
  Setting s(w);
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
  w.actor("B1", [&w, &b = s.b] { w.load(b, 0, 1); });
  w.finally([&w, &file = s.file] { w.expect(file.lent_tables().raw() == 1, "one table for both"); });
}

void two_borrow_upper(World& w) {
  Setting s(w, kUpperPages);
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 4, 72); });
}

void siblings_borrow(World& w) {
  Setting s(w, kLeafPages, kReadWrite, 2);
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
  w.actor("A2", [&w, &a = s.a] { w.load(a, 1, 1); });
}

void two_fill_one_slot(World& w) {
  Setting s(w);
  w.touch(s.a, 0, 0, 1);
  w.touch(s.b, 0, 0, 1);
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 1, 71); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 1, 72); });
}

void borrow_and_lender_exits(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  w.actor("A1", [&w, &a = s.a] { w.exit(a); });
  w.actor("B1", [&w, &b = s.b] { w.load(b, 0, 1); });
}

void borrowers_exit(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  w.touch(s.b, 0, 0, 1);
  w.actor("A1", [&w, &a = s.a] { w.exit(a); });
  w.actor("B1", [&w, &b = s.b] { w.exit(b); });
}

void drop_idle_and_borrow(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  w.expect(s.a.space->munmap(World::at(0), World::bytes(kLeafPages)).has_value(), "a file is unmapped");
  w.actor("D", [&w, &file = s.file] {
    w.act("drop_idle", [&file] {
      static_cast<void>(file.drop_idle_tables());
      return "done";
    });
  });
  w.actor("B1", [&w, &b = s.b] { w.load(b, 0, 1); });
}

void truncate_and_lent_fill(World& w) {
  Setting s(w);
  w.touch(s.a, 0, 0, 1);
  w.touch(s.b, 0, 0, 1);
  s.cut_to(1);
  w.actor("A1", [&w, &a = s.a] { w.load(a, 0, 1); });
}

void truncate_and_borrow(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  s.cut_to(1);
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 1, 71); });
}

void lent_unmap_and_store(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  w.touch(s.b, 0, 0, 2);
  w.actor("A1", [&w, &a = s.a] { w.munmap(a, 1, 1); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 1, 71); });
}

void lent_unmap_and_truncate(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 2);
  w.touch(s.b, 0, 0, 2);
  s.cut_to(1);
  w.actor("A1", [&w, &a = s.a] { w.munmap(a, 1, 1); });
}

void lent_unmap_and_fill(World& w) {
  Setting s(w, kUpperPages);
  w.touch(s.a, 0, 4, 1);
  w.touch(s.b, 0, 4, 1);
  w.actor("A1", [&w, &a = s.a] { w.munmap(a, 1, 1); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 0, 71); });
}

void lent_protect_and_store(World& w) {
  Setting s(w, kUpperPages, kReadWrite, 2);
  w.fill(s.a, 0, 1);
  w.touch(s.b, 0, 0, 1);
  w.actor("A1", [&w, &a = s.a] { w.mprotect(a, 0, kUpperPages, kRead); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 4, 71); });
}

void siblings_leave_for_more_rights(World& w) {
  Setting s(w, kLeafPages, kRead, 2);
  w.touch(s.a, 0, 0, 1);
  w.touch(s.a, 1, 0, 1);
  w.expect(s.a.space->mprotect(World::at(0), World::bytes(kLeafPages), kReadWrite).has_value(), "a mapping gets more rights");
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
  w.actor("A2", [&w, &a = s.a] { w.load(a, 1, 1); });
}

void siblings_leave_together(World& w) {
  Setting s(w, kLeafPages, kRead, 2);
  w.touch(s.a, 0, 0, 1);
  w.touch(s.a, 1, 0, 1);
  w.expect(s.a.space->mprotect(World::at(0), World::bytes(kLeafPages), kReadWrite).has_value(), "a mapping gets more rights");
  w.actor("A1", [&w, &a = s.a] { w.store(a, 0, 0, 71); });
  w.actor("A2", [&w, &a = s.a] { w.store(a, 1, 1, 72); });
}

void lent_move_and_fill(World& w) {
  Setting s(w, kUpperPages);
  w.touch(s.a, 0, 4, 1);
  w.touch(s.b, 0, 4, 1);
  w.actor("A1", [&w, &a = s.a] { w.mremap(a, 1, 3, kUpperPages + 2); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 0, 71); });
}

void fork_and_lent_fill(World& w) {
  Setting s(w, kUpperPages);
  Process& c = w.unborn("C");
  w.fill(s.a, 0, 1);
  w.touch(s.b, 0, 0, 1);
  w.actor("A1", [&w, &a = s.a, &c] { w.fork_to(a, c); });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 4, 71); });
}

void migrate_lent_and_store(World& w) {
  Setting s(w);
  w.fill(s.a, 0, 1);
  w.touch(s.b, 0, 0, 1);
  const Pfn pfn = test::path_to(*s.a.space, World::at(0)).leaf;
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
  w.actor("B1", [&w, &b = s.b] { w.store(b, 0, 0, 71); });
}

constexpr Scenario kScenarios[] = {
    {"two_borrow", "X12 R11", "two processes are lent a table of one file for the first time", two_borrow},
    {"two_borrow_upper", "X12 R11", "two processes are lent an upper table of one file and fill it", two_borrow_upper},
    {"siblings_borrow", "X12 R3", "two threads are lent a table for one span", siblings_borrow},
    {"two_fill_one_slot", "X4 R11", "two processes fill one slot of a table that both are lent", two_fill_one_slot},
    {"borrow_and_lender_exits", "R17 S2.38", "a process is lent a table while the one that filled it exits", borrow_and_lender_exits},
    {"borrowers_exit", "R17 S4.30", "the last two that are lent a table exit", borrowers_exit},
    {"drop_idle_and_borrow", "R17 S2.44 X17", "a table that nobody uses is given up while a process is lent it", drop_idle_and_borrow},
    {"truncate_and_lent_fill", "R12", "a file is cut short while a process fills a table that it lends", truncate_and_lent_fill},
    {"truncate_and_borrow", "R12", "a file is cut short while a process is lent a table that has the page that goes", truncate_and_borrow},
    {"lent_unmap_and_store", "R18 S2.37", "a process unmaps a part of what it is lent while another writes there", lent_unmap_and_store},
    {"lent_unmap_and_truncate", "R18 R12", "a process unmaps a part of what it is lent while the file is cut short",
     lent_unmap_and_truncate},
    {"lent_unmap_and_fill", "R18 I12", "a process unmaps a part below an upper table that another fills", lent_unmap_and_fill},
    {"lent_protect_and_store", "R18 S2.34", "a process takes rights off what it is lent while another fills and writes",
     lent_protect_and_store},
    {"siblings_leave_for_more_rights", "R3 R18", "a thread leaves a lent table for one with more rights while another fills it",
     siblings_leave_for_more_rights},
    {"siblings_leave_together", "R3 R18", "two threads leave a lent table for one with more rights", siblings_leave_together},
    {"lent_move_and_fill", "R18 I12", "a process moves a part below an upper table that another fills", lent_move_and_fill},
    {"fork_and_lent_fill", "X12 R8", "a process forks while another fills the upper table that both are lent", fork_and_lent_fill},
    {"migrate_lent_and_store", "R14", "a page moves while a process writes it through a lent table", migrate_lent_and_store},
};

}  // namespace

std::span<const Scenario> lending_scenarios() { return kScenarios; }

}  // namespace quire::explore
