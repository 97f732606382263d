"""What programs read from /proc, and the programs that read it."""

import os
import pathlib
import re

import pytest

from conftest import BUSYBOX


def lines(result):
    assert result.stderr == b""
    return result.stdout.decode().splitlines()


def test_ps_sees_the_processes_and_their_parents(kernel):
    out = lines(kernel.shell("sleep 100 & sleep 0.2; ps -o pid,ppid,stat,comm; kill $!"))
    assert out[0].split() == ["PID", "PPID", "STAT", "COMMAND"]
    by_name = {words[3]: words for words in map(str.split, out[1:])}
    assert by_name["sleep"][1] == by_name["busybox"][0]
    assert by_name["sleep"][2].startswith("S") and by_name["ps"][2].startswith("R")


def test_processes_are_found_by_name(kernel):
    out = lines(kernel.shell("sleep 100 & test $(pidof sleep) = $!; echo $?; kill $!"))
    assert out == ["0"]


def test_top_and_free_and_uptime_understand_the_figures(kernel):
    out = kernel("run", "-m", "512M", "--", BUSYBOX, "sh", "-c", "free -k; uptime; busybox top -b -n 1; true").stdout.decode()
    total, used, free = map(int, re.search(r"Mem:\s+(\d+)\s+(\d+)\s+(\d+)", out).groups())
    assert 400_000 < total <= 512 * 1024 and used + free <= total
    assert "load average: " in out
    assert re.search(r"CPU:.* idle", out) and re.search(r"busybox sh -c", out)


@pytest.mark.parametrize("cpus, listed", [(1, "0"), (3, "0-2")])
def test_the_machines_cpus_are_listed(kernel, cpus, listed):
    script = "cd /sys/devices/system/cpu; cat online possible present; echo cpu*; nproc"
    names = " ".join(f"cpu{number}" for number in range(cpus))
    assert lines(kernel("run", "-c", str(cpus), "--", BUSYBOX, "sh", "-c", script)) == [listed] * 3 + [names, str(cpus)]


def test_mounts_are_listed(kernel):
    out = lines(kernel.shell("mount; df -P / /tmp | tail -n 1"))
    mounts = {line.split()[2]: line.split()[4] for line in out if " on " in line}
    assert mounts["/proc"] == "proc" and mounts["/tmp"] == "tmpfs" and "/" in mounts
    assert out[-1].endswith("/tmp")


def test_maps_show_the_program_heap_and_stack(kernel):
    out = lines(kernel("run", "--", BUSYBOX, "cat", "/proc/self/maps"))
    host = pathlib.Path("/proc/self/maps").read_text().splitlines()
    form = re.compile(r"[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][ps] [0-9a-f]{8} [0-9a-f]{2}:[0-9a-f]{2} \d+ .*")
    assert all(form.fullmatch(line) for line in out + host)
    starts = [int(line.split("-")[0], 16) for line in out]
    assert starts == sorted(starts)
    stack = [line for line in out if line.endswith("[stack]")]
    assert len(stack) == 1 and stack[0].index("[") == 73


NAMED_MEMORY = """
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
def name(at, length, text):
    word = libc.prctl(0x53564d41, 0, ctypes.c_ulong(at), ctypes.c_ulong(length), text)
    return "ok" if word == 0 else os.strerror(ctypes.get_errno())
kept = []
def at(memory):
    kept.append(memory)
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
def shown(address):
    for line in open("/proc/self/maps"):
        words = line.split(None, 5)
        first, last = (int(end, 16) for end in words[0].split("-"))
        if first <= address < last: return (last - first) // 4096, (words + [""])[5].strip()
own = at(mmap.mmap(-1, 8 * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
shared = at(mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
print(name(own + 4096, 8192, b"my heap"), shown(own + 4096), name(shared, 4096, b"ours"), shown(shared))
if os.fork() == 0:
    print(shown(own + 4096), name(own + 4096, 8192, None), shown(own)[1], flush=True)
    os._exit(0)
os.wait()
print(shown(own + 4096), name(own, 4096, b"x" * 80), name(own, 4096, b"a$b"), name(own + 1, 4096, b"a"))
print(name(0x10000, 4096, b"a"), libc.prctl(0x53564d41, 1, 0, 0, 0))
file = open("/bin/sh", "rb")
print(name(at(mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)), 4096, b"a"))
"""


