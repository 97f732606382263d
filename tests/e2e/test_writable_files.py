"""Files of writable mounts, mapped: what the host finds afterwards, and what the guest sees of what the host does."""

import subprocess

import pytest

from conftest import BUSYBOX, ROOT

PROGRAMS = ROOT / "build/release/programs"
PAGE = 4096


def program(name):
    path = PROGRAMS / name
    if not path.exists():
        pytest.skip("the programs are not built")
    return path


def run(kernel, shared_path, *words, options=(), **more):
    return kernel("run", *options, "--rwdir", shared_path, "--rwdir", PROGRAMS, "--", program("mapped_file"), *map(str, words), **more)


@pytest.mark.parametrize("end", ["msync", "fsync", "sync", "close", "exit", "kill", "sync_file_range", "syncfs"])
def test_what_a_mapping_writes_is_the_hosts(kernel, shared_path, end):
    path = shared_path / "file"
    path.write_bytes(bytes(40 * PAGE))
    assert run(kernel, shared_path, "write", path, end).returncode == (137 if end == "kill" else 0)
    content = path.read_bytes()
    assert len(content) == 40 * PAGE
    for page in range(40):
        wanted = b"written %d" % page if page % 3 == 0 else bytes(10)
        assert content[page * PAGE:].startswith(wanted), page


def test_the_host_sees_it_before_the_guest_ends(kernel, shared_path):
    path = shared_path / "file"
    path.write_bytes(b"0" * 3 * PAGE)
    guest = kernel.start("run", "--rwdir", shared_path, "--rwdir", PROGRAMS, "--", program("mapped_file"), "talk", path,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")

    def ask(word):
        guest.stdin.write(word.encode() + b"\n")
        guest.stdin.flush()
        return guest.stdout.readline().decode().rstrip("\n")

    try:
        assert ask("see 0") == "0"
        assert ask("set 0 a") == "a"
        assert ask("sync") == "ok"
        assert path.read_bytes()[0:1] == b"a"
        assert ask("set 0 b") == "b"
        assert ask("read 0") == "b", "calls see what a mapping wrote"
        assert ask("write 1 c") == "ok"
        assert path.read_bytes()[PAGE:PAGE + 1] == b"c", "calls write through"
        assert ask("see 1") == "c", "and mappings see it"
        with path.open("r+b") as file:
            file.seek(2 * PAGE)
            file.write(b"h")
        assert ask("read 2") == "h"
        assert ask("see 2") == "h"
        assert path.read_bytes()[0:1] == b"b", "what the mapping had written was stored when the host's change was seen"
        with path.open("ab") as file:
            file.write(b"x" * PAGE)
        assert ask("read 3") == "x"
        assert ask("see 3") == "x"
        with path.open("r+b") as file:
            file.truncate(PAGE + 10)
        assert ask("read 2") == "-"
        assert ask("see 2") == "SIGBUS"
        assert ask("see 1") == "c"
        assert ask("cut 0") == "ok"
        assert path.stat().st_size == 0
        assert ask("see 0") == "SIGBUS"
        guest.stdin.close()
        assert guest.wait(timeout=60) == 0
    finally:
        guest.kill()
        guest.wait()


def test_a_host_without_room_is_told_of_and_nothing_is_lost_in_silence(kernel, shared_path):
    small = shared_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        path = small / "file"
        with path.open("wb") as file:
            file.truncate(64 * PAGE)
        result = run(kernel, shared_path, "full", path)
        assert result.stdout.decode().splitlines() == ["msync: ENOSPC", "other: ENOSPC", "close: ENOSPC"]
        assert b"could not be stored on the host: no space is left there" in result.stderr
        assert path.read_bytes().count(b"f") >= 8 * PAGE, "what there is room for is there"
    finally:
        subprocess.run(["umount", small], check=True)


def test_more_is_written_than_memory_holds(kernel, shared_path):
    path = shared_path / "file"
    size = 192 << 20
    with path.open("wb") as file:
        file.truncate(size)
    assert run(kernel, shared_path, "stamp", path, options=("-m", "128M"), timeout=300).returncode == 0
    with path.open("rb") as file:
        for page in range(0, size // PAGE, 97):
            file.seek(page * PAGE)
            assert file.read(8) == page.to_bytes(8, "little")


@pytest.mark.parametrize("mount", ["root", "rwdir"])
def test_a_file_larger_than_memory_is_read_through_a_mapping(kernel, shared_path, mount):
    path = shared_path / "file"
    size = 192 << 20
    with path.open("wb") as file:
        file.truncate(size)
        for page in range(0, size // PAGE, 64):
            file.seek(page * PAGE)
            file.write(b"\1")
    options = ["--rwdir", shared_path] if mount == "rwdir" else []
    result = kernel("run", "-m", "96M", *options, "--rwdir", PROGRAMS, "--", program("mapped_file"), "sum", path, timeout=300)
    assert result.stdout.decode().split() == [str(size // PAGE // 64)] * 2
    assert result.returncode == 0


def test_a_file_lives_on_under_its_second_name(kernel, shared_path):
    # As git makes its objects: written under one name, linked to another, the first removed, then mapped.
    (shared_path / "first").write_bytes(b"\1" * PAGE)
    words = f"cd {shared_path} && ln first second && rm first && stat -c '%h %s' second && {program('mapped_file')} sum second"
    result = kernel("run", "--rwdir", shared_path, "--rwdir", PROGRAMS, "--", "sh", "-c", words)
    assert result.stdout.decode().split() == ["1", "4096", "1", "1"]
