// Shared by the conformance programs about sockets.
#pragma once
#include "facts.h"

#include <poll.h>
#include <sys/socket.h>

/// What poll says of `fd` within `timeout` milliseconds.
static inline void poll_of(const char* what, int fd, int timeout) {
  struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};
  poll(&p, 1, timeout);
  fact("%s: %x", what, p.revents);
}

/// What arrives.
static inline void says(const char* what, int fd, int flags) {
  char text[64] = {0};
  long n = recv(fd, text, sizeof text - 1, flags);
  if (n < 0)
    fact("%s: %s", what, strerrorname_np(errno));
  else
    fact("%s: %ld '%s'", what, n, text);
}
