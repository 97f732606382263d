// What must be equal to Linux's headers, and what must not grow: error numbers, UAPI constants,
// sizes.
#include <sys/mman.h>

#include <cerrno>

#include <gtest/gtest.h>

#include "quire/quire.h"

namespace quire::test {
namespace {

constexpr int number(Errno error) { return static_cast<int>(error); }

// Rows: S2.3
TEST(Constants, ErrorNumbersAreLinuxs) {
  static_assert(number(Errno::kPerm) == EPERM && number(Errno::kNoEnt) == ENOENT &&
                number(Errno::kSrch) == ESRCH);
  static_assert(number(Errno::kIntr) == EINTR && number(Errno::kIo) == EIO &&
                number(Errno::kNxIo) == ENXIO);
  static_assert(number(Errno::kTooBig) == E2BIG && number(Errno::kNoExec) == ENOEXEC &&
                number(Errno::kBadF) == EBADF);
  static_assert(number(Errno::kChild) == ECHILD && number(Errno::kAgain) == EAGAIN &&
                number(Errno::kNoMem) == ENOMEM);
  static_assert(number(Errno::kAcces) == EACCES && number(Errno::kFault) == EFAULT &&
                number(Errno::kNotBlk) == ENOTBLK);
  static_assert(number(Errno::kBusy) == EBUSY && number(Errno::kExist) == EEXIST &&
                number(Errno::kXDev) == EXDEV);
  static_assert(number(Errno::kNoDev) == ENODEV && number(Errno::kNotDir) == ENOTDIR &&
                number(Errno::kIsDir) == EISDIR);
  static_assert(number(Errno::kInval) == EINVAL && number(Errno::kNFile) == ENFILE &&
                number(Errno::kMFile) == EMFILE);
  static_assert(number(Errno::kNotTty) == ENOTTY && number(Errno::kTxtBsy) == ETXTBSY &&
                number(Errno::kFBig) == EFBIG);
  static_assert(number(Errno::kNoSpc) == ENOSPC && number(Errno::kSPipe) == ESPIPE &&
                number(Errno::kRoFs) == EROFS);
  static_assert(number(Errno::kMLink) == EMLINK && number(Errno::kPipe) == EPIPE &&
                number(Errno::kDom) == EDOM);
  static_assert(number(Errno::kRange) == ERANGE && number(Errno::kDeadlk) == EDEADLK);
  static_assert(number(Errno::kNameTooLong) == ENAMETOOLONG && number(Errno::kNoLck) == ENOLCK &&
                number(Errno::kNoSys) == ENOSYS);
  static_assert(number(Errno::kNotEmpty) == ENOTEMPTY && number(Errno::kLoop) == ELOOP &&
                number(Errno::kNoData) == ENODATA);
  static_assert(number(Errno::kProto) == EPROTO && number(Errno::kOverflow) == EOVERFLOW &&
                number(Errno::kNotSock) == ENOTSOCK);
  static_assert(number(Errno::kOpNotSupp) == EOPNOTSUPP &&
                number(Errno::kAfNoSupport) == EAFNOSUPPORT);
  static_assert(number(Errno::kTimedOut) == ETIMEDOUT && number(Errno::kAlready) == EALREADY);
  static_assert(number(Errno::kInProgress) == EINPROGRESS);
}

// Rows: S2.3
TEST(Constants, MappingFlagsAreLinuxs) {
  static_assert(uapi::kMapShared == MAP_SHARED && uapi::kMapPrivate == MAP_PRIVATE &&
                uapi::kMapType == MAP_TYPE);
  static_assert(uapi::kMapSharedValidate == MAP_SHARED_VALIDATE && uapi::kMapFixed == MAP_FIXED);
  static_assert(uapi::kMapAnonymous == MAP_ANONYMOUS && uapi::kMap32Bit == MAP_32BIT &&
                uapi::kMapGrowsDown == MAP_GROWSDOWN);
  static_assert(uapi::kMapDenyWrite == MAP_DENYWRITE && uapi::kMapExecutable == MAP_EXECUTABLE);
  static_assert(uapi::kMapLocked == MAP_LOCKED && uapi::kMapNoReserve == MAP_NORESERVE &&
                uapi::kMapPopulate == MAP_POPULATE);
  static_assert(uapi::kMapNonBlock == MAP_NONBLOCK && uapi::kMapStack == MAP_STACK &&
                uapi::kMapHugeTlb == MAP_HUGETLB);
  static_assert(uapi::kMapSync == MAP_SYNC && uapi::kMapFixedNoReplace == MAP_FIXED_NOREPLACE);
  static_assert(uapi::kProtRead == PROT_READ && uapi::kProtWrite == PROT_WRITE &&
                uapi::kProtExec == PROT_EXEC);
  static_assert(uapi::kProtGrowsDown == PROT_GROWSDOWN &&
                uapi::kProtGrowsUp == static_cast<std::uint32_t>(PROT_GROWSUP));
  static_assert(uapi::kMadvNormal == MADV_NORMAL && uapi::kMadvRandom == MADV_RANDOM &&
                uapi::kMadvSequential == MADV_SEQUENTIAL);
  static_assert(uapi::kMadvWillNeed == MADV_WILLNEED && uapi::kMadvDontNeed == MADV_DONTNEED &&
                uapi::kMadvFree == MADV_FREE);
  static_assert(uapi::kMadvRemove == MADV_REMOVE && uapi::kMadvDontFork == MADV_DONTFORK &&
                uapi::kMadvDoFork == MADV_DOFORK);
  static_assert(uapi::kMadvMergeable == MADV_MERGEABLE &&
                uapi::kMadvUnmergeable == MADV_UNMERGEABLE);
  static_assert(uapi::kMadvHugePage == MADV_HUGEPAGE && uapi::kMadvNoHugePage == MADV_NOHUGEPAGE);
  static_assert(uapi::kMadvDontDump == MADV_DONTDUMP && uapi::kMadvDoDump == MADV_DODUMP);
  static_assert(uapi::kMadvWipeOnFork == MADV_WIPEONFORK &&
                uapi::kMadvKeepOnFork == MADV_KEEPONFORK);
  static_assert(uapi::kMadvCold == MADV_COLD && uapi::kMadvPageOut == MADV_PAGEOUT);
  static_assert(Prot::kReadBit == PROT_READ && Prot::kWriteBit == PROT_WRITE &&
                Prot::kExecBit == PROT_EXEC);
}

// Rows: S2.15 S4.9
TEST(Sizes, StayWithinTheirBudgets) {
  static_assert(sizeof(Frame) == 64, "one cache line per frame");
  static_assert(sizeof(Vma) <= 64);
  static_assert(sizeof(VmaNode) <= 128);
  static_assert(sizeof(Attachment) <= 80);
  static_assert(sizeof(AnonObject) <= 96);
  static_assert(sizeof(AddressSpace) <= 512);
  static_assert(sizeof(Entry) == 8);
  static_assert(sizeof(VirtRange) == 16 && sizeof(Prot) == 1);
}

// Rows: S2.3
TEST(Constants, CountersHaveLinuxLikeNames) {
  for (const char* const name : kCounterNames) {
    for (const char* letter = name; *letter != '\0'; ++letter) {
      EXPECT_TRUE((*letter >= 'a' && *letter <= 'z') || *letter == '_') << name;
    }
  }
}

}  // namespace
}  // namespace quire::test
