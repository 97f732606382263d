"""How a run ends: exit statuses, deadlines, signals of the caller."""

import pathlib
import signal
import subprocess
import time

import pytest

from conftest import BUSYBOX


@pytest.mark.parametrize("status", [0, 1, 7, 124, 125, 255])
def test_the_exit_status_is_the_programs(quire, status):
    assert quire.shell(f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [1, 9, 11, 15])
def test_a_signal_that_ends_the_program_gives_128_and_its_number(quire, number):
    assert quire.shell(f"kill -{number} $$").returncode == 128 + number


def test_a_program_that_is_not_there_gives_127(quire):
    result = quire("run", "--", "/no/such/program")
    assert result.returncode == 127
    assert result.stderr.startswith(b"quire: /no/such/program: not found")


@pytest.mark.parametrize("program", ["/etc", "/etc/passwd"])
def test_what_is_no_program_gives_126(quire, program):
    result = quire("run", "--", program)
    assert result.returncode == 126
    assert result.stderr.startswith(f"quire: {program}: not executable".encode())


def test_the_timeout_ends_the_guest_with_124_and_keeps_its_output(quire):
    begin = time.monotonic()
    result = quire("run", "--timeout", "2", "--", BUSYBOX, "sh", "-c", "echo before; sleep 30")
    assert (result.returncode, result.stdout) == (124, b"before\n")
    assert b"--timeout" in result.stderr
    assert time.monotonic() - begin < 6


def wait_for(stream, text):
    assert stream.readline() == text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_go_to_the_program(quire, number):
    script = f"trap 'echo caught; exit 3' {int(number)}; echo ready; while :; do sleep 0.1; done"
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for(process.stdout, b"ready\n")
    process.send_signal(number)
    assert process.communicate(timeout=20) == (b"caught\n", None)
    assert process.returncode == 3


def test_a_program_that_a_forwarded_signal_kills_gives_its_number(quire):
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", "echo ready; exec sleep 30", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for(process.stdout, b"ready\n")
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_second_signal_within_a_second_ends_the_guest(quire):
    script = "trap '' INT; echo ready; while :; do sleep 0.1; done"
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for(process.stdout, b"ready\n")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGINT


def test_a_guest_that_never_starts_the_program_gives_125_and_the_log(native):
    result = native("run", "--", "/bin/true", env={"GUEST_TROUBLE": "hang"})
    assert result.returncode == 125
    assert b"did not start the program within 10.0 s" in result.stderr
    assert b"quire: kernel: native guest" in result.stderr


def test_a_panic_gives_125_and_the_log(native):
    result = native("run", "--", "/bin/true", env={"GUEST_TROUBLE": "panic"})
    assert result.returncode == 125
    assert b"panicked" in result.stderr and b"quire: kernel: panic: a reason\n" in result.stderr


def test_a_qemu_that_fails_gives_125_and_its_words(native):
    result = native("run", "--", "/bin/true", env={"GUEST_TROUBLE": "vanish"})
    assert result.returncode == 125
    assert b"qemu: something is wrong" in result.stderr


def test_a_qemu_that_is_missing_gives_125_and_the_package(native):
    result = native("run", "--", "/bin/true", env={"QUIRE_QEMU": "/no/qemu"})
    assert result.returncode == 125
    assert b"/no/qemu" in result.stderr and b"install qemu-system-x86" in result.stderr


def test_a_guest_that_does_not_shut_down_is_ended(native):
    result = native("run", "--", "/bin/true", env={"GUEST_TROUBLE": "linger"})
    assert result.returncode == 125
    assert b"did not shut down" in result.stderr


def test_notes_of_the_guest_are_shown_and_quiet_hides_them(native):
    says = {"GUEST_SAYS": "overlay 3\nnote out of memory: try -m 2G"}
    shown = native("run", "--", "/bin/true", env=says).stderr
    assert shown == (b"quire: 3 files written to the root in memory were discarded; --rwdir DIR keeps what is written to DIR\n"
                     b"quire: out of memory: try -m 2G\n")
    assert native("run", "-q", "--", "/bin/true", env=says).stderr == b""


def test_no_process_is_left_when_the_command_is_killed(native, tmp_path):
    mark = tmp_path / "pid"
    process = native.start("run", "--", BUSYBOX, "sh", "-c", f"echo $PPID > {mark}; exec sleep 30")
    deadline = time.monotonic() + 10
    while not (mark.exists() and mark.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    guest = int(mark.read_text())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while is_running(guest):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
