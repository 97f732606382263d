// What an assertion says, without its ending the process.
#pragma once

#include <string>

#include "quire/host/machine.h"

namespace quire::test {

/// Catches the panics of a scope: panic_of() gives the text, or nothing if there was none. What the assertion left half done is not to be
/// used afterwards.
class PanicCatcher {
 public:
  PanicCatcher()
      : before_(set_panic_handler([](const char* text) {
          said = text;
          throw 0;  // leaves the assertion
        })) {}
  ~PanicCatcher() { set_panic_handler(before_); }
  PanicCatcher(const PanicCatcher&) = delete;
  PanicCatcher& operator=(const PanicCatcher&) = delete;

  template <typename Body>
  [[nodiscard]] static std::string panic_of(Body body) {
    try {
      body();
    } catch (int) {
      return said;
    }
    return "";
  }

 private:
  static inline std::string said;
  PanicHandler before_;
};

}  // namespace quire::test
