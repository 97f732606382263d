// select(2) and pselect6(2).
#include <linux/poll.h>
#include <linux/posix_types.h>

#include <algorithm>
#include <vector>

#include "ipc/calls.h"
#include "ipc/poll_wait.h"

namespace quire::kernel {

namespace {

using Word = std::uint64_t;
constexpr std::size_t kWordBits = 64;

/// One of the three sets: where it is, which poll events belong to it, its bits and the answer.
struct SelectSet {
  UserAddr address = 0;
  PollMask events = 0;
  std::vector<Word> wanted, found;

  [[nodiscard]] bool has(std::size_t fd) const {
    return !wanted.empty() && (wanted[fd / kWordBits] >> (fd % kWordBits) & 1) != 0;
  }
  void set_found(std::size_t fd) { found[fd / kWordBits] |= Word{1} << (fd % kWordBits); }
};

/// Linux v6.12 fs/select.c: POLLIN_SET, POLLOUT_SET, POLLEX_SET.
constexpr PollMask kReadEvents = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
constexpr PollMask kWriteEvents = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
constexpr PollMask kExceptionEvents = POLLPRI;

Result<std::int64_t> select_user(std::uint64_t count_argument, UserAddr read, UserAddr write,
                                 UserAddr exception, Deadline deadline) {
  const auto signed_count = static_cast<std::int32_t>(count_argument);
  if (signed_count < 0) return fail(Errno::kInval);
  const auto count = static_cast<std::size_t>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(signed_count), current_files().limit));
  const std::size_t words = (count + kWordBits - 1) / kWordBits;
  SelectSet sets[] = {{read, kReadEvents, {}, {}},
                      {write, kWriteEvents, {}, {}},
                      {exception, kExceptionEvents, {}, {}}};
  for (SelectSet& set : sets) {
    if (set.address == 0) continue;
    set.wanted.resize(words);
    set.found.resize(words);
    QUIRE_CHECK(copy_from_user(set.wanted.data(), set.address, words * sizeof(Word)));
  }
  std::vector<PollEntry> entries;
  std::vector<std::size_t> fds;
  for (std::size_t fd = 0; fd < count; ++fd) {
    PollMask wanted = 0;
    for (const SelectSet& set : sets) wanted |= set.has(fd) ? set.events : 0;
    if (wanted == 0) continue;
    QUIRE_TRY(auto file, current_files().get(static_cast<int>(fd)));
    entries.push_back({std::move(file), wanted, 0});
    fds.push_back(fd);
  }
  QUIRE_CHECK(wait_for_events(entries, deadline));
  std::int64_t bits = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (SelectSet& set : sets) {
      if (!set.has(fds[i]) || (entries[i].ready & set.events) == 0) continue;
      set.set_found(fds[i]);
      ++bits;
    }
  }
  for (const SelectSet& set : sets) {
    if (set.address != 0)
      QUIRE_CHECK(copy_to_user(set.address, set.found.data(), words * sizeof(Word)));
  }
  return bits;
}

}  // namespace

SyscallResult sys_select(const SyscallArgs& args) {
  QUIRE_TRY(const TimevalTimeout timeout, TimevalTimeout::read(args.a[4]));
  const auto result = select_user(args.a[0], args.a[1], args.a[2], args.a[3], timeout.deadline());
  timeout.write_back();
  return result;
}

SyscallResult sys_pselect6(const SyscallArgs& args) {
  /// The sixth argument points at these two words.
  struct MaskArgument {
    UserAddr address = 0;
    std::uint64_t size = 0;
  } mask;
  if (args.a[5] != 0) {
    QUIRE_TRY(mask, get_user<MaskArgument>(args.a[5]));
  }
  QUIRE_TRY(const TimespecTimeout timeout, TimespecTimeout::read(args.a[4]));
  QUIRE_TRY(const bool masked, set_call_signal_mask(mask.address, mask.size));
  const auto result = finish_call_signal_mask(
      masked, select_user(args.a[0], args.a[1], args.a[2], args.a[3], timeout.deadline()));
  timeout.write_back();
  return result;
}

}  // namespace quire::kernel
