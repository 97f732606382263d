#!/usr/bin/env python3
"""`./quire test`: builds and runs every suite, and ends with one line that counts them all.

Usage: ./quire test [--quick] [--list] [SUITE...]

A suite is a build and the tests it is good for; each test, and each gate that is passed or not (a build that must be free of warnings),
counts as one. A suite that finds no test fails. Logs and JUnit files are in build/test/.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build/test"
PROCESSORS = len(os.sched_getaffinity(0))
JOBS = str(PROCESSORS)
GUESTS = str(PROCESSORS + 1)  # they often wait
# What a suite counts besides tests: lines such as "model: 1,000,000 operations, 312 audits".
COUNTS = re.compile(r"^[a-z_ ]+: \d[\d,']* [a-z].*$", re.M)


@dataclasses.dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    counts: list = dataclasses.field(default_factory=list)

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def cpu_seconds():
    """Of everything that was started and has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


PASSED, FAILED = Tally(passed=1), Tally(failed=1)


def say(text):
    print(text, flush=True)


class Log:
    """Runs commands with their output in a file, and shows the end of it if one fails."""

    def __init__(self, name):
        self.path = RESULTS / f"{name}.log"
        self.path.write_bytes(b"")

    def run(self, *words, shown_lines=60, **options):
        with self.path.open("ab") as file:
            begin = file.tell()
            status = subprocess.run([str(word) for word in words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file,
                                    stderr=subprocess.STDOUT, check=False, **options).returncode
        if status != 0:
            lines = self.path.read_bytes()[begin:].decode(errors="replace").splitlines()
            say("\n".join("    " + line for line in lines[-shown_lines:]))
        return status == 0


def build(log, preset, *targets):
    rules = ROOT / "build" / preset / "build.ninja"
    configured = rules.exists() and rules.stat().st_mtime > (ROOT / "CMakePresets.json").stat().st_mtime
    return (configured or log.run("cmake", "--preset", preset)) and log.run("ninja", "-j", JOBS, "-C", ROOT / "build" / preset, *targets)


def read_junit(path):
    """Counts the cases of a JUnit file; an unreadable one counts as a failure."""
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return FAILED
    if not cases:
        return FAILED
    tally = Tally()
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed += 1
        elif case.find("skipped") is not None or case.get("status") in {"disabled", "notrun"}:
            tally.skipped += 1
        else:
            tally.passed += 1
        tally.counts += COUNTS.findall(case.findtext("system-out") or "")
    return tally


def with_status(succeeded, tally):
    """A runner that failed although every test passed is a failure too."""
    if not succeeded and tally.failed == 0:
        tally.failed += 1
    return tally


def ctest(log, name, preset, *options):
    report = RESULTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    succeeded = log.run("ctest", "--test-dir", ROOT / "build" / preset, "-j", JOBS, "--output-on-failure", "--no-tests=error",
                        "--timeout", "900", "--test-output-size-passed", "100000", "--output-junit", report, *options)
    return with_status(succeeded, read_junit(report))


def pytest(log, name, *options):
    report = RESULTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    succeeded = log.run("/usr/bin/python3", "-m", "pytest", "-q", "-o", f"cache_dir={RESULTS / 'pytest_cache'}",
                        "--junit-xml", report, *options)
    return with_status(succeeded, read_junit(report))


def hosted(preset, *options, targets=(), quick_options=()):
    """Test programs under one preset."""

    def run(log, quick):
        if not build(log, preset, *targets):
            return FAILED
        return ctest(log, preset, preset, *options, *(quick_options if quick else ()))

    return run


def gate(preset):
    """A build that must succeed, free of warnings."""
    return lambda log, quick: PASSED if build(log, preset) else FAILED


def project(log, quick):
    if not build(log, "freestanding"):
        return FAILED
    return pytest(log, "project", "tests/project")


def end_to_end(log, quick):
    if not (build(log, "release", "command") and build(log, "kernel")):
        return FAILED
    wanted = "not slow and not long" if quick else "not long"
    tally = pytest(log, "e2e", "-n", GUESTS, "tests/e2e", "-m", f"{wanted} and not alone")
    tally += pytest(log, "e2e_alone", "tests/e2e", "-m", f"{wanted} and alone")
    return tally


def programs(log, quick):
    """Debian's large programs at length."""
    if not (build(log, "release", "command") and build(log, "kernel")):
        return FAILED
    return pytest(log, "programs", "tests/e2e", "-m", "long")


def debug(log, quick):
    """Its core counts branches, from nothing, for the suite after it."""
    for counts in (ROOT / "build/debug").rglob("*.gcda"):
        counts.unlink()
    return hosted("debug", quick_options=("-LE", "model|oom|interleave"))(log, quick)


def coverage(log, quick):
    """What `debug` has counted."""
    return PASSED if log.run("scripts/coverage.py", ROOT / "build/debug") else FAILED


# In the order in which they are run: what finds most in the shortest time comes first.
SUITES = {
    "project": project,
    "debug": debug,
    "coverage": coverage,
    "e2e": end_to_end,
    "locks": gate("locks"),
    "tidy": gate("tidy"),
    "asan": hosted("asan", "-L", "asan"),
    "tsan": hosted("tsan", "-L", "tsan"),
    "fuzz": hosted("fuzz", "-L", "fuzz", targets=("quire_fuzz", "quire_elf_fuzz")),
}
SUITES["programs"] = programs
QUICK = ("project", "debug", "e2e")
USUAL = tuple(name for name in SUITES if name != "programs")


def main():
    parser = argparse.ArgumentParser(prog="./quire test", description="Builds and runs the project's tests.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"suites to run (default: all but programs): {', '.join(SUITES)}")
    parser.add_argument("--quick", action="store_true", help=f"the short tests of {', '.join(QUICK)}")
    parser.add_argument("--list", action="store_true", help="print the names of the suites and exit")
    options = parser.parse_args()
    for name in options.suites:
        if name not in SUITES:
            parser.error(f"there is no suite '{name}' (choices: {', '.join(SUITES)})")
    if options.list:
        print("\n".join(SUITES))
        return 0

    RESULTS.mkdir(parents=True, exist_ok=True)
    total = Tally()
    for name in options.suites or (QUICK if options.quick else USUAL):
        begin, cpu_begin = time.monotonic(), cpu_seconds()
        tally = SUITES[name](Log(name), options.quick)
        say(f"{name}: {tally} ({time.monotonic() - begin:.0f} s, {cpu_seconds() - cpu_begin:.0f} s of CPU)")
        for line in tally.counts:
            say(f"  {line}")
        total += tally
    say(str(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
