#include "program_words.h"

#include <algorithm>

#include "message.h"

namespace quire::cli {
namespace {

constexpr const char* kHidden = "\x1f--";

}  // namespace

std::vector<std::string> words_to_parse(int argc, char** argv, const std::string& command) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words.front() == command) {
    if (const auto separator = std::ranges::find(words, "--"); separator != words.end())
      *separator = kHidden;
  }
  std::ranges::reverse(words);
  return words;
}

std::vector<std::string> program_words(std::vector<std::string> remaining,
                                       const std::string& command) {
  if (remaining.empty()) return remaining;
  if (remaining.front() == kHidden) {
    remaining.erase(remaining.begin());
    return remaining;
  }
  if (remaining.front().starts_with('-')) {
    throw UsageError(
        fmt::format("{0}: unknown option '{1}'; see quire {0} --help", command, remaining.front()));
  }
  std::ranges::replace(remaining, kHidden, "--");
  return remaining;
}

}  // namespace quire::cli
