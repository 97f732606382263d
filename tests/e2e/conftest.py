"""Fixtures of the end-to-end tests: the command as a user has it, on the real kernel and on a stand-in for it.

Tests take `quire` when they hold for both, `kernel` when only the kernel can show them, and `native` for what the command does when a
guest misbehaves, which the stand-in does on request.
"""

import os
import pathlib
import subprocess
import tempfile

import pexpect
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = ROOT / "build/release/cli/quire"
KERNEL = pathlib.Path(os.environ.get("QUIRE_KERNEL") or ROOT / "build/kernel/kernel/quire.elf")
NATIVE_GUEST = ROOT / "tests/e2e/native_guest.py"
BUSYBOX = "/bin/busybox"


class Quire:
    """The command with one kind of guest."""

    def __init__(self, environment):
        self.environment = {**os.environ, **environment}

    def __call__(self, *arguments, input=b"", env=None, timeout=60, **options):
        """Runs to the end, in / unless told otherwise; stdout and stderr are bytes."""
        options.setdefault("cwd", "/")
        if "stdin" not in options:
            options["input"] = input
        return subprocess.run(
            [COMMAND, *arguments], env={**self.environment, **(env or {})}, timeout=timeout,
            stdout=options.pop("stdout", subprocess.PIPE), stderr=options.pop("stderr", subprocess.PIPE), **options)

    def start(self, *arguments, env=None, **options):
        """Starts it; the caller waits."""
        return subprocess.Popen([COMMAND, *arguments], env={**self.environment, **(env or {})}, **options)

    def on_terminal(self, *arguments, rows=24, columns=80):
        """Starts it on a terminal of its own."""
        return pexpect.spawn(str(COMMAND), [str(word) for word in arguments], env=self.environment, timeout=30,
                             dimensions=(rows, columns), encoding="utf-8", codec_errors="replace")

    def shell(self, script, **options):
        return self("run", "--", BUSYBOX, "sh", "-c", script, **options)


@pytest.fixture
def shared_path():
    """A fresh directory that the guest sees under the same name: not in /tmp, where the guest has a file system of its own."""
    base = ROOT / "build/test"
    base.mkdir(parents=True, exist_ok=True)
    if base.is_relative_to("/tmp"):
        base = pathlib.Path("/var/tmp")
    with tempfile.TemporaryDirectory(dir=base) as name:
        yield pathlib.Path(name)


@pytest.fixture(scope="session")
def native():
    return Quire({"QUIRE_QEMU": str(NATIVE_GUEST), "QUIRE_KERNEL": "/dev/null"})


@pytest.fixture(scope="session")
def kernel():
    if not KERNEL.exists():
        pytest.skip("the kernel is not built")
    return Quire({})


@pytest.fixture(params=["native", "kernel"], scope="session")
def quire(request):
    return request.getfixturevalue(request.param)
