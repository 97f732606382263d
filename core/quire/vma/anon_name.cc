#include "quire/vma/anon_name.h"

#include "quire/memory_manager.h"

namespace quire {

// Linux v6.12 kernel/sys.c:is_valid_name_char()
bool AnonName::is_valid(std::string_view text) {
  if (text.size() > kMaxLength) return false;
  for (const char c : text) {
    if (c < ' ' || c > '~' || c == '\\' || c == '`' || c == '$' || c == '[' || c == ']') return false;
  }
  return true;
}

AnonName::AnonName(MemoryManager& memory, std::string_view text) : memory_(memory), length_(static_cast<std::uint8_t>(text.size())) {
  __builtin_memcpy(text_, text.data(), text.size());
}

void AnonName::release() {
  if (holders_.fetch_sub(1) == 1) memory_.anon_names().destroy(this);
}

}  // namespace quire
