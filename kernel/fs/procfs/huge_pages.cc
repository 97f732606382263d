#include "fs/procfs/huge_pages.h"

#include <array>

#include "fs/procfs/text.h"
#include "mm/memory.h"

namespace quire::kernel {

namespace {

HugePool& pool(unsigned level) { return memory().huge().of(Level(static_cast<std::uint8_t>(level))); }

void write_number(std::string& out, std::uint64_t number) { TextBuilder(out).number(number).text("\n"); }

template <unsigned kLevel>
void write_total(std::string& out) {
  write_number(out, pool(kLevel).figures().persistent());
}
template <unsigned kLevel>
Result<void> set_total(int pages) {
  if (pages < 0) return fail(Errno::kInval);
  pool(kLevel).resize(static_cast<std::uint64_t>(pages));
  return {};
}
template <unsigned kLevel>
void write_overcommit(std::string& out) {
  write_number(out, pool(kLevel).figures().overcommit);
}
template <unsigned kLevel>
Result<void> set_overcommit(int pages) {
  if (pages < 0) return fail(Errno::kInval);
  pool(kLevel).set_overcommit(static_cast<std::uint64_t>(pages));
  return {};
}

template <unsigned kLevel>
constexpr std::array kFiles = {
    SystemEntry{"free_hugepages", [](std::string& out) { write_number(out, pool(kLevel).figures().idle); }},
    SystemEntry{.name = "nr_hugepages", .write = write_total<kLevel>, .set = set_total<kLevel>},
    SystemEntry{.name = "nr_overcommit_hugepages", .write = write_overcommit<kLevel>, .set = set_overcommit<kLevel>},
    SystemEntry{"resv_hugepages", [](std::string& out) { write_number(out, pool(kLevel).figures().reserved); }},
    SystemEntry{"surplus_hugepages", [](std::string& out) { write_number(out, pool(kLevel).figures().surplus); }},
};

constexpr std::array kSizes = {
    SystemEntry{"hugepages-2048kB", nullptr, nullptr, kFiles<2>},
    SystemEntry{"hugepages-1048576kB", nullptr, nullptr, kFiles<3>},
};

}  // namespace

void write_huge_pages(std::string& out) { write_total<2>(out); }
Result<void> set_huge_pages(int pages) { return set_total<2>(pages); }
void write_huge_overcommit(std::string& out) { write_overcommit<2>(out); }
Result<void> set_huge_overcommit(int pages) { return set_overcommit<2>(pages); }

std::span<const SystemEntry> huge_page_sizes() {
  const std::span<const SystemEntry> all(kSizes);
  return all.first(memory().huge().has(HugePools::kLargest) ? 2 : 1);
}

}  // namespace quire::kernel
