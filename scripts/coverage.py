#!/usr/bin/env python3
"""Branches of core's sharing code that no test of a build has taken (S2.14): coverage.py BUILD_FOLDER; fails if there is one.

The build counts them (QUIRE_COVERAGE, preset debug) in the files that core/CMakeLists.txt names, over all of its hosted tests. Left out are
branches of assertions and of reports of broken invariants, which a test would not survive, and exceptions. What tests cannot reach
otherwise is in ALLOWED_FOR, with the reason.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOT_TAKEN_ON_PURPOSE = re.compile(r"QUIRE_(?:DEBUG_)?ASSERT|report_malformed|assertion_failed")
# Beginnings of lines of which no hosted test takes all branches, by the reason. `./quire test coverage` names a line that is in none.
ALLOWED_FOR = {
    "an entry of a kind that nothing makes yet": [
        "switch (memory.kind_of(entry, kLeafLevel)) {",
        "switch (memory.kind_of(entry, table.level())) {",
    ],
    "a malformed entry in a table with held pages: passed over": [
        "if (memory_.kind_of(entry, kLeafLevel) == EntryKind::kFrame && entry.is_private_leaf()) {",
        "if (entry.writable() && memory_.kind_of(entry, table.level) == EntryKind::kTable && settle_holds(",
    ],
    "hardware sets a bit between a look and an exchange: the simulated CPUs do so only at yield points": [
        "while (!exchange_in_place(table, slot, entry, entry.as_migration()))",
        "while (!exchange_in_place(table, slot, entry, poison_of(entry, page)))",
        "while (!remove_in_place(table, slot, entry))",
    ],
    "a page's last entry, and its object with it, goes between a look and a lookup": [
        "if (object.get() == nullptr) return;",
    ],
    "a free frame is taken by another CPU between a look and its lock": [
        "if (frame.kind != FrameKind::kFree || !memory.pool().retire_free(frame))",
    ],
    "a table with held pages that is full to its last slot": [
        "for (unsigned n = 0, left = table.frame().table.live; n < memory_.geometry().slots() && left != 0; ++n) {",
    ],
    "a migration entry of shared memory in a table that is copied": [
        "if (entry.is_private_leaf()) {",
    ],
    "the compiler's own: an entry to a function that was also inlined, and clean-ups": [
        "void add_share(Frame& table) {",
        "Errno move(MemoryManager& memory, Frame& from, FrameReservation& target) {",
        "void take_from_others(MemoryManager& memory, Frame& page, const Frame& keeper) {",
        "gather.flush_range(VirtRange(VirtAddr(0), memory_.geometry().user_top()), FlushRequest::Depth::kTablesToo);",
    ],
}
ALLOWED = tuple(line for lines in ALLOWED_FOR.values() for line in lines)


def counted_lines(build):
    """(file, line) → list of the counts of its branches, summed over every place the line was compiled to."""
    lines = collections.defaultdict(lambda: collections.defaultdict(int))
    executed = collections.defaultdict(int)
    data = sorted(build.glob("core/CMakeFiles/quire_core.dir/**/*.gcda"))
    if not data:
        sys.exit(f"{build} has counted nothing: run its tests first")
    with tempfile.TemporaryDirectory() as folder:
        for path in data:
            text = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", path], cwd=folder, capture_output=True,
                                  check=True).stdout
            for document in map(json.loads, text.splitlines()):
                for file in document["files"]:
                    name = pathlib.Path(document["current_working_directory"], file["file"]).resolve()
                    if not name.is_relative_to(ROOT / "core"):
                        continue
                    for line in file["lines"]:
                        key = (name.relative_to(ROOT).as_posix(), line["line_number"])
                        executed[key] += line["count"]
                        for number, branch in enumerate(line["branches"]):
                            if not branch["throw"]:
                                lines[key][number] += branch["count"]
    return lines, executed


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    covered = {path.relative_to(build / "core/CMakeFiles/quire_core.dir").with_suffix("").as_posix()
               for path in build.glob("core/CMakeFiles/quire_core.dir/**/*.gcno")}
    lines, executed = counted_lines(build)
    total = taken = 0
    missing = []
    for (file, line), branches in sorted(lines.items()):
        if file.removeprefix("core/") not in covered:
            continue
        text = (ROOT / file).read_text(encoding="utf-8").splitlines()[line - 1].strip()
        if NOT_TAKEN_ON_PURPOSE.search(text) or text.startswith(ALLOWED):
            continue
        total += len(branches)
        here = sum(count != 0 for count in branches.values())
        taken += here
        if here < len(branches):
            missing.append(f"{file}:{line}: {here} of {len(branches)} taken: {text}")
    print(f"coverage: {taken:,} branches taken of {total:,} in {len(covered)} files of core's sharing code")
    if missing:
        print("\n".join(missing))
        sys.exit(1)


if __name__ == "__main__":
    main()
