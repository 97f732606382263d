#include "quire/base/assert.h"

#include "quire/base/text.h"
#include "quire/platform.h"

namespace quire {

void assertion_failed(const char* condition, const char* message, const char* file, int line) {
  Text<512> text;
  text.add(file).add(":").add(static_cast<std::uint64_t>(line)).add(": ").add(message).add(" [").add(condition).add("]");
  platform::panic(text.c_str());
}

}  // namespace quire
