"""What only the real kernel can show: start-up time, memory, files, stress, exact mode."""

import json
import os
import re
import subprocess
import time

import pytest

from conftest import BUSYBOX



@pytest.mark.alone
def test_later_runs_start_the_program_within_300_ms(kernel):
    kernel("run", "--", BUSYBOX, "true")
    times = []
    for _ in range(5):
        begin = time.monotonic()
        kernel("run", "--", BUSYBOX, "true")
        times.append(time.monotonic() - begin)
    assert min(times) < 0.3, times


@pytest.mark.parametrize("cpus", [1, 2, 4, 8])
@pytest.mark.parametrize("memory", ["32M", "2G", "64G"])
def test_machines_of_all_sizes(kernel, cpus, memory):
    result = kernel("run", "-c", str(cpus), "-m", memory, "--", BUSYBOX, "sh", "-c",
                    "grep -c ^processor /proc/cpuinfo; seq 1 3 | sort -r | head -n 1")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{cpus}\n3\n".encode(), b"")


@pytest.mark.parametrize("mode", ["tree", "leaf", "copy"])
def test_a_shell_does_the_same_in_every_fork_mode(kernel, mode):
    script = "i=0; while [ $i -lt 50 ]; do (echo $i) | cat; i=$((i+1)); done | sha256sum"
    result = kernel("run", "--fork", mode, "--", BUSYBOX, "sh", "-c", script)
    expected = __import__("hashlib").sha256(b"".join(b"%d\n" % n for n in range(50))).hexdigest()
    assert result.stdout.decode() == f"{expected}  -\n"


def test_what_is_written_to_the_root_is_discarded_and_said(kernel, shared_path):
    mark = shared_path / "written"
    result = kernel.shell(f"echo inside > {mark}; cat {mark}")
    assert result.stdout == b"inside\n" and not mark.exists()
    assert b"--rwdir" in result.stderr


def test_rwdir_keeps_what_is_written(kernel, shared_path):
    result = kernel("run", "--rwdir", shared_path, "--", BUSYBOX, "sh", "-c", f"echo inside > {shared_path}/written")
    assert (shared_path / "written").read_bytes() == b"inside\n"
    assert result.stderr == b""


def test_two_exact_runs_agree(kernel):
    runs = [kernel("run", "--icount", "--", BUSYBOX, "sh", "-c",
                   "i=0; while [ $i -lt 20 ]; do (:); i=$((i+1)); done; cat /proc/uptime; date")
            for _ in range(2)]
    assert runs[0].returncode == 0
    assert runs[0].stdout == runs[1].stdout


def test_stats_are_json_on_request(kernel):
    result = kernel("run", "--stats=json", "--", BUSYBOX, "true")
    assert json.loads(result.stderr)


STRESS = r"""
trap 'caught=$((caught+1))' USR1
caught=0 i=0
while [ $i -lt 400 ]; do
  i=$((i+1))
  seq 1 200 | sort -rn | awk '{ s += $1 } END { print s }' | grep -q '^20100$' || { echo "pipe $i wrong"; exit 1; }
  (exit $((i % 100))); [ $? = $((i % 100)) ] || { echo "status $i wrong"; exit 1; }
  if [ $((i % 10)) = 0 ]; then
    for j in 1 2 3 4 5 6 7 8; do (sleep 0.01; x=$(printf %s $j | md5sum); exit 0) & done
    sleep 30 & victim=$!
    kill -TERM $victim; wait $victim; [ $? = 143 ] || { echo "kill $i wrong"; exit 1; }
    kill -USR1 $$
    wait
  fi
done
[ $caught = 40 ] || { echo "caught $caught"; exit 1; }
echo clean
"""


def test_stress_of_forks_pipes_and_signals_ends_clean(kernel):
    """The kernel audits its memory at shutdown; a table or frame left over would give 125."""
    # Rows: S0.8 S0.2 I1 I6
    result = kernel("run", "-c", "4", "-m", "2G", "--timeout", "300", "--", BUSYBOX, "sh", input=STRESS.encode(), timeout=310)
    assert (result.returncode, result.stdout) == (0, b"clean\n")
    assert b"quire:" not in result.stderr  # the shell itself says "Terminated" of each job it killed


def test_unknown_calls_are_named_once_with_v(kernel):
    result = kernel("run", "-v", "--", BUSYBOX, "true")
    assert result.returncode == 0
    assert re.search(rb"^quire: accelerator (tcg|kvm)", result.stderr, re.M)


def test_out_of_memory_kills_the_largest_and_says_so(kernel):
    script = "dd if=/dev/zero of=/dev/null bs=400M count=1; echo status $?; echo still here"
    result = kernel("run", "-m", "256M", "--", BUSYBOX, "sh", "-c", script)
    assert result.stdout == b"status 137\nstill here\n"
    assert b"quire: out of memory: killed dd" in result.stderr and b"-m" in result.stderr
    assert result.returncode == 0


@pytest.mark.alone
def test_more_cpus_than_the_host_has_do_not_spin(kernel):
    """A virtual CPU that waits for a lock whose holder the host does not run halts: four cost hardly more of the host's time than one."""

    def cpu_seconds(cpus):
        script = STRESS.replace("-lt 400", "-lt 60").replace("= 40 ]", "= 6 ]")
        process = kernel.start("run", "-c", cpus, "-m", "2G", "--", BUSYBOX, "sh", "-c", script, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.read() == b"clean\n"
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        process.returncode = 0
        return usage.ru_utime + usage.ru_stime

    one, four = (sum(cpu_seconds(cpus) for _ in range(3)) for cpus in ("1", "4"))
    assert four / one < 1.4
