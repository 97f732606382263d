// Where mappings begin and end in the flat oracle, and which become one.
#include <iterator>

#include "model/oracle.h"

namespace quire::model {
namespace {

/// A mapping that ends with page `a` could go on with page `b`, but for the tags.
bool continues(const OraclePage& a, const OraclePage& b) {
  return a.attributes == b.attributes && a.index + 1 == b.index;
}

/// Linux v6.12 mm/vma.c:anon_vma_compatible(): the same but for rights.
bool continues_with_other_rights(const OraclePage& a, OraclePage b) {
  b.attributes.prot = a.attributes.prot;
  return continues(a, b);
}

/// Linux v6.16 mm/vma.c:is_mergeable_anon_vma()
bool tags_merge(const OracleTag& a, const OracleTag& b) {
  if (a.number == 0) return b.number == 0 || !b.copied;
  if (b.number == 0) return !a.copied;
  return a.number == b.number;
}

}  // namespace

std::uint64_t OracleSpace::begin_of(std::uint64_t page) const {
  while (!pages_.at(page).begins) --page;
  return page;
}

std::uint64_t OracleSpace::end_of(std::uint64_t page) const {
  std::uint64_t end = page + 1;
  for (auto next = std::next(pages_.find(page));
       next != pages_.end() && next->first == end && !next->second.begins; ++next)
    ++end;
  return end;
}

void OracleSpace::remove(std::uint64_t first, std::uint64_t end) {
  if (first == end) return;
  if (const auto rest = pages_.find(end); rest != pages_.end()) rest->second.begins = true;
  pages_.erase(pages_.lower_bound(first), pages_.lower_bound(end));
}

void OracleSpace::place(std::uint64_t first, std::uint64_t count, const Attributes& attributes) {
  remove(first, first + count);
  for (std::uint64_t n = 0; n < count; ++n) {
    OraclePage page;
    page.attributes = attributes;
    page.index = attributes.object != 0 ? n : first + n;
    page.begins = n == 0;
    pages_.insert_or_assign(first + n, page);
  }
}

void OracleSpace::change(std::uint64_t first, std::uint64_t end, const Attributes& attributes) {
  if (const auto rest = pages_.find(end); rest != pages_.end()) rest->second.begins = true;
  for (std::uint64_t n = first; n < end; ++n) {
    pages_.at(n).attributes = attributes;
    pages_.at(n).begins = n == first;
  }
  merge(first, end);
}

// Linux v6.12 mm/vma.c:vma_merge_new_range(), can_vma_merge_right()
void OracleSpace::merge(std::uint64_t first, std::uint64_t end, Sides sides) {
  const auto below = pages_.find(first - 1);
  const auto above = pages_.find(end);
  const OraclePage& here = pages_.at(first);
  const bool left = below != pages_.end() && continues(below->second, here) &&
                    tags_merge(below->second.tag, here.tag);
  bool right = sides == Sides::kBoth && above != pages_.end() &&
               continues(pages_.at(end - 1), above->second) &&
               tags_merge(here.tag, above->second.tag);
  if (left && right) {
    const OracleTag a = below->second.tag;
    const OracleTag b = above->second.tag;
    if (a.number != 0 && b.number != 0 && a.number != b.number) right = false;
  }
  OracleTag tag = here.tag;
  if (tag.number == 0 && left) tag = below->second.tag;
  if (tag.number == 0 && right) tag = above->second.tag;
  const std::uint64_t from = left ? begin_of(first - 1) : first;
  const std::uint64_t to = right ? end_of(end) : end;
  for (std::uint64_t n = from; n < to; ++n) {
    pages_.at(n).begins = n == from;
    pages_.at(n).tag = tag;
  }
}

// Linux v6.12 mm/vma.c:find_mergeable_anon_vma()
OracleTag OracleSpace::tag_for(std::uint64_t first, std::uint64_t end) {
  const auto usable = [](const OraclePage& page) {
    return page.tag.number != 0 && !page.tag.copied;
  };
  const auto above = pages_.find(end);
  if (above != pages_.end() && usable(above->second) &&
      continues_with_other_rights(pages_.at(end - 1), above->second))
    return above->second.tag;
  const auto below = pages_.find(first - 1);
  if (below != pages_.end() && usable(below->second) &&
      continues_with_other_rights(below->second, pages_.at(first)))
    return below->second.tag;
  return {.number = ++last_tag_};
}

// Linux v6.12 mm/rmap.c:__anon_vma_prepare()
void OracleSpace::tag(std::uint64_t page) {
  if (pages_.at(page).tag.number != 0) return;
  const std::uint64_t first = begin_of(page);
  const std::uint64_t end = end_of(page);
  const OracleTag tag = tag_for(first, end);
  for (std::uint64_t n = first; n < end; ++n) pages_.at(n).tag = tag;
}

}  // namespace quire::model
