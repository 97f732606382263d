#include "task/stack_image.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "drivers/console_port.h"
#include "quire/memory_manager.h"
#include "quire/uapi.h"
#include "sched/thread.h"
#include "task/uapi.h"

namespace quire::kernel {

namespace {

constexpr std::string_view kPlatform = "x86_64";
constexpr std::uint64_t kRandomBytes = 16;
/// Linux maps the strings and grows the rest on demand; this much below them is there from the
/// start.
constexpr std::uint64_t kInitialStack = 128 * 1024;
constexpr std::uint64_t kClockTicks = 100;
/// Linux v6.3 include/uapi/linux/auxvec.h: AT_RSEQ_*. Of struct rseq all is kept up to node_id, and mm_cid is not.
constexpr std::uint64_t kRseqFeatureSize = 27, kRseqAlign = 28, kRseqFeatures = 24, kRseqAlignment = 32;

/// Writes upward through a small buffer.
class SpaceWriter {
 public:
  SpaceWriter(AddressSpace& space, std::uint64_t at) : space_(space), at_(at) {}
  Result<void> put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      if (used_ == buffer_.size()) QUIRE_CHECK(flush());
      const std::size_t n = std::min(buffer_.size() - used_, bytes.size());
      std::memcpy(buffer_.data() + used_, bytes.data(), n);
      used_ += n;
      bytes = bytes.subspan(n);
    }
    return {};
  }
  Result<void> put(std::string_view text) { return put(std::as_bytes(std::span(text))); }
  Result<void> put(std::uint64_t value) { return put(std::as_bytes(std::span(&value, 1))); }
  Result<void> flush() {
    QUIRE_TRY(const ByteCount written,
              space_.write(VirtAddr(at_), std::span(buffer_.data(), used_)));
    if (written.raw() != used_) return fail(Errno::kNoMem);
    at_ += used_;
    used_ = 0;
    return {};
  }

 private:
  AddressSpace& space_;
  std::uint64_t at_;
  std::size_t used_ = 0;
  std::array<std::byte, 1024> buffer_;
};

struct Cpuid {
  std::uint32_t a, b, c, d;
};
Cpuid cpuid(std::uint32_t leaf) {
  Cpuid r{};
  asm volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
  return r;
}

/// Where the pieces lie, from the top down.
struct Plan {
  std::uint64_t file_name, environment, arguments, platform, random, vectors;
};

Result<void> map_stack(AddressSpace& space, std::uint64_t begin, std::uint64_t end,
                       bool executable) {
  MmapRequest request;
  request.address = VirtAddr(begin);
  request.length = ByteCount(end - begin);
  request.prot =
      quire::uapi::kProtRead | quire::uapi::kProtWrite | (executable ? quire::uapi::kProtExec : 0);
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous | quire::uapi::kMapFixed |
                  quire::uapi::kMapGrowsDown;
  QUIRE_CHECK(space.mmap(request));
  return {};
}

}  // namespace

Result<StackImage> build_stack(AddressSpace& space, const ExecArguments& strings,
                               const ElfImage& image, const AuxiliaryFacts& facts,
                               const RandomLayout& random) {
  const Credentials& who = *facts.credentials;
  const std::uint64_t top = space.memory().geometry().user_top().raw() - random.stack;
  Plan plan{};
  std::uint64_t at = top - sizeof(std::uint64_t);  // Linux leaves a null pointer at the very top
  const auto take = [&](std::uint64_t size) { return at -= size; };
  plan.file_name = take(facts.file_name.size() + 1);
  plan.environment = take(strings.environment.size());
  plan.arguments = take(strings.arguments.size());
  at = (at - random.stack_pointer) & ~std::uint64_t{15};
  plan.platform = take(kPlatform.size() + 1);
  plan.random = take(kRandomBytes);
  at &= ~std::uint64_t{15};

  const std::pair<std::uint64_t, std::uint64_t> auxiliary[] = {
      {AT_SYSINFO_EHDR, facts.vdso.raw()},
      {AT_MINSIGSTKSZ, MINSIGSTKSZ + Thread::fpu_frame_size()},
      {AT_HWCAP, cpuid(1).d},
      {AT_PAGESZ, kPageSize},
      {AT_CLKTCK, kClockTicks},
      {AT_PHDR, image.program_headers},
      {AT_PHENT, sizeof(uapi::Elf64_Phdr)},
      {AT_PHNUM, image.program_header_count},
      {AT_BASE, facts.interpreter_base},
      {AT_FLAGS, 0},
      {AT_ENTRY, image.entry},
      {AT_UID, who.uid},
      {AT_EUID, who.euid},
      {AT_GID, who.gid},
      {AT_EGID, who.egid},
      {AT_SECURE, facts.secure ? 1U : 0U},
      {AT_RANDOM, plan.random},
      {AT_HWCAP2, 0},
      {AT_EXECFN, plan.file_name},
      {AT_PLATFORM, plan.platform},
      {kRseqFeatureSize, kRseqFeatures},
      {kRseqAlign, kRseqAlignment},
      {AT_NULL, 0},
  };
  const std::uint64_t words = 1 + strings.arguments.count() + 1 + strings.environment.count() + 1 +
                              std::size(auxiliary) * 2;
  plan.vectors = take(words * sizeof(std::uint64_t)) & ~std::uint64_t{15};

  StackImage stack;
  stack.pointer = plan.vectors;
  stack.bottom = (plan.vectors & ~(kPageSize - 1)) - kInitialStack;
  stack.arguments_begin = plan.arguments;
  stack.arguments_end = plan.environment;
  stack.environment_end = plan.file_name;
  stack.auxiliary = make_ref<AuxiliaryVector>();
  QUIRE_CHECK(map_stack(space, stack.bottom, top, image.executable_stack));

  SpaceWriter vectors(space, plan.vectors);
  QUIRE_CHECK(vectors.put(strings.arguments.count()));
  QUIRE_CHECK(strings.arguments.for_each_string(
      [&](std::uint64_t offset) { return vectors.put(plan.arguments + offset); }));
  QUIRE_CHECK(vectors.put(std::uint64_t{0}));
  QUIRE_CHECK(strings.environment.for_each_string(
      [&](std::uint64_t offset) { return vectors.put(plan.environment + offset); }));
  QUIRE_CHECK(vectors.put(std::uint64_t{0}));
  for (const auto& [key, value] : auxiliary) {
    for (const std::uint64_t word : {key, value}) {
      QUIRE_CHECK(vectors.put(word));
      stack.auxiliary->words.push_back(word);
    }
  }
  QUIRE_CHECK(vectors.flush());

  std::byte entropy[kRandomBytes];
  random_bytes(entropy, sizeof entropy);
  SpaceWriter facts_below(space, plan.random);
  QUIRE_CHECK(facts_below.put(std::span<const std::byte>(entropy)));
  QUIRE_CHECK(facts_below.put(std::string_view(kPlatform.data(), kPlatform.size() + 1)));
  QUIRE_CHECK(facts_below.flush());

  SpaceWriter text(space, plan.arguments);
  const auto copy = [&](std::span<const std::byte> piece) { return text.put(piece); };
  QUIRE_CHECK(strings.arguments.for_each_piece(copy));
  QUIRE_CHECK(strings.environment.for_each_piece(copy));
  QUIRE_CHECK(text.put(facts.file_name));
  QUIRE_CHECK(text.flush());
  return stack;
}

}  // namespace quire::kernel
