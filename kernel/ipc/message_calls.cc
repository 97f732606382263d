// msgget(2), msgsnd(2), msgrcv(2), msgctl(2). Linux v6.12 ipc/msg.c.
#include <algorithm>

#include "ipc/calls.h"
#include "ipc/message_queues.h"
#include "mm/uaccess.h"

namespace quire::kernel {
namespace {

constexpr std::size_t kTypeSize = sizeof(std::int64_t);  ///< of struct msgbuf, before the text

/// Errors: ENOMEM, EFAULT.
Result<std::unique_ptr<Message>> load_message(std::int64_t type, UserAddr from, std::size_t size) {
  QUIRE_CHECK(check_kernel_memory());
  auto message = std::make_unique<Message>();
  message->type = type;
  message->text.resize(size);
  QUIRE_CHECK(copy_from_user(message->text.data(), from, size));
  return message;
}

/// Sends, or says why it cannot yet: EAGAIN. `queue` is held by the caller.
Result<void> try_send(const RefPtr<MessageQueue>& queue, std::int32_t id, std::unique_ptr<Message>& message) {
  if (message_table().find_id(id) != queue.get()) return fail(kRemoved);
  QUIRE_CHECK(queue->check(0222));
  if (!queue->has_room(message->text.size())) return fail(Errno::kAgain);
  queue->send(std::move(message));
  return {};
}

Result<RefPtr<MessageQueue>> queue_of(std::int32_t id) {
  Guard guard(message_table().mutex);
  MessageQueue* const queue = message_table().find_id(id);
  if (queue == nullptr) return fail(Errno::kInval);
  return RefPtr<MessageQueue>(queue);
}

SyscallResult put_message(const Message& message, UserAddr to, std::size_t room) {
  QUIRE_CHECK(put_user(to, message.type));
  const std::size_t size = std::min(room, message.text.size());
  QUIRE_CHECK(copy_to_user(to + kTypeSize, message.text.data(), size));
  return static_cast<std::int64_t>(size);
}

/// MSG_COPY: the message at a place, which stays.
SyscallResult copy_message(std::int32_t id, std::size_t position, UserAddr to, std::size_t room, std::uint32_t flags) {
  if ((flags & MSG_EXCEPT) != 0 || (flags & IPC_NOWAIT) == 0) return fail(Errno::kInval);
  Message copy;
  {
    Guard guard(message_table().mutex);
    const MessageQueue* const queue = message_table().find_id(id);
    if (queue == nullptr) return fail(Errno::kInval);
    QUIRE_CHECK(queue->check(0444));
    const Message* const there = queue->at(position);
    if (there == nullptr) return fail(kNoMessage);
    if (there->text.size() > room && (flags & MSG_NOERROR) == 0) return fail(Errno::kTooBig);
    copy = *there;
  }
  return put_message(copy, to, room);
}

/// Waits in the line for what `call` wants. Errors: EIDRM, E2BIG, kRestartNoHand.
Result<void> await_message(std::int32_t id, MessageWait& call, Sleeper& sleeper) {
  for (;;) {
    const WaitResult woken = sleeper.sleep(Interruptible::kYes);
    Guard guard(message_table().mutex);
    if (call.is_over) {
      if (call.error != Errno{0}) return fail(call.error);
      return {};
    }
    if (woken == WaitResult::kDone) continue;
    message_table().find_id(id)->leave_line(call);
    return fail(kRestartNoHand);
  }
}

SyscallResult tell_limits(std::uint32_t command, UserAddr to) {
  msginfo limits{};
  limits.msgmni = MSGMNI;
  limits.msgmax = MSGMAX;
  limits.msgmnb = MSGMNB;
  limits.msgssz = MSGSSZ;
  limits.msgseg = static_cast<unsigned short>(MSGSEG);
  limits.msgmap = MSGMAP;
  limits.msgpool = MSGPOOL;
  limits.msgtql = MSGTQL;
  MessageTable& table = message_table();
  return tell_of_table(table, to, [&] {
    if (command == MSG_INFO) {
      limits.msgpool = static_cast<int>(table.count());
      limits.msgmap = limits.msgtql = 0;
      table.for_each([&](const MessageQueue& queue) {
        limits.msgmap += static_cast<int>(queue.messages());
        limits.msgtql += static_cast<int>(queue.bytes());
      });
    }
    return limits;
  });
}

/// IPC_STAT, MSG_STAT, MSG_STAT_ANY.
SyscallResult tell_queue(std::int32_t id, std::uint32_t command, UserAddr to) {
  msqid64_ds told{};
  {
    MessageTable& table = message_table();
    Guard guard(table.mutex);
    QUIRE_TRY(const MessageQueue* const queue, table.find_to_tell(id, command == IPC_STAT, command == MSG_STAT_ANY));
    queue->tell_permissions(told.msg_perm);
    told.msg_stime = queue->sent;
    told.msg_rtime = queue->received;
    told.msg_ctime = queue->changed;
    told.msg_cbytes = queue->bytes();
    told.msg_qnum = queue->messages();
    told.msg_qbytes = queue->most_bytes;
    told.msg_lspid = queue->last_sender;
    told.msg_lrpid = queue->last_receiver;
    id = queue->id;
  }
  QUIRE_CHECK(put_user(to, told));
  return command == IPC_STAT ? 0 : id;
}

SyscallResult change_queue(std::int32_t id, std::uint32_t command, UserAddr from) {
  msqid64_ds wanted{};
  if (command == IPC_SET) {
    QUIRE_TRY(wanted, get_user<msqid64_ds>(from));
  }
  MessageTable& table = message_table();
  Guard guard(table.mutex);
  const RefPtr<MessageQueue> queue(table.find_id(id));
  if (!queue) return fail(Errno::kInval);
  if (!queue->is_owned_by_caller()) return fail(Errno::kPerm);
  if (command == IPC_RMID) {
    table.drop(*queue);
    queue->end_lines();
    return 0;
  }
  if (wanted.msg_qbytes > MSGMNB && !current_credentials().can(CAP_SYS_RESOURCE)) return fail(Errno::kPerm);
  QUIRE_CHECK(queue->set_owner(wanted.msg_perm.uid, wanted.msg_perm.gid, wanted.msg_perm.mode));
  queue->most_bytes = wanted.msg_qbytes;
  queue->senders.wake_all();
  return 0;
}

}  // namespace

SyscallResult sys_msgget(const SyscallArgs& args) {
  const auto key = static_cast<std::int32_t>(args.a[0]);
  const auto flags = static_cast<std::uint32_t>(args.a[1]);
  MessageTable& table = message_table();
  Guard guard(table.mutex);
  return get_ipc(
      table, key, flags, [&] { return table.add(make_ref<MessageQueue>(key, flags)); },
      [](const MessageQueue&) -> Result<void> { return {}; });
}

SyscallResult sys_msgsnd(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]);
  const UserAddr from = args.a[1];
  const std::uint64_t size = args.a[2];
  QUIRE_TRY(const auto type, get_user<std::int64_t>(from));
  if (size > MSGMAX || id < 0 || type < 1) return fail(Errno::kInval);
  QUIRE_TRY(std::unique_ptr<Message> message, load_message(type, from + kTypeSize, size));
  QUIRE_TRY(const RefPtr<MessageQueue> queue, queue_of(id));
  Sleeper sleeper;
  sleeper.add(queue->senders);
  for (;;) {
    {
      Guard guard(message_table().mutex);
      const Result<void> sent = try_send(queue, id, message);
      if (sent) return 0;
      if (sent.error() != Errno::kAgain || (args.a[3] & IPC_NOWAIT) != 0) return fail(sent.error());
    }
    if (sleeper.sleep(Interruptible::kYes) == WaitResult::kInterrupted) return fail(kRestartNoHand);
  }
}

