#include "fs/nine_p/client.h"

#include <sys/stat.h>

#include <algorithm>

#include "fs/devices.h"
#include "fs/lookup.h"

namespace quire::kernel::nine_p {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
/// Larger block sizes are a server's idea of transfers, not of buffers.
constexpr std::uint64_t kLargestBlock = 65536;

std::atomic<bool> is_ending{false};

std::int64_t read_time(WireReader& reply) {
  const auto seconds = static_cast<std::int64_t>(reply.u64());
  const auto nanoseconds = static_cast<std::int64_t>(reply.u64());
  std::int64_t time = 0;
  const bool is_sane = nanoseconds >= 0 && nanoseconds < kNanosecondsPerSecond &&
                       !__builtin_mul_overflow(seconds, kNanosecondsPerSecond, &time) &&
                       !__builtin_add_overflow(time, nanoseconds, &time);
  return is_sane ? time : 0;
}

void write_time(WireWriter& request, std::int64_t time) {
  std::int64_t seconds = time / kNanosecondsPerSecond, rest = time % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    --seconds;
  }
  request.u64(static_cast<std::uint64_t>(seconds)).u64(static_cast<std::uint64_t>(rest));
}

}  // namespace

bool is_entry_name(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name == "." || name == "..") return false;
  return name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

FidHandle::FidHandle(RefPtr<Client> client, Fid fid) : client_(std::move(client)), fid_(fid) {}

FidHandle::FidHandle(FidHandle&& other) noexcept
    : client_(std::move(other.client_)), fid_(std::exchange(other.fid_, kNoFid)) {}

FidHandle& FidHandle::operator=(FidHandle&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(fid_, other.fid_);
  return *this;
}

FidHandle::~FidHandle() {
  if (fid_ != kNoFid) client_->clunk(fid_);
}

Result<Client::Connection> Client::connect(NinePTransport& transport) {
  RefPtr<Session> session = make_ref<Session>(transport);
  QUIRE_CHECK(session->negotiate());
  RefPtr<Client> client = make_ref<Client>(session);
  const Fid root = client->next_fid();
  Call call(*session, Message::kTattach);
  constexpr std::uint32_t kNoUid = ~std::uint32_t{0};
  call.request().u32(root).u32(kNoFid).string("root").string("").u32(kNoUid);
  QUIRE_CHECK(call.exchange());
  const Qid qid = call.reply().qid();
  QUIRE_CHECK(call.check_reply());
  if ((qid.type & Qid::kDirectory) == 0) return fail(Errno::kNotDir);
  return Connection{.client = client, .root = FidHandle(client, root), .root_qid = qid};
}

Result<Client::Walk> Client::walk(Fid from, std::span<const std::string_view> names, std::span<Qid> qids) {
  const Fid to = next_fid();
  Call call(*session_, Message::kTwalk);
  call.request().u32(from).u32(to).u16(static_cast<std::uint16_t>(names.size()));
  for (const std::string_view name : names) call.request().string(name);
  QUIRE_CHECK(call.exchange());
  const std::size_t found = call.reply().u16();
  if (found > names.size()) return fail(Errno::kIo);
  for (std::size_t i = 0; i < found; ++i) qids[i] = call.reply().qid();
  QUIRE_CHECK(call.check_reply());
  Walk walk{.found = found, .fid = {}};
  if (found == names.size()) {
    walk.fid = FidHandle(RefPtr<Client>(this), to);
  } else if (found == 0) {
    return fail(Errno::kNoEnt);
  }
  return walk;
}

Result<FidHandle> Client::clone(Fid from) {
  QUIRE_TRY(Walk result, walk(from, {}, {}));
  return std::move(result.fid);
}

void Client::stop_clunking() { is_ending.store(true, std::memory_order_relaxed); }

Client::~Client() { clunk_all(std::span(to_clunk_).first(to_clunk_count_)); }

void Client::clunk(Fid fid) {
  std::array<Fid, Session::kMaxBatch> full;
  {
    Guard guard(clunk_lock_);
    to_clunk_[to_clunk_count_++] = fid;
    if (to_clunk_count_ < to_clunk_.size()) return;
    full = to_clunk_;
    to_clunk_count_ = 0;
  }
  clunk_all(full);
}

void Client::clunk_all(std::span<const Fid> fids) {
  if (is_ending.load(std::memory_order_relaxed)) return;
  Batch batch(*session_);
  for (const Fid fid : fids) batch.add(Message::kTclunk).request().u32(fid);
  batch.exchange();  // the numbers are not used again, whatever the answers
}

