#include "net/receive_queue.h"

#include <algorithm>

namespace quire::kernel {

namespace {

constinit std::atomic<std::uint64_t> files_under_way{0};

}  // namespace

Rights::Rights(std::vector<RefPtr<File>> files) : files_(std::move(files)) {
  files_under_way.fetch_add(files_.size());
  for (const RefPtr<File>& file : files_) hold_open(*file);
}

std::uint64_t Rights::on_their_way() { return files_under_way.load(); }

Rights::~Rights() {
  files_under_way.fetch_sub(files_.size());
  for (RefPtr<File>& file : files_) let_go_open(std::move(file));
}

Result<std::size_t> ReceiveQueue::append_locked(IoBuffer& data, std::size_t n, Ancillary& ancillary) {
  QUIRE_TRY(const std::size_t done, bytes_.append(n, [&data](std::byte* to, std::size_t part) { return data.copy_in(to, part); }));
  if (done == 0) return done;
  const SocketCredentials sender = ancillary.credentials.value_or(SocketCredentials{});
  if (records_.empty() || !ancillary.rights.empty() || !records_.back().rights.empty() || records_.back().sender != sender) {
    Record& record = records_.emplace_back();
    record.rights = std::move(ancillary.rights);
    record.sender = sender;
  }
  records_.back().size += done;
  return done;
}

Result<void> ReceiveQueue::append_packet_locked(IoBuffer& data, Ancillary& ancillary, const RawAddress* from,
                                                RefPtr<ReceiveQueue> sender) {
  const std::size_t size = data.size();
  Errno failure = Errno::kNoMem;
  const auto added = bytes_.append(size, [&](std::byte* to, std::size_t part) -> Result<void> {
    auto copied = data.copy_in(to, part);
    if (!copied) failure = copied.error();
    return copied;
  });
  if (!added || *added != size) {
    if (added) bytes_.drop_last(*added);
    return fail(failure);
  }
  Record& record = records_.emplace_back();
  record.size = size;
  record.header = ancillary.header;
  record.rights = std::move(ancillary.rights);
  record.sender = ancillary.credentials.value_or(SocketCredentials{});
  if (from != nullptr) record.from = std::make_unique<RawAddress>(*from);
  record.sender_queue = std::move(sender);
  return {};
}

Result<std::size_t> ReceiveQueue::read_locked(IncomingMessage& into, std::size_t n, bool by_sender, Take take) {
  std::size_t span = 0;
  for (const Record& record : records_) {
    if (by_sender && record.sender != records_.front().sender) break;
    span += record.size;
    if (!record.rights.empty() || span >= n) break;
  }
  const auto copy = [&into, take](const std::byte* from, std::size_t part) {
    return take == Take::kThrowAway ? Result<void>() : into.data.copy_out(from, part);
  };
  const std::size_t wanted = std::min(n, span);
  into.ancillary.credentials = records_.front().sender;
  QUIRE_TRY(const std::size_t done, take == Take::kPeek ? bytes_.peek(wanted, copy) : bytes_.take(wanted, copy));
  std::size_t left = done;
  if (take == Take::kPeek) {
    for (const Record& record : records_) {
      if (left == 0) break;
      if (!record.rights.empty()) into.ancillary.rights = record.rights.copy();
      left -= std::min(left, record.size);
    }
    return done;
  }
  while (left != 0) {
    Record& record = records_.front();
    if (!record.rights.empty()) into.ancillary.rights = std::move(record.rights);
    const std::size_t part = std::min(left, record.size);
    record.size -= part;
    left -= part;
    if (record.size == 0) records_.pop_front();
  }
  return done;
}

Result<std::size_t> ReceiveQueue::read_packet_locked(IncomingMessage& into, Take take, RefPtr<ReceiveQueue>& sender) {
  Record& record = records_.front();
  const std::size_t size = record.size;
  const std::size_t wanted = std::min(size, into.data.size());
  const auto copy = [&into](const std::byte* from, std::size_t part) { return into.data.copy_out(from, part); };
  const auto done = take == Take::kPeek ? bytes_.peek(wanted, copy) : bytes_.take(wanted, copy);
  if (!done) return fail(done.error());
  into.ancillary.credentials = record.sender;
  into.ancillary.header = record.header;
  if (record.from) into.from = *record.from;
  if (take == Take::kPeek) {
    into.ancillary.rights = record.rights.copy();
    return size;
  }
  const bool is_whole = *done == wanted;
  static_cast<void>(bytes_.take(size - *done, [](const std::byte*, std::size_t) { return Result<void>(); }));
  into.ancillary.rights = std::move(record.rights);
  sender = std::move(record.sender_queue);
  records_.pop_front();
  if (!is_whole) return fail(Errno::kFault);
  return size;
}

std::deque<ReceiveQueue::Record> ReceiveQueue::clear_locked() {
  bytes_.clear();
  return std::exchange(records_, {});
}

}  // namespace quire::kernel
