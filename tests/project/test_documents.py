"""Documents that can be checked against the tree are."""

import re
import subprocess

from conftest import ROOT, tracked


# Rows: S4.7
def test_requirements_document_is_up_to_date():
    result = subprocess.run([ROOT / "scripts/requirements.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_links_of_documents_lead_somewhere():
    broken = []
    for path in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / path).read_text(encoding="utf-8")):
            if "://" not in target and not (ROOT / path.parent / target).exists():
                broken.append(f"{path}: {target}")
    assert not broken


def test_readme_names_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "./quire run --" in text and "./quire test" in text


def test_sources_are_small():
    long = [f"{path}: {count} lines" for path in tracked("*.cc", "*.h", "*.S", "*.py", "*.c")
            if (count := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > 600]
    assert not long


def test_lines_are_short():
    """Whatever is not prose or a table of data: at most 140 characters."""
    long = [f"{path}:{number}: {len(line)} characters" for path in tracked()
            if path.suffix not in {".md", ".tsv"} and path.name != "LICENSE"
            for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1) if len(line) > 140]
    assert not long, "\n".join(long)


# Rows: S0.1 S2.31
def test_lock_analysis_is_not_suppressed():
    """A suppression names the invariant that makes it right; their number only falls."""
    allowed = 0
    found = [f"{path}: {line.strip()}" for path in tracked("core/*", "host/*", "kernel/*")
             for line in (ROOT / path).read_text(encoding="utf-8").splitlines()
             if re.search(r"NO_THREAD_SAFETY_ANALYSIS|TA_NO_", line) and "#define" not in line]
    assert len(found) <= allowed, found


def test_lock_order_document_is_up_to_date():
    result = subprocess.run([ROOT / "scripts/locks.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_system_call_document_is_up_to_date():
    result = subprocess.run([ROOT / "scripts/syscalls.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
