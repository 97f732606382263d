"""Only one module stores into table memory, and one function lowers a share count."""

import re

from conftest import ROOT, tracked

WRITER = {"core/quire/table/writer.h", "core/quire/table/writer.cc"}
# Atomics and the spin lock built on them: their words are never table memory.
PRIMITIVES = {"core/quire/base/atomic.h", "core/quire/base/lock.h", "core/quire/base/lock.cc"}
RAW_STORE = re.compile(r"__atomic_(?:store|exchange|compare_exchange|fetch_\w+)\w*\(|reinterpret_cast<std::uint64_t\*>")
# prepare_root() hands a new root's window to the platform, which alone may fill its own half.
EXCEPTIONS = ("platform::prepare_root(",)


def core_lines():
    for path in tracked("core/*.h", "core/*.cc"):
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
            yield path.as_posix(), number, line


# Rows: S1.23 S2.36
def test_entries_are_stored_by_the_writer_alone():
    wrong = [f"{path}:{number}: {line.strip()}" for path, number, line in core_lines()
             if RAW_STORE.search(line) and path not in WRITER | PRIMITIVES
             and not any(exception in line for exception in EXCEPTIONS)]
    assert not wrong


# Rows: S2.12
def test_a_share_is_lowered_in_one_place():
    places = [f"{path}:{number}" for path, number, line in core_lines()
              if re.search(r"\bshare\.(?:fetch_sub|store|store_relaxed|fetch_add)\(", line)]
    in_tree = [place for place in places if "tree.cc" in place]
    assert len(in_tree) == 2 and len(places) == 3, places  # raised and lowered in tree.cc; a new table's first share is the writer's


# Rows: S1.23
def test_the_writer_stays_small():
    assert sum(len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in WRITER) < 300