void Client::walk_and_stat(Fid directory, std::span<Sought> names) {
  {
    Batch batch(*session_);
    std::array<Fid, Session::kMaxBatch> fids;
    for (std::size_t i = 0; i < names.size(); ++i) {
      fids[i] = next_fid();
      batch.add(Message::kTwalk).request().u32(directory).u32(fids[i]).u16(1).string(names[i].name);
    }
    batch.exchange();
    for (std::size_t i = 0; i < names.size(); ++i) {
      Call& call = batch[i];
      if (!call.result()) continue;
      const std::uint16_t found = call.reply().u16();
      names[i].qid = call.reply().qid();
      if (found == 1 && call.check_reply()) names[i].fid = FidHandle(RefPtr<Client>(this), fids[i]);
    }
  }
  std::array<FidHandle, Session::kMaxBatch> failed;  // dropped after the batch: clunking may need one of its own
  Batch batch(*session_);
  for (const Sought& name : names) {
    if (name.is_found()) batch.add(Message::kTgetattr).request().u32(name.fid.get()).u64(kGetattrBasic);
  }
  batch.exchange();
  std::size_t next = 0;
  for (Sought& name : names) {
    if (!name.is_found()) continue;
    Call& call = batch[next++];
    const Result<Attributes> attributes = call.result() ? read_attributes(call) : Result<Attributes>(fail(call.result().error()));
    if (attributes) {
      name.attributes = *attributes;
    } else {
      failed[next - 1] = std::move(name.fid);
    }
  }
}

Result<Attributes> Client::getattr(Fid fid) {
  Call call(*session_, Message::kTgetattr);
  call.request().u32(fid).u64(kGetattrBasic);
  QUIRE_CHECK(call.exchange());
  return read_attributes(call);
}

Result<Attributes> Client::read_attributes(Call& call) {
  WireReader& reply = call.reply();
  Attributes result;
  static_cast<void>(reply.u64());  // which fields are valid: servers give all of stat(2)
  result.inode = reply.qid().path;
  result.mode = reply.u32();
  result.uid = reply.u32();
  result.gid = reply.u32();
  result.links = reply.u64();
  result.rdev = reply.u64();
  result.size = reply.u64();
  result.block_size = reply.u64();
  result.blocks = reply.u64();
  result.times.access_ns = read_time(reply);
  result.times.modify_ns = read_time(reply);
  result.times.change_ns = read_time(reply);
  QUIRE_CHECK(call.check_reply());
  constexpr std::uint64_t kMaxSize = ~std::uint64_t{0} >> 1;
  if (result.size > kMaxSize) return fail(Errno::kIo);
  if (result.block_size == 0 || result.block_size > kLargestBlock) result.block_size = 4096;
  return result;
}

Result<void> Client::setattr(Fid fid, const AttributeChange& change) {
  std::uint32_t valid = 0;
  if (change.mode) valid |= kSetMode;
  if (change.uid) valid |= kSetUid;
  if (change.gid) valid |= kSetGid;
  if (change.size) valid |= kSetSize;
  if (change.access_ns) valid |= kSetAtime | kSetAtimeTo;
  if (change.modify_ns) valid |= kSetMtime | kSetMtimeTo;
  Call call(*session_, Message::kTsetattr);
  call.request().u32(fid).u32(valid).u32(change.mode.value_or(0) & 07777U);
  call.request().u32(change.uid.value_or(0)).u32(change.gid.value_or(0)).u64(change.size.value_or(0));
  write_time(call.request(), change.access_ns.value_or(0));
  write_time(call.request(), change.modify_ns.value_or(0));
  return finish(call);
}

Result<void> Client::open(Fid fid, std::uint32_t flags) {
  Call call(*session_, Message::kTlopen);
  call.request().u32(fid).u32(flags);
  return finish(call);
}

Result<std::size_t> Client::read(Fid fid, std::uint64_t offset, std::size_t size, IoBuffer& to) {
  Call call(*session_, Message::kTread, Call::Data::kInReply);
  const std::size_t wanted = std::min({size, to.size(), transfer_size()});
  call.request().u32(fid).u64(offset).u32(static_cast<std::uint32_t>(wanted));
  QUIRE_CHECK(call.exchange());
  const std::uint32_t count = call.reply().u32();
  const std::span<const std::byte> data = call.reply().bytes(count);
  QUIRE_CHECK(call.check_reply());
  if (count > wanted) return fail(Errno::kIo);
  QUIRE_CHECK(to.copy_out(data.data(), count));
  return count;
}