def test_maps_show_the_names_that_programs_give_to_their_memory(kernel):
    assert lines(kernel("run", "--", "python3", "-c", NAMED_MEMORY, timeout=120)) == [
        "ok (2, '[anon:my heap]') ok (1, '[anon_shmem:ours]')",
        "(2, '[anon:my heap]') ok ",
        "(2, '[anon:my heap]') Invalid argument Invalid argument Invalid argument",
        "Cannot allocate memory -1",
        "Bad file descriptor",
    ]


def places(maps):
    """Where the parts of a program begin: the first mapping of each name."""
    result = {}
    for line in maps.splitlines():
        words = line.split()
        if len(words) == 6:
            result.setdefault(words[5].split("/")[-1], int(words[0].split("-")[0], 16))
    return result


def test_programs_are_put_where_randomize_va_space_says(kernel):
    script = """
for n in 0 1 2; do
  echo $n > /proc/sys/kernel/randomize_va_space
  for run in 1 2 3; do /bin/cat /proc/self/maps; echo; done
done
setarch -R cat /proc/self/maps; echo
setarch -R cat /proc/self/maps /proc/sys/kernel/randomize_va_space
"""
    result = kernel("run", "--", "sh", "-c", script, timeout=120)
    assert result.stderr == b"" and result.stdout.endswith(b"\n2\n")
    runs = [places(text) for text in result.stdout.decode().split("\n\n")]
    parts = ["cat", "libc.so.6", "[stack]"]
    assert len(runs) == 11 and all({*parts, "[heap]"} <= set(run) for run in runs)
    fixed = [*runs[0:3], *runs[9:11]]
    for part in parts:
        assert len({run[part] for run in fixed}) == 1, part
        assert len({run[part] for run in runs[3:6]}) > 1 and len({run[part] for run in runs[6:9]}) > 1, part
    assert len({run["[heap]"] - run["cat"] for run in [*fixed, *runs[3:6]]}) == 1
    assert len({run["[heap]"] - run["cat"] for run in runs[6:9]}) > 1


def keys(text):
    return [line.split(":")[0] for line in text.splitlines()]


@pytest.mark.parametrize("name", ["/proc/self/status", "/proc/meminfo"])
def test_keys_are_linuxs_and_in_its_order(kernel, name):
    ours = keys(kernel("run", "--", BUSYBOX, "cat", name).stdout.decode())
    theirs = keys(pathlib.Path(name).read_text())
    assert len(ours) > 5
    own = {"VmPTEPss", "VmPTEShared"}
    assert [key for key in ours if key not in own] == [key for key in theirs if key in ours]


def smaps(text):
    """Sums of the figures of all mappings, in kB."""
    sums = {}
    for key, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE):
        sums[key] = sums.get(key, 0) + int(value)
    return sums


# Rows: S3.31 X8 I10
def test_smaps_adds_up_to_status_and_rollup(kernel):
    out = lines(kernel.shell("sleep 100 & p=$!; sleep 0.2; cd /proc/$p; "
                             "cat smaps; echo ----; cat smaps_rollup; echo ----; cat status; kill $p"))
    each, rollup, status = "\n".join(out).split("----")
    each, rollup = smaps(each), smaps(rollup)
    assert each["Rss"] > 0 and each["Rss"] == each["Private_Clean"] + each["Private_Dirty"] + each["Shared_Clean"] + each["Shared_Dirty"]
    assert {key: each[key] for key in ("Rss", "Anonymous", "Referenced", "Private_Dirty")} == {
        key: rollup[key] for key in ("Rss", "Anonymous", "Referenced", "Private_Dirty")}
    figures = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB$", status, re.MULTILINE)}
    assert figures["VmRSS"] == rollup["Rss"] and 0 < rollup["Pss"] <= rollup["Rss"]
    assert 0 < figures["VmPTEPss"] <= figures["VmPTE"] and figures["VmPTEShared"] < figures["VmPTE"]


# Rows: S1.21 X8
def test_the_shares_of_all_processes_are_no_more_than_the_frames_in_use(kernel):
    script = "a=$(seq 1 2000); sleep 100 & (a=$(seq 1 500); sleep 101) & sleep 0.3; cat /proc/[0-9]*/smaps_rollup /proc/meminfo"
    sums = smaps("\n".join(lines(kernel.shell(script))))
    assert 0.9 * sums["AnonPages"] < sums["Pss_Anon"] <= sums["AnonPages"]


