// Error numbers with Linux's user ABI values, and the result type of everything that can fail.
//
// An errno says "this request cannot be satisfied". A broken invariant is never an errno: it is an assertion (base/assert.h).
// A hosted test asserts that each value equals <cerrno>'s.
#pragma once

#include <cstdint>
#include <expected>
#include <utility>

namespace quire {

/// A Linux error number (uapi/asm-generic/errno-base.h, errno.h).
enum class Errno : std::int32_t {
  kPerm = 1,
  kNoEnt = 2,
  kSrch = 3,
  kIntr = 4,
  kIo = 5,
  kNxIo = 6,
  kTooBig = 7,
  kNoExec = 8,
  kBadF = 9,
  kChild = 10,
  kAgain = 11,
  kNoMem = 12,
  kAcces = 13,
  kFault = 14,
  kNotBlk = 15,
  kBusy = 16,
  kExist = 17,
  kXDev = 18,
  kNoDev = 19,
  kNotDir = 20,
  kIsDir = 21,
  kInval = 22,
  kNFile = 23,
  kMFile = 24,
  kNotTty = 25,
  kTxtBsy = 26,
  kFBig = 27,
  kNoSpc = 28,
  kSPipe = 29,
  kRoFs = 30,
  kMLink = 31,
  kPipe = 32,
  kDom = 33,
  kRange = 34,
  kDeadlk = 35,
  kNameTooLong = 36,
  kNoLck = 37,
  kNoSys = 38,
  kNotEmpty = 39,
  kLoop = 40,
  kNoData = 61,
  kProto = 71,
  kOverflow = 75,
  kNotSock = 88,
  kOpNotSupp = 95,
  kAfNoSupport = 97,
  kTimedOut = 110,
  kAlready = 114,
  kInProgress = 115,
};

/// A value or a Linux error.
template <typename T>
class [[nodiscard]] Result : public std::expected<T, Errno> {
 public:
  using std::expected<T, Errno>::expected;
};

/// Shorthand for returning an error from a function that returns a Result.
[[nodiscard]] constexpr std::unexpected<Errno> fail(Errno error) { return std::unexpected(error); }

}  // namespace quire

#define QUIRE_CONCAT_INNER(a, b) a##b
#define QUIRE_CONCAT(a, b) QUIRE_CONCAT_INNER(a, b)

/// Returns from the enclosing function if the expression failed; otherwise declares `variable` with its value.
#define QUIRE_TRY(variable, expression) QUIRE_TRY_INNER(QUIRE_CONCAT(quire_try_, __LINE__), variable, expression)
#define QUIRE_TRY_INNER(temporary, variable, expression)       \
  auto temporary = (expression);                               \
  if (!temporary) return ::quire::fail(temporary.error());     \
  variable = std::move(*temporary)

/// Returns from the enclosing function if the expression (a Result<void>, or one whose value is not wanted) failed.
#define QUIRE_CHECK(expression)                                                               \
  do {                                                                                        \
    if (auto quire_check_ = (expression); !quire_check_) return ::quire::fail(quire_check_.error()); \
  } while (false)
