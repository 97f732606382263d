#!/usr/bin/env python3
"""Writes docs/SYSCALLS.md from the kernel's tables, docs/syscalls.tsv (deviations) and Linux's list; with --check, fails if it differs."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs/SYSCALLS.md"
NOTES = ROOT / "docs/syscalls.tsv"
NUMBERS = pathlib.Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
HEAD = """# System calls

Made by scripts/syscalls.py from the kernel's tables and docs/syscalls.tsv: do not edit. *supported* means: as Linux, as far as an ordinary
program can tell; *deviates* says how not; every other call answers ENOSYS, is counted, and `quire run -v` names it once.

| call | state | deviation |
| --- | --- | --- |
"""


def supported():
    names = set()
    for path in sorted((ROOT / "kernel").rglob("*")):
        if path.suffix in (".cc", ".h"):
            text = path.read_text(encoding="utf-8")
            names.update(re.findall(r"\{__NR_(\w+),", text))
            for block in re.findall(r"#define QUIRE_PROCESS_CALLS\(X\)((?:.*\\\n)*.*\n)", text):
                names.update(re.findall(r"X\((\w+)", block))
    return names


def main() -> int:
    known = re.findall(r"^#define __NR_(\w+) (\d+)$", NUMBERS.read_text(encoding="utf-8"), re.M)
    notes = dict(line.split("\t", 1) for line in NOTES.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    names = supported()
    unknown = set(notes) - names
    if unknown:
        print(f"docs/syscalls.tsv speaks of calls that are not there: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    rows = [f"| {name} | {'deviates' if name in notes else 'supported'} | {notes.get(name, '')} |\n" for name, _ in known if name in names]
    missing = [name for name, _ in known if name not in names]
    text = HEAD + "".join(rows) + f"\n## Missing ({len(missing)})\n\n" + ", ".join(missing) + ".\n"
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print("docs/SYSCALLS.md is out of date: run scripts/syscalls.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    print(f"docs/SYSCALLS.md: {len(rows)} calls there, {len(missing)} missing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
