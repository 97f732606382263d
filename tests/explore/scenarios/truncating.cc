// Files that are cut short while processes map, copy and move their pages.
#include "explore/scenario.h"
#include "quire/object/file_object.h"
#include "quire/rmap/migrate.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;

void map_file(World& w, Process& process, FileObject& file, std::uint32_t flags) {
  MmapRequest request;
  request.address = World::at(0);
  request.length = file.size();
  request.prot = kReadWrite;
  request.flags = flags | uapi::kMapFixed;
  request.object = &file;
  w.expect(process.space->mmap(request).has_value(), "a file is mapped");
}

/// A file of two pages, which ends with the scenario, and a process A that maps it at page 0.
struct Setting {
  Setting(World& world, std::uint32_t flags)
      : w(world), a(w.create("A")), file(**FileObject::create(w.memory(), {.leaf_class = LeafClass::kFile, .size = World::bytes(2)})) {
    w.finally([&object = file] { object.drop_user(); });
    map_file(w, a, file, flags);
  }
  /// The file is cut short while `body` runs.
  template <typename Body>
  void cut_during(unsigned pages, const char* name, Body body) {
    w.actor("T", [&world = w, &object = file, pages] {
      world.act("truncate", [&object, pages] {
        object.resize(World::bytes(pages));
        return "done";
      });
    });
    w.actor(name, body);
  }
  World& w;
  Process& a;
  FileObject& file;
};

void truncate_and_first_fault(World& w) {
  Setting s(w, uapi::kMapShared);
  w.watch_shared(0, 2);
  s.cut_during(1, "A1", [&w, &a = s.a] { w.load(a, 0, 1); });
}

void truncate_and_second_fault(World& w) {
  Setting s(w, uapi::kMapShared);
  Process& b = w.create("B");
  map_file(w, b, s.file, uapi::kMapShared);
  w.fill(s.a, 0, 2);
  w.watch_shared(0, 2);
  s.cut_during(1, "B1", [&w, &b] { w.load(b, 0, 1); });
}

void truncate_and_first_write(World& w) {
  Setting s(w, uapi::kMapPrivate);
  w.watch(1, 1);
  s.cut_during(1, "A1", [&w, &a = s.a] { w.store(a, 0, 1, 71); });
}

void truncate_and_private_write(World& w) {
  Setting s(w, uapi::kMapPrivate);
  w.touch(s.a, 0, 0, 2);
  w.watch(1, 1);
  s.cut_during(1, "A1", [&w, &a = s.a] { w.store(a, 0, 1, 71); });
}

void truncate_and_copy(World& w) {
  Setting s(w, uapi::kMapPrivate);
  w.fill(s.a, 0, 2);
  Process& b = w.fork(s.a, "B");
  w.watch(0, 2);
  s.cut_during(1, "B1", [&w, &b] { w.store(b, 0, 0, 71); });
}

void truncate_and_fork(World& w) {
  Setting s(w, uapi::kMapPrivate);
  Process& b = w.unborn("B");
  w.fill(s.a, 0, 2);
  w.watch(0, 2);
  s.cut_during(1, "A1", [&w, &a = s.a, &b] { w.fork_to(a, b); });
}

void truncate_and_mremap(World& w) {
  Setting s(w, uapi::kMapPrivate);
  w.fill(s.a, 0, 2);
  w.watch(9, 2);
  s.cut_during(1, "A1", [&w, &a = s.a] { w.mremap(a, 0, 2, 9); });
}

void truncate_and_unmap(World& w) {
  Setting s(w, uapi::kMapShared);
  w.fill(s.a, 0, 2);
  s.cut_during(0, "A1", [&w, &a = s.a] { w.munmap(a, 0, 2); });
}

void truncate_and_migrate(World& w) {
  Setting s(w, uapi::kMapShared);
  w.fill(s.a, 0, 2);
  w.watch_shared(0, 2);
  const Pfn pfn = test::path_to(*s.a.space, World::at(1)).leaf;
  s.cut_during(1, "M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
}

constexpr Scenario kScenarios[] = {
    {"truncate_and_first_fault", "R12 S2.46", "a file is cut short while a process makes the page that goes", truncate_and_first_fault},
    {"truncate_and_second_fault", "R12 S2.46", "a file is cut short while a second process maps the page that goes",
     truncate_and_second_fault},
    {"truncate_and_first_write", "R12 S4.35", "a file is cut short while a private mapping makes a copy of a page it has not mapped",
     truncate_and_first_write},
    {"truncate_and_private_write", "R12 S4.35", "a file is cut short while a private mapping replaces its page by a copy",
     truncate_and_private_write},
    {"truncate_and_copy", "R12 S2.46 S2.47", "a file is cut short while a sharer copies the table with private copies of its pages",
     truncate_and_copy},
    {"truncate_and_fork", "R12 S2.47", "a file is cut short while a process that has copies of its pages forks", truncate_and_fork},
    {"truncate_and_mremap", "R12 R15", "a file is cut short while its mapping moves", truncate_and_mremap},
    {"truncate_and_unmap", "R12 R24", "a file is cut short while it is unmapped", truncate_and_unmap},
    {"truncate_and_migrate", "R12 R13", "a file is cut short while its page is moved", truncate_and_migrate},
};

}  // namespace

std::span<const Scenario> truncating_scenarios() { return kScenarios; }

}  // namespace quire::explore
