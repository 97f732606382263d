// Addresses, frame numbers and counts as types with arithmetic, so that one cannot be passed for another.
//
// `addr - addr` is a ByteCount, `addr + ByteCount` an address; `addr + addr` does not compile. `.raw()` is for base/, the
// architecture's files, the platform seam and interfaces that speak Linux's ABI. Sums of user input go through checked_add.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace quire {

inline constexpr unsigned kPageShift = 12;
inline constexpr std::uint64_t kPageSize = std::uint64_t{1} << kPageShift;

namespace detail {

/// A number with a unit. `Tag` names the unit; nothing converts implicitly.
template <typename Tag, typename Rep>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep raw) : raw_(raw) {}
  [[nodiscard]] constexpr Rep raw() const { return raw_; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  Rep raw_ = 0;
};

}  // namespace detail

class PageCount;

/// A number of bytes.
class ByteCount : public detail::Quantity<struct ByteCountTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
  friend constexpr ByteCount operator+(ByteCount a, ByteCount b) { return ByteCount(a.raw() + b.raw()); }
  friend constexpr ByteCount operator-(ByteCount a, ByteCount b) { return ByteCount(a.raw() - b.raw()); }
  constexpr ByteCount& operator+=(ByteCount b) { return *this = *this + b; }
  constexpr ByteCount& operator-=(ByteCount b) { return *this = *this - b; }
};

/// A number of 4 KiB pages or frames.
class PageCount : public detail::Quantity<struct PageCountTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
  [[nodiscard]] constexpr ByteCount bytes() const { return ByteCount(raw() << kPageShift); }
  friend constexpr PageCount operator+(PageCount a, PageCount b) { return PageCount(a.raw() + b.raw()); }
  friend constexpr PageCount operator-(PageCount a, PageCount b) { return PageCount(a.raw() - b.raw()); }
  constexpr PageCount& operator+=(PageCount b) { return *this = *this + b; }
  constexpr PageCount& operator-=(PageCount b) { return *this = *this - b; }
};

/// The pages that `bytes` fill, the last perhaps partly. The caller has excluded sums beyond 2^64.
[[nodiscard]] constexpr PageCount pages_of(ByteCount bytes) {
  return PageCount((bytes.raw() >> kPageShift) + ((bytes.raw() & (kPageSize - 1)) != 0 ? 1 : 0));
}

/// A user virtual address in bytes.
class VirtAddr : public detail::Quantity<struct VirtAddrTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
  friend constexpr VirtAddr operator+(VirtAddr a, ByteCount b) { return VirtAddr(a.raw() + b.raw()); }
  friend constexpr VirtAddr operator-(VirtAddr a, ByteCount b) { return VirtAddr(a.raw() - b.raw()); }
  friend constexpr ByteCount operator-(VirtAddr a, VirtAddr b) { return ByteCount(a.raw() - b.raw()); }
  [[nodiscard]] constexpr bool is_page_aligned() const { return (raw() & (kPageSize - 1)) == 0; }
  [[nodiscard]] constexpr VirtAddr page_floor() const { return VirtAddr(raw() & ~(kPageSize - 1)); }
};

/// A physical address in bytes.
class PhysAddr : public detail::Quantity<struct PhysAddrTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
};

/// A frame number: physical address divided by 4096.
class Pfn : public detail::Quantity<struct PfnTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
  [[nodiscard]] constexpr PhysAddr address() const { return PhysAddr(raw() << kPageShift); }
  friend constexpr Pfn operator+(Pfn a, PageCount b) { return Pfn(a.raw() + b.raw()); }
  friend constexpr PageCount operator-(Pfn a, Pfn b) { return PageCount(a.raw() - b.raw()); }
};

/// A page's place in the index space of a memory object, in pages.
class PageIndex : public detail::Quantity<struct PageIndexTag, std::uint64_t> {
 public:
  using Quantity::Quantity;
  friend constexpr PageIndex operator+(PageIndex a, PageCount b) { return PageIndex(a.raw() + b.raw()); }
  friend constexpr PageCount operator-(PageIndex a, PageIndex b) { return PageCount(a.raw() - b.raw()); }
};

