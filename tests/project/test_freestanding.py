"""Core built freestanding leaves no symbol undefined beyond its seam to the machine."""

import re
import subprocess

from conftest import ROOT

ARCHIVE = ROOT / "build/freestanding/core/libquire_core.a"
# Declared in core/quire/platform.h; The others are what a freestanding compiler may call.
SEAM = re.compile(r"quire::platform::\w+\(")
COMPILER = {"memcpy", "memmove", "memset", "memcmp", "__cxa_pure_virtual"}


def symbols(*options):
    output = subprocess.run(["nm", "--demangle", *options, ARCHIVE], capture_output=True, text=True, check=True).stdout
    return {line.split(None, 2 if len(line) > 17 and line[0] != " " else 1)[-1] for line in output.splitlines()
            if re.match(r"^[0-9a-f ]{16} ", line)}


def test_undefined_symbols_are_the_seam():
    missing = symbols("--undefined-only") - symbols("--defined-only")
    assert symbols("--defined-only")
    assert not {name for name in missing if not SEAM.match(name) and name not in COMPILER}
