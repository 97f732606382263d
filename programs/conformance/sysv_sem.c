// System V semaphores: sets, operations, all or nothing, undoing.
#include "facts.h"

#include <pthread.h>
#include <sys/ipc.h>
#include <sys/sem.h>

union semun {
  int val;
  struct semid_ds* buf;
  unsigned short* array;
  struct seminfo* info;
};
#define TRY(what, call) fact("%s: %s", what, outcome((long)(call) == -1 ? -1 : 0))

static key_t key;

static int value(int id, int number) { return semctl(id, number, GETVAL); }
static int op(int id, int number, int by, int flags) {
  struct sembuf one = {(unsigned short)number, (short)by, (short)flags};
  return semop(id, &one, 1);
}

static void getting(void) {
  TRY("not there", semget(key, 1, 0600));
  TRY("none", semget(key, 0, IPC_CREAT | 0600));
  TRY("less than none", semget(key, -1, IPC_CREAT | 0600));
  TRY("too many", semget(key, 32001, IPC_CREAT | 0600));
  const int id = semget(key, 3, IPC_CREAT | 0640);
  fact("made: %d, the same: %d, fewer: %d, none: %d", id >= 0, semget(key, 3, 0) == id, semget(key, 1, 0) == id, semget(key, 0, 0) == id);
  TRY("more", semget(key, 4, 0));
  TRY("exclusively", semget(key, 3, IPC_CREAT | IPC_EXCL));
  struct semid_ds now;
  memset(&now, 0x55, sizeof now);
  TRY("stat", semctl(id, 0, IPC_STAT, (union semun){.buf = &now}));
  fact("mode %o, number %ld, key %d, owner %d, creator %d, times %d %d", now.sem_perm.mode, (long)now.sem_nsems, now.sem_perm.__key == key,
       now.sem_perm.uid == geteuid(), now.sem_perm.cuid == geteuid(), now.sem_otime != 0, now.sem_ctime != 0);
  now.sem_perm.mode = 01600;
  TRY("set", semctl(id, 0, IPC_SET, (union semun){.buf = &now}));
  semctl(id, 0, IPC_STAT, (union semun){.buf = &now});
  fact("mode %o", now.sem_perm.mode);
  TRY("to nowhere", semctl(id, 0, IPC_STAT, (union semun){.buf = bad_address}));
  TRY("from nowhere", semctl(id, 0, IPC_SET, (union semun){.buf = bad_address}));
  TRY("a command nobody knows", semctl(id, 0, 99, (union semun){.val = 0}));
  TRY("an id of nothing", semctl(id + 7, 0, IPC_STAT, (union semun){.buf = &now}));
  TRY("a negative id", semctl(-1, 0, IPC_STAT, (union semun){.buf = &now}));
  struct seminfo info;
  fact("limits: %d", semctl(0, 0, IPC_INFO, (union semun){.info = &info}) >= 0);
  fact("semmni %d semmns %d semmsl %d semopm %d semvmx %d semmnu %d semmap %d semume %d semusz %d semaem %d", info.semmni, info.semmns,
       info.semmsl, info.semopm, info.semvmx, info.semmnu, info.semmap, info.semume, info.semusz, info.semaem);
  const int last = semctl(0, 0, SEM_INFO, (union semun){.info = &info});
  fact("use: %d %d", info.semusz >= 1, info.semaem >= 3);
  int met = 0;
  for (int index = 0; index <= last; ++index) met += semctl(index, 0, SEM_STAT, (union semun){.buf = &now}) == id;
  fact("met among all: %d", met);
  char line[256];
  int shown = 0;
  FILE* file = fopen("/proc/sysvipc/sem", "r");
  tell_text("head", fgets(line, sizeof line, file));
  while (fgets(line, sizeof line, file) != NULL) {
    int its_key, its_id, mode, number;
    if (sscanf(line, "%d %d %o %d", &its_key, &its_id, &mode, &number) == 4 && its_id == id)
      shown = its_key == key && mode == 0600 && number == 3 && strlen(line) == 85;
  }
  fclose(file);
  fact("shown: %d", shown);
  TRY("removed", semctl(id, 0, IPC_RMID));
  TRY("once more", semctl(id, 0, IPC_RMID));
  TRY("operate", op(id, 0, 1, 0));
  const int next = semget(key, 1, IPC_CREAT | 0600);
  fact("another has another id: %d", next >= 0 && next != id);
  semctl(next, 0, IPC_RMID);
}

