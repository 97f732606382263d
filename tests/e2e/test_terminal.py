"""A terminal: line editing and job control in the guest, window size, and the caller's terminal as it was on every way out."""

import os
import signal
import subprocess
import time

import pexpect
import pytest

from conftest import BUSYBOX, COMMAND

PROMPT = "ready> "


@pytest.fixture
def shell(quire):
    child = quire.on_terminal("run", "-e", f"PS1={PROMPT}", "--", BUSYBOX, "sh", rows=31, columns=97)
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def ask(child, line):
    """What a command line prints."""
    child.sendline(line)
    child.expect_exact(line)
    child.expect(r"\r*\n")
    child.expect_exact(PROMPT)
    return child.before.replace("\r", "")


def finish(child):
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_a_shell_answers_and_ends_with_its_status(shell):
    assert "42" in ask(shell, "echo $((6*7))")
    shell.sendline("exit 3")
    assert finish(shell) == 3


def test_the_program_has_a_terminal_of_the_callers_size(shell):
    assert "terminal" in ask(shell, "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo term'inal'")
    assert "31 97" in ask(shell, "stty size")


def test_a_new_window_size_reaches_the_program(shell):
    shell.setwinsize(40, 100)
    time.sleep(0.5)
    assert "40 100" in ask(shell, "stty size")


def test_a_line_can_be_edited(shell):
    shell.send("echo wrong\x7f\x7f\x7f\x7f\x7fright\r")
    shell.expect(r"\nright\r*\n")


def test_control_c_interrupts_the_program_and_not_the_command(shell):
    shell.sendline("sleep 100")
    time.sleep(0.5)
    shell.sendintr()
    shell.expect_exact(PROMPT)
    assert "130" in ask(shell, "echo $?")


def test_control_z_stops_and_fg_continues(shell):
    shell.sendline("sleep 2")
    time.sleep(0.5)
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect_exact(PROMPT)
    assert "sleep 2" in ask(shell, "jobs")
    shell.sendline("fg")
    shell.expect("sleep 2")
    shell.expect_exact(PROMPT)
    assert "status 0" in ask(shell, "echo status $?")


def test_background_jobs_are_announced(shell):
    shell.sendline("sleep 0.2 &")
    shell.expect_exact(PROMPT)
    time.sleep(1)
    shell.sendline("")
    shell.expect("Done")


def test_control_d_ends_the_shell(shell):
    ask(shell, "true")
    shell.sendeof()
    assert finish(shell) == 0


@pytest.fixture
def outer(quire):
    """A shell of this host on a terminal, which shows the terminal's settings before and after the command."""
    environment = {**quire.environment, "PS1": PROMPT}
    script = f"stty -g; {COMMAND} run -- {BUSYBOX} sh; stty -g; echo ended"
    child = pexpect.spawn("/bin/sh", ["-c", script], env=environment, timeout=30, encoding="utf-8")
    child.before_settings = child.readline()
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def expect_restored(outer):
    """The command has put the terminal into another mode, ends now, and puts it back."""
    outer.expect_exact(outer.before_settings)
    outer.expect_exact("ended")


def command_pid(outer):
    return int(subprocess.run(["pgrep", "-P", str(outer.pid)], capture_output=True, check=True).stdout)


def test_the_terminal_is_raw_while_the_program_has_it(outer):
    during = subprocess.run(["stty", "-g"], stdin=outer.child_fd, capture_output=True, check=True).stdout.decode()
    assert during.strip() != outer.before_settings.strip()


def test_the_terminal_is_restored_after_exit(outer):
    outer.sendline("exit")
    expect_restored(outer)


def test_the_terminal_is_restored_when_signals_end_the_command(outer):
    pid = command_pid(outer)
    os.kill(pid, signal.SIGTERM)  # an interactive shell ignores it
    time.sleep(0.3)
    os.kill(pid, signal.SIGTERM)
    expect_restored(outer)


def test_the_terminal_is_restored_when_the_command_crashes(outer):
    os.kill(command_pid(outer), signal.SIGSEGV)
    expect_restored(outer)


def test_the_terminal_is_restored_when_qemu_is_killed(outer):
    subprocess.run(["pkill", "-KILL", "-P", str(command_pid(outer))], check=True)
    outer.expect_exact("quire: QEMU was killed by signal 9")
    expect_restored(outer)


def test_stopping_the_command_gives_the_terminal_back_for_the_while(outer):
    pid = command_pid(outer)
    os.kill(pid, signal.SIGTSTP)
    time.sleep(0.5)
    stopped = subprocess.run(["stty", "-g"], stdin=outer.child_fd, capture_output=True, check=True).stdout.decode()
    assert stopped.strip() == outer.before_settings.strip()
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.3)
    outer.sendline("echo going o''n")
    outer.expect_exact("going on")


def test_a_command_in_the_background_is_not_stopped(quire):
    script = f"{COMMAND} run -- {BUSYBOX} sh -c 'sleep 1; echo fin''ished' & wait"
    child = pexpect.spawn("/bin/bash", ["-mc", script], env=quire.environment, timeout=30, encoding="utf-8")
    child.expect_exact("finished")
    child.close(force=True)


@pytest.mark.alone
def test_control_c_ends_a_program_whose_screen_takes_nothing(kernel, shared_path):
    """Nothing is read from the terminal until the file is there, which is made after `yes` has ended."""
    child = kernel.on_terminal("run", "--rwdir", shared_path, "--", BUSYBOX, "sh", "-c",
                               f"trap : INT; yes; : >{shared_path}/ended; sleep 1000")
    child.expect_exact("y")
    time.sleep(3)
    child.send("\x03")
    until = time.monotonic() + 20
    while not (shared_path / "ended").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert (shared_path / "ended").exists()
    child.close(force=True)
