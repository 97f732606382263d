// The name space at start: what is mounted where.
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <algorithm>

#include "boot/launch.h"
#include "drivers/console_port.h"
#include "fs/devices.h"
#include "fs/lookup.h"
#include "fs/memory/machine_memory.h"
#include "fs/memory/memory_fs.h"
#include "fs/mount.h"
#include "fs/nine_p/file_system.h"
#include "fs/nine_p/shared_contents.h"
#include "fs/overlay/overlay_fs.h"
#include "fs/permission.h"
#include "fs/procfs/procfs.h"
#include "fs/procfs/text.h"
#include "fs/vfs.h"
#include "fs/walk.h"
#include "lib/log.h"
#include "sched/thread.h"
#include "tty/streams.h"

namespace quire::kernel {
namespace {

constexpr std::uint32_t kStickyForAll = 01777;

RefPtr<OverlayFs>& root_overlay() {
  static RefPtr<OverlayFs>& overlay =
      *new RefPtr<OverlayFs>;  // never destroyed, see dentry_cache()
  return overlay;
}

/// Files of the overlay that no program wrote.
constinit unsigned files_written_at_boot = 0;

/// Says on the log what could not be mounted, and why.
Result<void> noted(std::string_view what, Result<void> result) {
  if (!result) log(LogLevel::kInfo, "mount {}: error {}", what, static_cast<int>(result.error()));
  return result;
}

std::unique_ptr<Mount> make_mount(RefPtr<FileSystem> fs, std::string_view source,
                                  MountAccess access) {
  return std::make_unique<Mount>(std::move(fs), source, access);
}

Result<void> mount_root() {
  NinePTransport* transport = nine_p_transport(launch().root);
  if (transport == nullptr) return fail(Errno::kNoDev);
  RefPtr<Inode> root;
  const nine_p::Sharing sharing =
      launch().root_writable ? nine_p::Sharing::kShared : nine_p::Sharing::kStable;
  QUIRE_TRY(RefPtr<FileSystem> fs, nine_p::FileSystem9p::mount(*transport, sharing, root));
  if (!launch().root_writable) {
    root_overlay() = make_overlay_fs();
    fs = root_overlay();
    root = make_overlay_root(root_overlay(), std::move(root));
  }
  QUIRE_CHECK(mount_table().mount(
      nullptr, make_mount(std::move(fs), launch().root, MountAccess::kReadWrite), std::move(root)));
  return {};
}

/// The directory `path`; in the overlay, directories on the way are made. Errors: ENOENT on a
/// writable root, where they are not.
Result<RefPtr<Dentry>> directory_at(std::string_view path) {
  RefPtr<Dentry> at = mount_table().root();
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name.empty()) continue;
    QUIRE_TRY(RefPtr<Dentry> next, lookup(*at, std::span(&name, 1)));
    if (next->is_symlink()) {
      Walker walker;
      QUIRE_CHECK(walker.begin(at, mount_table().root(), name));
      QUIRE_TRY(next, walker.resolve(FinalLink::kFollow));
    }
    if (next->is_negative()) {
      if (!at->inode()->caches_absence()) return fail(Errno::kNoEnt);
      QUIRE_TRY(RefPtr<Inode> made, at->inode()->create(name, S_IFDIR | 0755U, 0));
      QUIRE_TRY(next, publish_new(*at, name, std::move(made)));
    }
    at = std::move(next);
  }
  return at;
}

Result<void> mount_at(std::string_view path, RefPtr<FileSystem> fs, std::string_view source,
                      RefPtr<Inode> root, MountAccess access = MountAccess::kReadWrite) {
  QUIRE_TRY(RefPtr<Dentry> where, directory_at(path));
  QUIRE_CHECK(mount_table().mount(std::move(where), make_mount(std::move(fs), source, access),
                                  std::move(root)));
  return {};
}

Result<void> mount_memory(std::string_view path, std::string_view type, std::uint32_t permissions) {
  const RefPtr<MemoryFs> fs = make_memory_fs(type);
  return mount_at(path, fs, type, make_memory_root(fs, permissions));
}