# Rows: S0.66
def test_pagetable_lists_the_tables_and_who_shares_them(kernel):
    out = lines(kernel.shell("a=$(head -c 6000000 /dev/zero | tr '\\0' x); (sleep 100; true) & sleep 0.2; "
                             "cat /proc/$$/pagetable; echo ----; grep VmPTE: /proc/$$/status; true"))
    tables = [line.split() for line in out[:out.index("----")]]
    form = re.compile(r"[1-4] [0-9a-f]{12}-[0-9a-f]{12} [0-9a-f]{8} \d+ \d+ \d+/512 \d+ \d+ \d+ (w?s?z?|-)")
    assert all(form.fullmatch(line) for line in out[:len(tables)])
    assert tables[0][0] == "4" and tables[0][3] == "1"
    real = [table for table in tables if "z" not in table[-1]]
    assert len(real) * 4 == int(out[-1].split()[1])
    assert any("s" in table[-1] and int(table[4]) > 1 for table in real), "a fork shares tables"


def test_a_process_describes_itself(kernel):
    out = lines(kernel.shell(
        "exec 3</dev/null; readlink /proc/self/exe; readlink /proc/$$/cwd; readlink /proc/$$/fd/3; tr '\\0' ' ' </proc/$$/cmdline; echo;"
        "cat /proc/$$/comm; readlink /proc/self/fd/1 | cut -c1-5; ls /proc/$$/task | wc -l; tr '\\0' '\\n' </proc/$$/environ | grep ^MARK",
        env={"MARK": "x"}, cwd="/tmp"))
    assert out[0] == os.path.realpath(BUSYBOX) and out[1] == "/tmp" and out[2] == "/dev/null"
    assert out[3].startswith(f"{BUSYBOX} sh -c ") and out[4] == "busybox" and out[5] == "pipe:"
    assert out[6] == "1" and out[7] == "MARK=x"


def test_stat_has_as_many_fields_as_linuxs(kernel):
    ours = kernel("run", "--", BUSYBOX, "cat", "/proc/self/stat").stdout.decode()
    assert len(ours.split()) == len(pathlib.Path("/proc/self/stat").read_text().split())


def test_what_has_gone_is_gone(kernel):
    out = lines(kernel.shell("true & p=$!; wait; cat /proc/$p/stat 2>/dev/null; echo $?; ls /proc/nothing /proc/01 2>/dev/null; echo $?"))
    assert out == ["1", "1"]


def test_a_zombie_is_one(kernel):
    out = lines(kernel.shell("sh -c 'true & exec sleep 1' & sleep 0.5; ps -o stat,ppid,comm; grep -h State: /proc/[0-9]*/status"))
    parent = next(words for words in map(str.split, out) if words[0] == "Z")[1]
    assert int(parent) > 2 and "State:\tZ (zombie)" in out


def test_forks_are_counted_in_vmstat(kernel):
    out = lines(kernel.shell("a=$(grep -w pgtable_fork /proc/vmstat); true | true; "
                             "b=$(grep -w pgtable_fork /proc/vmstat); test \"$a\" != \"$b\"; echo $?"))
    assert out == ["0"]


def test_reads_of_any_size_give_the_same_text(kernel):
    script = "sleep 100 & f=/proc/$!/maps; cat $f; for n in 1 7 64 100k; do dd if=$f bs=$n 2>/dev/null | md5sum; done; md5sum <$f; kill $!"
    sums = {line for line in lines(kernel.shell(script)) if line.endswith(" -")}
    assert len(sums) == 1


# Rows: S0.58
def test_the_trace_of_tables_says_what_is_asked_for(kernel):
    script = ("cd /proc; echo nonsense >pgtable_trace 2>/dev/null || echo refused; cat pgtable_trace; echo ----; "
              "echo fork,exec table_share >pgtable_trace; (true); /bin/busybox true; echo none >pgtable_trace; (true); cat pgtable_trace")
    out = lines(kernel("run", "--user", "root", "--", BUSYBOX, "sh", "-c", script))
    assert out[:2] == ["refused", "----"]
    words = [line.split() for line in out[2:]]
    assert [int(each[0]) for each in words] == list(range(len(words)))
    assert {each[1] for each in words} == {"fork", "exec", "table_share"}
    assert sum(each[1] == "exec" for each in words) == 1
    assert all(int(dict(word.split("=") for word in each[2:])["share"]) >= 2 for each in words if each[1] == "table_share")


