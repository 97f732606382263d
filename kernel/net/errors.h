// Error numbers that only sockets have.
#pragma once

#include <asm/errno.h>

#include "quire/base/errno.h"

namespace quire::kernel {

inline constexpr Errno kDestinationRequired{EDESTADDRREQ}, kMessageTooLong{EMSGSIZE}, kWrongProtocolType{EPROTOTYPE},
    kNoSuchOption{ENOPROTOOPT}, kNoSuchProtocol{EPROTONOSUPPORT}, kNoSuchSocketType{ESOCKTNOSUPPORT}, kAddressInUse{EADDRINUSE},
    kAddressNotHere{EADDRNOTAVAIL}, kNetworkUnreachable{ENETUNREACH}, kConnectionAborted{ECONNABORTED}, kConnectionReset{ECONNRESET},
    kNoBuffers{ENOBUFS}, kIsConnected{EISCONN}, kNotConnected{ENOTCONN}, kTooManyReferences{ETOOMANYREFS},
    kConnectionRefused{ECONNREFUSED}, kNoError{0};

}  // namespace quire::kernel