struct DeviceNode {
  std::string_view name;
  std::uint32_t major, minor, permissions;
};
constexpr DeviceNode kDevices[] = {
    {"null", 1, 3, 0666},    {"zero", 1, 5, 0666}, {"full", 1, 7, 0666},    {"random", 1, 8, 0666},
    {"urandom", 1, 9, 0666}, {"tty", 5, 0, 0666},  {"console", 5, 1, 0620},
    {"ptmx", 5, 2, 0666},
};
struct DeviceLink {
  std::string_view name, target;
};
constexpr DeviceLink kDeviceLinks[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

Result<void> mount_devices() {
  const RefPtr<MemoryFs> fs = make_memory_fs("devtmpfs");
  const RefPtr<Inode> root = make_memory_root(fs, 0755);
  for (const DeviceNode& device : kDevices) {
    QUIRE_TRY(const RefPtr<Inode> node, root->create(device.name, S_IFCHR | device.permissions,
                                                     device_number(device.major, device.minor)));
    if (device.name != "console") continue;
    // The caller's terminal belongs to the caller.
    AttributeChange owner;
    owner.uid = launch().uid;
    owner.gid = launch().gid;
    QUIRE_CHECK(node->set_attributes(owner));
  }
  for (const DeviceLink& link : kDeviceLinks) QUIRE_CHECK(root->symlink(link.name, link.target));
  QUIRE_CHECK(root->create("pts", S_IFDIR | 0755U, 0));
  QUIRE_CHECK(root->create("shm", S_IFDIR | kStickyForAll, 0));
  QUIRE_CHECK(mount_at("/dev", fs, "devtmpfs", root));
  return mount_memory("/dev/shm", "tmpfs", kStickyForAll);
}

Result<void> make_text_file(Inode& directory, std::string_view name, std::string text) {
  QUIRE_TRY(const RefPtr<Inode> node, directory.create(name, S_IFREG | 0444U, 0));
  QUIRE_TRY(const RefPtr<File> file, node->open(O_WRONLY));
  IoBuffer from = IoBuffer::kernel(text.data(), text.size());
  QUIRE_CHECK(file->write(from, 0));
  return {};
}

/// The host's /sys is not about this machine. What programs look for in every one is which CPUs there are, and the
/// pools of huge pages; for the rest they ask /proc.
Result<void> mount_system() {
  const RefPtr<MemoryFs> fs = make_memory_fs("tmpfs");
  const RefPtr<Inode> root = make_memory_root(fs, 0555);
  RefPtr<Inode> cpus = root;
  for (const std::string_view name : {"devices", "system", "cpu"}) {
    QUIRE_TRY(cpus, cpus->create(name, S_IFDIR | 0555U, 0));
  }
  std::string all = "0";
  if (cpu_count() > 1) TextBuilder(all).text("-").number(cpu_count() - 1);
  all += "\n";
  for (const std::string_view name : {"online", "possible", "present"}) QUIRE_CHECK(make_text_file(*cpus, name, all));
  for (unsigned cpu = 0; cpu < cpu_count(); ++cpu) {
    std::string name;
    TextBuilder(name).text("cpu").number(cpu);
    QUIRE_CHECK(cpus->create(name, S_IFDIR | 0555U, 0));
  }
  RefPtr<Inode> place = root;
  for (const std::string_view name : {"kernel", "mm", "hugepages"}) {
    QUIRE_TRY(place, place->create(name, S_IFDIR | 0555U, 0));
  }
  QUIRE_CHECK(mount_at("/sys", fs, "tmpfs", root, MountAccess::kReadOnly));
  const auto pools = make_ref<PseudoFileSystem>("sysfs", std::uint64_t{SYSFS_MAGIC});
  return mount_at("/sys/kernel/mm/hugepages", pools, "sysfs", huge_pages_root());
}

Result<void> mount_share(const Launch::RwMount& share) {
  NinePTransport* transport = nine_p_transport(share.tag);
  if (transport == nullptr) return fail(Errno::kNoDev);
  RefPtr<Inode> root;
  QUIRE_TRY(RefPtr<FileSystem> fs,
            nine_p::FileSystem9p::mount(*transport, nine_p::Sharing::kShared, root));
  return mount_at(share.path, std::move(fs), share.tag, std::move(root));
}

bool names_host(std::string_view table, std::string_view host) {
  constexpr std::string_view kBetweenWords = " \t\n";
  for (std::size_t at = table.find(host); at != std::string_view::npos; at = table.find(host, at + 1)) {
    const std::size_t end = at + host.size();
    const bool begins = at != 0 && kBetweenWords.find(table[at - 1]) != std::string_view::npos;
    if (begins && (end == table.size() || kBetweenWords.find(table[end]) != std::string_view::npos)) return true;
  }
  return false;
}

/// Programs ask for the address of the machine they run on, but the /etc/hosts that they see is of another one: where changes stay in
/// memory, this machine's name is added, as installers do.
Result<void> name_this_machine() {
  constexpr std::uint64_t kLongestTable = 65536;
  if (!root_overlay()) return {};
  Walker walker;
  QUIRE_CHECK(walker.begin(mount_table().root(), mount_table().root(), "etc/hosts"));
  QUIRE_TRY(const RefPtr<Dentry> found, walker.resolve(FinalLink::kFollow));
  if (found->is_negative()) return {};
  QUIRE_TRY(const RefPtr<File> file, found->inode()->open(O_RDWR));
  QUIRE_TRY(const Attributes attributes, found->inode()->attributes());
  std::string table(std::min(attributes.size, kLongestTable), '\0');
  QUIRE_TRY(const std::size_t size, read_file(*file, table.data(), table.size(), 0));
  if (size != attributes.size || names_host(table, launch().hostname)) return {};
  std::string line = table.ends_with('\n') || table.empty() ? "" : "\n";
  line.append("127.0.1.1\t").append(launch().hostname).append("\n");
  IoBuffer from = IoBuffer::kernel(line.data(), line.size());
  QUIRE_CHECK(file->write(from, size));
  files_written_at_boot = root_overlay()->files_written.load();
  return {};
}

}  // namespace

