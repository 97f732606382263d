#!/usr/bin/env python3
"""Plays QEMU and the kernel for the command's tests: runs the program on the host, behind the channels of
docs/decisions/0001-guest-contract.md.

With it the command is tested apart from the kernel, and the same tests then run on the real one. GUEST_TROUBLE in the environment makes
it misbehave: `hang` (never starts), `panic`, `vanish` (QEMU fails at once), `linger` (does not shut down), `deaf` (ignores signals).
"""

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

FINISHED, PANICKED = 33, 65
TROUBLE = os.environ.get("GUEST_TROUBLE", "")


def channel(name):
    for word in sys.argv:
        match = re.fullmatch(rf"socket,id={name},fd=(\d+)", word)
        if match:
            return socket.socket(fileno=int(match[1]))
    sys.exit(f"native_guest: no channel {name}")


def launch_records():
    with open(sys.argv[sys.argv.index("-initrd") + 1], "rb") as file:
        fields = file.read().decode(errors="surrogateescape").split("\0")[:-1]
    records = {}
    for key, value in zip(fields[::2], fields[1::2]):
        records.setdefault(key, []).append(value)
    return records


class Guest:
    def __init__(self):
        self.launch = launch_records()
        self.control = channel("control")
        self.streams = {name: channel(name) for name in ("stdin", "stdout", "stderr")}
        self.log = channel("log")
        self.child = None
        self.terminal = None

    def say(self, line):
        self.control.sendall(line.encode() + b"\n")

    def start(self):
        environment = dict(record.split("=", 1) for record in self.launch.get("env", []) if "=" in record)
        root = next(match[1] for word in sys.argv if (match := re.search(r"id=root,path=([^,]*)", word)))
        program = root.rstrip("/") + self.launch["program"][0] if root != "/" else self.launch["program"][0]
        options = dict(executable=program, args=self.launch["arg"], env=environment, cwd=self.launch["cwd"][0])
        if "tty" in self.launch:
            self.terminal, inner = pty.openpty()
            self.set_window_size(*self.launch["winsize"][0].split())
            enter = lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            self.child = subprocess.Popen(stdin=inner, stdout=inner, stderr=inner, preexec_fn=enter, **options)
            os.close(inner)
        else:
            pipe = subprocess.PIPE
            self.child = subprocess.Popen(stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, bufsize=0, **options)

    def set_window_size(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))

    def take_control(self):
        for line in self.control.makefile():
            word, *numbers = line.split()
            if word == "winsize" and self.terminal is not None:
                self.set_window_size(*numbers)
            elif word == "signal" and TROUBLE != "deaf":
                os.killpg(self.child.pid, int(numbers[0]))

    def take_input(self):
        frames = self.streams["stdin"].makefile("rb")
        target = self.terminal if self.terminal is not None else self.child.stdin.fileno()
        while True:
            size = struct.unpack("<I", frames.read(4))[0]
            if size == 0:
                break
            data = frames.read(size)
            try:
                while data:
                    data = data[os.write(target, data) :]
            except BrokenPipeError:
                break
        if self.terminal is None:
            self.child.stdin.close()

    @staticmethod
    def give_output(source, stream):
        try:
            while data := os.read(source, 65536):
                stream.sendall(data)
        except OSError:  # the terminal's last user has gone
            pass

    def run(self):
        self.start()
        self.say("started")
        if self.terminal is not None:
            outputs = {self.terminal: self.streams["stdout"]}
        else:
            outputs = {getattr(self.child, name).fileno(): self.streams[name] for name in ("stdout", "stderr")}
        for taker in (self.take_control, self.take_input):
            threading.Thread(target=taker, daemon=True).start()
        givers = [threading.Thread(target=self.give_output, args=item) for item in outputs.items()]
        for giver in givers:
            giver.start()
        for giver in givers:
            giver.join()
        status = self.child.wait()
        for line in os.environ.get("GUEST_SAYS", "").splitlines():
            self.say(line)
        self.say(f"exit {status}" if status >= 0 else f"killed {-status}")


def main():
    if TROUBLE == "vanish":
        sys.exit("qemu: something is wrong")
    guest = Guest()
    guest.log.sendall(b"native guest\r\n")
    if TROUBLE == "hang":
        time.sleep(60)
    if TROUBLE == "panic":
        guest.log.sendall(b"panic: a reason\r\n")
        sys.exit(PANICKED)
    try:
        if "selftest" in guest.launch:
            guest.say("exit 0")
        else:
            guest.run()
    except FileNotFoundError:
        guest.say("notfound")
    except PermissionError:
        guest.say("notexec")
    if TROUBLE == "linger":
        time.sleep(60)
    os._exit(FINISHED)  # a thread may still wait for input


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
main()