Result<std::size_t> Client::write(Fid fid, std::uint64_t offset, std::size_t size, IoBuffer& from) {
  Call call(*session_, Message::kTwrite, Call::Data::kInRequest);
  const std::size_t wanted = std::min({size, from.size(), transfer_size()});
  call.request().u32(fid).u64(offset).u32(static_cast<std::uint32_t>(wanted));
  std::byte* data = call.request().reserve(wanted);
  if (data == nullptr) return fail(Errno::kIo);
  QUIRE_CHECK(from.copy_in(data, wanted));
  QUIRE_CHECK(call.exchange());
  const std::uint32_t count = call.reply().u32();
  QUIRE_CHECK(call.check_reply());
  if (count > wanted || (count == 0 && wanted != 0)) return fail(Errno::kIo);
  return count;
}

Result<Client::More> Client::readdir(Fid fid, std::uint64_t& offset, DirectoryListing& listing) {
  Call call(*session_, Message::kTreaddir, Call::Data::kInReply);
  call.request().u32(fid).u64(offset).u32(static_cast<std::uint32_t>(transfer_size()));
  QUIRE_CHECK(call.exchange());
  const std::uint32_t size = call.reply().u32();
  WireReader entries(call.reply().bytes(size));
  QUIRE_CHECK(call.check_reply());
  DirectoryEntry entry;
  while (!entries.empty()) {
    entry.inode = entries.qid().path;
    const std::uint64_t next = entries.u64();
    entry.type = entries.u8();
    const std::string_view name = entries.string();
    if (!entries.ok()) return fail(Errno::kIo);
    offset = next;
    if (!is_entry_name(name)) continue;
    entry.name = name;
    listing.append(entry);
  }
  // QEMU fills a reply as long as entries fit: one with room for the longest was the last.
  constexpr std::size_t kLongestEntry = 13 + 8 + 1 + 2 + kNameMax;
  return size == 0 || transfer_size() - std::min(transfer_size(), std::size_t{size}) > kLongestEntry ? More::kNo : More::kPerhaps;
}

Result<std::string> Client::readlink(Fid fid) {
  Call call(*session_, Message::kTreadlink);
  call.request().u32(fid);
  QUIRE_CHECK(call.exchange());
  std::string target(call.reply().string());
  QUIRE_CHECK(call.check_reply());
  constexpr std::size_t kMaxTarget = 4095;
  if (target.size() > kMaxTarget || target.find('\0') != std::string::npos) return fail(Errno::kIo);
  return target;
}

Result<void> Client::fsync(Fid fid) {
  Call call(*session_, Message::kTfsync);
  call.request().u32(fid).u32(0);
  return finish(call);
}

Result<FileSystemFigures> Client::statfs(Fid fid) {
  Call call(*session_, Message::kTstatfs);
  call.request().u32(fid);
  QUIRE_CHECK(call.exchange());
  WireReader& reply = call.reply();
  FileSystemFigures figures;
  figures.magic = reply.u32();
  figures.block_size = reply.u32();
  figures.blocks = reply.u64();
  figures.blocks_free = reply.u64();
  figures.blocks_available = reply.u64();
  figures.files = reply.u64();
  figures.files_free = reply.u64();
  static_cast<void>(reply.u64());  // the server's fsid
  figures.name_length = reply.u32();
  QUIRE_CHECK(call.check_reply());
  return figures;
}

Result<void> Client::mkdir(Fid directory, std::string_view name, std::uint32_t mode, std::uint32_t gid) {
  Call call(*session_, Message::kTmkdir);
  call.request().u32(directory).string(name).u32(mode).u32(gid);
  return finish(call);
}

Result<void> Client::mknod(Fid directory, std::string_view name, std::uint32_t mode, std::uint64_t rdev, std::uint32_t gid) {
  Call call(*session_, Message::kTmknod);
  call.request().u32(directory).string(name).u32(mode).u32(device_major(rdev)).u32(device_minor(rdev)).u32(gid);
  return finish(call);
}

Result<void> Client::symlink(Fid directory, std::string_view name, std::string_view target, std::uint32_t gid) {
  Call call(*session_, Message::kTsymlink);
  call.request().u32(directory).string(name).string(target).u32(gid);
  return finish(call);
}

Result<void> Client::link(Fid directory, Fid target, std::string_view name) {
  Call call(*session_, Message::kTlink);
  call.request().u32(directory).u32(target).string(name);
  return finish(call);
}

Result<void> Client::unlink(Fid directory, std::string_view name, Remove what) {
  Call call(*session_, Message::kTunlinkat);
  call.request().u32(directory).string(name).u32(what == Remove::kDirectory ? kRemoveDirectory : 0);
  return finish(call);
}

Result<void> Client::rename(Fid from, std::string_view name, Fid to, std::string_view new_name) {
  Call call(*session_, Message::kTrenameat);
  call.request().u32(from).string(name).u32(to).string(new_name);
  return finish(call);
}

}  // namespace quire::kernel::nine_p
