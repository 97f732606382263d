#include "fs/nine_p/shared_contents.h"

#include "fs/memory/machine_memory.h"
#include "fs/memory/page_budget.h"
#include "mm/memory.h"

namespace quire::kernel::nine_p {
namespace {

constexpr PageIndex kLastPage(~std::uint64_t{0} >> kPageShift);

/// How many pages may wait to be stored, over all mounts.
PageBudget& dirty_pages() {
  constexpr std::uint64_t kMemoryShare = 8;
  static PageBudget& budget = *new PageBudget(memory_pages() / kMemoryShare);
  return budget;
}

bool is_as_before(const Attributes& known, const Attributes& now) {
  return known.size == now.size && known.times.modify_ns == now.times.modify_ns && known.times.change_ns == now.times.change_ns;
}

}  // namespace

Result<std::size_t> read_on(Client& client, Fid fid, IoBuffer& buffer, std::uint64_t offset) {
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const Result<std::size_t> n = client.read(fid, offset + done, buffer.size(), buffer);
    if (!n) {
      if (done == 0) return fail(n.error());
      break;
    }
    if (*n == 0) break;
    done += *n;
  }
  return done;
}

Result<std::size_t> OpenFid::write(IoBuffer& buffer, std::uint64_t offset) {
  std::size_t done = 0;
  while (buffer.size() > 0) {
    const Result<std::size_t> n = client().write(get(), offset + done, buffer.size(), buffer);
    if (!n) {
      if (done == 0) return fail(n.error());
      break;
    }
    done += *n;
  }
  return done;
}

void StoreErrors::note(Errno error) {
  const Guard guard(lock_);
  ++count_;
  is_told_ = false;
  last_ = error;
}

std::uint32_t StoreErrors::mark() {
  const Guard guard(lock_);
  return is_told_ ? count_ : count_ - 1;
}

Result<void> StoreErrors::tell(std::uint32_t& seen) {
  const Guard guard(lock_);
  if (seen == count_) return {};
  seen = count_;
  is_told_ = true;
  return fail(last_);
}

Errno StoreErrors::last() {
  const Guard guard(lock_);
  return last_;
}

/// All there are, by file system and file.
struct SharedContents::Registry {
  struct KeyOf {
    using type = Key;
    type operator()(const SharedContents& contents) const { return contents.key_; }
  };
  boost::intrusive::set<SharedContents, boost::intrusive::base_hook<RegistryHook>, boost::intrusive::key_of_value<KeyOf>,
                        boost::intrusive::constant_time_size<false>>
      all;
  SpinLock lock;
};

SharedContents::Registry& SharedContents::registry() {
  static Registry& all = *new Registry;  // never destroyed, see dentry_cache()
  return all;
}

void SharedContents::prepare() {
  static_cast<void>(registry());
  static_cast<void>(dirty_pages());
}

SharedContents::Key SharedContents::key_of(const Inode9p& file) { return {&file.fs(), file.number()}; }

RefPtr<SharedContents> SharedContents::find(const Inode9p& file) {
  Registry& known = registry();
  const Guard guard(known.lock);
  const auto found = known.all.find(key_of(file));
  return found == known.all.end() ? nullptr : try_ref(*found);
}

Result<RefPtr<SharedContents>> SharedContents::of(const RefPtr<OpenFid>& reader) {
  if (RefPtr<SharedContents> found = find(reader->file())) return found;
  QUIRE_TRY(const Attributes now, reader->file().attributes());
  RefPtr<SharedContents> fresh = make_ref<SharedContents>(reader, now);
  QUIRE_CHECK(fresh->make_object());
  Registry& known = registry();
  const Guard guard(known.lock);
  const auto found = known.all.find(fresh->key_);
  if (found != known.all.end()) {
    if (RefPtr<SharedContents> faster = try_ref(*found)) return faster;
    known.all.erase(found);  // it is about to do so itself
  }
  known.all.insert(*fresh);
  return fresh;
}

SharedContents::SharedContents(const RefPtr<OpenFid>& reader, const Attributes& now)
    : key_(key_of(reader->file())), reader_(reader), known_(now) {}

Result<void> SharedContents::make_object() {
  QUIRE_TRY(object_, FileObject::create(memory(), {.leaf_class = LeafClass::kFile,
                                                   .size = ByteCount(known_.size),
                                                   .account = this,
                                                   .source = this}));
  return {};
}

// No mapping is left: each keeps an open file, and that this. What was written is stored, or given up.
SharedContents::~SharedContents() {
  leave_cache();
  {
    Registry& known = registry();
    const Guard guard(known.lock);
    if (RegistryHook::is_linked()) known.all.erase(known.all.iterator_to(*this));
  }
  if (object_ == nullptr) return;
  object_->retire();
  object_->drop_user();
}

void SharedContents::set_writer(const RefPtr<OpenFid>& writer) {
  const Guard guard(order_);
  if (!writer_) writer_ = writer;
}

Result<void> SharedContents::revalidate(Inode9p& name) {
  const Guard guard(order_);
  QUIRE_TRY(const Attributes now, name.attributes());
  if (is_as_before(known_, now)) return {};
  // What was cut off there is not to come back; what was appended is not to be overwritten by the zeros behind our end.
  if (now.size < known_.size) object_->resize(ByteCount(now.size));
  static_cast<void>(store_locked(PageIndex(0), kLastPage));
  object_->drop_copies();
  object_->resize(ByteCount(now.size));
  learn(name);
  return {};
}

/// What the server says of the file now is our own doing. Locks: order_.
void SharedContents::learn(Inode9p& name) {
  has_written_ = false;
  if (const Result<Attributes> now = name.attributes()) known_ = *now;
}