def test_a_crash_that_was_asked_for_is_reported_with_the_place_and_an_audit(kernel):
    result = kernel("run", "--user", "root", "--", BUSYBOX, "sh", "-c", "echo c >/proc/sysrq-trigger")
    assert result.returncode == 125 and result.stdout == b""
    report = [line.removeprefix(b"quire: kernel: ").strip() for line in result.stderr.splitlines()]
    begin = report.index(b"panic: sysrq triggered crash")
    assert report[begin + 1].startswith(b"cpu 0 thread ") and report[begin + 2] == b"backtrace:"
    assert any(b" syscall_entry+" in line for line in report[begin:])
    assert report[-2] == b"audit:" and report[-1].endswith(b" 0 findings")


# Rows: S0.21
def test_memory_is_compacted_under_the_programs_that_use_it(kernel):
    script = """
import mmap, os
def filled(size):
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, 4096):
        area[at:at + 8] = at.to_bytes(8, "little")
    return area
def is_whole(area):
    return all(area[at:at + 8] == at.to_bytes(8, "little") for at in range(0, len(area), 4096))
low, high = filled(16 << 20), filled(16 << 20)
low.close()
go = os.pipe()
if os.fork() == 0:
    os.read(go[0], 1)
    os._exit(0 if is_whole(high) else 1)
with open("/proc/sys/vm/compact_memory", "w") as trigger:
    trigger.write("1")
os.write(go[1], b"!")
figures = dict(line.split() for line in open("/proc/vmstat"))
print(is_whole(high), os.wait()[1], int(figures["pgmigrate_success"]) > 2000)
"""
    result = kernel("run", "--user", "root", "-m", "256M", "--", "/usr/bin/python3", "-c", script)
    assert (result.stdout, result.stderr, result.returncode) == (b"True 0 True\n", b"", 0)


def test_what_may_only_be_written_is_not_even_read_by_root(kernel):
    script = ("cd /proc/sys/vm; for f in compact_memory drop_caches; do cat $f 2>/dev/null || echo refused; done; "
              "echo 2 >compact_memory || echo refused; echo 0 >drop_caches || echo refused; "
              "cat /bin/busybox >/dev/null; echo 1 >drop_caches && echo 1 >compact_memory && echo done")
    result = kernel("run", "--user", "root", "--", BUSYBOX, "sh", "-c", script)
    assert result.stdout.split() == [b"refused"] * 4 + [b"done"]


def test_the_auxiliary_vector_is_as_the_program_was_given_it(kernel):
    script = "LD_SHOW_AUXV=1 /bin/true | wc -l; LD_SHOW_AUXV=1 /bin/true | grep -c AT_ENTRY; od -An -v -w16 -tu8 /proc/self/auxv"
    shown, entry, *pairs = kernel("run", "--", "/bin/sh", "-c", script).stdout.decode().splitlines()
    keys = [int(pair.split()[0]) for pair in pairs]
    assert (len(keys), keys[-1], int(entry), keys.count(9)) == (int(shown) + 1, 0, 1, 1)


SOFT_DIRTY = """
import ctypes, mmap, os, struct
memory = mmap.mmap(-1, 8 * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
def written():
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(address // 4096 * 8)
        return "".join("d" if word >> 55 & 1 else "-" for word in struct.unpack("8Q", pagemap.read(64)))
def forget():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("4")
memory[0] = 1
print(written())
forget()
memory[4096] = memory[0] + memory[8192]
print(written())
if os.fork() == 0:
    forget()
    memory[3 * 4096] = 1
    print(written(), flush=True)
    os._exit(0)
os.wait()
memory[4 * 4096] = 1
print(written())
"""


def test_pages_written_since_clear_refs_are_told(kernel):
    result = kernel("run", "--", "/usr/bin/python3", "-u", "-c", SOFT_DIRTY, timeout=120)
    assert lines(result) == ["dddddddd", "-d------", "---d----", "-d--d---"]
