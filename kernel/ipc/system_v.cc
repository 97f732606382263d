#include "ipc/system_v.h"

#include "mm/memory.h"
#include "time/clock.h"

namespace quire::kernel {
namespace {

// Linux v6.12 ipc/util.h: IPCMNI_SHIFT.
constexpr int kIndexBits = 15;
constexpr std::int32_t kSequences = 1 << (31 - kIndexBits);

std::size_t index_of(std::int32_t id) { return static_cast<std::size_t>(id & ((1 << kIndexBits) - 1)); }

}  // namespace

Result<void> check_kernel_memory() {
  if (memory().pool().free_frames() <= memory().config().kernel_reserve) return fail(Errno::kNoMem);
  return {};
}

std::int64_t ipc_time() { return static_cast<std::int64_t>(realtime_ns() / 1'000'000'000); }

IpcObject::IpcObject(std::int32_t wanted_key, std::uint32_t permissions)
    : key(wanted_key),
      mode(permissions & 0777),
      uid(current_credentials().euid),
      gid(current_credentials().egid),
      creator_uid(uid),
      creator_gid(gid),
      changed(ipc_time()) {}

Result<void> IpcObject::check(std::uint32_t wanted) const {
  const Credentials& who = current_credentials();
  const std::uint32_t bits = (wanted >> 6 | wanted >> 3 | wanted) & 7;
  std::uint32_t granted = mode;
  if (who.euid == creator_uid || who.euid == uid) {
    granted >>= 6;
  } else if (who.in_group(creator_gid) || who.in_group(gid)) {
    granted >>= 3;
  }
  if ((bits & ~granted) != 0 && !who.can(CAP_IPC_OWNER)) return fail(Errno::kAcces);
  return {};
}

bool IpcObject::is_owned_by_caller() const {
  const Credentials& who = current_credentials();
  return who.euid == uid || who.euid == creator_uid || who.can(CAP_SYS_ADMIN);
}

Result<void> IpcObject::set_owner(std::uint32_t new_uid, std::uint32_t new_gid, std::uint32_t new_mode) {
  constexpr std::uint32_t kNobody = ~0U;
  if (new_uid == kNobody || new_gid == kNobody) return fail(Errno::kInval);
  uid = new_uid;
  gid = new_gid;
  mode = (mode & ~0777U) | (new_mode & 0777U);
  changed = ipc_time();
  return {};
}

IpcObject* IpcTable::object_with_key(std::int32_t key) const {
  // What is removed but still attached has no key any more.
  for (const RefPtr<IpcObject>& object : slots_) {
    if (object && object->key == key) return object.get();
  }
  return nullptr;
}

IpcObject* IpcTable::object_with_id(std::int32_t id) const {
  IpcObject* const found = object_at(index_of(id));
  return found != nullptr && found->id == id ? found : nullptr;
}

Result<std::int32_t> IpcTable::add_object(RefPtr<IpcObject> object) {
  if (count_ >= most_) return fail(Errno::kNoSpc);
  std::size_t index = 0;
  while (index < slots_.size() && slots_[index]) ++index;
  if (index == slots_.size()) slots_.emplace_back();
  // An index that may have been used before comes with another number.
  if (last_used_ != ~std::size_t{0} && index <= last_used_) sequence_ = (sequence_ + 1) % kSequences;
  last_used_ = index;
  object->id = sequence_ << kIndexBits | static_cast<std::int32_t>(index);
  ++count_;
  slots_[index] = std::move(object);
  return slots_[index]->id;
}

void IpcTable::drop_object(const IpcObject& object) {
  --count_;
  slots_[index_of(object.id)] = nullptr;
}

std::int64_t IpcTable::last_index() const {
  for (std::size_t index = slots_.size(); index > 0; --index) {
    if (slots_[index - 1]) return static_cast<std::int64_t>(index - 1);
  }
  return 0;
}

}  // namespace quire::kernel
