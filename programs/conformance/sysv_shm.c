// System V shared memory: segments, who may attach them, when they end.
#include "memory.h"

#include <grp.h>
#include <sys/ipc.h>
#include <sys/shm.h>

static key_t key;

static long attached(int id) {
  struct shmid_ds now;
  return shmctl(id, IPC_STAT, &now) == 0 ? (long)now.shm_nattch : -1;
}
#define TRY(what, call) fact("%s: %s", what, outcome((long)(call) == -1 ? -1 : 0))

static void getting(void) {
  TRY("not there", shmget(key, kPage, 0600));
  TRY("of no size", shmget(key, 0, IPC_CREAT | 0600));
  TRY("of all sizes", shmget(key, (size_t)-1, IPC_CREAT | 0600));
  const int id = shmget(key, 5000, IPC_CREAT | 0640);
  fact("made: %d, the same: %d", id >= 0, shmget(key, 5000, 0) == id);
  fact("smaller: %d, size 0: %d", shmget(key, 1, 0) == id, shmget(key, 0, 0) == id);
  TRY("larger", shmget(key, 5001, 0));
  TRY("exclusively", shmget(key, 5000, IPC_CREAT | IPC_EXCL));
  struct shmid_ds now;
  memset(&now, 0x55, sizeof now);
  shmctl(id, IPC_STAT, &now);
  fact("mode %o, size %ld, attached %ld, key %d, owner %d, creator %d, times %d %d %d, pids %d %d", now.shm_perm.mode, (long)now.shm_segsz,
       (long)now.shm_nattch, now.shm_perm.__key == key, now.shm_perm.uid == geteuid(), now.shm_perm.cuid == geteuid(), now.shm_atime != 0,
       now.shm_dtime != 0, now.shm_ctime != 0, now.shm_cpid == getpid(), now.shm_lpid);
  now.shm_perm.mode = 01600;
  TRY("set", shmctl(id, IPC_SET, &now));
  shmctl(id, IPC_STAT, &now);
  fact("mode %o", now.shm_perm.mode);
  TRY("lock", shmctl(id, SHM_LOCK, NULL));
  shmctl(id, IPC_STAT, &now);
  fact("mode %o", now.shm_perm.mode);
  TRY("unlock", shmctl(id, SHM_UNLOCK, NULL));
  TRY("to nowhere", shmctl(id, IPC_STAT, bad_address));
  TRY("from nowhere", shmctl(id, IPC_SET, bad_address));
  TRY("a command nobody knows", shmctl(id, 99, &now));
  TRY("a negative command", shmctl(id, -1, &now));
  TRY("a negative id", shmctl(-1, IPC_STAT, &now));
  TRY("an id of nothing", shmctl(id + 7, IPC_STAT, &now));
  struct shminfo limits;
  fact("limits: %d", shmctl(0, IPC_INFO, (struct shmid_ds*)&limits) >= 0);
  fact("max %lu, min %lu, number %lu", limits.shmmax, limits.shmmin, limits.shmmni);
  struct shm_info use;
  const int last = shmctl(0, SHM_INFO, (struct shmid_ds*)&use);
  fact("use: %d, pages %d", use.used_ids >= 1, use.shm_tot >= 2);
  int met = 0;
  for (int index = 0; index <= last; ++index) met += shmctl(index, SHM_STAT, &now) == id;
  fact("met among all: %d", met);
  TRY("removed", shmctl(id, IPC_RMID, NULL));
  TRY("once more", shmctl(id, IPC_RMID, NULL));
  TRY("its key", shmget(key, 0, 0));
  const int next = shmget(key, 1, IPC_CREAT | 0600);
  fact("another has another id: %d", next >= 0 && next != id);
  shmctl(next, IPC_RMID, NULL);
}

