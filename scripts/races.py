#!/usr/bin/env python3
"""Writes docs/RACES.md: races.py BUILD_FOLDER; with --check, fails if a mutation is not caught or the file differs.

The text comes from tests/explore/races.toml, from the explorer's list of scenarios, and from running every mutation (tests/explore).
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs/RACES.md"

HEAD = """# Races

Made by scripts/races.py from tests/explore/races.toml, the explorer's scenarios and a run of all mutations: do not edit.

The explorer (tests/explore/) runs the actors of a scenario, on core and the simulated machine as they are, through every schedule with
at most two preemptions; a scenario's outcomes must be those of sequential histories, the audit must find nothing, and no CPU may use
anything stale. For each guard there is a mutation that takes it away, and a scenario that must notice. The protocol of tables by itself,
for three address spaces, is checked without a bound on preemptions by models/tables.pml.

    explore --all                               all scenarios; schedules, outcomes, yield points reached
    explore --scenario=NAME --preemptions=3     one, further
    explore --scenario=NAME --replay=S --trace  what a failure's schedule S does, operation by operation
    explore_mutants --mutants                   all mutations
"""


def words(text):
    return text.split()


def cell(text):
    return text.replace("|", "\\|")


def how(failure):
    """In short: the kind of failure and the invariant or row it names."""
    kind, _, message = failure.partition(": ")
    named = re.search(r"\b(I\d+|S\d\.\d+|R\d+)\b", message)
    kind = {"stale": "stale translation used", "contents": "wrong contents", "assertion": "assertion"}.get(kind, kind)
    return f"{kind} ({named.group(1)})" if named else kind


def races_table(races, scenarios, mutations):
    rows = ["| race | guard | scenarios | mutations |", "| --- | --- | --- | --- |"]
    for race in races:
        title = f"{race['id']} {race['title']}"
        if "missing" in race:
            rows.append(f"| {cell(title)} | not yet: {cell(race['missing'])} | – | – |")
            continue
        shown = [name for name, (ids, _) in scenarios.items() if race["id"] in words(ids)]
        taken = [m["name"] for m in mutations if race["id"] in words(m["rows"])]
        if not shown or not taken:
            raise SystemExit(f"{race['id']} has a guard, but no scenario or no mutation")
        rows.append(f"| {cell(title)} | {cell(race['guard'])} | {', '.join(shown)} | {', '.join(taken)} |")
    return "\n".join(rows) + "\n"


def mutations_table(mutations, caught):
    rows = ["| mutation | rows | what is taken away | in | caught by | as |", "| --- | --- | --- | --- | --- | --- |"]
    for m in mutations:
        scenario, failure = caught[m["name"]]
        file = m["file"].removeprefix("core/quire/")
        rows.append(f"| {m['name']} | {m['rows']} | {cell(m['what'])} | {file} | {scenario} | {how(failure)} |")
    return "\n".join(rows) + "\n"


def scenarios_table(scenarios):
    rows = ["| scenario | rows | actors |", "| --- | --- | --- |"]
    rows += [f"| {name} | {ids} | {cell(says)} |" for name, (ids, says) in scenarios.items()]
    return "\n".join(rows) + "\n"


def main() -> int:
    build = pathlib.Path([a for a in sys.argv[1:] if not a.startswith("--")][0]) / "tests/explore"
    table = tomllib.loads((ROOT / "tests/explore/races.toml").read_text())
    listing = subprocess.run([build / "explore", "--list"], check=True, capture_output=True, text=True).stdout
    scenarios = {name: (ids, says) for name, ids, says in (line.split("\t") for line in listing.splitlines())}
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as report:
        run = subprocess.run([build / "explore_mutants", "--mutants", f"--report={report.name}"], text=True, stderr=subprocess.DEVNULL)
        if run.returncode != 0:
            return 1
        caught = {name: (scenario, failure) for name, scenario, failure in (line.split("\t") for line in report.read().splitlines())}
    text = (HEAD + "\n## Races and their guards\n\n" + races_table(table["race"], scenarios, table["mutation"]) +
            "\n## Mutations\n\n" + mutations_table(table["mutation"], caught) + "\n## Scenarios\n\n" + scenarios_table(scenarios))
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != text:
            print("docs/RACES.md is out of date: run scripts/races.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
