// libFuzzer's way into the model test (preset fuzz): two bytes choose mode and shape, then eight
// bytes are an operation.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "model/runner.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quire::model;
  if (size < 2) return 0;
  const quire::Geometry shapes[] = {quire::Geometry::x86_64(), quire::Geometry::tiny(2, 5),
                                    quire::Geometry::tiny(3, 3), quire::Geometry::tiny(4, 2),
                                    quire::Geometry::tiny(5, 2)};
  RunnerConfig config;
  config.mode = static_cast<quire::ForkMode>(data[0] % 3);
  config.lend_tables = data[0] >= 128;
  config.geometry = shapes[data[1] % 5];
  config.memory = std::uint64_t{32} << 20;
  config.audit_every = 64;
  Runner runner(config);
  for (std::size_t at = 2; at + sizeof(std::uint64_t) <= size && runner.ok();
       at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + at, sizeof word);
    runner.step(Operation::from_word(word));
  }
  runner.finish();
  if (!runner.ok()) {
    std::fprintf(stderr, "%s\n", runner.failure().c_str());
    std::abort();
  }
  return 0;
}