Result<void> mount_everything() {
  // A name with its inodes takes about a KiB and a half.
  constexpr std::uint64_t kPagesPerName = 8, kFewestNames = 1024, kMostNames = 32768;
  dentry_cache().set_capacity(std::clamp(memory_pages() / kPagesPerName, kFewestNames, kMostNames));
  QUIRE_CHECK(noted("/", mount_root()));
  QUIRE_CHECK(noted("/tmp", mount_memory("/tmp", "tmpfs", kStickyForAll)));
  QUIRE_CHECK(noted("/dev", mount_devices()));
  const auto proc = make_ref<PseudoFileSystem>("proc", std::uint64_t{PROC_SUPER_MAGIC});
  QUIRE_CHECK(noted("/proc", mount_at("/proc", proc, "proc", procfs_root())));
  QUIRE_CHECK(noted("/sys", mount_system()));
  for (const Launch::RwMount& share : launch().rw)
    QUIRE_CHECK(noted(share.path, mount_share(share)));
  static_cast<void>(noted("/etc/hosts", name_this_machine()));
  leave_boot_identity();
  return {};
}

RefPtr<FsContext> initial_fs_context(std::string_view cwd) {
  RefPtr<FsContext> context = make_ref<FsContext>();
  context->root = context->cwd = mount_table().root();
  context->umask = launch().umask;
  Walker walker(Identity::root());
  if (walker.begin(context->root, context->root, cwd)) {
    Result<RefPtr<Dentry>> found = walker.resolve(FinalLink::kFollow);
    if (found && (*found)->is_directory()) context->cwd = std::move(*found);
  }
  return context;
}

Result<void> open_standard_files(FdTable& table) {
  for (int fd = 0; fd < 3; ++fd) {
    QUIRE_TRY(RefPtr<File> file, open_standard_stream(fd));
    if (launch().tty.find(static_cast<char>('0' + fd)) != std::string_view::npos) {
      QUIRE_TRY(file->dentry, directory_at("/dev/console"));
      file->inode = file->dentry->inode();
    }
    QUIRE_CHECK(table.install(std::move(file), fd, false));
  }
  return {};
}

unsigned overlay_files_written() {
  const unsigned all = root_overlay() ? root_overlay()->files_written.load() : 0;
  return all - std::min(all, files_written_at_boot);
}

LostWrites store_for_the_last_time() { return nine_p::SharedContents::give_up_every(); }

void drop_file_systems() {
  nine_p::Client::stop_clunking();
  root_overlay() = nullptr;
  mount_table().drop();
}

}  // namespace quire::kernel
