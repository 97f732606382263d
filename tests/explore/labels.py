#!/usr/bin/env python3
"""Writes a C++ source that lists the labels of all yield points: labels.py OUTPUT FOLDER..."""
import pathlib
import re
import sys

# Spinning is not a place to explore: the scheduler runs nobody into a lock that is held.
UNREACHED = {"relax"}
HEAD = """#include "explore/labels.h"

namespace quire::explore {

std::span<const char* const> known_labels() {
  static constexpr const char* kLabels[] = {"""


def main() -> int:
    labels = set()
    for folder in sys.argv[2:]:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            for call in re.findall(r"yield_point\((.*?)\);", path.read_text(), re.S):
                labels.update(re.findall(r'"(\w+)"', call))
    names = ", ".join(f'"{label}"' for label in sorted(labels - UNREACHED))
    text = HEAD + names + "};\n  return kLabels;\n}\n\n}  // namespace quire::explore\n"
    pathlib.Path(sys.argv[1]).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
