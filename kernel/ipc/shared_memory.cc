#include "ipc/shared_memory.h"

#include <sys/stat.h>

#include <algorithm>

namespace quire::kernel {

SharedSegment::~SharedSegment() { object_.drop_user(); }

Attachment::Attachment(RefPtr<SharedSegment> segment, std::uint32_t open_flags) : segment_(std::move(segment)) {
  flags = open_flags;
  ++segment_->attachments;
  segment_->attached = ipc_time();
  segment_->last = current_pid();
}

Attachment::~Attachment() {
  Guard guard(segment_table().mutex);
  segment_->detached = ipc_time();
  segment_->last = current_pid();
  if (--segment_->attachments == 0 && segment_->is_removed()) segment_table().drop(*segment_);
}

Result<void> Attachment::punch(PageIndex first, PageCount count) {
  segment_->object().punch(first, PageIndex(first.raw() + count.raw() - 1));
  return {};
}

void Attachment::note_detached() {
  Guard guard(segment_table().mutex);
  segment_->detached = ipc_time();
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

bool SegmentTable::has_object(const MemoryObject& object) const {
  bool found = false;
  for_each([&](const SharedSegment& segment) { found = found || &segment.object() == &object; });
  return found;
}

void SegmentTable::remove(SharedSegment& segment) {
  if (segment.attachments == 0) return drop(segment);
  segment.mode |= kSegmentRemoved;
  segment.key = IPC_PRIVATE;
}

std::uint64_t SegmentTable::pages() const {
  std::uint64_t pages = 0;
  for_each([&](const SharedSegment& segment) { pages += (segment.size + kPageSize - 1) / kPageSize; });
  return pages;
}

std::uint64_t SegmentTable::resident() const {
  std::uint64_t pages = 0;
  for_each([&](const SharedSegment& segment) { pages += segment.object().resident().raw(); });
  return pages;
}

SegmentTable& segment_table() {
  static constinit std::atomic<SegmentTable*> made{nullptr};
  return made_once(made);
}

std::uint64_t count_mappings(const SharedSegment& segment) {
  std::vector<AddressSpace*> seen;
  std::uint64_t count = 0;
  for (const Pid pid : all_pids()) {
    const auto process = snapshot_process(pid);
    if (!process || (*process)->space == nullptr || std::find(seen.begin(), seen.end(), (*process)->space) != seen.end()) continue;
    seen.push_back((*process)->space);
    const VmaMap map = (*process)->space->map();
    map.for_each([&](const Vma& vma) { count += vma.object == &segment.object() ? 1 : 0; });
  }
  return count;
}

void drop_shared_segments() {
  SegmentTable& table = segment_table();
  Guard guard(table.mutex);
  for (std::size_t index = static_cast<std::size_t>(table.last_index()) + 1; index > 0; --index) {
    if (SharedSegment* const segment = table.at(index - 1); segment != nullptr) table.drop(*segment);
  }
}

}  // namespace quire::kernel
