// Linux as oracle: the same keys, typed one by one into a pseudo-terminal of the host and into our
// line discipline, give the same echo, the same number of readable bytes and the same reads, under
// random settings.
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "terminal_fixture.h"

namespace quire::kernel::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);

/// A pseudo-terminal of the host; no session's controlling terminal, so its signals reach nobody.
class HostTerminal {
 public:
  HostTerminal() {
    master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) return;
    std::array<char, 64> name{};
    if (::ptsname_r(master_, name.data(), name.size()) != 0) return;
    slave_ = ::open(name.data(), O_RDWR | O_NOCTTY | O_NONBLOCK);
  }
  ~HostTerminal() {
    if (slave_ >= 0) ::close(slave_);
    if (master_ >= 0) ::close(master_);
  }
  HostTerminal(const HostTerminal&) = delete;
  HostTerminal& operator=(const HostTerminal&) = delete;

  [[nodiscard]] bool is_there() const { return slave_ >= 0; }
  bool set(const Termios& termios) {
    return ::ioctl(slave_, TCSETS2, static_cast<const termios2*>(&termios)) == 0;
  }
  bool type(char key) { return ::write(master_, &key, 1) == 1; }

  /// The echo, once it is as long as expected; the host echoes in its own time.
  std::string echo(std::size_t expected) {
    std::string all;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (all.size() < expected && std::chrono::steady_clock::now() < until) {
      ::pollfd fd{master_, POLLIN, 0};
      ::poll(&fd, 1, 100);
      append_echo(all);
    }
    append_echo(all);
    return all;
  }
  /// FIONREAD, once it is what is expected, or at last.
  std::size_t readable(std::size_t expected) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    int n = 0;
    do {
      ::ioctl(slave_, FIONREAD, &n);
      if (static_cast<std::size_t>(n) == expected) break;
      std::this_thread::yield();
    } while (std::chrono::steady_clock::now() < until);
    return static_cast<std::size_t>(n);
  }
  std::string read(std::size_t size) {
    std::string bytes(size, '\0');
    const ssize_t n = ::read(slave_, bytes.data(), size);
    if (n < 0) return errno == EAGAIN ? "(nothing)" : "(error)";
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
  }

 private:
  void append_echo(std::string& all) {
    std::array<char, 4096> bytes{};
    const ssize_t n = ::read(master_, bytes.data(), bytes.size());
    if (n > 0) all.append(bytes.data(), static_cast<std::size_t>(n));
  }
  int master_ = -1, slave_ = -1;
};

class PtyOracle : public LineTest {
 protected:
  template <std::size_t N>
  char pick(const std::array<char, N>& from) {
    return from[random_() % N];
  }
  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  using Modes = std::initializer_list<tcflag_t>;

  Termios random_settings() {
    Termios t = Termios::standard();
    // No flow control: a stopped line keeps its echo to itself.
    t.c_iflag &= ~tcflag_t{IXON};
    for (const tcflag_t mode : Modes{IUTF8, ICRNL}) t.c_iflag ^= chance(3) ? mode : 0;
    for (const tcflag_t mode : Modes{INLCR, IGNCR, ISTRIP, PARMRK}) t.c_iflag ^= chance(8) ? mode : 0;
    for (const tcflag_t mode : Modes{ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN, ISIG})
      t.c_lflag ^= chance(5) ? mode : 0;
    for (const tcflag_t mode : Modes{ECHOPRT, ECHONL, NOFLSH}) t.c_lflag ^= chance(4) ? mode : 0;
    if (chance(6)) t.c_lflag &= ~tcflag_t{ICANON};
    for (const tcflag_t mode : Modes{OPOST, ONLCR, OCRNL, ONOCR, ONLRET})
      t.c_oflag ^= chance(6) ? mode : 0;
    if (chance(4)) t.c_oflag |= XTABS;
    if (chance(4)) t.c_cc[VEOL] = ';';
    return t;
  }
  char random_key() {
    static constexpr std::array kLetters = {'a', 'b', 'Z',    '_',    '7',    ' ',  ' ',
                                            '/', ';', '\xc3', '\xa4', '\xff', '\t', '\t'};
    static constexpr std::array kSpecial = {'\x7f', '\x7f', '\x15', '\x17', '\x12', '\x16',
                                            '\x04', '\r',   '\n',   '\x03', '\x1c', '\x1a',
                                            '\x01', '\0',   '\x1b', '\b'};
    return chance(3) ? pick(kSpecial) : pick(kLetters);
  }
  /// Types a key on both; what they did must agree.
  void press(char key) {
    const std::string expected = type({&key, 1});
    ASSERT_TRUE(host_->type(key));
    ASSERT_EQ(host_->readable(discipline_.readable_bytes()), discipline_.readable_bytes());
    ASSERT_EQ(host_->echo(expected.size()), expected);
  }
  static std::string describe(unsigned round, const Termios& t, const std::string& typed) {
    std::ostringstream text;
    text << "round " << round << std::oct << ", iflag " << t.c_iflag << " oflag " << t.c_oflag
         << " lflag " << t.c_lflag << ", after " << ::testing::PrintToString(typed);
    return text.str();
  }

  std::optional<HostTerminal> host_;
  std::mt19937 random_{20240101};
};

TEST_F(PtyOracle, AgreesWithLinuxOnRandomKeysAndSettings) {
  constexpr unsigned kRounds = 1000, kKeys = 40;
  for (unsigned round = 0; round < kRounds; ++round) {
    host_.emplace();
    if (!host_->is_there()) GTEST_SKIP() << "the host has no pseudo-terminals";
    const Termios settings = random_settings();
    discipline_ = {};
    discipline_.set_termios(settings);
    ASSERT_TRUE(host_->set(settings));
    std::string typed;
    for (unsigned i = 0; i < kKeys; ++i) {
      const char key = random_key();
      typed.push_back(key);
      SCOPED_TRACE(describe(round, settings, typed));
      ASSERT_NO_FATAL_FAILURE(press(key));
      if (!chance(8)) continue;
      const std::size_t size = chance(2) ? 100 : 3;
      ASSERT_EQ(host_->read(size), read(size));
    }
    while (discipline_.input_available()) {
      ASSERT_EQ(host_->read(100), read(100)) << describe(round, settings, typed);
    }
  }
}

}  // namespace
}  // namespace quire::kernel::test
