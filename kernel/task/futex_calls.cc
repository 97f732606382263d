// futex(2). Behaviour: man7 futex(2); Linux v6.12 kernel/futex/syscalls.c, waitwake.c.
#include "task/calls.h"
#include "task/futex.h"
#include "task/task.h"
#include "task/time_arguments.h"
#include "task/uapi.h"
#include "time/clock.h"

namespace quire::kernel {

namespace {

struct FutexCall {
  UserAddr address;
  int operation;
  std::uint32_t value;
  std::uint64_t fourth;  ///< a timeout's address, or a count
  UserAddr second_address;
  std::uint32_t third_value;
  [[nodiscard]] FutexScope scope() const {
    return (operation & FUTEX_PRIVATE_FLAG) != 0 ? FutexScope::kPrivate : FutexScope::kAny;
  }
};

SyscallResult wait_again(RestartBlock& block);

/// FUTEX_WAIT has a relative timeout: if a signal interrupts it, it goes on with what is left.
SyscallResult wait_restartable(UserAddr address, FutexScope scope, std::uint32_t expected,
                               Deadline deadline, std::uint32_t bits) {
  const Result<void> waited = futex_wait(address, scope, expected, deadline, bits);
  if (waited) return 0;
  if (waited.error() != kRestartSys || deadline == kForever) return fail(waited.error());
  current_restart() = {wait_again,
                       {address, static_cast<std::uint64_t>(scope), expected, deadline, bits}};
  return fail(kRestartBlock);
}

SyscallResult wait_again(RestartBlock& block) {
  const auto& a = block.argument;
  return wait_restartable(a[0], static_cast<FutexScope>(a[1]), static_cast<std::uint32_t>(a[2]),
                          a[3], static_cast<std::uint32_t>(a[4]));
}

SyscallResult wait(const FutexCall& call) {
  Deadline deadline = kForever;
  if (call.fourth != 0) {
    QUIRE_TRY(const std::uint64_t timeout, get_duration(call.fourth));
    deadline = deadline_after(timeout);
  }
  return wait_restartable(call.address, call.scope(), call.value, deadline, kAnyBits);
}

/// The timeout is absolute, on the monotonic or the wall clock.
SyscallResult wait_bits(const FutexCall& call) {
  if (call.third_value == 0) return fail(Errno::kInval);
  Deadline deadline = kForever;
  if (call.fourth != 0) {
    QUIRE_TRY(deadline, get_duration(call.fourth));
    if ((call.operation & FUTEX_CLOCK_REALTIME) != 0) deadline = monotonic_deadline(deadline);
  }
  QUIRE_CHECK(futex_wait(call.address, call.scope(), call.value, deadline, call.third_value));
  return 0;
}

SyscallResult wake(const FutexCall& call, std::uint32_t bits) {
  if (bits == 0) return fail(Errno::kInval);
  QUIRE_TRY(const FutexKey key, futex_key(call.address, call.scope()));
  if (futex_has_lock_waiters(key)) return fail(Errno::kInval);
  return futex_wake(key, std::max(call.value, 1U), bits);
}

enum class Compare : std::uint8_t { kNo, kYes };

SyscallResult requeue(const FutexCall& call, Compare compare) {
  const auto move = static_cast<std::int32_t>(call.fourth);
  if (static_cast<std::int32_t>(call.value) < 0 || move < 0) return fail(Errno::kInval);
  QUIRE_TRY(const FutexKey from, futex_key(call.address, call.scope()));
  QUIRE_TRY(const FutexKey to, futex_key(call.second_address, call.scope()));
  if (compare == Compare::kYes) {
    QUIRE_TRY(const std::uint32_t now, user_load32(call.address));
    if (now != call.third_value) return fail(Errno::kAgain);
  }
  if (futex_has_lock_waiters(from)) return fail(Errno::kInval);
  const Requeued done = futex_requeue(from, to, call.value, static_cast<std::uint32_t>(move));
  return done.woken + (compare == Compare::kYes ? done.moved : 0);
}

std::int32_t sign_extend_12(std::uint32_t value) {
  return static_cast<std::int32_t>(value << 20) >> 20;
}

Result<std::uint32_t> apply(std::uint32_t operation, std::uint32_t old, std::int32_t argument) {
  if ((operation & FUTEX_OP_OPARG_SHIFT) != 0)
    argument = static_cast<std::int32_t>(1U << (static_cast<std::uint32_t>(argument) & 31));
  const auto operand = static_cast<std::uint32_t>(argument);
  switch (operation & ~std::uint32_t{FUTEX_OP_OPARG_SHIFT}) {
    case FUTEX_OP_SET:
      return operand;
    case FUTEX_OP_ADD:
      return old + operand;
    case FUTEX_OP_OR:
      return old | operand;
    case FUTEX_OP_ANDN:
      return old & ~operand;
    case FUTEX_OP_XOR:
      return old ^ operand;
    default:
      return fail(Errno::kNoSys);
  }
}

Result<bool> compare(std::uint32_t operation, std::int32_t old, std::int32_t argument) {
  switch (operation) {
    case FUTEX_OP_CMP_EQ:
      return old == argument;
    case FUTEX_OP_CMP_NE:
      return old != argument;
    case FUTEX_OP_CMP_LT:
      return old < argument;
    case FUTEX_OP_CMP_LE:
      return old <= argument;
    case FUTEX_OP_CMP_GT:
      return old > argument;
    case FUTEX_OP_CMP_GE:
      return old >= argument;
    default:
      return fail(Errno::kNoSys);
  }
}

SyscallResult wake_operation(const FutexCall& call) {
  QUIRE_TRY(const FutexKey first, futex_key(call.address, call.scope()));
  QUIRE_TRY(const FutexKey second, futex_key(call.second_address, call.scope()));
  const std::uint32_t code = call.third_value;
  QUIRE_TRY(std::uint32_t old, user_load32(call.second_address));
  for (;;) {
    QUIRE_TRY(const std::uint32_t wanted, apply(code >> 28, old, sign_extend_12(code >> 12)));
    QUIRE_TRY(const std::uint32_t seen, user_cmpxchg32(call.second_address, old, wanted));
    if (seen == old) break;
    old = seen;
  }
  std::uint32_t woken = futex_wake(first, std::max(call.value, 1U), kAnyBits);
  QUIRE_TRY(const bool also,
            compare(code >> 24 & 0xf, static_cast<std::int32_t>(old), sign_extend_12(code)));
  if (also)
    woken += futex_wake(second, std::max(static_cast<std::uint32_t>(call.fourth), 1U), kAnyBits);
  return woken;
}

/// The timeout is absolute, on the wall clock; FUTEX_LOCK_PI2 has the choice.
SyscallResult lock_owned(const FutexCall& call, bool is_wall_clock) {
  Deadline deadline = kForever;
  if (call.fourth != 0) {
    QUIRE_TRY(deadline, get_duration(call.fourth));
    if (is_wall_clock) deadline = monotonic_deadline(deadline);
  }
  QUIRE_CHECK(futex_lock_owned(call.address, call.scope(), deadline));
  return 0;
}

/// The timeout is absolute.
SyscallResult wait_to_lock(const FutexCall& call, bool is_wall_clock) {
  Deadline deadline = kForever;
  if (call.fourth != 0) {
    QUIRE_TRY(deadline, get_duration(call.fourth));
    if (is_wall_clock) deadline = monotonic_deadline(deadline);
  }
  QUIRE_CHECK(futex_wait_to_lock(call.address, call.second_address, call.scope(), call.value, deadline));
  return 0;
}

SyscallResult requeue_owned(const FutexCall& call) {
  const auto move = static_cast<std::int32_t>(call.fourth);
  if (call.value != 1 || move < 0) return fail(Errno::kInval);
  QUIRE_TRY(const FutexKey from, futex_key(call.address, call.scope()));
  QUIRE_TRY(const FutexKey to, futex_key(call.second_address, call.scope()));
  if (from == to) return fail(Errno::kInval);
  QUIRE_TRY(const std::uint32_t now, user_load32(call.address));
  if (now != call.third_value) return fail(Errno::kAgain);
  return futex_requeue_owned(from, to, 1 + static_cast<std::uint32_t>(move));
}

SyscallResult change_owned(const FutexCall& call, Result<void> (*change)(UserAddr, FutexScope)) {
  QUIRE_CHECK(change(call.address, call.scope()));
  return 0;
}

/// Errors: EINVAL.
Result<FutexWord> to_word(const uapi::futex_waitv& from) {
  constexpr std::uint32_t kKnownFlags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
  const bool is_valid = (from.flags & ~kKnownFlags) == 0 && (from.flags & FUTEX_32) != 0 && from.__reserved == 0 && from.val <= kAnyBits;
  if (!is_valid) return fail(Errno::kInval);
  const FutexScope scope = (from.flags & FUTEX_PRIVATE_FLAG) != 0 ? FutexScope::kPrivate : FutexScope::kAny;
  return FutexWord{from.uaddr, scope, static_cast<std::uint32_t>(from.val)};
}

}  // namespace

// Linux v6.12 kernel/futex/syscalls.c
SyscallResult sys_futex_waitv(const SyscallArgs& args) {
  const std::uint32_t count = uint_argument(args, 1);
  const UserAddr timeout_at = address_argument(args, 3);
  if (uint_argument(args, 2) != 0 || count == 0 || count > FUTEX_WAITV_MAX || args.a[0] == 0) return fail(Errno::kInval);
  Deadline deadline = kForever;
  if (timeout_at != 0) {
    const int clock = int_argument(args, 4);
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return fail(Errno::kInval);
    QUIRE_TRY(deadline, get_duration(timeout_at));
    if (clock == CLOCK_REALTIME) deadline = monotonic_deadline(deadline);
  }
  std::vector<FutexWord> words;
  for (std::uint32_t i = 0; i < count; ++i) {
    QUIRE_TRY(const auto from, get_user<uapi::futex_waitv>(address_argument(args, 0) + i * sizeof(uapi::futex_waitv)));
    QUIRE_TRY(const FutexWord word, to_word(from));
    words.push_back(word);
  }
  QUIRE_TRY(const std::size_t woken, futex_wait_any(words, deadline));
  return static_cast<std::int64_t>(woken);
}

SyscallResult sys_futex(const SyscallArgs& args) {
  const FutexCall call{.address = address_argument(args, 0),
                       .operation = int_argument(args, 1),
                       .value = uint_argument(args, 2),
                       .fourth = args.a[3],
                       .second_address = address_argument(args, 4),
                       .third_value = uint_argument(args, 5)};
  const int command = call.operation & FUTEX_CMD_MASK;
  const bool is_wall_clock = (call.operation & FUTEX_CLOCK_REALTIME) != 0;
  const bool has_clock = command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI;
  if (is_wall_clock && !has_clock) return fail(Errno::kNoSys);
  switch (command) {
    case FUTEX_WAIT:
      return wait(call);
    case FUTEX_WAIT_BITSET:
      return wait_bits(call);
    case FUTEX_WAKE:
      return wake(call, kAnyBits);
    case FUTEX_WAKE_BITSET:
      return wake(call, call.third_value);
    case FUTEX_REQUEUE:
      return requeue(call, Compare::kNo);
    case FUTEX_CMP_REQUEUE:
      return requeue(call, Compare::kYes);
    case FUTEX_WAKE_OP:
      return wake_operation(call);
    case FUTEX_LOCK_PI:
      return lock_owned(call, true);
    case FUTEX_LOCK_PI2:
      return lock_owned(call, is_wall_clock);
    case FUTEX_WAIT_REQUEUE_PI:
      return wait_to_lock(call, is_wall_clock);
    case FUTEX_CMP_REQUEUE_PI:
      return requeue_owned(call);
    case FUTEX_TRYLOCK_PI:
      return change_owned(call, futex_try_lock_owned);
    case FUTEX_UNLOCK_PI:
      return change_owned(call, futex_unlock_owned);
    default:
      return fail(Errno::kNoSys);
  }
}

}  // namespace quire::kernel
