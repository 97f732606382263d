#include "net/unix_names.h"

#include <linux/fcntl.h>
#include <linux/un.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "fs/dentry.h"
#include "fs/names.h"
#include "fs/permission.h"
#include "fs/walk.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kPathOffset = sizeof(std::uint16_t);

constinit Mutex names;
constinit UnixBinding* first_name = nullptr;

bool is_abstract(const RawAddress& address) { return address.bytes[kPathOffset] == std::byte{0}; }

/// All bytes after the family.
std::string_view raw_name(const RawAddress& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()) + kPathOffset, address.size - kPathOffset};
}

std::string_view path_in(const RawAddress& address) {
  const std::string_view raw = raw_name(address);
  return raw.substr(0, raw.find('\0'));
}

RawAddress address_of(std::string_view name) {
  RawAddress address;
  const std::uint16_t family = AF_UNIX;
  std::memcpy(address.bytes.data(), &family, sizeof family);
  std::memcpy(address.bytes.data() + kPathOffset, name.data(), name.size());
  address.size = static_cast<std::uint32_t>(kPathOffset + name.size());
  return address;
}

std::uint32_t masked_mode() {
  FsContext& fs = current_fs();
  const Guard guard(fs.mutex);
  return 0777U & ~fs.umask;
}

}  // namespace

Result<void> check_unix_address(const RawAddress& address) {
  if (address.size <= kPathOffset || address.size > sizeof(sockaddr_un) || address.family() != AF_UNIX) return fail(Errno::kInval);
  return {};
}

UnixBinding::~UnixBinding() {
  const Guard guard(names);
  if (!is_listed_) return;
  (previous_ != nullptr ? previous_->next_ : first_name) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

Result<void> UnixBinding::enter(RefPtr<Inode> inode, const RawAddress& address) {
  const Guard guard(names);
  for (const UnixBinding* other = first_name; !inode && other != nullptr; other = other->next_) {
    if (!other->inode_ && raw_name(other->address_) == raw_name(address)) return fail(kAddressInUse);
  }
  inode_ = std::move(inode);
  address_ = address;
  is_listed_ = true;
  next_ = first_name;
  if (next_ != nullptr) next_->previous_ = this;
  first_name = this;
  is_bound_.store(true, std::memory_order_release);
  return {};
}

Result<void> UnixBinding::bind(const RawAddress& address) {
  if (address.size == kPathOffset && address.family() == AF_UNIX) return bind_to_any();
  QUIRE_CHECK(check_unix_address(address));
  const Guard guard(binding_);
  if (is_abstract(address)) {
    if (is_bound()) return fail(Errno::kInval);
    return enter(nullptr, address);
  }
  const std::string path(path_in(address));
  if (const auto made = make_node({AT_FDCWD, path}, S_IFSOCK | masked_mode(), 0); !made)
    return fail(made.error() == Errno::kExist ? kAddressInUse : made.error());
  if (is_bound()) {  // Linux v6.12 net/unix/af_unix.c:unix_bind_bsd() finds out in this order
    static_cast<void>(unlink_name({AT_FDCWD, path}));
    return fail(Errno::kInval);
  }
  QUIRE_TRY(const RefPtr<Dentry> dentry, resolve_path(AT_FDCWD, path, FinalLink::kKeep));
  std::string with_end = path;
  with_end.push_back('\0');
  return enter(dentry->inode(), address_of(with_end));
}

Result<void> UnixBinding::bind_to_any() {
  constexpr unsigned kNames = 1U << 20;
  static std::atomic<unsigned> last{0};
  const Guard guard(binding_);
  if (is_bound()) return {};
  for (unsigned tries = 0; tries < kNames; ++tries) {
    constexpr char kDigits[] = "0123456789abcdef";
    char name[6] = {};
    unsigned number = last.fetch_add(1) % kNames;
    for (unsigned i = 5; i > 0; --i, number /= 16) name[i] = kDigits[number % 16];
    const auto entered = enter(nullptr, address_of({name, sizeof name}));
    if (entered || entered.error() != kAddressInUse) return entered;
  }
  return fail(Errno::kNoSpc);
}

RawAddress UnixBinding::name() const { return is_bound() ? address_ : address_of({}); }

void UnixBinding::borrow(const UnixBinding& listener) {
  address_ = listener.address_;
  is_bound_.store(listener.is_bound(), std::memory_order_release);
}

Result<RefPtr<Socket>> find_unix_socket(const RawAddress& address, int type) {
  QUIRE_CHECK(check_unix_address(address));
  RefPtr<Inode> inode;
  if (!is_abstract(address)) {
    QUIRE_TRY(const RefPtr<Dentry> dentry, resolve_path(AT_FDCWD, path_in(address), FinalLink::kFollow));
    QUIRE_CHECK(check_access(*dentry->inode(), dentry->type(), kMayWrite, filesystem_identity()));
    if (dentry->type() != S_IFSOCK) return fail(kConnectionRefused);
    inode = dentry->inode();
  }
  const Guard guard(names);
  for (const UnixBinding* name = first_name; name != nullptr; name = name->next_) {
    const bool same = inode ? name->inode_ == inode : !name->inode_ && raw_name(name->address_) == raw_name(address);
    if (!same) continue;
    RefPtr<Socket> found = try_ref(name->socket_);
    if (!found) continue;
    if (found->type != type) return fail(kWrongProtocolType);
    return found;
  }
  return fail(kConnectionRefused);
}

}  // namespace quire::kernel
