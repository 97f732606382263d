"""What shells do with pipes, and the standard files by their names in /dev and /proc."""

import hashlib

from conftest import BUSYBOX


def test_a_long_pipeline_of_many_bytes(kernel):
    script = "yes 0123456789abcdef | head -c 20000000 | cat | tr a-z A-Z | cat | sha256sum"
    line = b"0123456789ABCDEF\n"
    expected = hashlib.sha256((line * (20_000_000 // len(line) + 1))[:20_000_000]).hexdigest()
    assert kernel.shell(script).stdout.decode().split()[0] == expected


def test_a_writer_without_readers_is_killed(kernel):
    result = kernel.shell("set -o pipefail; yes | head -n 1; echo $?")
    assert result.stdout == b"y\n141\n" and result.stderr == b""


def test_standard_files_have_names(kernel):
    result = kernel.shell("cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr; cat /proc/self/fd/0 | wc -c", input=b"in\n")
    assert (result.stdout, result.stderr) == (b"in\nout\n0\n", b"err\n")


def test_standard_files_are_pipes_that_cannot_seek(kernel):
    result = kernel.shell("test -p /dev/stdin && test -p /dev/stdout && test ! -t 0 && echo pipes; tail -c +3 </dev/stdin", input=b"abcd")
    assert result.stdout == b"pipes\ncd"


def test_named_pipes_bring_processes_together(kernel):
    result = kernel.shell("cd /tmp; mkfifo f; (echo one; echo two) > f & cat f; test -p f && rm f; ls")
    assert result.stdout == b"one\ntwo\n"


def test_here_documents_and_substitutions(kernel):
    result = kernel.shell("cat <<E; echo $(seq 1 20000 | tail -n 1); read x <<E\nfirst\nE\nsecond\nE\necho $x")
    assert result.stdout == b"first\n20000\nsecond\n"


def test_many_pipes_in_a_small_memory(kernel):
    script = "i=0; while [ $i -lt 60 ]; do sleep 100 | sleep 100 & i=$((i+1)); done; " \
             "ps | grep -c 'sleep 100$'; kill $(pidof sleep); wait; echo done"
    result = kernel("run", "-m", "64M", "--", BUSYBOX, "sh", "-c", script)
    assert result.stdout == b"120\ndone\n" and result.returncode == 0


def test_read_with_a_timeout_gives_up(kernel):
    result = kernel.shell("sleep 100 | (read -t 0.2 x; echo $?; kill $(pidof sleep))")
    assert result.stdout == b"1\n"
