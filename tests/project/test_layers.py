"""The houses and who may know whom: arrows point inward only."""

import pathlib
import re

import pytest

from conftest import ROOT, tracked

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# House → folders its headers are included from.
ROOTS = {
    "core": ["core", "core/hooks_none"],
    "host": ["host", "host/hooks"],
    "kernel": ["kernel"],
    "cli": ["cli"],
}
# House → houses it may include besides itself. The command talks to the kernel through QEMU only.
MAY_INCLUDE = {"core": set(), "host": {"core"}, "kernel": {"core"}, "cli": set()}
# Standard headers that need a heap, a locale or an operating system; core has none.
NOT_IN_CORE = {
    "algorithm_execution", "any", "cstdio", "cstdlib", "deque", "exception", "filesystem", "fstream", "functional", "future", "iomanip",
    "iostream", "list", "locale", "map", "memory_resource", "mutex", "queue", "random", "regex", "set", "sstream", "stack", "stdexcept",
    "string", "strstream", "thread", "unordered_map", "unordered_set", "vector",
}


def sources(house):
    return tracked(f"{house}/*.cc", f"{house}/*.h", f"{house}/*.S")


def includes(path):
    return [(match[1], match[2]) for match in INCLUDE.finditer((ROOT / path).read_text(encoding="utf-8"))]


def house_of(path, kind, name):
    """The house a header belongs to, or None for one that is not ours. A quoted name is looked for beside the file first."""
    if kind == '"' and (ROOT / path.parent / name).exists():
        return path.parts[0]
    own = path.parts[0]
    for house in sorted(ROOTS, key=lambda other: other != own):
        if any((ROOT / folder / name).exists() for folder in ROOTS[house]):
            return house
    return None


@pytest.mark.parametrize("house", ROOTS)
def test_includes_point_inward(house):
    wrong = []
    for path in sources(house):
        for kind, name in includes(path):
            other = house_of(path, kind, name)
            if other not in {None, house} | MAY_INCLUDE[house]:
                wrong.append(f"{path} includes {name} of {other}/")
    assert not wrong


def test_every_quoted_header_is_ours():
    wrong = [f"{path}: {name}" for house in ROOTS for path in sources(house) for kind, name in includes(path)
             if kind == '"' and house_of(path, kind, name) is None]
    assert not wrong


def test_core_uses_no_header_that_needs_a_run_time():
    wrong = [f"{path}: <{name}>" for path in sources("core") for kind, name in includes(path) if kind == "<" and name in NOT_IN_CORE]
    assert not wrong


def test_core_has_no_platform_conditions():
    """Core is one text for every machine; what differs is behind its seam."""
    allowed = re.compile(r"#\s*(?:if|ifdef|ifndef|elif)\b.*\b(?:QUIRE_HOOKS|QUIRE_CHECKS|__clang__|__x86_64__|__has_)")
    wrong = [f"{path}: {line.strip()}" for path in sources("core") for line in (ROOT / path).read_text().splitlines()
             if re.match(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b", line) and not allowed.search(line)]
    assert not wrong
