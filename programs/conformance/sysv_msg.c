// System V message queues: sending, taking by type, waiting, limits.
#include "facts.h"

#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#define TRY(what, call) fact("%s: %s", what, outcome((long)(call) == -1 ? -1 : 0))
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
  long type;
  char text[8192];
};
static struct message message;
static key_t key;

static int put(int id, long type, const char* text, int flags) {
  message.type = type;
  strcpy(message.text, text);
  return msgsnd(id, &message, strlen(text), flags);
}

/// What a receive gives, in words.
static const char* take(int id, long type, size_t room, int flags) {
  static char text[8300];
  memset(&message, 0, sizeof message);
  const long size = msgrcv(id, &message, room, type, flags);
  if (size < 0) return strerrorname_np(errno);
  snprintf(text, sizeof text, "%ld of type %ld: %.40s", size, message.type, message.text);
  return text;
}

static void getting(void) {
  TRY("not there", msgget(key, 0600));
  const int id = msgget(key, IPC_CREAT | 0640);
  fact("made: %d, the same: %d", id >= 0, msgget(key, 0) == id);
  TRY("exclusively", msgget(key, IPC_CREAT | IPC_EXCL));
  struct msqid_ds now;
  memset(&now, 0x55, sizeof now);
  TRY("stat", msgctl(id, IPC_STAT, &now));
  fact("mode %o, bytes %ld, messages %ld, room %ld, key %d, owner %d, times %d %d %d, pids %d %d", now.msg_perm.mode,
       (long)now.__msg_cbytes, (long)now.msg_qnum, (long)now.msg_qbytes, now.msg_perm.__key == key, now.msg_perm.uid == geteuid(),
       now.msg_stime != 0,
       now.msg_rtime != 0, now.msg_ctime != 0, now.msg_lspid, now.msg_lrpid);
  put(id, 1, "hello", 0);
  take(id, 0, 100, 0);
  put(id, 1, "again", 0);
  msgctl(id, IPC_STAT, &now);
  fact("bytes %ld, messages %ld, times %d %d, pids %d %d", (long)now.__msg_cbytes, (long)now.msg_qnum, now.msg_stime != 0,
       now.msg_rtime != 0, now.msg_lspid == getpid(), now.msg_lrpid == getpid());
  now.msg_perm.mode = 01600;
  now.msg_qbytes = 100;
  TRY("set", msgctl(id, IPC_SET, &now));
  msgctl(id, IPC_STAT, &now);
  fact("mode %o, room %ld", now.msg_perm.mode, (long)now.msg_qbytes);
  TRY("to nowhere", msgctl(id, IPC_STAT, bad_address));
  TRY("from nowhere", msgctl(id, IPC_SET, bad_address));
  TRY("a command nobody knows", msgctl(id, 99, &now));
  TRY("a negative id", msgctl(-1, IPC_STAT, &now));
  TRY("an id of nothing", msgctl(id + 7, IPC_STAT, &now));
  struct msginfo info;
  fact("limits: %d", msgctl(0, IPC_INFO, (struct msqid_ds*)&info) >= 0);
  fact("msgmni %d msgmax %d msgmnb %d msgssz %d msgseg %u msgmap %d msgpool %d msgtql %d", info.msgmni, info.msgmax, info.msgmnb,
       info.msgssz, info.msgseg, info.msgmap, info.msgpool, info.msgtql);
  const int last = msgctl(0, MSG_INFO, (struct msqid_ds*)&info);
  fact("use: %d %d %d", info.msgpool >= 1, info.msgmap >= 1, info.msgtql >= 5);
  int met = 0;
  for (int index = 0; index <= last; ++index) met += msgctl(index, MSG_STAT, &now) == id;
  fact("met among all: %d", met);
  char line[256];
  int shown = 0;
  FILE* file = fopen("/proc/sysvipc/msg", "r");
  tell_text("head", fgets(line, sizeof line, file));
  while (fgets(line, sizeof line, file) != NULL) {
    int its_key, its_id, mode, bytes, number;
    if (sscanf(line, "%d %d %o %d %d", &its_key, &its_id, &mode, &bytes, &number) == 5 && its_id == id)
      shown = its_key == key && mode == 0600 && bytes == 5 && number == 1 && strlen(line) == 120;
  }
  fclose(file);
  fact("shown: %d", shown);
  TRY("removed", msgctl(id, IPC_RMID, NULL));
  TRY("once more", msgctl(id, IPC_RMID, NULL));
  TRY("send", put(id, 1, "x", 0));
}

