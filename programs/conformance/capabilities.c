// What root may do, in parts: capget(2), capset(2), and what becomes of it when ids change and programs start. Run by others it says that
// they have nothing to give up.
#include "facts.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct sets {
  uint64_t effective, permitted, inheritable;
};
enum { kOther = 1234 };

static long call(long number, uint32_t version, int pid, struct __user_cap_data_struct* data) {
  struct __user_cap_header_struct header = {.version = version, .pid = pid};
  return syscall(number, &header, data);
}

static struct sets get(void) {
  struct __user_cap_data_struct data[2];
  call(SYS_capget, _LINUX_CAPABILITY_VERSION_3, 0, data);
  return (struct sets){data[0].effective | (uint64_t)data[1].effective << 32, data[0].permitted | (uint64_t)data[1].permitted << 32,
                       data[0].inheritable | (uint64_t)data[1].inheritable << 32};
}

static long set(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_data_struct data[2] = {{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
                                           {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
  return call(SYS_capset, _LINUX_CAPABILITY_VERSION_3, 0, data);
}

static struct sets first;

static const char* amount(uint64_t now, uint64_t all) { return now == 0 ? "none" : now == all ? "all" : "some"; }
static void show(const char* when) {
  const struct sets now = get();
  fact("%s: effective %s, permitted %s, inheritable %s", when, amount(now.effective, first.permitted),
       amount(now.permitted, first.permitted), amount(now.inheritable, first.permitted));
}

#define WITHOUT(capability) (first.permitted & ~(UINT64_C(1) << (capability)))
#define TRY(what, result) fact("%s: %s", what, outcome((long)(result) == -1 ? -1 : 0))

static char file[] = "/tmp/capabilities.XXXXXX";

/// Everything that takes a capability of its own.
static void powers(uint64_t kept) {
  set(kept & first.permitted, kept & first.permitted, 0);
  TRY("a file that is closed to all", open(file, O_RDONLY));
  TRY("giving it away", chown(file, kOther, (gid_t)-1));
  TRY("a group of another's", chown(file, (uid_t)-1, kOther));
  TRY("a device", mknod("/tmp/capabilities.device", S_IFCHR | 0600, 0x103));
  unlink("/tmp/capabilities.device");
  TRY("a better priority", setpriority(PRIO_PROCESS, 0, -1));
  setpriority(PRIO_PROCESS, 0, 0);
  TRY("a new root", chroot("/"));
  TRY("a signal to process 1", kill(1, 0));
  TRY("other groups", syscall(SYS_setgroups, 0, NULL));
  TRY("another group", setgid(kOther));
  TRY("another user", setuid(kOther));
}

static void calls(void) {
  struct __user_cap_data_struct data[2];
  struct __user_cap_header_struct header = {.version = 7, .pid = 0};
  tell("another version", syscall(SYS_capget, &header, data));
  fact("told the version: %d", header.version == _LINUX_CAPABILITY_VERSION_3);
  header.version = 7;
  tell("asking for the version", syscall(SYS_capget, &header, NULL));
  tell("of no process", call(SYS_capget, _LINUX_CAPABILITY_VERSION_3, 1 << 22, data));
  tell("of a negative one", call(SYS_capget, _LINUX_CAPABILITY_VERSION_3, -1, data));
  tell("to another", call(SYS_capset, _LINUX_CAPABILITY_VERSION_3, getppid(), data));
  tell("from nowhere", call(SYS_capset, _LINUX_CAPABILITY_VERSION_3, 0, bad_address));
  TRY("as they are", set(first.effective, first.permitted, first.inheritable));
  TRY("what nobody knows", set(first.effective, first.permitted | UINT64_C(1) << 63, first.inheritable));
  show("still");
}

static void giving_up(void) {
  TRY("one less", set(WITHOUT(CAP_CHOWN), WITHOUT(CAP_CHOWN), 0));
  show("then");
  TRY("back", set(first.effective, first.permitted, 0));
  TRY("effective without permitted", set(first.effective, WITHOUT(CAP_CHOWN), 0));
  TRY("only permitted", set(0, WITHOUT(CAP_CHOWN), WITHOUT(CAP_CHOWN)));
  show("then");
  TRY("effective again", set(WITHOUT(CAP_CHOWN), WITHOUT(CAP_CHOWN), WITHOUT(CAP_CHOWN)));
  show("then");
  TRY("none", set(0, 0, 0));
  show("then");
  TRY("one", set(1, 1, 0));
}

static void ids(void) {
  TRY("effective user", seteuid(kOther));
  show("then");
  TRY("back", seteuid(0));
  show("then");
  TRY("files' user", setfsuid(kOther) < 0 ? -1 : 0);
  fact("may it own files: %d", (get().effective & (1 << CAP_CHOWN)) != 0);
  setfsuid(0);
  show("back");
  TRY("user", setuid(kOther));
  show("then");
  TRY("back", setuid(0));
}

static void program(char* self) {
  set(0, 0, 0);
  execl(self, self, "started", NULL);
}
static void program_without_gain(char* self) {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  program(self);
}
static void program_of_another(char* self) {
  setuid(kOther);
  execl(self, self, "started", NULL);
}

int main(int count, char** arguments) {
  if (count > 1) {
    const struct sets now = get();
    fact("a program starts with: effective %s, permitted %s", now.effective ? "some" : "none", now.permitted ? "some" : "none");
    return 0;
  }
  first = get();
  fact("in the beginning: %s", first.permitted != 0 && first.permitted == first.effective ? "all that may be" : "none");
  fact("root: %d", geteuid() == 0);
  IN_CHILD("calls", calls());
  IN_CHILD("giving up", giving_up());
  if (geteuid() == 0) IN_CHILD("ids", ids());
  close(mkstemp(file));
  chmod(file, 0);
  IN_CHILD("powers", powers(first.permitted));
  chown(file, getuid(), getgid());
  IN_CHILD("no powers", powers(0));
  IN_CHILD("only one power", powers(1 << CAP_CHOWN));
  unlink(file);
  IN_CHILD("a program", program(arguments[0]));
  IN_CHILD("a program that may gain nothing", program_without_gain(arguments[0]));
  if (geteuid() == 0) IN_CHILD("another's program", program_of_another(arguments[0]));
  return 0;
}