static void values(int id) {
  unsigned short all[3] = {1, 2, 3};
  fact("at first: %d %d", value(id, 0), value(id, 2));
  TRY("set one", semctl(id, 1, SETVAL, (union semun){.val = 7}));
  TRY("too much", semctl(id, 1, SETVAL, (union semun){.val = 32768}));
  TRY("too little", semctl(id, 1, SETVAL, (union semun){.val = -1}));
  TRY("beyond", semctl(id, 3, SETVAL, (union semun){.val = 1}));
  TRY("before", semctl(id, -1, GETVAL));
  fact("now: %d, by us %d", value(id, 1), semctl(id, 1, GETPID) == getpid());
  TRY("set all", semctl(id, 0, SETALL, (union semun){.array = all}));
  memset(all, 0, sizeof all);
  TRY("get all", semctl(id, 0, GETALL, (union semun){.array = all}));
  fact("all: %u %u %u", all[0], all[1], all[2]);
  all[1] = 40000;
  TRY("set all too much", semctl(id, 0, SETALL, (union semun){.array = all}));
  TRY("get all to nowhere", semctl(id, 0, GETALL, (union semun){.array = bad_address}));
}

static void operations(int id) {
  struct sembuf many[501] = {0};
  TRY("up", op(id, 0, 4, 0));
  TRY("down", op(id, 0, -5, 0));
  fact("left: %d", value(id, 0));
  TRY("down, not waiting", op(id, 0, -1, IPC_NOWAIT));
  TRY("for zero", op(id, 0, 0, 0));
  TRY("for zero, not waiting", op(id, 1, 0, IPC_NOWAIT));
  TRY("over the top", op(id, 1, 32767, 0));
  TRY("beyond", op(id, 3, 1, 0));
  TRY("none", semop(id, many, 0));
  TRY("too many", semop(id, many, 501));
  TRY("nowhere", semop(id, bad_address, 1));
  TRY("of nothing", op(-1, 0, 1, 0));
  struct sembuf both[3] = {{1, -2, 0}, {2, 1, 0}, {0, -1, IPC_NOWAIT}};
  TRY("all or nothing", semop(id, both, 3));
  fact("values: %d %d %d", value(id, 0), value(id, 1), value(id, 2));
  struct sembuf twice[2] = {{0, 2, 0}, {0, -1, 0}};
  TRY("the same twice", semop(id, twice, 2));
  fact("value: %d", value(id, 0));
  struct timespec soon = {0, 30000000}, never = {0, 1000000000};
  struct sembuf down = {0, -10, 0};
  TRY("for a while", semtimedop(id, &down, 1, &soon));
  TRY("for no time", semtimedop(id, &down, 1, &never));
  struct semid_ds now;
  semctl(id, 0, IPC_STAT, (union semun){.buf = &now});
  fact("time of the last: %d", now.sem_otime != 0);
}

static void on_alarm(int signal) { (void)signal; }

