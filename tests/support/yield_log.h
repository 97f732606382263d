// What core does, told by its yield points (quire_hooks.h): locks, atomics, entries, copies of pages.
#pragma once

#include <quire_hooks.h>

#include <gtest/gtest.h>

#include <functional>
#include <string_view>

namespace quire::test {

/// Hears of each step that this thread takes while it lives.
class YieldLog final : public hooks::Scheduler {
 public:
  using Hear = std::function<void(std::string_view what, const void* where)>;

  explicit YieldLog(Hear hear) : hear_(std::move(hear)), before_(hooks::set_scheduler(this)) {}
  ~YieldLog() override { hooks::set_scheduler(before_); }
  YieldLog(const YieldLog&) = delete;
  YieldLog& operator=(const YieldLog&) = delete;

  void yield(const char* what, const void* where) override { hear_(what, where); }
  void wait(const std::atomic<std::uint32_t>&, std::uint32_t) override { ADD_FAILURE() << "waits for somebody"; }
  void wake(const std::atomic<std::uint32_t>&) override {}

 private:
  Hear hear_;
  hooks::Scheduler* before_;
};

}  // namespace quire::test
