"""Debian's own programs, as a user runs them: each does its everyday work in a guest."""

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
