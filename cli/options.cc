#include "options.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "message.h"

namespace quire::cli {

void add_choice(CLI::App& app, const std::string& names, std::string& target,
                std::vector<std::string> choices, const std::string& description) {
  const std::string list = fmt::format("{}", fmt::join(choices, ", "));
  const auto set = [&target, choices = std::move(choices), names, list](const std::string& text) {
    if (std::ranges::find(choices, text) == choices.end())
      throw UsageError(fmt::format("{}: '{}' is not one of {}", names, text, list));
    target = text;
  };
  app.add_option_function<std::string>(names, set, fmt::format("{} ({})", description, list))
      ->type_name("WORD");
}

}  // namespace quire::cli
