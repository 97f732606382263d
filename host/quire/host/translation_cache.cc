#include "quire/host/translation_cache.h"

namespace quire::mmu {
namespace {

/// Forgets the entries of `map`, each covering `span` bytes, that meet `range`; the cheaper of two
/// ways.
template <typename Map, typename Key>
void flush_map(Map& map, VirtRange range, ByteCount span, Key key) {
  const std::uint64_t first = range.begin().raw() / span.raw();
  const std::uint64_t last = range.last().raw() / span.raw();
  if (last - first < map.capacity()) {
    for (std::uint64_t n = first; n <= last; ++n) map.erase(key(n * span.raw()));
    return;
  }
  map.erase_if([&](std::uint64_t candidate) {
    return key(range.begin().raw() / span.raw() * span.raw()) <= candidate &&
           candidate <= key(range.last().raw());
  });
}

}  // namespace

void TranslationCache::flush(const FlushRequest& request) {
  if (request.range.empty()) return;
  flush_map(pages_, request.range, ByteCount(kPageSize),
            [](std::uint64_t at) { return at >> kPageShift; });
  if (request.depth == FlushRequest::Depth::kLeavesOnly) return;
  for (Level level(2); level <= geometry_.root_level(); level = level.above()) {
    flush_map(tables(level), request.range, geometry_.span(level),
              [](std::uint64_t at) { return at; });
  }
}

void TranslationCache::forget_address(VirtAddr address) {
  forget_page(address);
  for (Level level(2); level <= geometry_.root_level(); level = level.above())
    tables(level).erase(key(address, level));
}

void TranslationCache::forget_all() {
  pages_.clear();
  for (Tables& tables : tables_) tables.clear();
}

}  // namespace quire::mmu
