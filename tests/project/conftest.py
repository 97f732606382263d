"""Paths and helpers of the tests about the project's own files."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    """Files of the repository that match, as paths relative to its root."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout.splitlines()
    return [pathlib.Path(name) for name in names if (ROOT / name).is_file()]
