#!/usr/bin/env python3
"""Lists functions of core that nothing uses (S2.13); fails if there is one.

Two looks, because neither sees everything. The linker's: of the functions that core's objects hold when nothing is inlined
(preset `freestanding`), those that no other function or table refers to, and that no other house names. The reader's: of the functions that
core's headers declare, those whose name stands nowhere else in core, host, kernel, command, examples, benchmarks or tests.
"""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
ARCHIVE = ROOT / "build/freestanding/core/libquire_core.a"
USERS = ("host", "kernel", "cli", "examples", "bench", "tests")
WORD = re.compile(r"[A-Za-z_]\w*")
LINE_COMMENT = re.compile(r"//[^\n]*")
# A name before a parameter list, at the place where a declaration has it: after a type, not after a return, a dot or an operator.
DECLARED = re.compile(r"^\s*(?:template\s*<[^>]*>\s*)?(?:\[\[nodiscard\]\]\s*)?"
                      r"(?:[\w:<>,&*\s]+?[\s&*])(~?\w+)\s*\([^;{]*\)[^;{]*[;{]", re.M)
NOT_CALLED_BY_NAME = re.compile(r"~|operator$|^(?:__|TA_|QUIRE_)\w+$"
                                r"|^(?:if|for|while|switch|return|defined|static_assert|alignas|decltype|sizeof)$")
BY_SYMBOL = re.compile(r"operator|~|::(\w+)::\1\(")  # operators, destructors and constructors have no name to look for


def sources(*houses):
    return [path for house in houses for path in sorted((ROOT / house).rglob("*")) if path.suffix in {".cc", ".h", ".S"}]


def text_of(path):
    return LINE_COMMENT.sub("", path.read_text(encoding="utf-8"))


def simple_name(symbol):
    """`quire::A::f(int) const` → `f`."""
    match = re.search(r"(~?\w+)(?:<.*>)?\(", re.sub(r"\(anonymous namespace\)::", "", symbol))
    return match[1] if match else symbol


def unreferenced_functions(outside):
    """Functions of the archive that no relocation of another section names."""
    defined, referenced = set(), set()
    section = ""
    names = subprocess.run(["nm", "--defined-only", ARCHIVE], capture_output=True, text=True, check=True).stdout
    for line in names.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "T":
            defined.add(words[2])
    relocations = subprocess.run(["objdump", "-r", "-w", ARCHIVE], capture_output=True, text=True, check=True).stdout
    for line in relocations.splitlines():
        if match := re.match(r"RELOCATION RECORDS FOR \[(.+)\]:", line):
            section = match[1]
        elif match := re.match(r"[0-9a-f]{16} R_X86_64_\w+\s+(\S+?)(?:[-+]0x[0-9a-f]+)?$", line):
            if section.startswith((".eh_frame", ".debug")):
                continue
            target = match[1].removeprefix(".text.")
            if section.removeprefix(".rela").removeprefix(".text.") != target:
                referenced.add(target)
    lost = sorted(defined - referenced)
    if not lost:
        return []
    plain = subprocess.run(["c++filt"], input="\n".join(lost), capture_output=True, text=True, check=True).stdout.splitlines()
    return [symbol for symbol in plain if simple_name(symbol) not in outside and not BY_SYMBOL.search(symbol)]


def undeclared_elsewhere(words):
    """Functions declared in a header of core whose name occurs once in all."""
    lost = []
    for path in sources("core"):
        if path.suffix != ".h":
            continue
        for match in DECLARED.finditer(text_of(path)):
            name = match[1]
            if not NOT_CALLED_BY_NAME.search(name) and words[name] <= 1:
                lost.append(f"{path.relative_to(ROOT)}: {name}")
    return lost


def main():
    outside = set()
    words = collections.Counter()
    for path in sources(*USERS):
        found = WORD.findall(text_of(path))
        outside.update(found)
        words.update(found)
    for path in sources("core"):
        words.update(WORD.findall(text_of(path)))
    lost = unreferenced_functions(outside) + undeclared_elsewhere(words)
    print("\n".join(lost))
    if lost:
        sys.exit(f"{len(lost)} functions of core are used by nobody")


if __name__ == "__main__":
    main()
