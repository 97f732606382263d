// What the compiler and libstdc++'s headers expect of a C and C++ runtime.
#include <cstddef>
#include <cstdint>

#include "arch/panic.h"

extern "C" {

void* memcpy(void* to, const void* from, std::size_t size) {
  void* const result = to;
  std::size_t words = size / 8, bytes = size % 8;
  asm volatile("rep movsq\n\tmovq %3, %%rcx\n\trep movsb"
               : "+D"(to), "+S"(from), "+c"(words)
               : "r"(bytes)
               : "memory");
  return result;
}

void* memmove(void* to, const void* from, std::size_t size) {
  if (static_cast<std::byte*>(to) - static_cast<const std::byte*>(from) < 0 ||
      static_cast<const std::byte*>(from) + size <= to) {
    return memcpy(to, from, size);
  }
  auto* last_to = static_cast<std::byte*>(to) + size - 1;
  const auto* last_from = static_cast<const std::byte*>(from) + size - 1;
  asm volatile("std\n\trep movsb\n\tcld" : "+D"(last_to), "+S"(last_from), "+c"(size) : : "memory");
  return to;
}

void* memset(void* to, int value, std::size_t size) {
  void* const result = to;
  const std::uint64_t pattern = 0x0101010101010101U * static_cast<unsigned char>(value);
  std::size_t words = size / 8, bytes = size % 8;
  asm volatile("rep stosq\n\tmovq %3, %%rcx\n\trep stosb"
               : "+D"(to), "+c"(words)
               : "a"(pattern), "r"(bytes)
               : "memory");
  return result;
}

int memcmp(const void* a, const void* b, std::size_t size) {
  const auto* x = static_cast<const unsigned char*>(a);
  const auto* y = static_cast<const unsigned char*>(b);
  for (std::size_t i = 0; i < size; ++i) {
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  }
  return 0;
}

void* memchr(const void* memory, int value, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(memory);
  for (std::size_t i = 0; i < size; ++i) {
    if (bytes[i] == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(bytes + i);
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

int strcmp(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

/// std::popcount on a CPU that may not have the instruction.
int __popcountdi2(std::uint64_t value) {
  int count = 0;
  for (; value != 0; value &= value - 1) ++count;
  return count;
}

[[noreturn]] void __cxa_pure_virtual() { quire::kernel::panic("a pure virtual function was called"); }

/// Objects with static storage are never destroyed: the machine ends by power_off().
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void* __dso_handle = nullptr;

}  // extern "C"

namespace std {

[[noreturn]] void __throw_bad_alloc() { quire::kernel::panic("std::bad_alloc"); }
[[noreturn]] void __throw_bad_array_new_length() { quire::kernel::panic("std::bad_array_new_length"); }
[[noreturn]] void __throw_length_error(const char* what) { quire::kernel::panic(what); }
[[noreturn]] void __throw_logic_error(const char* what) { quire::kernel::panic(what); }
[[noreturn]] void __throw_out_of_range(const char* what) { quire::kernel::panic(what); }
[[noreturn]] void __throw_invalid_argument(const char* what) { quire::kernel::panic(what); }
[[noreturn]] void __throw_bad_function_call() { quire::kernel::panic("std::bad_function_call"); }
[[noreturn]] void __throw_bad_optional_access() { quire::kernel::panic("std::bad_optional_access"); }
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { quire::kernel::panic(what); }
[[noreturn]] void __throw_bad_variant_access(const char* what) { quire::kernel::panic(what); }

}  // namespace std