/// The virtual page number of an address, as an index.
[[nodiscard]] constexpr PageIndex page_index(VirtAddr address) {
  return PageIndex(address.raw() >> kPageShift);
}
[[nodiscard]] constexpr VirtAddr page_address(PageIndex index) {
  return VirtAddr(index.raw() << kPageShift);
}

/// `a + b` unless it wraps.
[[nodiscard]] constexpr std::optional<VirtAddr> checked_add(VirtAddr a, ByteCount b) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(a.raw(), b.raw(), &sum)) return std::nullopt;
  return VirtAddr(sum);
}

/// `bytes` rounded up to whole pages unless that wraps.
[[nodiscard]] constexpr std::optional<ByteCount> checked_page_ceil(ByteCount bytes) {
  std::uint64_t sum = 0;
  if (__builtin_add_overflow(bytes.raw(), kPageSize - 1, &sum)) return std::nullopt;
  return ByteCount(sum & ~(kPageSize - 1));
}

/// A half-open, never inverted, range of addresses. It may be empty. Its end never wraps: user addresses stop below 2^57.
class VirtRange {
 public:
  constexpr VirtRange() = default;
  constexpr VirtRange(VirtAddr begin, VirtAddr end) : begin_(begin), end_(end < begin ? begin : end) {}
  constexpr VirtRange(VirtAddr begin, ByteCount size) : VirtRange(begin, begin + size) {}

  [[nodiscard]] constexpr VirtAddr begin() const { return begin_; }
  [[nodiscard]] constexpr VirtAddr end() const { return end_; }
  /// The last byte. Pre: not empty (S2.27: inclusive ends have this one name).
  [[nodiscard]] constexpr VirtAddr last() const { return end_ - ByteCount(1); }
  [[nodiscard]] constexpr ByteCount size() const { return end_ - begin_; }
  [[nodiscard]] constexpr PageCount pages() const { return pages_of(size()); }
  [[nodiscard]] constexpr bool empty() const { return begin_ == end_; }
  [[nodiscard]] constexpr bool contains(VirtAddr a) const { return begin_ <= a && a < end_; }
  [[nodiscard]] constexpr bool contains(VirtRange r) const { return begin_ <= r.begin_ && r.end_ <= end_; }
  [[nodiscard]] constexpr bool overlaps(VirtRange r) const { return begin_ < r.end_ && r.begin_ < end_; }
  [[nodiscard]] constexpr VirtRange intersection(VirtRange r) const {
    const VirtAddr b = begin_ < r.begin_ ? r.begin_ : begin_;
    const VirtAddr e = end_ < r.end_ ? end_ : r.end_;
    return VirtRange(b, e);
  }
  friend constexpr bool operator==(VirtRange, VirtRange) = default;

 private:
  VirtAddr begin_;
  VirtAddr end_;
};

/// What an access to memory does.
enum class Access : std::uint8_t { kRead, kWrite, kExecute };

/// Protection of a mapping: PROT_READ, PROT_WRITE, PROT_EXEC with Linux's values, as a set.
class Prot {
 public:
  static constexpr std::uint8_t kReadBit = 1, kWriteBit = 2, kExecBit = 4;
  constexpr Prot() = default;
  constexpr explicit Prot(std::uint8_t bits) : bits_(bits & 7) {}
  [[nodiscard]] constexpr bool read() const { return (bits_ & kReadBit) != 0; }
  [[nodiscard]] constexpr bool write() const { return (bits_ & kWriteBit) != 0; }
  [[nodiscard]] constexpr bool exec() const { return (bits_ & kExecBit) != 0; }
  [[nodiscard]] constexpr bool none() const { return bits_ == 0; }
  [[nodiscard]] constexpr std::uint8_t bits() const { return bits_; }
  /// Whether the access is allowed. x86 cannot forbid reading what may be written or executed (Linux: same).
  [[nodiscard]] constexpr bool allows(Access access) const {
    switch (access) {
      case Access::kRead: return bits_ != 0;
      case Access::kWrite: return write();
      case Access::kExecute: return exec();
    }
    return false;
  }
  friend constexpr bool operator==(Prot, Prot) = default;

 private:
  std::uint8_t bits_ = 0;
};

inline constexpr Prot kProtNone{0}, kProtRead{1}, kProtReadWrite{3}, kProtReadExec{5};

}  // namespace quire
