#include "boot/launch.h"

#include <array>
#include <charconv>
#include <optional>

#include "boot/parse_launch.h"
#include "lib/log.h"

namespace quire::kernel {
namespace {

/// Never destroyed; made when the heap stands.
Launch* record = nullptr;

template <typename Number>
Number number(std::string_view text, int base = 10) {
  Number value{};
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

/// The part of `text` before the first blank, which is taken off together with the blank.
std::string_view word(std::string_view& text) {
  const std::size_t end = text.find(' ');
  const std::string_view first = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return first;
}

struct Key {
  std::string_view name;
  void (*set)(Launch& launch, std::string_view value);
};

constexpr std::array kKeys{
    Key{"arg", [](Launch& l, std::string_view v) { l.args.push_back(v); }},
    Key{"program", [](Launch& l, std::string_view v) { l.program = v; }},
    Key{"env", [](Launch& l, std::string_view v) { l.env.push_back(v); }},
    Key{"cwd", [](Launch& l, std::string_view v) { l.cwd = v; }},
    Key{"uid", [](Launch& l, std::string_view v) { l.uid = number<std::uint32_t>(v); }},
    Key{"gid", [](Launch& l, std::string_view v) { l.gid = number<std::uint32_t>(v); }},
    Key{"group", [](Launch& l, std::string_view v) { l.groups.push_back(number<std::uint32_t>(v)); }},
    Key{"umask", [](Launch& l, std::string_view v) { l.umask = number<std::uint32_t>(v, 8); }},
    Key{"hostname", [](Launch& l, std::string_view v) { l.hostname = v; }},
    Key{"fork", [](Launch& l, std::string_view v) { l.fork = v; }},
    Key{"lend", [](Launch& l, std::string_view v) { l.lends = v == "1"; }},
    Key{"tty", [](Launch& l, std::string_view v) { l.tty = v; }},
    Key{"winsize",
        [](Launch& l, std::string_view v) {
          l.rows = number<std::uint16_t>(word(v));
          l.columns = number<std::uint16_t>(word(v));
        }},
    Key{"stats", [](Launch& l, std::string_view v) { l.stats = v; }},
    Key{"verbose", [](Launch& l, std::string_view v) { l.verbose = number<int>(v); }},
    Key{"randomize", [](Launch& l, std::string_view v) { l.randomize = number<int>(v); }},
    Key{"rw",
        [](Launch& l, std::string_view v) {
          const std::string_view tag = word(v);
          l.rw.push_back({tag, v});
        }},
    Key{"rootrw", [](Launch& l, std::string_view v) { l.root_writable = v == "1"; }},
    Key{"root", [](Launch& l, std::string_view v) { l.root = v; }},
    Key{"realtime", [](Launch& l, std::string_view v) { l.realtime_ns = number<std::uint64_t>(v); }},
    Key{"tsc", [](Launch& l, std::string_view v) { l.tsc_hz = number<std::uint64_t>(v); }},
    Key{"seed", [](Launch& l, std::string_view v) { l.seed = v; }},
    Key{"selftest", [](Launch& l, std::string_view v) { l.selftest = v == "1"; }},
    Key{"deadline", [](Launch&, std::string_view) {}},
};

/// Takes a NUL-terminated text off the front of `rest`; none if its NUL is missing.
std::optional<std::string_view> text(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view result = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return result;
}

void apply(Launch& launch, std::string_view name, std::string_view value) {
  for (const Key& key : kKeys) {
    if (key.name == name) return key.set(launch, value);
  }
  log(LogLevel::kInfo, "launch: unknown key {}", name);
}

}  // namespace

void parse_launch(std::string_view block) {
  record = new Launch;
  record->has_block = !block.empty();
  while (!block.empty()) {
    const auto key = text(block);
    const auto value = text(block);
    if (!key || !value) break;
    apply(*record, *key, *value);
  }
  if (record->program.empty() && !record->args.empty()) record->program = record->args.front();
}

const Launch& launch() { return *record; }

}  // namespace quire::kernel