static void waiting(int id) {
  semctl(id, 0, SETVAL, (union semun){.val = 0});
  semctl(id, 1, SETVAL, (union semun){.val = 1});
  pid_t children[3];
  int ends[2];
  pipe(ends);
  for (int n = 0; n < 3; ++n) {
    children[n] = fork();
    if (children[n] == 0) {
      const char letter = (char)('a' + n);
      op(id, 0, n == 0 ? -3 : -1, 0);
      write(ends[1], &letter, 1);
      _exit(0);
    }
    while (semctl(id, 0, GETNCNT) != n + 1) milliseconds(1);
  }
  const pid_t zero = fork();
  if (zero == 0) {
    op(id, 1, 0, 0);
    write(ends[1], "z", 1);
    _exit(0);
  }
  while (semctl(id, 1, GETZCNT) != 1) milliseconds(1);
  fact("waiting: %d for more, %d for zero", semctl(id, 0, GETNCNT), semctl(id, 0, GETZCNT));
  char order[5] = "";
  op(id, 0, 1, 0);
  read(ends[0], order, 1);
  op(id, 0, 1, 0);
  read(ends[0], order + 1, 1);
  op(id, 0, 3, 0);
  read(ends[0], order + 2, 1);
  op(id, 1, -1, 0);
  read(ends[0], order + 3, 1);
  fact("order: %s, left %d, waiting %d", order, value(id, 0), semctl(id, 0, GETNCNT));
  for (int n = 0; n < 3; ++n) waitpid(children[n], NULL, 0);
  fact("last by: %d", semctl(id, 0, GETPID) == children[0]);
  waitpid(zero, NULL, 0);
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  ualarm(20000, 0);
  TRY("a signal", op(id, 0, -1, 0));
  fact("waiting: %d", semctl(id, 0, GETNCNT));
}

static void undoing(int id) {
  semctl(id, 0, SETVAL, (union semun){.val = 5});
  IN_CHILD("takes and ends", op(id, 0, -3, SEM_UNDO); fact("meanwhile: %d", value(id, 0)));
  fact("given back: %d", value(id, 0));
  IN_CHILD("gives and ends", op(id, 0, 2, SEM_UNDO); op(id, 0, -7, 0));
  fact("not below nothing: %d", value(id, 0));
  semctl(id, 0, SETVAL, (union semun){.val = 5});
  IN_CHILD("its value is set", op(id, 0, -3, SEM_UNDO); semctl(id, 0, SETVAL, (union semun){.val = 1}));
  fact("forgotten: %d", value(id, 0));
  IN_CHILD("a child's child", op(id, 0, -1, SEM_UNDO); IN_CHILD("ends first", ); fact("still taken: %d", value(id, 0)));
  fact("given back: %d", value(id, 0));
  IN_CHILD("too much to undo", op(id, 0, 32000, SEM_UNDO); op(id, 0, -32000, 0); TRY("more", op(id, 0, 1000, SEM_UNDO)));
  fact("left: %d", value(id, 0));
}

static void* taker(void* id) {
  op(*(int*)id, 0, -1, SEM_UNDO);
  return NULL;
}

static void threads(int id) {
  semctl(id, 0, SETVAL, (union semun){.val = 2});
  pthread_t thread;
  pthread_create(&thread, NULL, taker, &id);
  pthread_join(thread, NULL);
  fact("after the thread: %d", value(id, 0));
}

static void removing(void) {
  const int id = semget(IPC_PRIVATE, 1, 0600);
  const pid_t child = fork();
  if (child == 0) {
    TRY("removed while waiting", op(id, 0, -1, 0));
    _exit(0);
  }
  while (semctl(id, 0, GETNCNT) != 1) milliseconds(1);
  semctl(id, 0, IPC_RMID);
  waitpid(child, NULL, 0);
}

static void rights(void) {
  const int id = semget(IPC_PRIVATE, 1, 0404);
  if (geteuid() == 0 && fork() == 0) {
    setresgid(1001, 1001, 1001);
    setresuid(1001, 1001, 1001);
    TRY("others read", semctl(id, 0, GETVAL));
    TRY("others change", op(id, 0, 1, 0));
    TRY("others wait for zero", op(id, 0, 0, 0));
    TRY("others set", semctl(id, 0, SETVAL, (union semun){.val = 1}));
    TRY("others remove", semctl(id, 0, IPC_RMID));
    _exit(0);
  }
  wait(NULL);
  semctl(id, 0, IPC_RMID);
}

int main(void) {
  key = 0x53000000 + getpid();
  getting();
  const int id = semget(IPC_PRIVATE, 3, 0600);
  values(id);
  operations(id);
  waiting(id);
  undoing(id);
  IN_CHILD("threads", threads(id));
  fact("after all of them: %d", value(id, 0));
  removing();
  rights();
  semctl(id, 0, IPC_RMID);
  return 0;
}
