#include "quire/host/cpu.h"

#include <quire_hooks.h>

#include <algorithm>

#include "quire/host/machine.h"
#include "quire/host/sections.h"

namespace quire {
namespace {

/// Faults in a row for one access before it is given up: only a broken memory manager, or a handler
/// that always asks for a retry, gets there.
constexpr unsigned kMaxRetries = 100'000;

using Pieces = std::uint64_t;

/// Bytes to the end of the page.
std::size_t room(VirtAddr address) { return kPageSize - (address.raw() & (kPageSize - 1)); }

/// Copies between guest memory, accessed atomically in the widest aligned pieces, and a buffer of
/// the host.
template <typename T>
bool load_piece(const std::byte* from, std::byte* to) {
  const T value = __atomic_load_n(reinterpret_cast<const T*>(from), __ATOMIC_RELAXED);
  std::memcpy(to, &value, sizeof value);
  return true;
}
template <typename T>
bool store_piece(std::byte* to, const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  __atomic_store_n(reinterpret_cast<T*>(to), value, __ATOMIC_RELAXED);
  return true;
}

/// Calls `piece` for the widest aligned pieces of `size` bytes of guest memory at `guest`.
template <typename Wide, typename Narrow>
void in_pieces(const std::byte* guest, std::size_t size, Wide wide, Narrow narrow) {
  std::size_t at = 0;
  while (at < size) {
    const auto address = reinterpret_cast<std::uintptr_t>(guest) + at;
    if (address % sizeof(Pieces) == 0 && size - at >= sizeof(Pieces)) {
      wide(at);
      at += sizeof(Pieces);
    } else {
      narrow(at);
      ++at;
    }
  }
}

void load_bytes(const std::byte* guest, std::byte* to, std::size_t size) {
  const auto aligned = [&](std::size_t width) {
    return size == width && reinterpret_cast<std::uintptr_t>(guest) % width == 0;
  };
  if (aligned(4)) {
    load_piece<std::uint32_t>(guest, to);
  } else if (aligned(2)) {
    load_piece<std::uint16_t>(guest, to);
  } else {
    in_pieces(
        guest, size, [&](std::size_t at) { load_piece<Pieces>(guest + at, to + at); },
        [&](std::size_t at) { load_piece<std::uint8_t>(guest + at, to + at); });
  }
}

void store_bytes(std::byte* guest, const std::byte* from, std::size_t size) {
  const auto aligned = [&](std::size_t width) {
    return size == width && reinterpret_cast<std::uintptr_t>(guest) % width == 0;
  };
  if (aligned(4)) {
    store_piece<std::uint32_t>(guest, from);
  } else if (aligned(2)) {
    store_piece<std::uint16_t>(guest, from);
  } else {
    in_pieces(
        guest, size, [&](std::size_t at) { store_piece<Pieces>(guest + at, from + at); },
        [&](std::size_t at) { store_piece<std::uint8_t>(guest + at, from + at); });
  }
}

}  // namespace

Cpu::~Cpu() {
  stop();
  machine_.return_mmu(mmu_);
}

void Cpu::run(AddressSpace* space) {
  if (space == space_) return;
  if (space == nullptr) {
    stop();
    return;
  }
  space->acquire();
  space->add_actor();
  mmu_.lock();
  mmu_.load(space->tlb());
  mmu_.unlock();
  idle();
  space_ = space;
}

void Cpu::idle() {
  if (space_ == nullptr) return;
  AddressSpace* const left = space_;
  space_ = nullptr;
  left->remove_actor();
  left->release();
}

void Cpu::stop() {
  mmu_.lock();
  mmu_.unload();
  mmu_.unlock();
  idle();
}

bool Cpu::resolve(Fault& fault) {
  if (space_ != nullptr) {
    fault.outcome = space_->fault(fault.address, fault.access);
    if (fault.outcome == FaultOutcome::kMinor || fault.outcome == FaultOutcome::kMajor) return true;
  } else {
    fault.outcome = FaultOutcome::kMapError;
  }
  return handler_ != nullptr && handler_(handler_user_, *this, fault) == FaultAction::kRetry;
}

template <typename Use>
Accessed<void> Cpu::with_page(VirtAddr address, Access access, Use use) {
  Fault fault{.address = address, .access = access};
  for (unsigned retry = 0; retry < kMaxRetries; ++retry) {
    mmu_.lock();
    mmu::Translation translation;
    if (space_ != nullptr && mmu_.translate(address, access, translation)) {
      std::byte* const guest =
          machine_.physical().frame(translation.frame) + (address.raw() & (kPageSize - 1));
      hooks::yield_point(access == Access::kWrite ? "store_frame" : "load_frame", guest);
      use(guest);
      mmu_.unlock();
      return {};
    }
    mmu_.unlock();
    const SectionsReleased released;
    if (!resolve(fault)) return std::unexpected(fault);
  }
  machine_.violations_.report("S1.19", "an access made no progress", address.raw(), 0);
  return std::unexpected(fault);
}

Accessed<void> Cpu::copy(VirtAddr address, std::span<std::byte> to, Access access) {
  const bool contents = machine_.config().contents == Contents::kReal;
  while (!to.empty()) {
    const std::span<std::byte> part = to.first(std::min(to.size(), room(address)));
    const auto done = with_page(address, access, [&](const std::byte* guest) {
      if (contents) {
        load_bytes(guest, part.data(), part.size());
      } else {
        std::memset(part.data(), 0, part.size());
      }
    });
    if (!done) return done;
    to = to.subspan(part.size());
    address = address + ByteCount(part.size());
  }
  return {};
}

Accessed<void> Cpu::write(VirtAddr address, std::span<const std::byte> from) {
  const bool contents = machine_.config().contents == Contents::kReal;
  // An operand of the processor that crosses a page faults before it changes anything.
  constexpr std::size_t kWidestOperand = 64;
  if (from.size() <= kWidestOperand && from.size() > room(address)) {
    const auto second =
        with_page(address + ByteCount(room(address)), Access::kWrite, [](std::byte*) {});
    if (!second) return second;
  }
  while (!from.empty()) {
    const std::span<const std::byte> part = from.first(std::min(from.size(), room(address)));
    const auto done = with_page(address, Access::kWrite, [&](std::byte* guest) {
      if (contents) store_bytes(guest, part.data(), part.size());
    });
    if (!done) return done;
    from = from.subspan(part.size());
    address = address + ByteCount(part.size());
  }
  return {};
}

Accessed<std::span<std::byte>> Cpu::translate(VirtAddr address, Access access) {
  std::span<std::byte> host;
  const auto done =
      with_page(address, access, [&](std::byte* guest) { host = std::span(guest, room(address)); });
  if (!done) return std::unexpected(done.error());
  return host;
}

void Cpu::speculate(VirtAddr address) {
  mmu_.lock();
  mmu_.speculate(address);
  mmu_.unlock();
}

Cpu::Section::Section(Cpu& cpu) : cpu_(cpu) { begin_section(cpu.mmu_); }
Cpu::Section::~Section() { end_section(cpu_.mmu_); }
void Cpu::Section::yield() { const SectionsReleased released; }

}  // namespace quire
