// The flat oracle: what a program sees of memory, modelled with nothing shared at all.
//
// One record per page of each space: attributes and contents, by value; fork copies them all.
// Shared objects are maps from index to contents. Written from Linux's manual pages and sources,
// independently of core: no table, no count, no tree of mappings. Contents are kept for three
// windows of each page (its beginning, middle and end), which is where the tests write; all other
// bytes stay 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quire::model {

inline constexpr std::uint64_t kPage = 4096;

/// What a page's mapping says.
struct Attributes {
  std::uint8_t prot = 0;  ///< PROT_*
  bool grows_down = false, no_reserve = false, dont_fork = false, wipe_on_fork = false,
       dont_dump = false, random = false, sequential = false, accounted = false, locked = false,
       lock_on_fault = false, asks_missing = false, asks_guarded = false;
  std::uint64_t object = 0;  ///< number of the shared object; 0: private
  std::uint8_t name = 0;     ///< 0: none
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

/// The bytes of a page that tests write.
class PageBytes {
 public:
  /// Where in the record the byte at `offset` of a page is kept; none: always zero.
  static std::optional<std::size_t> place(std::uint64_t offset);
  [[nodiscard]] std::byte get(std::uint64_t offset) const;
  /// Pre: the offset lies in a window.
  void set(std::uint64_t offset, std::byte value) { bytes_[place(offset).value()] = value; }

 private:
  std::array<std::byte, 64> bytes_{};
};

/// Which anon_vma the mapping of a page has on Linux, if any, and whether a fork copied it.
struct OracleTag {
  std::uint64_t number = 0;  ///< 0: none
  bool copied = false;
};

struct OraclePage {
  Attributes attributes;
  bool begins = false;      ///< first page of its mapping
  OracleTag tag;            ///< of its mapping
  std::uint64_t index = 0;  ///< in the object; of private memory: the page's number
  bool resident = false;    ///< counted in RSS; of an object: unless its page was removed since
  std::uint64_t removals = 0;  ///< of the object's page, when this became resident
  PageBytes bytes;          ///< of private memory
  /// Stands for the frame of a private page: copies made by fork hold the same until one is written.
  std::shared_ptr<const int> frame;
};

/// What became of an access.
enum class Outcome : std::uint8_t { kDone, kMapError, kAccessError, kBusError };

/// A mapping as /proc/PID/maps would show it.
struct OracleMapping {
  std::uint64_t begin = 0, end = 0, index = 0;
  Attributes attributes;
  friend bool operator==(const OracleMapping&, const OracleMapping&) = default;
};

struct OracleLimits {
  std::uint64_t address_space = ~std::uint64_t{0};
  std::uint64_t data = ~std::uint64_t{0};
  std::uint64_t stack = 8U << 20;
  std::uint64_t locked = ~std::uint64_t{0};
};

/// Addresses of the machine under test.
struct OracleShape {
  std::uint64_t user_top = 0, mmap_top = 0, mmap_floor = 0, stack_gap = 256 * kPage;
  bool zero_page = true;
  /// Shared memory of so many bytes and more lies congruent to its place in its object, the largest first.
  std::vector<std::uint64_t> lent_spans{};
};

struct OracleObject {
  std::uint64_t size = 0;  ///< pages
  std::map<std::uint64_t, PageBytes> pages;
  std::map<std::uint64_t, std::uint64_t> removals;  ///< how often a page was made a hole
};

/// Shared objects of all spaces.
using Objects = std::map<std::uint64_t, OracleObject>;

/// Linux errno value, or success.
template <typename T>
using Outcomes = std::expected<T, int>;

class OracleSpace {
 public:
  OracleSpace(const OracleShape& shape, Objects& objects) : shape_(shape), objects_(&objects) {}

  /// `next_object` numbers a new shared object; it is used up only on success.
  Outcomes<std::uint64_t> mmap(std::uint64_t address, std::uint64_t length, std::uint32_t prot,
                               std::uint32_t flags, std::uint64_t next_object);
  Outcomes<void> remap_pages(std::uint64_t address, std::uint64_t length, std::uint32_t prot,
                             std::uint64_t offset, std::uint32_t flags);
  Outcomes<void> munmap(std::uint64_t address, std::uint64_t length);
  Outcomes<void> mprotect(std::uint64_t address, std::uint64_t length, std::uint32_t prot);
  Outcomes<void> madvise(std::uint64_t address, std::uint64_t length, int advice);
  /// prctl(PR_SET_VMA_ANON_NAME); names are numbers, 0 for none.
  Outcomes<void> name(std::uint64_t address, std::uint64_t length, std::uint8_t number);
  Outcomes<std::uint64_t> mremap(std::uint64_t old, std::uint64_t old_length,
                                 std::uint64_t new_length, std::uint32_t flags, std::uint64_t to);
  /// mlock2 and munlock.
  Outcomes<void> lock(std::uint64_t address, std::uint64_t length, bool locked, bool on_fault);
  Outcomes<void> lock_all(std::uint32_t flags);
  void unlock_all();
  /// userfaultfd. Whoever is asked resolves each fault as the kernel would: contents are as without.
  Outcomes<void> watch(std::uint64_t first, std::uint64_t end, bool missing, bool guarded);
  [[nodiscard]] Outcomes<void> guard(std::uint64_t first, std::uint64_t end) const;
  /// A page was put at `page`, if it is mapped, and so the mapping has an anon_vma.
  void supplied(std::uint64_t page) {
    if (const auto found = pages_.find(page); found != pages_.end() && found->second.attributes.object == 0) tag(page);
  }
  Outcomes<void> msync(std::uint64_t address, std::uint64_t length, std::uint32_t flags) const;
  std::uint64_t brk(std::uint64_t wanted);
  void set_break(std::uint64_t begin) { brk_begin_ = brk_ = begin; }
  [[nodiscard]] OracleSpace fork() const;

