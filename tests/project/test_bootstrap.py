"""./quire before it is the command: packages, building, and doing neither when there is nothing to do.

Runs the real script in a small tree, with stand-ins for the tools that it calls; each writes down how it was called.
"""

import os
import shutil
import subprocess
import threading
import time

import pytest

from conftest import ROOT

COMMAND = """#!/bin/sh
echo "command: $*"
"""
# What the stand-ins do. $0.log is where each writes down its arguments.
TOOLS = {
    "dpkg-query": 'for package; do case $package in -*|*{*) ;; *) grep -qx "$package" "$FAKE/missing" || echo "ii $package" ;; esac; done',
    "apt-get": """echo "$*" >> "$FAKE/apt-get.log"
case $1 in
  update) touch "$FAKE/updated" ;;
  install) [ ! -e "$FAKE/needs-update" ] || [ -e "$FAKE/updated" ] || exit 100
           [ ! -e "$FAKE/unknown" ] || { echo "E: Unable to locate package"; exit 100; }
           : > "$FAKE/missing" ;;
esac""",
    "id": "echo ${FAKE_USER:-0}",
    "cmake": 'echo "$*" >> "$FAKE/cmake.log"; mkdir -p build/$2; echo > build/$2/build.ninja',
    "ninja": f"""echo "$*" >> "$FAKE/ninja.log"
[ ! -e "$FAKE/broken" ] || {{ echo "error: it does not compile"; exit 1; }}
sleep 0.2
mkdir -p "$FAKE/../build/release/cli"
cat > "$FAKE/../build/release/cli/quire" <<'END'
{COMMAND}END
chmod +x "$FAKE/../build/release/cli/quire\"""",
    "qemu-system-x86_64": "",
}
SYSTEM_TOOLS = ("sh dash env dirname readlink find awk sed grep tr tail touch mv rm mkdir cat chmod flock sleep echo test printf").split()


class Tree:
    def __init__(self, path):
        self.path = path
        self.fake = path / "fake"
        self.fake.mkdir()
        shutil.copy(ROOT / "quire", path)
        shutil.copytree(ROOT / "scripts", path / "scripts")
        for name in ("core", "kernel", "cli", "programs", "cmake"):
            (path / name).mkdir()
        for name in ("CMakeLists.txt", "CMakePresets.json", "core/source.cc"):
            (path / name).touch()
        (self.fake / "missing").touch()
        (self.fake / "bin").mkdir()
        for name, body in TOOLS.items():
            self.tool(name, body)
        for name in SYSTEM_TOOLS:
            (self.fake / "bin" / name).symlink_to(shutil.which(name))

    def tool(self, name, body):
        tool = self.fake / "bin" / name
        tool.write_text("#!/bin/sh\n" + body + "\n")
        tool.chmod(0o755)

    def quire(self, *arguments, **environment):
        return subprocess.run([self.path / "quire", *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                              env={"PATH": str(self.fake / "bin"), "FAKE": str(self.fake), **environment})

    def log(self, tool):
        path = self.fake / f"{tool}.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


needs_busybox = pytest.mark.skipif(not os.access("/bin/busybox", os.X_OK), reason="the bootstrap looks for busybox by its path")


def test_it_builds_and_becomes_the_command(tree):
    result = tree.quire("run", "--", "a b", "")
    assert (result.returncode, result.stdout, result.stderr) == (0, "command: run -- a b \n", "")
    assert tree.log("cmake") == ["--preset release", "--preset kernel"]
    assert len(tree.log("ninja")) == 2 and tree.log("apt-get") == []


@needs_busybox
def test_nothing_is_built_twice(tree):
    tree.quire("x")
    tree.quire("x")
    assert len(tree.log("ninja")) == 2


def test_a_changed_source_is_built_once_and_configured_never(tree):
    tree.quire("x")
    time.sleep(0.01)
    (tree.path / "core/source.cc").touch()
    tree.quire("x")
    assert len(tree.log("ninja")) == 4 and len(tree.log("cmake")) == 2


def test_two_callers_at_once_build_once(tree):
    callers = [threading.Thread(target=tree.quire, args=("x",)) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(tree.log("ninja")) == 2


def test_a_build_that_fails_shows_why_and_gives_125(tree):
    (tree.fake / "broken").touch()
    result = tree.quire("x")
    assert (result.returncode, result.stdout) == (125, "")
    assert "error: it does not compile" in result.stderr and "quire: building release failed" in result.stderr


def test_missing_packages_are_installed_and_said_in_one_line(tree):
    (tree.fake / "missing").write_text("qemu-system-x86\ncmake\n")
    result = tree.quire("x")
    assert result.returncode == 0
    assert result.stderr == "quire: installing cmake qemu-system-x86 (to build and run quire) with apt-get\n"
    assert tree.log("apt-get") == ["install -y -qq --no-install-recommends cmake qemu-system-x86"]


def test_package_lists_are_fetched_only_if_needed(tree):
    (tree.fake / "missing").write_text("cmake\n")
    (tree.fake / "needs-update").touch()
    assert tree.quire("x").returncode == 0
    assert [line.split()[0] for line in tree.log("apt-get")] == ["install", "update", "install"]


def test_a_package_that_cannot_be_installed_is_named(tree):
    (tree.fake / "missing").write_text("cmake\n")
    (tree.fake / "unknown").touch()
    result = tree.quire("x")
    assert result.returncode == 125
    assert "could not install cmake" in result.stderr and "Unable to locate" in result.stderr


def test_without_root_sudo_is_used_and_only_then(tree):
    (tree.fake / "missing").write_text("cmake\n")
    tree.tool("sudo", 'echo "$*" >> "$FAKE/sudo.log"; [ "$1" != -n ] || shift; [ "$1" != -- ] || shift; exec "$@"')
    assert tree.quire("x", FAKE_USER="1000").returncode == 0
    assert len(tree.log("sudo")) == 1 and "apt-get install" in tree.log("sudo")[0]
    assert tree.quire("x", FAKE_USER="1000").returncode == 0
    assert len(tree.log("sudo")) == 1


def test_without_root_and_sudo_the_line_to_type_is_shown(tree):
    (tree.fake / "missing").write_text("cmake\n")
    result = tree.quire("x", FAKE_USER="1000")
    assert result.returncode == 125
    assert result.stderr == "quire: needed to build and run quire, and there is no sudo; as root: apt-get install cmake\n"


@pytest.mark.parametrize("absent, says", [("dpkg-query", "no dpkg-query here"), ("apt-get", "no apt-get here")])
def test_another_system_is_told_what_it_lacks(tree, absent, says):
    (tree.fake / "missing").write_text("cmake\n")
    (tree.fake / "bin" / absent).unlink()
    result = tree.quire("x")
    assert result.returncode == 125
    assert result.stderr.startswith(f"quire: {says}") and result.stderr.count("\n") == 1


def test_packages_are_listed_once_with_their_use():
    lines = [line.split(None, 2) for line in (ROOT / "scripts/packages").read_text().splitlines() if not line.startswith("#")]
    assert all(len(words) == 3 and words[0] in {"run", "test"} for words in lines)
    assert len({words[1] for words in lines}) == len(lines)


@needs_busybox
def test_the_way_to_the_command_is_short(tree):
    tree.quire("x")
    times = []
    for _ in range(5):
        begin = time.monotonic()
        tree.quire("x")
        times.append(time.monotonic() - begin)
    assert min(times) < 0.03
