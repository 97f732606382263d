// Kinds of command-line options that several subcommands have.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace quire::cli {

/// An option that takes one of a few words; anything else is a UsageError that names them.
void add_choice(CLI::App& app, const std::string& names, std::string& target,
                std::vector<std::string> choices, const std::string& description);

}  // namespace quire::cli
