#include "ipc/shared_memory.h"

#include <linux/ipc.h>
#include <sys/stat.h>

#include "time/clock.h"

namespace quire::kernel {
namespace {

// Linux v6.12 ipc/util.h: IPCMNI_SHIFT.
constexpr int kIndexBits = 15;
constexpr std::int32_t kSequences = 1 << (31 - kIndexBits);

std::int64_t now_s() { return static_cast<std::int64_t>(realtime_ns() / 1'000'000'000); }
std::uint64_t pages_of_bytes(std::uint64_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }

}  // namespace

SharedSegment::SharedSegment(FileObject& pages, std::int32_t wanted_key, std::uint64_t bytes, std::uint32_t permissions,
                             const Credentials& who)
    : key(wanted_key),
      size(bytes),
      mode(permissions & 0777),
      uid(who.euid),
      gid(who.egid),
      creator_uid(who.euid),
      creator_gid(who.egid),
      creator(current_pid()),
      last(0),
      changed(now_s()),
      object_(pages) {}

SharedSegment::~SharedSegment() { object_.drop_user(); }

Result<void> SharedSegment::check(std::uint32_t wanted) const {
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

bool SharedSegment::is_owned_by_caller() const {
  const Credentials& who = current_credentials();
  return who.euid == uid || who.euid == creator_uid || who.can(CAP_SYS_ADMIN);
}

Attachment::Attachment(RefPtr<SharedSegment> segment, std::uint32_t open_flags) : segment_(std::move(segment)) {
  flags = open_flags;
  ++segment_->attachments;
  segment_->attached = now_s();
  segment_->last = current_pid();
}

Attachment::~Attachment() {
  Guard guard(segment_table().mutex);
  segment_->detached = now_s();
  segment_->last = current_pid();
  if (--segment_->attachments == 0 && segment_->is_removed()) segment_table().drop(*segment_);
}

Result<void> Attachment::punch(PageIndex first, PageCount count) {
  segment_->object().punch(first, PageIndex(first.raw() + count.raw() - 1));
  return {};
}

void Attachment::note_detached() {
  Guard guard(segment_table().mutex);
  segment_->detached = now_s();
  segment_->last = current_pid();
}

std::string Attachment::anonymous_name() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name = "/SYSV";
  for (int shift = 28; shift >= 0; shift -= 4) name += kDigits[static_cast<std::uint32_t>(segment_->key) >> shift & 15];
  return name.append(" (deleted)");
}

Result<Attributes> Attachment::attributes() {
  Attributes result;
  result.device = 1;
  result.inode = static_cast<std::uint64_t>(segment_->id);
  result.mode = S_IFREG | (segment_->mode & 0777);
  result.links = 0;
  result.size = segment_->size;
  return result;
}

SharedSegment* SegmentTable::find_key(std::int32_t key) const {
  for (const RefPtr<SharedSegment>& segment : slots_) {
    if (segment && segment->key == key && !segment->is_removed()) return segment.get();
  }
  return nullptr;
}

SharedSegment* SegmentTable::find_id(std::int32_t id) const {
  SharedSegment* const found = at(static_cast<std::size_t>(id & ((1 << kIndexBits) - 1)));
  return found != nullptr && found->id == id ? found : nullptr;
}

bool SegmentTable::has_object(const MemoryObject& object) const {
  for (const RefPtr<SharedSegment>& segment : slots_) {
    if (segment && &segment->object() == &object) return true;
  }
  return false;
}

Result<std::int32_t> SegmentTable::add(RefPtr<SharedSegment> segment) {
  if (count_ >= kMostSegments) return fail(Errno::kNoSpc);
  std::size_t index = 0;
  while (index < slots_.size() && slots_[index]) ++index;
  if (index == slots_.size()) slots_.emplace_back();
  // An index that may have been used before comes with another number, so that old ids name nothing.
  if (last_used_ != ~std::size_t{0} && index <= last_used_) sequence_ = (sequence_ + 1) % kSequences;
  last_used_ = index;
  segment->id = sequence_ << kIndexBits | static_cast<std::int32_t>(index);
  ++count_;
  pages_ += pages_of_bytes(segment->size);
  slots_[index] = std::move(segment);
  return slots_[index]->id;
}

void SegmentTable::remove(SharedSegment& segment) {
  if (segment.attachments == 0) return drop(segment);
  segment.mode |= kSegmentRemoved;
  segment.key = IPC_PRIVATE;
}

void SegmentTable::drop(SharedSegment& segment) {
  --count_;
  pages_ -= pages_of_bytes(segment.size);
  slots_[static_cast<std::size_t>(segment.id & ((1 << kIndexBits) - 1))] = nullptr;
}

std::uint64_t SegmentTable::resident() const {
  std::uint64_t pages = 0;
  for (const RefPtr<SharedSegment>& segment : slots_) {
    if (segment) pages += segment->object().resident().raw();
  }
  return pages;
}

std::int64_t SegmentTable::last_index() const {
  for (std::size_t index = slots_.size(); index > 0; --index) {
    if (slots_[index - 1]) return static_cast<std::int64_t>(index - 1);
  }
  return 0;
}

SegmentTable& segment_table() {
  static constinit std::atomic<SegmentTable*> made{nullptr};
  if (SegmentTable* const there = made.load(std::memory_order_acquire); there != nullptr) return *there;
  auto fresh = std::make_unique<SegmentTable>();
  SegmentTable* none = nullptr;
  if (!made.compare_exchange_strong(none, fresh.get(), std::memory_order_acq_rel)) return *none;
  return *fresh.release();  // it stays
}

void drop_shared_segments() {
  SegmentTable& table = segment_table();
  Guard guard(table.mutex);
  for (std::size_t index = static_cast<std::size_t>(table.last_index()) + 1; index > 0; --index) {
    if (SharedSegment* const segment = table.at(index - 1); segment != nullptr) table.drop(*segment);
  }
}

}  // namespace quire::kernel
