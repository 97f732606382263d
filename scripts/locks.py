#!/usr/bin/env python3
"""Writes docs/LOCKS.md from core/quire/base/lock_order.def; with --check, fails if the file differs."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = ROOT / "core/quire/base/lock_order.def"
TARGET = ROOT / "docs/LOCKS.md"

HEAD = """# Locks

Made by scripts/locks.py from core/quire/base/lock_order.def: do not edit. Outermost first; a lock is taken only while holding
locks above it in the table, two of one rank only in ascending key. Test builds check every acquisition at run time
(host/quire/host/lock_check.cc), clang checks the annotations statically (preset `locks`). Nothing allocates or waits while
holding a table lock or one below it, but for the pools' own.

| rank | name | protects |
| --- | --- | --- |
"""

TAIL = """
Who may do what to a table of a space:

| holds | may |
| --- | --- |
| space's lock shared | walk writable upper entries without further locks; change entries of exclusive tables under their locks; unshare |
| space's lock exclusive | also detach tables, change the map, fork |
| lock of table P | rely on every table named below P's entries; change P's entries if P is exclusive; take the lock of a child |
| neither (a walk from an object) | lock the table an attachment names, then believe nothing before finding the attachment there again |

The kernel's own locks (kernel/sync/lock.h) are all outside core's: kernel code calls core without holding a spin lock,
but for the heap's and the block allocator's, under which single frames are taken from the pool and given back.
"""


def main() -> int:
    rows = re.findall(r'^QUIRE_LOCK\((k\w+), "(.*)"\)$', SOURCE.read_text(), re.M)
    text = HEAD + "".join(f"| {n} | {name} | {what} |\n" for n, (name, what) in enumerate(rows)) + TAIL
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != text:
            print("docs/LOCKS.md is out of date: run scripts/locks.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
