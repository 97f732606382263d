// The name that a program gave to anonymous memory (prctl PR_SET_VMA_ANON_NAME): a label with a text.
//
// Life cycle: made by AddressSpace::set_name(), held by the nodes of maps, and so by forks; the last holder gives it back to its pool.
// Immutable.
#pragma once

#include <cstdint>
#include <string_view>

#include "quire/base/atomic.h"
#include "quire/vma/vma.h"

namespace quire {

class MemoryManager;

class AnonName final : public VmaLabel {
 public:
  /// Linux v6.12 kernel/sys.c:ANON_VMA_NAME_MAX_LEN, which counts the end of the string.
  static constexpr std::size_t kMaxLength = 79;

  /// Whether Linux takes it: short enough, and no character but what can be printed and means nothing to a shell.
  [[nodiscard]] static bool is_valid(std::string_view text);

  /// With one holder. Pre: `text` is valid.
  AnonName(MemoryManager& memory, std::string_view text);
  void hold() override { holders_.fetch_add(1); }
  void release() override;
  [[nodiscard]] std::optional<std::string_view> name() const override { return std::string_view(text_, length_); }

 private:
  MemoryManager& memory_;
  Atomic<std::uint32_t> holders_{1};
  std::uint8_t length_;
  char text_[kMaxLength];
};

}  // namespace quire