SyscallResult sys_msgrcv(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]);
  const UserAddr to = args.a[1];
  const std::uint64_t room = args.a[2];
  const auto type = static_cast<std::int64_t>(args.a[3]);
  const auto flags = static_cast<std::uint32_t>(args.a[4]);
  if (id < 0 || static_cast<std::int64_t>(room) < 0) return fail(Errno::kInval);
  if ((flags & MSG_COPY) != 0) return copy_message(id, static_cast<std::size_t>(type), to, room, flags);
  MessageWait call{.choice = MessageChoice(type, flags), .room = room, .may_cut = (flags & MSG_NOERROR) != 0, .pid = current_pid()};
  Sleeper sleeper;
  {
    Guard guard(message_table().mutex);
    MessageQueue* const queue = message_table().find_id(id);
    if (queue == nullptr) return fail(Errno::kInval);
    QUIRE_CHECK(queue->check(0444));
    const Result<void> got = queue->receive(call);
    if (!got && (got.error() != kNoMessage || (flags & IPC_NOWAIT) != 0)) return fail(got.error());
    if (!got) {
      queue->stand_in_line(call);
      sleeper.add(call.ended);
    }
  }
  if (!call.message) QUIRE_CHECK(await_message(id, call, sleeper));
  return put_message(*call.message, to, room);
}

SyscallResult sys_msgctl(const SyscallArgs& args) {
  const auto id = static_cast<std::int32_t>(args.a[0]);
  const auto command = static_cast<std::uint32_t>(args.a[1]);
  if (id < 0 || static_cast<std::int32_t>(command) < 0) return fail(Errno::kInval);
  switch (command) {
    case IPC_INFO:
    case MSG_INFO:
      return tell_limits(command, args.a[2]);
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
      return tell_queue(id, command, args.a[2]);
    case IPC_SET:
    case IPC_RMID:
      return change_queue(id, command, args.a[2]);
    default:
      return fail(Errno::kInval);
  }
}

}  // namespace quire::kernel
