#include "fs/nine_p/session.h"

#include <algorithm>
#include <bit>

namespace quire::kernel::nine_p {

bool Session::Pool::try_take(std::size_t& index) {
  Guard guard(lock_);
  if (free_ == 0) return false;
  index = static_cast<std::size_t>(std::countr_zero(free_));
  free_ &= free_ - 1;
  return true;
}

std::size_t Session::Pool::take() {
  std::size_t index = 0;
  static_cast<void>(wait_until(waiters_, [this, &index] { return try_take(index); }, Interruptible::kNo));
  return index;
}

void Session::Pool::give(std::size_t index) {
  {
    Guard guard(lock_);
    free_ |= 1U << index;
  }
  waiters_.wake_one();
}

std::byte* Session::ensure(std::unique_ptr<std::byte[]>& buffer, std::size_t size) {
  if (!buffer) buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  return buffer.get();
}

Result<void> Session::negotiate() {
  constexpr std::string_view kVersion = "9P2000.L";
  Call call(*this, Message::kTversion);
  call.request().u32(kMessageSize).string(kVersion);
  QUIRE_CHECK(call.exchange());
  const std::uint32_t size = call.reply().u32();
  const std::string_view version = call.reply().string();
  QUIRE_CHECK(call.check_reply());
  if (version != kVersion || size > kMessageSize || size < 4096 + kIoOverhead) return fail(Errno::kProto);
  message_size_ = size;
  const std::size_t payload = size - kIoOverhead;
  transfer_size_ = std::min(kTransferSize, payload / 4096 * 4096);
  return {};
}

Call::Call(Session& session, Message type, Data data)
    : session_(session),
      type_(type),
      call_(session.calls_.take()),
      // Tversion has no tag of its own.
      tag_(type == Message::kTversion ? kNoTag : static_cast<Tag>(call_)) {
  Session::Buffers& small = session_.small_[call_];
  const std::size_t small_size = std::min(Session::kSmallSize, session_.message_size_);
  request_buffer_ = {Session::ensure(small.request, Session::kSmallSize), small_size};
  reply_buffer_ = {Session::ensure(small.reply, Session::kSmallSize), small_size};
  if (data != Data::kNone) {
    transfer_ = session_.transfers_.take();
    std::span<std::byte>& wide = data == Data::kInRequest ? request_buffer_ : reply_buffer_;
    wide = {Session::ensure(session_.large_[transfer_], Session::kMessageSize), session_.message_size_};
  }
  request_ = WireWriter(request_buffer_);
  request_.begin(type_, tag_);
}

Call::~Call() {
  if (transfer_ != kNone) session_.transfers_.give(transfer_);
  session_.calls_.give(call_);
}

Result<void> Call::finish_request() {
  const bool is_whole = request_.finish();
  if (!is_whole || request_.message().size() > request_buffer_.size()) return fail(Errno::kNameTooLong);
  return {};
}

Result<void> Call::accept_reply(std::size_t size) {
  if (size < kHeaderSize || size > reply_buffer_.size()) return fail(Errno::kIo);
  reply_ = WireReader(reply_buffer_.first(size));
  const std::uint32_t claimed = reply_.u32();
  const std::uint8_t type = reply_.u8();
  const Tag tag = reply_.u16();
  if (claimed != size || tag != tag_) return fail(Errno::kIo);
  if (type == reply_to(type_)) return {};
  if (type != static_cast<std::uint8_t>(Message::kRlerror)) return fail(Errno::kIo);
  const std::uint32_t error = reply_.u32();
  constexpr std::uint32_t kMaxErrno = 4095;
  if (!reply_.ok() || error == 0 || error > kMaxErrno) return fail(Errno::kIo);
  return fail(static_cast<Errno>(error));
}

void Call::exchange_all(Session& session, std::span<Call* const> calls) {
  std::array<NinePExchange, Session::kMaxBatch> exchanges;
  std::array<Call*, Session::kMaxBatch> sent;
  std::size_t count = 0;
  for (Call* call : calls) {
    call->result_ = call->finish_request();
    if (!call->result_) continue;
    const std::span<const std::byte> request = call->request_.message();
    exchanges[count] = {.request = request.data(),
                        .size = request.size(),
                        .reply = call->reply_buffer_.data(),
                        .reply_size = call->reply_buffer_.size()};
    sent[count++] = call;
  }
  session.transport_.exchange_all(std::span(exchanges.data(), count));
  for (std::size_t i = 0; i < count; ++i) sent[i]->result_ = sent[i]->accept_reply(exchanges[i].result);
}

void Batch::exchange() {
  std::array<Call*, Session::kMaxBatch> calls;
  for (std::size_t i = 0; i < count_; ++i) calls[i] = &*calls_[i];
  Call::exchange_all(session_, std::span(calls.data(), count_));
}

Result<void> Call::exchange() {
  Call* const self = this;
  exchange_all(session_, std::span(&self, 1));
  return result_;
}

Result<void> Call::check_reply() const {
  if (!reply_.ok()) return fail(Errno::kIo);
  return {};
}

}  // namespace quire::kernel::nine_p
