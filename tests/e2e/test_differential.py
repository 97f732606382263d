"""Linux as oracle at random: the same sequences of calls about memory on the host and in the guest say the same, byte for byte.

All seeds of a run share one start of the guest. A seed that differs is shortened by leaving calls out (delta debugging), and both outputs
of what is left are shown. QUIRE_DIFFERENTIAL_SEEDS asks for more seeds, QUIRE_DIFFERENTIAL_FIRST for others.
"""

import difflib
import os
import platform
import re
import subprocess

import pytest

from conftest import ROOT

PROGRAM = ROOT / "build/release/programs/differential"
SEEDS = int(os.environ.get("QUIRE_DIFFERENTIAL_SEEDS", 120))
FIRST = int(os.environ.get("QUIRE_DIFFERENTIAL_FIRST", 1))
LENGTH = 60
BASIC, LIMITS, MOVING, LOCKING, ASKING = 1, 2, 4, 8, 16  # the groups of programs/differential/differential.h
# Not compared, because kernels differ or because it is listed (docs/syscalls.tsv); the program sees to it:
# - what a fixed mmap that a limit refuses leaves of what was there: in pieces on Linux, untouched on Quire.
OLDEST = (6, 17)  # before 6.16 Linux merged less (decision 0008), and before 6.17 mremap unmapped before it knew its arguments were good


def host(arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, timeout=300, check=True).stdout.decode()


def by_seed(text):
    parts = re.split(r"^seed (\d+)$", text, flags=re.M)
    return dict(zip(map(int, parts[1::2]), parts[2::2]))


def minimized(indices, differs):
    """The delta debugging algorithm ddmin: calls without which the outputs would agree."""
    chunks = 2
    while len(indices) > 1:
        size = max(1, len(indices) // chunks)
        for begin in range(0, len(indices), size):
            rest = indices[:begin] + indices[begin + size :]
            if rest and differs(rest):
                indices, chunks = rest, max(chunks - 1, 2)
                break
        else:
            if size == 1:
                break
            chunks = min(chunks * 2, len(indices))
    return indices


@pytest.mark.parametrize("groups", [BASIC, BASIC | LIMITS, BASIC | MOVING, BASIC | MOVING | LOCKING | ASKING | LIMITS])
def test_random_calls_do_the_same_on_both_kernels(kernel, groups):
    if not PROGRAM.exists():
        pytest.skip("the programs are not built")
    if tuple(int(n) for n in re.findall(r"\d+", platform.release())[:2]) < OLDEST:
        pytest.skip("the host's Linux treats mappings otherwise")

    def guest(arguments):
        result = kernel("run", "--rwdir", PROGRAM.parent, "--", PROGRAM, *map(str, arguments), timeout=600)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    arguments = ("run", groups, LENGTH, FIRST, SEEDS)
    expected, actual = by_seed(host(arguments)), by_seed(guest(arguments))
    different = [seed for seed in expected if expected[seed] != actual.get(seed)]
    assert len(expected) == SEEDS
    if not different:
        return
    seed = different[0]
    left = minimized(list(range(LENGTH)), lambda some: host(("only", groups, seed, *some)) != guest(("only", groups, seed, *some)))
    arguments = ("only", groups, seed, *left)
    wanted, got = host(arguments), guest(arguments)
    shown = "\n".join(difflib.unified_diff(wanted.splitlines(), got.splitlines(), "linux", "quire", lineterm=""))
    pytest.fail(f"{len(different)} of {SEEDS} seeds differ; seed {seed}, calls {left}:\n{wanted}\n--- difference ---\n{shown}")


def test_a_difference_is_shortened_to_the_calls_that_matter():
    assert minimized(list(range(60)), lambda some: {7, 31, 32} <= set(some)) == [7, 31, 32]
    assert minimized(list(range(60)), lambda some: 59 in some) == [59]
