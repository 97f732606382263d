"""The command line: what is typed wrong is said in one line that names it and the choices; what follows PROGRAM is the program's."""

import os
import pathlib
import shlex
import subprocess
import tempfile
import time

import pytest

from conftest import BUSYBOX, ROOT


@pytest.mark.parametrize("words, says", [
    ([], "a command is missing (choices: run,"),
    (["frob"], "unknown command 'frob' (choices: run,"),
    (["--frob"], "unknown option '--frob'"),
    (["compare", "--", "x"], "compare: not in this version"),
    (["view"], "view: not in this version"),
    (["run"], "PROGRAM is missing"),
    (["run", "--nope", "x"], "unknown option '--nope'"),
    (["run", "-m"], "a value is missing"),
    (["run", "-m", "lots", "x"], "-m: 'lots' is not a size"),
    (["run", "-m", "1K", "x"], "-m: '1K' is not a size"),
    (["run", "-c", "0", "x"], "-c: '0' is not a number of CPUs from 1 to 8"),
    (["run", "-c", "nine", "x"], "-c: 'nine' is not a number"),
    (["run", "--fork", "all", "x"], "--fork: 'all' is not one of tree, leaf, copy"),
    (["run", "--share", "some", "x"], "--share: 'some' is not one of none, fork, file, all"),
    (["run", "--share", "none", "--fork", "tree", "x"], "--share none and --fork tree exclude each other"),
    (["run", "--accel", "hvf", "x"], "--accel: 'hvf' is not one of auto, kvm, tcg"),
    (["run", "--stats=xml", "x"], "--stats: 'xml' is not one of text, json"),
    (["run", "--timeout", "soon", "x"], "--timeout: 'soon' is not a number of seconds above 0"),
    (["run", "--timeout", "0", "x"], "--timeout: '0' is not a number of seconds above 0"),
    (["run", "--root", "/no/such", "x"], "--root: /no/such: no such directory"),
    (["run", "--cwd", "/no/such", "x"], "--cwd: /no/such: no such directory"),
    (["run", "--rwdir", "/etc/passwd", "x"], "--rwdir: /etc/passwd: not a directory"),
    (["run", "--rw", "--rwdir", "/tmp", "x"], "--rw makes the whole root writable"),
    (["run", "--user", "no-such-user", "x"], "--user: there is no user 'no-such-user'"),
    (["run", "-v", "-q", "x"], "-v and -q exclude each other"),
    (["run", "--icount", "-c", "2", "x"], "--icount: exact mode has one CPU"),
    (["bench", "--format", "xml", "fork"], "--format: 'xml' is not one of console, json, csv"),
    (["bench", "frok"], "bench: nothing is named 'frok'"),
    (["doctor", "--all"], "unknown option '--all'"),
])
def test_usage_errors(native, words, says):
    result = native(*words)
    assert result.returncode == 2
    assert result.stdout == b""
    line = result.stderr.decode()
    assert line.startswith("quire: ") and says in line and line.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["bench", "--help"], ["doctor", "--help"], ["--version"]])
def test_help_goes_to_stdout(native, words):
    result = native(*words)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"quire" in result.stdout.lower()


def test_help_offers_only_what_works(native):
    text = native("--help").stdout
    assert b"compare" not in text and b"view" not in text


@pytest.mark.parametrize("prefix", [["run"], ["run", "--"], ["run", "-e", "A=1", "-m", "256M"], ["run", "--stats", "--"]])
@pytest.mark.parametrize("arguments", [["-v", "--help"], ["--", "x"], ["run", "-m", ""], ["a b", "'", "é\n"]])
def test_everything_after_program_is_the_programs(native, prefix, arguments):
    result = native(*prefix, BUSYBOX, "printf", "[%s]", *arguments)
    assert result.stdout.decode() == "".join(f"[{word}]" for word in arguments)


