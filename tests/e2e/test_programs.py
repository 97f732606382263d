"""Debian's own programs, as a user runs them: each does its everyday work in a guest."""

import re

# What talks over sockets: a server and its clients, by address and by name, and a listener that takes one connection.
NETWORK = """
mkdir /tmp/www; echo a page > /tmp/www/index.html
busybox httpd -p 127.0.0.1:8080 -h /tmp/www
for i in 1 2 3; do busybox wget -q -O - http://127.0.0.1:8080/; done
busybox wget -q -O - http://localhost:8080/index.html
busybox wget -q -O - http://127.0.0.1:8081/ || echo nobody there
echo answer | busybox nc -l -p 9999 > /tmp/question &
busybox sleep 0.5
echo question | busybox nc 127.0.0.1 9999
wait
cat /tmp/question
"""


def test_busybox_serves_pages_to_itself(kernel):
    result = kernel("run", "-c", "2", "--", "/bin/busybox", "sh", "-c", NETWORK, timeout=120)
    assert result.stdout.decode().splitlines() == ["a page"] * 4 + ["nobody there", "answer", "question"]
    assert result.returncode == 0


def test_a_pipe_left_by_its_writer_can_be_opened_again(kernel):
    script = "echo left | (busybox sleep 0.3; busybox cat /dev/fd/0)"
    result = kernel("run", "--", "/bin/busybox", "sh", "-c", script, timeout=60)
    assert result.stdout == b"left\n"


# Threads, sockets, epoll, descriptors in messages, subprocesses and a pseudo-terminal.
PYTHON = """
import asyncio, os, pty, select, socket, subprocess, threading
server = socket.create_server(("127.0.0.1", 0))
def serve():
    connection, _ = server.accept()
    connection.sendall(connection.recv(100)[::-1])
    connection.close()
threading.Thread(target=serve, daemon=True).start()
client = socket.create_connection(("localhost", server.getsockname()[1]))
client.sendall(b"abc")
print(client.recv(100))
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [1])
os.write(socket.recv_fds(b, 10, 2)[1][0], b"through a descriptor\\n")
epoll = select.epoll()
epoll.register(b, select.EPOLLIN)
a.send(b"q")
print(len(epoll.poll(10)))
print(subprocess.run(["echo", "a child"], capture_output=True).stdout)
async def shell():
    return await (await asyncio.create_subprocess_exec("sh", "-c", "exit 3")).wait()
print(asyncio.run(shell()))
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("tty", ["tty"])
print(os.read(terminal, 100))
"""


def test_python_talks_waits_and_starts_others(kernel):
    result = kernel("run", "-c", "2", "-m", "1G", "--", "/usr/bin/python3", "-u", "-c", PYTHON, timeout=180)
    assert result.stdout.decode().splitlines() == [
        "b'cba'", "through a descriptor", "1", "b'a child\\n'", "3", "b'/dev/pts/0\\r\\n'"]
    assert result.returncode == 0


def test_the_commands_of_util_linux_make_show_and_remove_what_processes_share(kernel):
    script = ("ipcmk -S 3 -p 0600; ipcmk -Q; ipcmk -M 5000; ipcs -s; ipcs -q; ipcs -m; ipcs -l; ipcrm --all; ipcs | grep -c '^0x'; "
              "cat /proc/sys/kernel/sem /proc/sys/kernel/msgmax")
    out = kernel("run", "--", "/bin/bash", "-c", script).stdout.decode()
    assert re.search(r"^Semaphore id: 0\nMessage queue id: 0\nShared memory id: 0\n", out)
    assert re.search(r"^0x\w+ +0 +\w+ +600 +3 *$", out, re.M), "the semaphores"
    assert re.search(r"^0x\w+ +0 +\w+ +644 +0 +0 *$", out, re.M), "the messages"
    assert re.search(r"^0x\w+ +0 +\w+ +644 +5000 +0 *$", out, re.M), "the memory"
    assert "max number of arrays = 32000" in out and "max queues system wide = 32000" in out
    assert out.endswith("\n0\n32000\t1024000000\t500\t32000\n8192\n")


def test_the_machine_knows_its_own_name(kernel):
    script = "hostname; hostname -f; getent hosts $(hostname) | tr -s ' '; grep -c localhost /etc/hosts"
    result = kernel("run", "--", "/bin/sh", "-c", script)
    assert result.stdout.startswith(b"quire\nquire\n127.0.1.1 quire\n")
    assert int(result.stdout.splitlines()[3]) > 0, "the rest of the file is there"
    assert result.stderr == b"", "nothing that a program wrote is lost"


def test_bash_reads_what_two_commands_write(kernel):
    result = kernel("run", "-m", "1G", "--", "/bin/bash", "-c", "diff <(echo a) <(echo b)", timeout=120)
    assert result.stdout.decode().splitlines() == ["1c1", "< a", "---", "> b"]
    assert result.returncode == 1
