"""Programs that ask much of memory, processes and files: Debian's, unmodified, from the host's root."""

import pytest

# Of stress-ng: what uses memory and processes.
QUICK_STRESSORS = "fork mremap mprotect sigsegv"
STRESSORS = ("vfork clone exec mmap mmapfork mmapaddr mmapfixed mmapmany munmap madvise mincore mlock msync shm shm-sysv memfd fault brk "
             "stack bigheap vm vm-rw vm-splice rmap pagemove zero null pipe futex switch")

STRESS = """
for stressor in $STRESSORS; do
  stress-ng --$stressor 2 --timeout 1s --verify --temp-path /tmp > /tmp/log 2>&1 && ! grep -q fail: /tmp/log && continue
  echo $stressor fails
  cat /tmp/log
done
"""


def stress(kernel, stressors, timeout):
    # Not as root: some refuse that.
    result = kernel("run", "-c", "2", "--user", "nobody", "-e", f"STRESSORS={stressors}", "--", "/bin/sh", "-c", STRESS, timeout=timeout)
    assert (result.stdout.decode(), result.returncode) == ("", 0)


def test_stress_of_memory_is_withstood(kernel):
    stress(kernel, QUICK_STRESSORS, 120)


@pytest.mark.long
def test_stress_of_all_kinds_is_withstood(kernel):
    stress(kernel, STRESSORS, 900)


@pytest.mark.long
def test_stress_of_faults_that_programs_resolve_is_withstood(kernel):
    result = kernel("run", "-c", "2", "--", "/bin/sh", "-c", STRESS.replace("$STRESSORS", "userfaultfd"), timeout=120)
    assert (result.stdout.decode(), result.returncode) == ("", 0)


def python_tests(kernel, *names, timeout):
    result = kernel("run", "-c", "2", "-m", "3G", "--user", "nobody", "--cwd", "/tmp", "-e", "HOME=/tmp", "--",
                    "/usr/bin/python3", "-m", "test", "-W", *names, timeout=timeout)
    assert result.returncode == 0, result.stdout.decode()


def test_python_maps_files_as_its_tests_want(kernel):
    python_tests(kernel, "test_mmap", timeout=120)


@pytest.mark.long
@pytest.mark.parametrize("name", ["test_os", "test_threading", "test_signal", "test_socket", "test_subprocess",
                                  "test_multiprocessing_fork"])
def test_python_passes_its_own_tests(kernel, name):
    python_tests(kernel, name, timeout=900)


MAKE = r"""
set -e
mkdir /tmp/project; cd /tmp/project
for i in 1 2 3 4 5 6; do echo "int f$i(int x) { return x * $i; }" > f$i.c; done
{
  for i in 1 2 3 4 5 6; do echo "int f$i(int);"; done
  echo 'int main(void) { return f1(1) + f2(1) + f3(1) + f4(1) + f5(1) + f6(1); }'
} > main.c
printf 'program: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\n' > Makefile
make -s -j2
./program || echo "1 to 6 are $?"
touch f3.c
make -j2
make -q && echo up to date
"""


def test_make_builds_what_has_changed(kernel):
    result = kernel("run", "-c", "2", "--", "/bin/sh", "-c", MAKE, timeout=120)
    lines = result.stdout.decode().splitlines()
    assert lines[:2] == ["1 to 6 are 21", "gcc -O1 -c -o f3.o f3.c"]
    assert lines[2].startswith("gcc -o program ") and lines[3:] == ["up to date"]
    assert result.returncode == 0


# What configure scripts do: many small programs are compiled, linked and run, and the answers go into a header.
CONFIGURE = r"""
mkdir /tmp/configured; cd /tmp/configured; exec 5> config.log
trap 'rm -f conftest*' 0
for header in stdio.h stdlib.h unistd.h sys/mman.h sys/epoll.h nowhere.h; do
  printf '#include <%s>\nint main(void) { return 0; }\n' $header > conftest.c
  name=HAVE_`echo $header | tr 'a-z./' 'A-Z__'`
  if gcc -c conftest.c >&5 2>&1; then echo "#define $name 1"; else echo "/* #undef $name */"; fi
done > config.h
for function in mmap fork nothing_at_all; do
  printf 'char %s();\nint main(void) { return %s(); }\n' $function $function > conftest.c
  name=HAVE_`echo $function | tr a-z A-Z`
  if gcc -fno-builtin -o conftest conftest.c >&5 2>&1; then echo "#define $name 1"; else echo "/* #undef $name */"; fi
done >> config.h
cat > conftest.c <<'END'
#include <stdio.h>
int main(void) { return printf("#define SIZE_OF_LONG %d\n", (int)sizeof(long)) < 0; }
END
gcc -o conftest conftest.c && ./conftest >> config.h
sed -e 's,@prefix@,/usr,' > Makefile <<'END'
PREFIX = @prefix@
END
cat config.h Makefile
"""


