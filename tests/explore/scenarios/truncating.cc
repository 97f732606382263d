// Files that are cut short while processes map, copy and move their pages.
#include "explore/scenario.h"
#include "quire/object/file_object.h"
#include "quire/rmap/migrate.h"
#include "support/picture.h"

namespace quire::explore {
namespace {

constexpr std::uint32_t kReadWrite = uapi::kProtRead | uapi::kProtWrite;

/// A file in memory of `pages` pages, which ends with the scenario.
FileObject& new_file(World& w, unsigned pages) {
  FileObject* const file = *FileObject::create(w.memory(), {.leaf_class = LeafClass::kFile, .size = World::bytes(pages)});
  w.finally([file] { file->drop_user(); });
  return *file;
}

void map_file(World& w, Process& process, FileObject& file, unsigned first, unsigned pages, std::uint32_t flags) {
  MmapRequest request;
  request.address = World::at(first);
  request.length = World::bytes(pages);
  request.prot = kReadWrite;
  request.flags = flags | uapi::kMapFixed;
  request.object = &file;
  w.expect(process.space->mmap(request).has_value(), "a file is mapped");
}

void cutter(World& w, FileObject& file, unsigned pages) {
  w.actor("T", [&w, &file, pages] {
    w.act("truncate", [&file, pages] {
      file.resize(World::bytes(pages));
      return "done";
    });
  });
}

void truncate_and_first_fault(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapShared);
  w.watch_shared(0, 2);
  cutter(w, file, 1);
  w.actor("A1", [&w, &a] { w.load(a, 0, 1); });
}

void truncate_and_second_fault(World& w) {
  Process& a = w.create("A");
  Process& b = w.create("B");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapShared);
  map_file(w, b, file, 0, 2, uapi::kMapShared);
  w.fill(a, 0, 2);
  w.watch_shared(0, 2);
  cutter(w, file, 1);
  w.actor("B1", [&w, &b] { w.load(b, 0, 1); });
}

void truncate_and_first_write(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapPrivate);
  w.watch(1, 1);
  cutter(w, file, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 1, 71); });
}

void truncate_and_private_write(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapPrivate);
  w.touch(a, 0, 0, 2);
  w.watch(1, 1);
  cutter(w, file, 1);
  w.actor("A1", [&w, &a] { w.store(a, 0, 1, 71); });
}

void truncate_and_copy(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapPrivate);
  w.fill(a, 0, 2);
  Process& b = w.fork(a, "B");
  w.watch(0, 2);
  cutter(w, file, 1);
  w.actor("B1", [&w, &b] { w.store(b, 0, 0, 71); });
}

void truncate_and_fork(World& w) {
  Process& a = w.create("A");
  Process& b = w.unborn("B");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapPrivate);
  w.fill(a, 0, 2);
  w.watch(0, 2);
  cutter(w, file, 1);
  w.actor("A1", [&w, &a, &b] { w.fork_to(a, b); });
}

void truncate_and_mremap(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapPrivate);
  w.fill(a, 0, 2);
  w.watch(9, 2);
  cutter(w, file, 1);
  w.actor("A1", [&w, &a] { w.mremap(a, 0, 2, 9); });
}

void truncate_and_unmap(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapShared);
  w.fill(a, 0, 2);
  cutter(w, file, 0);
  w.actor("A1", [&w, &a] { w.munmap(a, 0, 2); });
}

void truncate_and_migrate(World& w) {
  Process& a = w.create("A");
  FileObject& file = new_file(w, 2);
  map_file(w, a, file, 0, 2, uapi::kMapShared);
  w.fill(a, 0, 2);
  w.watch_shared(0, 2);
  const Pfn pfn = test::path_to(*a.space, World::at(1)).leaf;
  cutter(w, file, 1);
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
}

constexpr Scenario kScenarios[] = {
    {"truncate_and_first_fault", "R12 S2.46", "a file is cut short while a process makes the page that goes", truncate_and_first_fault},
    {"truncate_and_second_fault", "R12 S2.46", "a file is cut short while a second process maps the page that goes", truncate_and_second_fault},
    {"truncate_and_first_write", "R12 S4.35", "a file is cut short while a private mapping makes a copy of a page it has not mapped", truncate_and_first_write},
    {"truncate_and_private_write", "R12 S4.35", "a file is cut short while a private mapping replaces its page by a copy", truncate_and_private_write},
    {"truncate_and_copy", "R12 S2.46 S2.47", "a file is cut short while a sharer copies the table with private copies of its pages", truncate_and_copy},
    {"truncate_and_fork", "R12 S2.47", "a file is cut short while a process that has copies of its pages forks", truncate_and_fork},
    {"truncate_and_mremap", "R12 R15", "a file is cut short while its mapping moves", truncate_and_mremap},
    {"truncate_and_unmap", "R12 R24", "a file is cut short while it is unmapped", truncate_and_unmap},
    {"truncate_and_migrate", "R12 R13", "a file is cut short while its page is moved", truncate_and_migrate},
};

}  // namespace

std::span<const Scenario> truncating_scenarios() { return kScenarios; }

}  // namespace quire::explore
