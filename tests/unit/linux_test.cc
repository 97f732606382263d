// Linux itself as oracle for the rules of mappings: random calls on this process's own memory and on a Quire space, with the same errors, the
// same mappings in /proc/self/maps and the same rights afterwards.
//
// Pages are not touched, since what Linux merges depends on that (anon_vma); the flat oracle covers contents.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "model/operation.h"
#include "support/fixture.h"

namespace quire::test {
namespace {

constexpr std::uint64_t kPages = 48;

/// The mappings of this process in a window, one line each: "begin-end rights", in page columns.
std::string linux_maps(std::uint64_t begin) {
  std::string text;
  std::FILE* const file = std::fopen("/proc/self/maps", "r");
  if (file == nullptr) return text;
  char line[512];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    unsigned long long from = 0, to = 0;
    char rights[5] = {};
    if (std::sscanf(line, "%llx-%llx %4s", &from, &to, rights) != 3) continue;
    if (to <= begin || from >= begin + kPages * kPageSize) continue;
    text += std::to_string((from - begin) / kPageSize) + "-" + std::to_string((to - begin) / kPageSize) + " " + rights + "\n";
  }
  std::fclose(file);
  return text;
}

std::string quire_maps(AddressSpace& space, VirtAddr begin) {
  std::string text;
  const VmaMap map = space.map();
  for (const Vma& vma : map.overlapping(VirtRange(begin, PageCount(kPages).bytes()))) {
    const Prot prot = vma.prot;
    text += std::to_string((vma.range.begin() - begin).raw() / kPageSize) + "-" +
            std::to_string((vma.range.end() - begin).raw() / kPageSize) + " ";
    text += prot.read() ? 'r' : '-';
    text += prot.write() ? 'w' : '-';
    text += prot.exec() ? 'x' : '-';
    text += vma.is_shared() ? "s\n" : "p\n";
  }
  return text;
}

/// A call, made on both sides.
struct Call {
  unsigned what;
  std::uint64_t address, length;
  std::uint32_t prot, flags;
  int advice;
};

Call call_from(std::uint64_t word, std::uint64_t begin) {
  constexpr std::uint32_t kProts[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE, 0x40};
  constexpr int kAdvice[] = {MADV_DONTFORK, MADV_DOFORK,   MADV_WIPEONFORK,  MADV_KEEPONFORK, MADV_DONTNEED, MADV_RANDOM,
                             MADV_NORMAL,   MADV_DONTDUMP, MADV_DODUMP,      4711};
  Call call{};
  call.what = static_cast<unsigned>(word % 10);
  call.address = begin + (word >> 8) % (kPages - 16) * kPageSize + ((word >> 16) % 40 == 0 ? 8 : 0);
  call.length = (word >> 24) % 30 == 0 ? 0 : (1 + (word >> 32) % 12) * kPageSize - (word >> 40) % 2 * 100;
  call.prot = kProts[(word >> 44) % 5 + ((word >> 50) % 50 == 0 ? 1U : 0U)];
  call.flags = MAP_ANONYMOUS | ((word >> 48) % 5 == 0 ? MAP_SHARED : MAP_PRIVATE) |
               ((word >> 52) % 3 == 0 ? static_cast<std::uint32_t>(MAP_FIXED_NOREPLACE) : static_cast<std::uint32_t>(MAP_FIXED));
  call.advice = kAdvice[(word >> 56) % 10];
  return call;
}

int on_linux(const Call& call) {
  void* const at = reinterpret_cast<void*>(call.address);
  errno = 0;
  if (call.what < 4) {
    const void* const mapped = mmap(at, call.length, static_cast<int>(call.prot & 7U), static_cast<int>(call.flags), -1, 0);
    return mapped == MAP_FAILED ? errno : 0;
  }
  if (call.what < 6) return munmap(at, call.length) == 0 ? 0 : errno;
  if (call.what < 8) return mprotect(at, call.length, static_cast<int>(call.prot)) == 0 ? 0 : errno;
  return madvise(at, call.length, call.advice) == 0 ? 0 : errno;
}

int on_quire(AddressSpace& space, const Call& call) {
  const VirtAddr at(call.address);
  const ByteCount length(call.length);
  const auto number = [](const auto& result) { return result ? 0 : static_cast<int>(result.error()); };
  if (call.what < 4) {
    MmapRequest request;
    request.address = at;
    request.length = length;
    request.prot = call.prot & 7U;
    request.flags = call.flags;
    return number(space.mmap(request));
  }
  if (call.what < 6) return number(space.munmap(at, length));
  if (call.what < 8) return number(space.mprotect(at, length, call.prot));
  return number(space.madvise(at, length, call.advice));
}

class Linux : public MachineTest {};

// Rows: S0.12 S4.34 S0.54
TEST_F(Linux, HasTheSameMappingsAndErrorsAfterTheSameCalls) {
  // A window that this process does not use: where the kernel would put one, given back at once, with room around it.
  constexpr std::uint64_t kRoom = (kPages + 64) * kPageSize;
  void* const place = mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(place, MAP_FAILED);
  ASSERT_EQ(munmap(place, kRoom), 0);
  const std::uint64_t begin = reinterpret_cast<std::uint64_t>(place) + 32 * kPageSize;
  model::Random random(20260101);
  std::uint64_t calls = 0;
  for (int round = 0; round < 200; ++round) {
    ASSERT_EQ(munmap(reinterpret_cast<void*>(begin), kPages * kPageSize), 0);
    Space fresh = new_space();
    for (int step = 0; step < 60; ++step, ++calls) {
      const Call call = call_from(random.next(), begin);
      const int expected = on_linux(call);
      const std::string maps = linux_maps(begin);
      ASSERT_EQ(on_quire(*fresh, call), expected)
          << "call " << call.what << " at page " << (call.address - begin) / kPageSize << " length " << call.length << "\n" << maps;
      ASSERT_EQ(quire_maps(*fresh, VirtAddr(begin)), maps)
          << "round " << round << " step " << step << ": call " << call.what << " at page " << (call.address - begin) / kPageSize
          << " pages " << call.length / kPageSize << " prot " << call.prot << " advice " << call.advice;
    }
  }
  munmap(reinterpret_cast<void*>(begin), kPages * kPageSize);
  EXPECT_EQ(calls, 12000U);
}

}  // namespace
}  // namespace quire::test
