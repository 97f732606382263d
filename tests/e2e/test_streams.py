"""stdin, stdout and stderr are three byte streams."""

import fcntl
import hashlib
import os
import signal
import subprocess
import time

import pytest

from conftest import BUSYBOX, COMMAND


def test_hello_and_seven(quire):
    result = quire.shell("echo hello; exit 7")
    assert (result.returncode, result.stdout, result.stderr) == (7, b"hello\n", b"")


def test_every_byte_passes_both_ways(quire):
    data = bytes(range(256)) * 40 + b"a\0b\n"
    assert quire("run", "--", BUSYBOX, "cat", input=data).stdout == data


def test_stderr_stays_apart(quire):
    result = quire.shell("echo out; echo err >&2; echo out2")
    assert (result.stdout, result.stderr) == (b"out\nout2\n", b"err\n")


def test_the_end_of_input_is_passed_on(quire):
    assert quire("run", "--", BUSYBOX, "wc", "-c", input=b"").stdout == b"0\n"
    assert quire("run", "--", BUSYBOX, "wc", "-c", stdin=subprocess.DEVNULL).stdout == b"0\n"


def test_fifty_megabytes_arrive_whole(quire, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(50_000_000))
    with source.open("rb") as input, target.open("wb") as output:
        assert quire("run", "--", BUSYBOX, "cat", stdin=input, stdout=output, timeout=300).returncode == 0
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()


def test_input_and_output_flow_at_the_same_time(quire):
    """A program that answers each line needs no end of input first."""
    process = quire.start("run", "--", BUSYBOX, "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for line in (b"one\n", b"two\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_a_slow_reader_slows_the_program_and_loses_nothing(quire):
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", "seq 1 200000; echo done >&2", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(2)
    assert process.poll() is None  # 1.3 MB fit nowhere on the way
    output, errors = process.communicate(timeout=60)
    assert output == b"".join(b"%d\n" % number for number in range(1, 200001))
    assert errors == b"done\n"


def test_a_reader_that_leaves_ends_the_writer_as_sigpipe_would(quire):
    process = quire.start("run", "--", BUSYBOX, "yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(timeout=20) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""


def test_a_full_disk_is_named(quire):
    with open("/dev/full", "wb") as full:
        result = quire.shell("echo x", stdout=full)
    assert result.returncode == 125
    assert result.stderr == b"quire: writing to stdout: No space left on device\n"


def test_the_callers_descriptors_stay_blocking(quire):
    readers = [os.pipe() for _ in range(3)]
    os.close(readers[0][1])
    process = quire.start("run", "--", BUSYBOX, "sleep", "1", stdin=readers[0][0], stdout=readers[1][1], stderr=readers[2][1])
    time.sleep(0.5)
    for fd in (readers[0][0], readers[1][1], readers[2][1]):
        assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    assert process.wait(timeout=20) == 0
    for pair in readers:
        for fd in pair:
            try:
                os.close(fd)
            except OSError:
                pass


def test_closed_standard_files_do_no_harm(quire):
    line = f"{COMMAND} run -- {BUSYBOX} sh -c 'exit 5' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], env=quire.environment, timeout=60).returncode == 5


def wait_until_blocked(process):
    """Until the program's output has filled everything on the way to a reader that reads nothing."""
    time.sleep(3)
    assert process.poll() is None


def test_a_program_that_waits_for_its_reader_can_be_killed(quire):
    script = "yes & sleep 3; kill -9 $!; { wait $!; } 2>/dev/null; echo status $? >&2"
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert process.stderr.readline() == b"status 137\n"  # while nobody reads stdout
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(output) > 65536 and set(output.split()) == {b"y"}  # what was written before arrives


def test_a_second_writer_behind_one_that_waits_can_be_killed(quire):
    script = "yes & sleep 2; yes n & sleep 1; kill -9 $!; { wait $!; } 2>/dev/null; echo status $? >&2; kill -9 %1; { wait; } 2>/dev/null"
    process = quire.start("run", "--", BUSYBOX, "sh", "-c", script, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert process.stderr.readline() == b"status 137\n"
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_program_that_waits_for_its_reader(kernel, number):
    process = kernel.start("run", "--", BUSYBOX, "yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_until_blocked(process)
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number  # although nobody has read anything
    assert set(process.stdout.read().split()) <= {b"y", b""}


def test_the_timeout_ends_a_program_that_waits_for_its_reader(quire):
    process = quire.start("run", "--timeout", "4", "--", BUSYBOX, "yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert process.wait(timeout=30) == 124
