// Random bytes: a ChaCha20 generator with fast key erasure (RFC 8439 block function; the first 32 bytes of each refill become the
// next key), keyed from virtio-rng, RDRAND and the time stamp counter, or from the launch record's seed alone.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "arch/features.h"
#include "arch/registers.h"
#include "boot/launch.h"
#include "drivers/console_port.h"
#include "drivers/devices.h"
#include "lib/log.h"
#include "sync/lock.h"

namespace quire::kernel {
namespace {

using Key = std::array<std::uint32_t, 8>;
using Block = std::array<std::uint32_t, 16>;

constexpr std::size_t kBlockBytes = sizeof(Block), kKeyBytes = sizeof(Key);

void quarter_round(Block& s, unsigned a, unsigned b, unsigned c, unsigned d) {
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b], s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d], s[b] = std::rotl(s[b] ^ s[c], 7);
}

Block chacha20_block(const Key& key, std::uint32_t counter) {
  Block start{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  std::copy(key.begin(), key.end(), start.begin() + 4);
  start[12] = counter;
  Block state = start;
  for (int i = 0; i < 10; ++i) {
    for (unsigned column = 0; column < 4; ++column) quarter_round(state, column, column + 4, column + 8, column + 12);
    quarter_round(state, 0, 5, 10, 15);
    quarter_round(state, 1, 6, 11, 12);
    quarter_round(state, 2, 7, 8, 13);
    quarter_round(state, 3, 4, 9, 14);
  }
  for (unsigned i = 0; i < state.size(); ++i) state[i] += start[i];
  return state;
}

class Generator {
 public:
  /// Makes the key depend on more bytes: each 32 are added in and the key is passed through the block function.
  void mix(const void* data, std::size_t size) {
    const Guard guard(lock_);
    const auto* bytes = static_cast<const std::byte*>(data);
    while (size != 0) {
      Key input{};
      const std::size_t n = std::min(size, kKeyBytes);
      std::memcpy(input.data(), bytes, n);
      for (unsigned i = 0; i < key_.size(); ++i) key_[i] ^= input[i];
      next_key(chacha20_block(key_, 0));
      bytes += n;
      size -= n;
    }
  }

  void generate(std::byte* to, std::size_t size) {
    const Guard guard(lock_);
    Block block = chacha20_block(key_, 0);
    const Key key = key_;
    next_key(block);
    // The rest of the first block, then as many more of the old key as it takes.
    const auto* rest = reinterpret_cast<const std::byte*>(block.data()) + kKeyBytes;
    std::size_t available = kBlockBytes - kKeyBytes;
    for (std::uint32_t counter = 1;; ++counter) {
      const std::size_t n = std::min(size, available);
      std::memcpy(to, rest, n);
      to += n;
      size -= n;
      if (size == 0) return;
      block = chacha20_block(key, counter);
      rest = reinterpret_cast<const std::byte*>(block.data());
      available = kBlockBytes;
    }
  }

 private:
  void next_key(const Block& block) { std::copy_n(block.begin(), key_.size(), key_.begin()); }

  SpinLock lock_;
  Key key_{};
};

constinit Generator generator;
VirtioMmio* entropy_device = nullptr;
std::array<Virtqueue, 1> entropy_queue;

void mix_entropy_device() {
  if (entropy_device == nullptr) return;
  alignas(64) std::array<std::byte, 64> bytes{};
  const std::array buffers{VirtioBuffer{bytes.data(), bytes.size(), VirtioBuffer::Direction::kFromDevice}};
  AwaitedRequest request;
  entropy_queue[0].add_when_room(buffers, request);
  generator.mix(bytes.data(), request.wait());
}

void mix_cpu() {
  constexpr int kWords = 8;
  for (int i = 0; i < kWords; ++i) {
    std::uint64_t word = read_tsc();
    std::uint64_t random = 0;
    if (cpu_features().rdrand) asm volatile("rdrand %0" : "=r"(random) : : "cc");  // 0 when it has none: no harm
    word ^= random;
    generator.mix(&word, sizeof word);
  }
}

}  // namespace

bool start_rng(VirtioMmio& slot) {
  if (!slot.negotiate(0)) return false;
  slot.set_up(entropy_queue[0], 0);
  slot.begin(entropy_queue);
  entropy_device = &slot;
  return true;
}

void seed_random() {
  if (!launch().seed.empty()) {
    generator.mix(launch().seed.data(), launch().seed.size());
    return;
  }
  mix_entropy_device();
  mix_cpu();
}

void random_bytes(void* to, std::size_t size) {
  // Short turns, so that a large request does not hold the lock for long.
  constexpr std::size_t kTurn = 4096;
  auto* out = static_cast<std::byte*>(to);
  while (size != 0) {
    const std::size_t n = std::min(size, kTurn);
    generator.generate(out, n);
    out += n;
    size -= n;
  }
}

}  // namespace quire::kernel
