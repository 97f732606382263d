#include "task/statistics.h"

#include <string>

#include "boot/launch.h"
#include "mm/memory.h"
#include "task/control.h"

namespace quire::kernel {

namespace {

std::uint64_t value_of(unsigned counter) {
  return memory().counters().sum(static_cast<Counter>(counter));
}

void send_text() {
  for (unsigned i = 0; i < kCounterCount; ++i)
    send_control_line("stats {} {}", kCounterNames[i], value_of(i));
  send_control_line("stats nr_page_table_pages {}", memory().tables_in_use().raw());
}

/// One line, so that the command can pass it on as it is.
void send_json() {
  std::string json = "stats {";
  const auto add = [&](std::string_view name, std::uint64_t value) {
    std::array<char, 96> item;
    json += format_to(std::span<char>(item), "\"{}\":{},", name, value);
  };
  for (unsigned i = 0; i < kCounterCount; ++i) add(kCounterNames[i], value_of(i));
  add("nr_page_table_pages", memory().tables_in_use().raw());
  json.back() = '}';
  send_control(json);
}

}  // namespace

void send_statistics() {
  if (launch().stats == "json") {
    send_json();
  } else {
    send_text();
  }
}

}  // namespace quire::kernel
