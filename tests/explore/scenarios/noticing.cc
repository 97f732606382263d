// A device with translations of its own, while the space it has them from changes (support/iommu.h).
#include "explore/scenario.h"
#include "quire/rmap/migrate.h"
#include "support/iommu.h"

namespace quire::explore {
namespace {

using Device = std::shared_ptr<test::Iommu>;

Device device(World& w, Process& process) {
  Device made = std::make_shared<test::Iommu>();
  if (!made->attach(*process.space)) w.expect(false, "set-up");
  w.finally([&w, made] {
    const std::string wrong = made->check();
    w.expect(wrong.empty(), "S1.9: the device would serve " + wrong);
    w.expect(made->unbracketed() == 0, "S0.56: a change outside any bracket");
    made->detach();
  });
  return made;
}

void write(World& w, const Device& device, unsigned page, std::uint64_t value) {
  w.act("dma" + std::to_string(page), [&] { return device->write(World::at(page), value) ? "ok" : "refused"; });
}
void read(World& w, const Device& device, unsigned page) {
  w.act("dma" + std::to_string(page), [&] {
    std::uint64_t value = 0;
    return device->read(World::at(page), value) ? std::to_string(value) : "refused";
  });
}

void device_and_discard(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 2);
  const Device d = device(w, a);
  std::uint64_t seen = 0;
  static_cast<void>(d->read(World::at(0), seen));
  w.actor("D", [&w, d] { read(w, d, 0); });
  w.actor("A1", [&w, &a] {
    w.dont_need(a, 0, 1);
    w.store(a, 0, 1, 71);  // takes a frame
  });
}

void device_and_fork(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  Process& c = w.unborn("C");
  w.watch(0, 1);
  const Device d = device(w, a);
  static_cast<void>(d->write(World::at(0), 1));
  w.actor("D", [&w, d] { write(w, d, 0, 70); });
  w.actor("A1", [&w, &a, &c] {
    w.fork_to(a, c);
    w.load(c, 0, 0);
  });
}

void device_and_copy(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.fork(a, "B");
  w.watch(0, 1);
  const Device d = device(w, a);
  std::uint64_t seen = 0;
  static_cast<void>(d->read(World::at(0), seen));
  w.actor("D", [&w, d] {
    read(w, d, 0);
    read(w, d, 0);
  });
  w.actor("A1", [&w, &a] { w.store(a, 0, 0, 70); });
}

void device_and_migrate(World& w) {
  Process& a = w.create("A");
  w.map(a, 0, 4);
  w.fill(a, 0, 1);
  w.watch(0, 1);
  const Device d = device(w, a);
  static_cast<void>(d->write(World::at(0), 1));
  const Pfn pfn = test::path_to(*a.space, World::at(0)).leaf;
  w.actor("D", [&w, d] { write(w, d, 0, 70); });
  w.actor("M", [&w, pfn] {
    w.act("move", [&w, pfn] {
      static_cast<void>(migrate_frame(w.memory(), pfn));
      return "done";
    });
  });
}

constexpr Scenario kScenarios[] = {
    {"device_and_discard", "S1.9 S0.56", "a device reads a page by a translation it has while the page is dropped", device_and_discard},
    {"device_and_fork", "S1.9", "a device writes by a translation it has while its process forks", device_and_fork},
    {"device_and_copy", "S1.9", "a device reads a page while its process breaks copy-on-write there", device_and_copy},
    {"device_and_migrate", "S1.9 R14", "a device writes by a translation it has while the page is moved", device_and_migrate},
};

}  // namespace

std::span<const Scenario> noticing_scenarios() { return kScenarios; }

}  // namespace quire::explore