static void types(int id) {
  put(id, 5, "five", 0);
  put(id, 3, "three", 0);
  put(id, 7, "seven", 0);
  put(id, 3, "three again", 0);
  put(id, 1, "one", 0);
  fact("third: %s", take(id, 2, 100, MSG_COPY | IPC_NOWAIT));
  fact("tenth: %s", take(id, 10, 100, MSG_COPY | IPC_NOWAIT));
  fact("a copy that waits: %s", take(id, 0, 100, MSG_COPY));
  fact("a copy of others: %s", take(id, 0, 100, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT));
  fact("of three: %s", take(id, 3, 100, 0));
  fact("up to six: %s", take(id, -6, 100, 0));
  fact("none of three: %s", take(id, 3, 100, MSG_EXCEPT));
  fact("first: %s", take(id, 0, 100, 0));
  fact("of nine: %s", take(id, 9, 100, IPC_NOWAIT));
  fact("too short: %s", take(id, 3, 4, 0));
  fact("cut: %s", take(id, 3, 4, MSG_NOERROR));
  fact("none: %s", take(id, LONG_MIN, 100, IPC_NOWAIT));
  TRY("empty", put(id, 2, "", 0));
  fact("empty: %s", take(id, 0, 0, 0));
  TRY("type 0", put(id, 0, "x", 0));
  TRY("type below", put(id, -1, "x", 0));
  TRY("too long", msgsnd(id, &message, 8193, 0));
  TRY("longest", (message.type = 1, msgsnd(id, &message, 8192, 0)));
  fact("longest: %.8s", take(id, 0, 8192, 0));
  TRY("nowhere", msgsnd(id, bad_address, 1, 0));
  put(id, 1, "lost", 0);
  TRY("to nowhere", msgrcv(id, bad_address, 100, 0, 0));
  fact("lost: %s", take(id, 0, 100, IPC_NOWAIT));
  TRY("a negative size", msgrcv(id, &message, (size_t)-1, 0, IPC_NOWAIT));
}

static void on_alarm(int signal) { (void)signal; }

static void waiting(int id) {
  int ends[2];
  pipe(ends);
  pid_t children[2];
  for (int n = 0; n < 2; ++n) {
    children[n] = fork();
    if (children[n] == 0) {
      fact("receiver %d: %s", n, take(id, n + 1, n == 0 ? 100 : 2, 0));
      write(ends[1], "", 1);
      _exit(0);
    }
  }
  milliseconds(50);
  char byte;
  put(id, 1, "for the first", 0);
  read(ends[0], &byte, 1);
  put(id, 2, "for the second", 0);
  read(ends[0], &byte, 1);
  for (int n = 0; n < 2; ++n) waitpid(children[n], NULL, 0);
  fact("left: %s", take(id, 0, 100, IPC_NOWAIT));
  // A full queue.
  for (int n = 0; n < 2; ++n) msgsnd(id, &(struct message){.type = 4}, 8192, 0);
  TRY("full", put(id, 1, "x", IPC_NOWAIT));
  const pid_t sender = fork();
  if (sender == 0) {
    TRY("sender", put(id, 6, "at last", 0));
    _exit(0);
  }
  milliseconds(30);
  take(id, 4, 8192, 0);
  waitpid(sender, NULL, 0);
  fact("came: %s", take(id, 6, 100, 0));
  take(id, 0, 8192, 0);
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  ualarm(20000, 0);
  fact("a signal: %s", take(id, 0, 100, 0));
  for (int n = 0; n < 2; ++n) msgsnd(id, &(struct message){.type = 4}, 8192, 0);
  ualarm(20000, 0);
  TRY("a signal", put(id, 1, "x", 0));
  pid_t child = fork();
  if (child == 0) {
    TRY("removed while sending", put(id, 1, "x", 0));
    _exit(0);
  }
  milliseconds(30);
  msgctl(id, IPC_RMID, NULL);
  waitpid(child, NULL, 0);
  const int next = msgget(IPC_PRIVATE, 0600);
  child = fork();
  if (child == 0) {
    fact("removed while receiving: %s", take(next, 1, 100, 0));
    _exit(0);
  }
  milliseconds(30);
  msgctl(next, IPC_RMID, NULL);
  waitpid(child, NULL, 0);
}

static void rights(void) {
  const int id = msgget(IPC_PRIVATE, 0404);
  if (geteuid() == 0 && fork() == 0) {
    setresgid(1001, 1001, 1001);
    setresuid(1001, 1001, 1001);
    TRY("others send", put(id, 1, "x", 0));
    fact("others receive: %s", take(id, 0, 1, IPC_NOWAIT));
    TRY("others remove", msgctl(id, IPC_RMID, NULL));
    _exit(0);
  }
  wait(NULL);
  msgctl(id, IPC_RMID, NULL);
}

int main(void) {
  key = 0x4d000000 + getpid();
  getting();
  const int id = msgget(IPC_PRIVATE, 0600);
  types(id);
  waiting(id);
  rights();
  return 0;
}
