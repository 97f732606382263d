"""Linux as oracle: a program that says what came back runs on the host and in the guest, and says the same."""

import subprocess

import pytest

from conftest import ROOT

PROGRAMS = ROOT / "build/release/programs"


@pytest.mark.parametrize("name", ["pipes", "waiting"])
def test_the_guest_answers_as_the_host_does(kernel, name):
    program = PROGRAMS / f"conformance_{name}"
    if not program.exists():
        pytest.skip("the programs are not built")
    expected = subprocess.run([program], stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode().splitlines()
    result = kernel("run", "--rwdir", PROGRAMS, "--", program, timeout=120)
    assert result.stdout.decode().splitlines() == expected
    assert result.returncode == 0