def test_a_script_finds_out_what_is_there(kernel):
    result = kernel("run", "-c", "2", "--", "/bin/sh", "-c", CONFIGURE, timeout=120)
    assert result.stdout.decode().splitlines() == [
        "#define HAVE_STDIO_H 1", "#define HAVE_STDLIB_H 1", "#define HAVE_UNISTD_H 1", "#define HAVE_SYS_MMAN_H 1",
        "#define HAVE_SYS_EPOLL_H 1", "/* #undef HAVE_NOWHERE_H */", "#define HAVE_MMAP 1", "#define HAVE_FORK 1",
        "/* #undef HAVE_NOTHING_AT_ALL */", "#define SIZE_OF_LONG 8", "PREFIX = /usr"]
    assert result.returncode == 0


# A snapshot while others write: the dump is of one moment, loads, and has everything.
REDIS = """
cd /tmp
cli() { redis-cli -p 6399 "$@"; }
start() {
  redis-server --port 6399 --save '' --dir /tmp --daemonize yes --enable-debug-command local --rdbcompression no > /dev/null
  until cli ping 2> /dev/null | grep -q PONG; do sleep 0.1; done
}
start
cli debug populate $KEYS key 1000
redis-benchmark -p 6399 -t set -r 10000 -n $WRITES -c 10 -q > /dev/null &
cli bgsave
wait $!
while cli info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.1; done
cli info persistence | grep -o rdb_last_bgsave_status:..
cli save
cli debug digest > before
cli dbsize >> before
cli shutdown nosave
start
cli debug digest > after
cli dbsize >> after
cmp before after && echo the same
cli shutdown nosave
"""


def snapshot(kernel, keys, writes, timeout):
    result = kernel("run", "-c", "2", "-m", "3G", "--user", "redis", "-e", f"KEYS={keys}", "-e", f"WRITES={writes}",
                    "--", "/bin/sh", "-c", REDIS, timeout=timeout)
    assert result.stdout.decode().splitlines() == ["OK", "Background saving started", "rdb_last_bgsave_status:ok", "OK", "the same"]
    assert result.returncode == 0


def test_redis_saves_while_others_write(kernel):
    snapshot(kernel, keys=30_000, writes=5_000, timeout=120)


@pytest.mark.long
def test_redis_saves_half_a_gibibyte_while_others_write(kernel):
    snapshot(kernel, keys=512_000, writes=50_000, timeout=900)


# The sum of all changes is what the history says, before and after a restart, and every index agrees with its table.
POSTGRES = """
cd /tmp
PATH=/usr/lib/postgresql/15/bin:$PATH; export PATH PGDATA=/tmp/data PGHOST=/tmp PGUSER=postgres
initdb -A trust > /dev/null || exit 1
printf "shared_buffers = 1GB\\nunix_socket_directories = '/tmp'\\n" >> $PGDATA/postgresql.conf
start() { pg_ctl -s -w -t 200 -l log start; }
ask() { psql -At bench -c "$1"; }
sums() {
  ask 'select sum(bbalance), (select sum(abalance) from pgbench_accounts), (select sum(delta) from pgbench_history) from pgbench_branches'
}
start
createdb bench
pgbench -q -i -s 2 bench 2> /dev/null
pgbench -c 8 -T $SECONDS_OF_WORK bench | grep -o 'number of failed transactions: 0'
sums > before
pg_ctl -s -w stop
start
sums > after
cmp before after && awk -F'|' '{ exit !($1 == $2 && $2 == $3) }' after && echo the same
ask 'create extension amcheck'
ask "select bool_and(bt_index_check(c.oid) is not null) from pg_class c join pg_am a on a.oid = c.relam
     where amname = 'btree' and relpersistence = 'p'"
pg_ctl -s -w stop
grep -E 'WARNING|ERROR|FATAL|PANIC' log
"""


@pytest.mark.long
def test_postgresql_keeps_what_eight_clients_write(kernel):
    result = kernel("run", "-c", "2", "-m", "3G", "--user", "postgres", "-e", "SECONDS_OF_WORK=30", "--", "/bin/bash", "-c", POSTGRES,
                    timeout=600)
    assert result.stdout.decode().splitlines() == ["number of failed transactions: 0", "the same", "CREATE EXTENSION", "t"]