/// Bytes of the last page beyond the end are zeros, whatever a mapping left there, before they become part of the file. Locks: order_.
void SharedContents::set_size(std::uint64_t size) {
  const std::uint64_t before = object_->size().raw(), tail = before % kPageSize;
  if (before < size && tail != 0) {
    if (Frame* const page = object_->page_or_null(PageIndex(before / kPageSize)); page != nullptr) {
      std::memset(memory().contents(*page) + tail, 0, kPageSize - tail);
      object_->put_page(*page);
    }
  }
  object_->resize(ByteCount(size));
}

Result<std::size_t> SharedContents::read(IoBuffer& buffer, std::uint64_t offset) {
  return read_pages(*object_, buffer, offset, [this](std::uint64_t index) { return page_to_read(*object_, index); });
}

Result<std::size_t> SharedContents::write(OpenFid& to, IoBuffer& buffer, std::uint64_t offset) {
  constexpr std::size_t kMostAtOnce = 64U << 10;
  const auto write_part = [&](std::byte* bytes, std::size_t part, std::size_t done) -> Result<std::size_t> {
    QUIRE_CHECK(buffer.copy_in(bytes, part));
    const Guard guard(order_);
    IoBuffer taken = IoBuffer::kernel(bytes, part);
    QUIRE_TRY(const std::size_t written, to.write(taken, offset + done));
    const std::uint64_t end = offset + done + written;
    if (end > object_->size().raw()) set_size(end);
    update_pages(offset + done, bytes, written);
    return written;
  };
  QUIRE_TRY(const std::size_t done, move_in_parts(buffer, kMostAtOnce, write_part));
  const Guard guard(order_);
  learn(to.file());
  return done;
}

/// The pages that are in memory get what the server got. Locks: order_.
void SharedContents::update_pages(std::uint64_t offset, const std::byte* bytes, std::size_t size) {
  while (size > 0) {
    const std::size_t in_page = offset % kPageSize, part = std::min(size, kPageSize - in_page);
    if (Frame* const page = object_->page_or_null(PageIndex(offset / kPageSize)); page != nullptr) {
      std::memcpy(memory().contents(*page) + in_page, bytes, part);
      object_->put_page(*page);
    }
    offset += part;
    bytes += part;
    size -= part;
  }
}

Result<void> SharedContents::read(PageIndex first, std::span<Frame* const> pages) {
  note_read(pages.size());
  return fill_pages(first, pages, object_->size().raw(), [this](IoBuffer& buffer, std::uint64_t at) { return reader_->read(buffer, at); });
}

Result<void> SharedContents::write(PageIndex first, std::span<Frame* const> pages) {
  has_written_ = true;
  const PageBytes bytes(first, pages, object_->size().raw());
  IoBuffer buffer = bytes.buffer();
  for (std::uint64_t at = bytes.begin(); buffer.size() > 0;) {
    QUIRE_TRY(const std::size_t written, writer_->write(buffer, at));
    at += written;
  }
  return {};
}

/// Locks: order_.
Result<void> SharedContents::store_locked(PageIndex first, PageIndex last) {
  if (!writer_) return {};  // nobody could write
  const Result<void> stored = object_->write_back(first, last);
  if (!stored) errors_.note(stored.error());
  return stored;
}

Result<void> SharedContents::store(PageIndex first, PageIndex last) {
  RefPtr<SharedContents> kept;  // this may end with it, after the lock
  const Guard guard(order_);
  const Result<void> stored = store_locked(first, last);
  if (has_written_) learn(writer_->file());
  if (stored && object_->owned().raw() == 0) kept = std::move(kept_);
  return stored;
}

void SharedContents::store_or_keep() {
  if (store_all()) return;
  const Guard guard(order_);
  kept_ = RefPtr<SharedContents>(this);
}

/// Gives up what could not be stored. Returns how many pages.
std::uint64_t SharedContents::give_up() {
  RefPtr<SharedContents> kept;
  const Guard guard(order_);
  kept = std::move(kept_);
  return object_->owned().raw();
}

Result<void> SharedContents::charge() {
  if (dirty_pages().try_charge(1)) return {};
  static_cast<void>(store_all());
  if (dirty_pages().try_charge(1)) return {};
  static_cast<void>(store_every(nullptr));
  if (dirty_pages().try_charge(1)) return {};
  return fail(Errno::kNoSpc);
}

void SharedContents::uncharge(PageCount pages) { dirty_pages().uncharge(pages.raw()); }

Result<void> SharedContents::store_every(const FileSystem9p* fs) {
  Result<void> result{};
  for_each(fs, [&result](SharedContents& contents) {
    const Result<void> stored = contents.store_all();
    if (!stored && result) result = fail(stored.error());
  });
  return result;
}

LostWrites SharedContents::give_up_every() {
  LostWrites lost;
  for_each(nullptr, [&lost](SharedContents& contents) {
    const Result<void> stored = contents.store_all();
    const std::uint64_t pages = contents.give_up();
    if (stored || pages == 0) return;
    lost.bytes += pages * kPageSize;
    lost.error = stored.error();
  });
  return lost;
}

// In the order of keys, so that those that come and go meanwhile do no harm.
template <typename Visit>
void SharedContents::for_each(const FileSystem9p* fs, Visit visit) {
  Registry& known = registry();
  Key after{nullptr, 0};
  for (;;) {
    RefPtr<SharedContents> next;
    {
      const Guard guard(known.lock);
      auto at = known.all.upper_bound(after);
      while (at != known.all.end() && ((fs != nullptr && at->key_.first != fs) || !(next = try_ref(*at)))) ++at;
      if (!next) return;
      after = next->key_;
    }
    visit(*next);
  }
}

}  // namespace quire::kernel::nine_p
