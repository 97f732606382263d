// Everything after PROGRAM is the program's, word for word, whatever it looks like.
//
// CLI11 has two ways to collect such words and each has a hole (2.1.2): a vector positional splits
// words in brackets ("[a,b]") even at the end, and prefix_command() refuses what follows "--". So
// the first "--" is hidden from CLI11 behind a word that is no option, which ends its parsing like
// any other, and comes back here.
#pragma once

#include <string>
#include <vector>

namespace quire::cli {

/// The words of argv as CLI::App::parse() takes them: without our own name, in reverse, and the
/// first "--" hidden if they begin with the subcommand `command`.
std::vector<std::string> words_to_parse(int argc, char** argv, const std::string& command);

/// PROGRAM and its arguments from what a prefix command left over. Throws UsageError if the first
/// is an option nobody knows; `command` names the subcommand in the message.
std::vector<std::string> program_words(std::vector<std::string> remaining,
                                       const std::string& command);

}  // namespace quire::cli
