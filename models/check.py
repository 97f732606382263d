#!/usr/bin/env python3
"""Checks models/tables.pml with spin: every configuration must be free of errors, and every guard that is taken away must be missed.

check.py; with --guards-only or --protocol-only, half of it. Needs spin and a C compiler. Exit status 77: there is no spin.
"""
# Rows: S2.17
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent / "tables.pml"


def threads(a1, a2, b, c, *more):
    return [f"-DOPS_A1={a1}", f"-DOPS_A2={a2}", f"-DOPS_B={b}", f"-DOPS_C={c}", *more]


# How many actions the threads of A, B and C do.
PROTOCOL = {
    "siblings and a sharer": threads(1, 1, 1, 0),
    "the same with two tables": threads(1, 1, 1, 0, "-DPAGES=3"),
    "three spaces, A does two": threads(2, 0, 1, 1),
    "three spaces, B does two": threads(1, 0, 2, 1),
    "a walk from the object": threads(1, 0, 1, 1, "-DWALK"),
}

# What is missed when a guard is away, and where it is looked for.
SIBLINGS, WALK = threads(1, 1, 1, 0), threads(1, 0, 1, 1, "-DWALK")
GUARDS = {
    "NO_DECISION_BY_THE_DECREMENT": ("R1", SIBLINGS),
    "NO_COUNT_UNCHANGED": ("R2", SIBLINGS),
    "NO_SECOND_LOOK": ("R3", SIBLINGS),
    "NO_FLUSH_BEFORE_RELEASE": ("R4", SIBLINGS),
    "NO_FLUSH_OF_UPPER_ENTRIES": ("R4", SIBLINGS),
    "NO_FLUSH_IN_FORK": ("R6", SIBLINGS),
    "NO_EXCLUSIVE_LOCK_IN_FORK": ("R8", SIBLINGS),
    "NO_W_OFF_IN_THE_ORIGINAL": ("R9", WALK),
    "NO_READ_ONLY_PHASE": ("P2", SIBLINGS),
    "NO_FLUSH_BEFORE_OVERTAKING": ("P2", SIBLINGS),
    "NO_LOCK_OF_THE_ORIGINAL": ("R13", WALK),
    "NO_ATTACHING_BEHIND": ("R13", WALK),
    "NO_DETACHING_FIRST": ("R24", WALK),
    "NO_SECOND_LOOK_AT_THE_ATTACHMENT": ("R25", WALK),
    "NO_RETIRING_OF_ROOTS": ("R25", SIBLINGS),
}


def verify(folder, defines, optimise):
    """(errors, states, what was violated)"""
    subprocess.run(["spin", "-a", *defines, str(MODEL)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cc", "-w", optimise, "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"], cwd=folder, check=True)
    out = subprocess.run(["./pan", "-m100000", "-w24", "-n"], cwd=folder, capture_output=True, text=True).stdout
    if "Search not completed" in out and "assertion violated" not in out and "invalid end state" not in out.split("State-vector")[0]:
        raise SystemExit(out)
    errors = int(re.search(r"errors: (\d+)", out).group(1))
    states = int(re.search(r"(\d+) states, stored", out).group(1))
    violated = re.search(r"^pan:\d+: (.*?)(?: \(at depth.*)?$", out, re.M)
    return errors, states, violated.group(1) if violated else ""


def main() -> int:
    if shutil.which("spin") is None:
        print("no spin here")
        return 77
    folder = tempfile.mkdtemp(prefix="tables-model-")
    failures = 0
    total = 0
    try:
        if "--guards-only" not in sys.argv:
            for name, defines in PROTOCOL.items():
                errors, states, violated = verify(folder, defines, "-O2")
                total += states
                failures += errors != 0
                print(f"{name:34} {states:>10} states, {errors} errors {violated}", flush=True)
            print(f"{'all configurations':34} {total:>10} states", flush=True)
        if "--protocol-only" not in sys.argv:
            for guard, (rows, defines) in GUARDS.items():
                # Most counterexamples are near: compiling well would take longer than looking.
                errors, states, violated = verify(folder, [f"-D{guard}", *defines], "-O0" if defines is SIBLINGS else "-O1")
                failures += errors == 0
                print(f"{guard:34} {states:>10} states, {rows}: {violated if errors else 'NOT MISSED'}", flush=True)
    finally:
        shutil.rmtree(folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
