// Linux's numbers at core's interface (uapi/asm-generic/mman-common.h, mman.h). A hosted test compares each with <sys/mman.h>.
#pragma once

#include <cstdint>

namespace quire::uapi {

inline constexpr std::uint32_t kMapShared = 0x01, kMapPrivate = 0x02, kMapSharedValidate = 0x03, kMapType = 0x0f,
                               kMapFixed = 0x10, kMapAnonymous = 0x20, kMap32Bit = 0x40, kMapGrowsDown = 0x100,
                               kMapDenyWrite = 0x800, kMapExecutable = 0x1000, kMapLocked = 0x2000, kMapNoReserve = 0x4000,
                               kMapPopulate = 0x8000, kMapNonBlock = 0x10000, kMapStack = 0x20000, kMapHugeTlb = 0x40000,
                               kMapSync = 0x80000, kMapFixedNoReplace = 0x100000, kMapUninitialized = 0x4000000;

inline constexpr std::uint32_t kProtRead = 1, kProtWrite = 2, kProtExec = 4, kProtSem = 8, kProtGrowsDown = 0x01000000,
                               kProtGrowsUp = 0x02000000;

inline constexpr std::uint32_t kMremapMayMove = 1, kMremapFixed = 2, kMremapDontUnmap = 4;

inline constexpr std::uint32_t kMclCurrent = 1, kMclFuture = 2, kMclOnFault = 4;

inline constexpr std::uint32_t kMsAsync = 1, kMsInvalidate = 2, kMsSync = 4;

inline constexpr int kMadvNormal = 0, kMadvRandom = 1, kMadvSequential = 2, kMadvWillNeed = 3, kMadvDontNeed = 4,
                     kMadvFree = 8, kMadvRemove = 9, kMadvDontFork = 10, kMadvDoFork = 11, kMadvMergeable = 12,
                     kMadvUnmergeable = 13, kMadvHugePage = 14, kMadvNoHugePage = 15, kMadvDontDump = 16, kMadvDoDump = 17,
                     kMadvWipeOnFork = 18, kMadvKeepOnFork = 19, kMadvCold = 20, kMadvPageOut = 21, kMadvPopulateRead = 22,
                     kMadvPopulateWrite = 23, kMadvDontNeedLocked = 24;

/// Quire's own, which no Linux knows: whether fork copies or shares the tables of a mapping (S0.57).
inline constexpr int kMadvForkCopies = 0x51520001, kMadvForkShares = 0x51520002;

}  // namespace quire::uapi