  /// Whether one byte may be accessed (`need`: a PROT_ bit); faults the page in.
  Outcome probe(std::uint64_t address, std::uint8_t need);
  /// Access of one byte; a write stores `value`, a read gives it.
  Outcome access(std::uint64_t address, std::uint8_t need, std::byte& value);

  [[nodiscard]] std::vector<OracleMapping> mappings() const;
  [[nodiscard]] const std::map<std::uint64_t, OraclePage>& pages() const { return pages_; }
  [[nodiscard]] bool is_resident(const OraclePage& page) const;
  [[nodiscard]] std::uint64_t resident_anon() const;
  [[nodiscard]] std::uint64_t resident_shared() const;
  [[nodiscard]] std::uint64_t locked() const;
  [[nodiscard]] std::uint64_t brk_end() const { return brk_; }
  OracleLimits limits;

 private:
  using Pages = std::map<std::uint64_t, OraclePage>;
  [[nodiscard]] bool overlaps(std::uint64_t first, std::uint64_t end) const;
  [[nodiscard]] std::optional<std::uint64_t> highest_gap(std::uint64_t length) const;
  [[nodiscard]] std::optional<std::uint64_t> lowest_gap(std::uint64_t length,
                                                        std::uint64_t floor) const;
  [[nodiscard]] bool may_expand(const Attributes& attributes, std::uint64_t pages,
                                std::uint64_t replaced) const;
  [[nodiscard]] static bool is_data(const Attributes& attributes);
  /// The mapping around a page that is there: where it begins and ends.
  [[nodiscard]] std::uint64_t begin_of(std::uint64_t page) const;
  [[nodiscard]] std::uint64_t end_of(std::uint64_t page) const;
  /// A mapping of its own; what was there before is gone.
  void place(std::uint64_t first, std::uint64_t count, const Attributes& attributes);
  void remove(std::uint64_t first, std::uint64_t end);
  /// Makes [first, end), which lies in one mapping, a mapping of its own with these attributes, and
  /// one with its neighbours where they agree.
  void change(std::uint64_t first, std::uint64_t end, const Attributes& attributes);
  enum class Sides { kBoth, kBelow };
  void merge(std::uint64_t first, std::uint64_t end, Sides sides = Sides::kBoth);
  void tag(std::uint64_t page);
  [[nodiscard]] OracleTag tag_for(std::uint64_t first, std::uint64_t end);
  /// False: beyond the end of the object.
  bool touch(std::uint64_t number, bool write);
  /// Locks or unlocks [first, end), mapping by mapping. False: there is a hole; it is passed over.
  bool set_lock(std::uint64_t first, std::uint64_t end, bool locked, bool on_fault, bool stops);
  [[nodiscard]] std::optional<std::uint64_t> free_place(std::uint64_t length, bool shared, std::uint64_t index) const;
  [[nodiscard]] bool may_lock(const Attributes& attributes, std::uint64_t pages) const;
  Outcomes<void> populate(std::uint64_t first, std::uint64_t end);
  struct Resizing {
    std::uint64_t first, pages, new_pages;
  };
  [[nodiscard]] Outcomes<Attributes> resizable(const Resizing& what) const;
  Outcomes<std::uint64_t> move(const Resizing& what, std::uint64_t to, bool keeps_old);
  Outcomes<std::uint64_t> move_all(std::uint64_t first, std::uint64_t pages, std::uint64_t to, bool keeps_old);
  bool grow_stack(std::uint64_t address);

  OracleShape shape_;
  Objects* objects_;
  Pages pages_;
  std::uint64_t brk_begin_ = 0, brk_ = 0;
  std::uint64_t last_tag_ = 0;
  bool future_locked_ = false, future_on_fault_ = false;
};

/// One line per mapping, for failure messages.
[[nodiscard]] std::string describe(const std::vector<OracleMapping>& mappings);

}  // namespace quire::model