static void attaching(void) {
  const int id = shmget(IPC_PRIVATE, 3 * kPage, 0600);
  char* one = shmat(id, NULL, 0);
  fact("zero: %d, attached %ld", one[0] | one[2 * kPage], attached(id));
  one[1] = 'x';
  char* two = shmat(id, page(4), 0);
  fact("where wanted: %d, the same memory: %c, attached %ld", two == page(4), two[1], attached(id));
  TRY("where something is", shmat(id, page(5), 0));
  TRY("inside a page", shmat(id, page(8) + 1, 0));
  fact("rounded: %d", (char*)shmat(id, page(8) + 1, SHM_RND) == page(8));
  TRY("in place of nothing", shmat(id, NULL, SHM_REMAP));
  fact("in place: %d, attached %ld", (char*)shmat(id, page(9), SHM_REMAP) == page(9), attached(id));
  char* reads = shmat(id, page(16), SHM_RDONLY);
  fact("read only: %c, %s, made writable: %s", reads[1], touch('w', reads), outcome(mprotect(reads, kPage, kWrite)));
  TRY("an id of nothing", shmat(id + 7, NULL, 0));
  TRY("a negative id", shmat(-1, NULL, 0));
  char name[32], *line;
  snprintf(name, sizeof name, "%lx-", (unsigned long)page(4));
  line = strstr(text_of("/proc/self/maps"), name);
  if (line != NULL) line = strstr(line, "/SYSV");
  if (line != NULL) *strchr(line, '\n') = 0;
  fact("called %s", line == NULL ? "nothing" : line);
  munmap(page(5), kPage);
  fact("with a hole: attached %ld", attached(id));
  TRY("detached at its second page", shmdt(page(6)));
  TRY("detached", shmdt(page(4)));
  fact("with the part behind the hole: %s, attached %ld", touch('r', page(6)), attached(id));
  TRY("once more", shmdt(page(4)));
  TRY("inside a page", shmdt(page(9) + 1));
  TRY("where other memory is", shmdt(name - (uintptr_t)name % kPage));
  TRY("one that was covered", shmdt(page(8)));
  TRY("what covered it", shmdt(page(9)));
  TRY("the reader", shmdt(reads));
  fact("attached %ld", attached(id));
  IN_CHILD("a child", {
    fact("attached %ld, reads %c", attached(id), one[1]);
    one[1] = 'y';
    IN_CHILD("its child", fact("attached %ld", attached(id)));
    shmdt(one);
    fact("detached: %ld", attached(id));
  });
  fact("written: %c, attached %ld", one[1], attached(id));
  shmctl(id, IPC_RMID, NULL);
  struct shmid_ds now;
  shmctl(id, IPC_STAT, &now);
  fact("removed: mode %o, private %d, %c", now.shm_perm.mode, now.shm_perm.__key == IPC_PRIVATE, one[1]);
  char* again = shmat(id, NULL, 0);
  fact("attached once more: %c", again == (void*)-1 ? '-' : again[1]);
  shmdt(again);
  IN_CHILD("a child keeps it", shmdt(one));
  fact("attached %ld", attached(id));
  shmdt(one);
  fact("after the last: %ld, %s", attached(id), strerrorname_np(errno));
}

static void ends(void) {
  const int id = shmget(key, kPage, IPC_CREAT | 0600);
  IN_CHILD("a child that exits with it", {
    *(char*)shmat(id, NULL, 0) = 'e';
    shmctl(id, IPC_RMID, NULL);
  });
  fact("gone: %ld, %s", attached(id), strerrorname_np(errno));
  const int other = shmget(key, kPage, IPC_CREAT | 0600);
  IN_CHILD("a child that is killed", {
    shmat(other, NULL, 0);
    raise(SIGKILL);
  });
  fact("attached %ld", attached(other));
  shmctl(other, IPC_RMID, NULL);
}

static void permissions(void) {
  const int id = shmget(key, kPage, IPC_CREAT | 0640), shared = shmget(IPC_PRIVATE, kPage, 0604);
  if (geteuid() != 0) return;
  IN_CHILD("somebody else", {
    if (setgid(77) != 0 || setgroups(0, NULL) != 0 || setuid(77) != 0) _exit(9);
    TRY("gets", shmget(key, kPage, 0));
    TRY("gets for reading", shmget(key, kPage, 0400));
    TRY("attaches", shmat(id, NULL, SHM_RDONLY));
    TRY("attaches what all may read", shmat(shared, NULL, SHM_RDONLY));
    TRY("to write", shmat(shared, NULL, 0));
    struct shmid_ds now;
    TRY("asks", shmctl(id, IPC_STAT, &now));
    TRY("asks of the other", shmctl(shared, IPC_STAT, &now));
    TRY("sets", shmctl(shared, IPC_SET, &now));
    TRY("removes", shmctl(shared, IPC_RMID, NULL));
    TRY("locks", shmctl(shared, SHM_LOCK, NULL));
  });
  shmctl(id, IPC_RMID, NULL);
  shmctl(shared, IPC_RMID, NULL);
}

int main(void) {
  key = 0x51000000 | (getpid() & 0xffffff);
  make_arena(64);
  catch_faults();
  getting();
  attaching();
  ends();
  permissions();
  return 0;
}
