#include "fs/procfs/table_trace.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "fs/procfs/node.h"
#include "mm/memory.h"
#include "quire/base/text.h"
#include "quire/memory_manager.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kLongestLine = 192, kLongestFilter = 512;

/// Takes the next word off the front of `text`; empty: there is none.
std::string_view next_word(std::string_view& text) {
  constexpr std::string_view kBetween = " \t\n,";
  text.remove_prefix(std::min(text.find_first_not_of(kBetween), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kBetween));
  text.remove_prefix(word.size());
  return word;
}

Result<Trace::Filter> parse_filter(std::string_view text) {
  constexpr std::string_view kSpace = "space=";
  Trace::Filter filter{.events = 0, .space = 0};
  for (std::string_view word = next_word(text); !word.empty(); word = next_word(text)) {
    if (word == "all") {
      filter.events = Trace::kAllEvents;
    } else if (word.starts_with(kSpace)) {
      const char* const end = word.data() + word.size();
      const auto parsed = std::from_chars(word.data() + kSpace.size(), end, filter.space);
      if (parsed.ec != std::errc() || parsed.ptr != end) return fail(Errno::kInval);
    } else if (word != "none") {
      const auto* const name = std::ranges::find(kTraceEventNames, word, [](const char* each) { return std::string_view(each); });
      if (name == std::end(kTraceEventNames)) return fail(Errno::kInval);
      filter.events |= 1U << (name - std::begin(kTraceEventNames));
    }
  }
  return filter;
}

Text<kLongestLine> line_of(const TraceRecord& record) {
  Text<kLongestLine> line;
  line.add(record.number).add(" ").add(kTraceEventNames[static_cast<unsigned>(record.event)]);
  line.add(" space=").add(record.space).add(" address=").hex(record.address.raw()).add(" level=").add(std::uint64_t{record.level.raw()});
  line.add(" table=").hex(record.table.raw()).add(" share=").add(std::uint64_t{record.share}).add(" value=").hex(record.value);
  if (record.event == TraceEvent::kUnshare || record.event == TraceEvent::kDetach) {
    line.add(" reason=").add(kCounterNames[static_cast<unsigned>(record.reason)]);
  }
  line.add("\n");
  return line;
}

class TableTraceFile final : public File {
 public:
  TableTraceFile(RefPtr<Inode> node, std::uint32_t open_flags) {
    inode = std::move(node);
    flags = open_flags;
  }

  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t) override {
    std::size_t done = 0;
    for (;;) {
      std::uint64_t after = next_;
      TraceRecord record;
      if (memory().trace().read(after, std::span(&record, 1)) == 0) return done;
      const auto line = line_of(record);
      const std::size_t size = std::strlen(line.c_str());
      if (size > buffer.size()) return done == 0 ? Result<std::size_t>(fail(Errno::kInval)) : done;
      QUIRE_CHECK(buffer.copy_out(line.c_str(), size));
      done += size;
      next_ = after;
    }
  }

  Result<std::size_t> write(IoBuffer& buffer, std::uint64_t) override {
    std::array<char, kLongestFilter> text;
    const std::size_t size = buffer.size();
    if (size > text.size()) return fail(Errno::kInval);
    QUIRE_CHECK(buffer.copy_in(text.data(), size));
    const Result<Trace::Filter> filter = parse_filter(std::string_view(text.data(), size));
    if (!filter) return fail(filter.error());
    if (filter->events == 0) {
      memory().trace().stop();
    } else {
      QUIRE_CHECK(memory().trace().start(memory(), *filter));
    }
    return size;
  }

 private:
  std::uint64_t next_ = 0;
};

class TableTrace final : public ProcNode {
 public:
  explicit TableTrace(std::uint64_t number) : ProcNode(number, S_IFREG | 0600, Owner{}) {}
  Result<RefPtr<File>> open(std::uint32_t flags) override {
    return RefPtr<File>(make_ref<TableTraceFile>(RefPtr<Inode>(this), flags));
  }
};

}  // namespace

RefPtr<Inode> make_table_trace(std::uint64_t number) { return make_ref<TableTrace>(number); }

}  // namespace quire::kernel