def test_dry_run_prints_a_line_a_shell_splits_again(native, tmp_path):
    directory = tmp_path / "a, b"
    directory.mkdir()
    result = native("run", "--dry-run", "--accel", "tcg", "-m", "512M", "-c", "3", "--rwdir", directory, "--", "anything")
    words = shlex.split(result.stdout.decode())
    assert result.returncode == 0
    assert words[0] == native.environment["QUIRE_QEMU"]
    assert words[words.index("-m") + 1] == "512M" and words[words.index("-smp") + 1] == "3"
    assert any(f"path={str(directory).replace(',', ',,')}," in word for word in words)


def test_exact_mode_fixes_processor_and_clock(native):
    line = native("run", "--dry-run", "--icount", "--", "x").stdout.decode()
    assert "-cpu qemu64 -icount shift=0,sleep=off -rtc base=2024-01-01,clock=vm" in line
    assert "virtio-rng" not in line


needs_kvm_device = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="there is no /dev/kvm to open")


def accelerator(native, cache, trouble=""):
    """What --accel auto chooses, with a cache of verdicts of its own."""
    environment = {"XDG_CACHE_HOME": str(cache), "GUEST_TROUBLE": trouble}
    words = shlex.split(native("run", "--dry-run", "--", "x", env=environment).stdout.decode())
    return words[words.index("-accel") + 1]


@needs_kvm_device
def test_kvm_is_used_once_a_guest_ran_under_it(native, tmp_path):
    assert accelerator(native, tmp_path) == "kvm"
    assert " usable " in (tmp_path / "quire/kvm").read_text()


@needs_kvm_device
def test_a_kvm_that_hangs_is_found_out_once_per_boot(native, tmp_path):
    begin = time.monotonic()
    assert accelerator(native, tmp_path, "hang") == "tcg"
    assert 2 <= time.monotonic() - begin < 5
    assert accelerator(native, tmp_path) == "tcg"  # believed without another probe
    line = (tmp_path / "quire/kvm").read_text()
    (tmp_path / "quire/kvm").write_text("another-boot" + line[line.index(" "):])
    assert accelerator(native, tmp_path) == "kvm"


def test_doctor_names_what_is_missing(native):
    result = native("doctor", env={"QUIRE_QEMU": "/no/qemu"})
    assert result.returncode == 1
    assert b"MISSING  QEMU" in result.stdout and b"install qemu-system-x86" in result.stdout


def test_the_callers_place_environment_and_user_are_the_programs(quire, shared_path):
    result = quire("run", "-e", "ADDED=new", "--", BUSYBOX, "sh", "-c", 'pwd; echo "$CALLER $ADDED"; id -u; id -g; umask',
                   env={"CALLER": "kept"}, cwd=shared_path, umask=0o027)
    user, group = os.getuid(), os.getgid()
    assert result.stdout.decode().splitlines() == [str(shared_path), "kept new", str(user), str(group), "0027"]


def test_the_program_starts_where_the_caller_is_even_in_tmp(kernel):
    """The guest has a /tmp of its own; the caller's directory there is brought in, read-only unless --rwdir says otherwise."""
    with tempfile.TemporaryDirectory(dir="/tmp") as here:
        pathlib.Path(here, "file").write_text("seen\n")
        script = "pwd; cat file; echo more >> file"
        plain = kernel("run", "--", BUSYBOX, "sh", "-c", script, cwd=here)
        assert plain.stdout.decode() == f"{here}\nseen\n"
        assert plain.returncode != 0 and b"Read-only" in plain.stderr
        assert kernel("run", "--rwdir", ".", "--", BUSYBOX, "sh", "-c", script, cwd=here).returncode == 0
        assert pathlib.Path(here, "file").read_text() == "seen\nmore\n"


def test_a_program_that_the_guest_hides_is_explained(kernel):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        result = kernel("run", "--", directory + "/program")
    assert result.returncode == 127 and b"a /tmp of its own" in result.stderr


def test_place_and_user_can_be_chosen(kernel):
    result = kernel("run", "--cwd", "/usr", "--user", "12345:54321", "--", BUSYBOX, "sh", "-c", "pwd; id -u; id -g")
    assert result.stdout == b"/usr\n12345\n54321\n"


def test_the_bootstrap_becomes_the_command():
    result = subprocess.run([ROOT / "quire", "--version"], capture_output=True, timeout=600, check=True)
    assert result.stdout.startswith(b"quire ")
