#!/usr/bin/env python3
"""Builds docs/REQUIREMENTS.md: every row of the requirement catalogue and the tests that show it.

A test names its rows in a comment, `// Rows: S0.9 S0.13 I1` in C++ or `# Rows: …` in Python. The comment belongs to the test it stands
in or directly above; elsewhere it belongs to the file. The explorer's scenarios name theirs in their catalogue. Ids and titles of the rows
are in docs/requirements.tsv. Without arguments the document is written; with --check nothing is, and the status says whether it was up to
date.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TITLES = ROOT / "docs/requirements.tsv"
DOCUMENT = ROOT / "docs/REQUIREMENTS.md"
TEST_FOLDERS = ("tests", "examples", "models")
SECTIONS = {"I": "Invariants", "S": "Requirements drawn from the founding documents", "R": "Races", "X": "Beyond the founding documents"}

ANNOTATION = re.compile(r"^\s*(?://|#)\s*Rows:\s*(.+?)\s*$")
CPP_TEST = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)|^RC_GTEST_(?:FIXTURE_)?PROP\(\s*(\w+)\s*,\s*(\w+)")
PYTHON_TEST = re.compile(r"^def (test_\w+)\(")
SCENARIO = re.compile(r'^\s*\{(?:\.name = )?"(\w+)", (?:\.rows = )?"((?:[SRIX]\d+(?:\.\d+)?[ ,]*)+)",')
PASSED_OVER = re.compile(r"^\s*(?://|#|@|$)")  # may stand between an annotation and its test
END_OF_TEST = re.compile(r"^[}\w]")  # back at the left margin


def test_name(line):
    """The test that begins on a line, or None."""
    if match := CPP_TEST.match(line):
        return ".".join(word for word in match.groups() if word)
    if match := PYTHON_TEST.match(line):
        return match[1]
    return None


def annotations(path):
    """Yields (row, test or None) for each annotation of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    enclosing = None
    for index, line in enumerate(lines):
        name = test_name(line)
        if name or END_OF_TEST.match(line):
            enclosing = name
        if match := SCENARIO.match(line):
            for row in match[2].split():
                yield row, match[1]
        if not (match := ANNOTATION.match(line)):
            continue
        following = next((text for text in lines[index + 1:] if not PASSED_OVER.match(text)), "")
        owner = enclosing if line[0].isspace() else test_name(following)
        for row in re.split(r"[\s,]+", match[1]):
            yield row, owner


def shown_rows(known):
    """Row → the tests that show it, as "file: test"; fails on rows that do not exist."""
    shown = {row: [] for row in known}
    for folder in TEST_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".cc", ".h", ".py"}:
                continue
            name = path.relative_to(ROOT).as_posix()
            for row, owner in annotations(path):
                if row not in shown:
                    sys.exit(f"{name}: there is no row {row}")
                entry = f"`{name}`" + (f" {owner}" if owner else "")
                if entry not in shown[row]:
                    shown[row].append(entry)
    return shown


def document():
    titles = dict(line.split("\t") for line in TITLES.read_text(encoding="utf-8").splitlines())
    shown = shown_rows(titles)
    done = sum(bool(tests) for tests in shown.values())
    lines = ["# Requirements and the tests that show them", "",
             "Built by `scripts/requirements.py` from the `Rows:` comments of the tests; a test fails if it is out of date.", "",
             f"{done} of {len(titles)} rows are shown by at least one test. "
             "A test named here shows a part of its row, not always all of it."]
    for letter, title in SECTIONS.items():
        lines += ["", f"## {title}", "", "| row | title | shown by |", "| --- | --- | --- |"]
        lines += [f"| {row} | {text} | {'<br>'.join(shown[row]) or 'not yet'} |" for row, text in titles.items() if row[0] == letter]
    return "\n".join(lines) + "\n"


def main():
    text = document()
    if "--check" in sys.argv[1:]:
        current = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
        if current != text:
            sys.exit("docs/REQUIREMENTS.md is out of date: run scripts/requirements.py")
        return
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
