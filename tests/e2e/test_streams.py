"""stdin, stdout and stderr are three byte streams."""

import fcntl
import hashlib
import os
import signal
import subprocess
import time

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
    process = quire.start("run", "--", BUSYBOX, "yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
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
