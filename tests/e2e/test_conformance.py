"""Linux as oracle: a program that says what came back runs on the host and in the guest, and says the same."""

import subprocess

import pexpect
import pytest

from conftest import ROOT

PROGRAMS = ROOT / "build/release/programs"
NAMES = sorted(source.stem for source in (ROOT / "programs/conformance").glob("*.c"))
ON_TERMINAL = "terminal"
ON_MANY_CPUS = {"epoll", "inet_sockets", "pidfd", "ptrace", "ptrace_events", "scheduling", "unix_sockets"}


def program(name):
    path = PROGRAMS / f"conformance_{name}"
    if not path.exists():
        pytest.skip("the programs are not built")
    return path


@pytest.mark.parametrize("name", [name for name in NAMES if name != ON_TERMINAL])
def test_the_guest_answers_as_the_host_does(kernel, name):
    path = program(name)
    expected = subprocess.run([path], stdout=subprocess.PIPE, timeout=120, check=True).stdout.decode().splitlines()
    cpus = "4" if name in ON_MANY_CPUS else "1"
    result = kernel("run", "-c", cpus, "--rwdir", PROGRAMS, "--", path, timeout=240)
    assert result.stdout.decode().splitlines() == expected
    assert result.returncode == 0


@pytest.mark.parametrize("name", ["direct_io", "file_advice", "map_files"])
def test_the_guest_answers_as_the_host_does_on_a_writable_mount(kernel, shared_path, name):
    path = program(name)
    expected = subprocess.run([path, shared_path], stdout=subprocess.PIPE, timeout=120, check=True).stdout.decode().splitlines()
    result = kernel("run", "--rwdir", shared_path, "--rwdir", PROGRAMS, "--", path, shared_path, timeout=240)
    assert result.stdout.decode().splitlines() == expected
    assert result.returncode == 0


def converse(terminal):
    """Types what the program asks for, and returns all it showed."""
    keys = {"^C": "\x03", "^D": "\x04", "^C^D^Z": "\x03\x04\x1a", "line": "line\r", "hello": "hello\r"}
    shown = ""
    while terminal.expect([r"type (\S+)\r\n", "end\r\n"]) == 0:
        shown += terminal.before + terminal.after
        word = terminal.match.group(1)
        terminal.send(keys.get(word, word))
    shown += terminal.before
    terminal.expect(pexpect.EOF)
    return shown.splitlines()


def test_the_guests_terminal_behaves_as_the_hosts(kernel):
    path = program(ON_TERMINAL)
    expected = converse(pexpect.spawn(str(path), dimensions=(24, 80), timeout=60, encoding="utf-8"))
    assert converse(kernel.on_terminal("run", "--rwdir", PROGRAMS, "--", path)) == expected
