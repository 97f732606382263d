// A file for tests: a source whose page n begins with the word `value_of(n)` until another is stored, and objects over it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "quire/memory_manager.h"
#include "quire/object/file_object.h"
#include "quire/vma/vma.h"

namespace quire::test {

/// Counts what it is asked for; fails when told to.
class TestSource final : public FileSource, public PageAccount {
 public:
  explicit TestSource(MemoryManager& memory) : memory_(memory) {}

  [[nodiscard]] static std::uint64_t value_of(std::uint64_t index) { return 1000 + index; }

  Cluster cluster(PageIndex index) override {
    return {PageIndex(index.raw() / around * around), PageCount(around)};
  }
  Result<void> read(PageIndex first, std::span<Frame* const> pages) override {
    ++reads;
    pages_read += pages.size();
    if (fails) return fail(Errno::kIo);
    for (std::size_t n = 0; n < pages.size(); ++n) {
      std::byte* const bytes = memory_.contents(*pages[n]);
      __builtin_memset(bytes, 0, kPageSize);
      const auto known = stored.find(first.raw() + n);
      const std::uint64_t value = known == stored.end() ? value_of(first.raw() + n) : known->second;
      __builtin_memcpy(bytes, &value, sizeof value);
    }
    return {};
  }
  Result<void> write(PageIndex first, std::span<Frame* const> pages) override {
    ++writes;
    pages_written += pages.size();
    if (during_write) std::exchange(during_write, nullptr)();
    if (fails_to_store) return fail(Errno::kNoSpc);
    for (std::size_t n = 0; n < pages.size(); ++n) {
      std::uint64_t value = 0;
      std::byte* const bytes = memory_.contents(*pages[n]);
      hooks::yield_point("load_frame", bytes);
      __builtin_memcpy(&value, bytes, sizeof value);
      stored[first.raw() + n] = value;
    }
    return {};
  }
  Result<void> charge() override {
    if (charged.fetch_add(1) < budget) return {};
    charged.fetch_sub(1);
    return fail(Errno::kNoSpc);
  }
  void uncharge(PageCount pages) override { charged.fetch_sub(pages.raw()); }
  void note_mapped_write() override { ++mapped_writes; }

  std::uint64_t around = 1;  ///< pages read at once
  bool fails = false, fails_to_store = false;
  std::map<std::uint64_t, std::uint64_t> stored;  ///< the first words of the pages that were
  std::function<void()> during_write;  ///< once
  std::uint64_t budget = ~std::uint64_t{0} >> 1;
  std::atomic<std::uint64_t> reads{0}, pages_read{0}, writes{0}, pages_written{0}, charged{0}, mapped_writes{0};

 private:
  MemoryManager& memory_;
};

/// Counts its holders, and keeps what was to be made a hole last.
class TestLabel final : public VmaLabel {
 public:
  void hold() override { ++holders; }
  void release() override { --holders; }
  Result<void> punch(PageIndex first, PageCount count) override {
    punched = {first.raw(), count.raw()};
    return {};
  }
  Result<void> store(PageIndex first, PageCount count) override {
    stored.emplace_back(first.raw(), count.raw());
    if (store_error != Errno{0}) return fail(store_error);
    return {};
  }
  int holders = 0;
  std::pair<std::uint64_t, std::uint64_t> punched{};
  std::vector<std::pair<std::uint64_t, std::uint64_t>> stored;
  Errno store_error{0};
};

/// An object with one user, who is this.
class ObjectUser {
 public:
  ObjectUser(MemoryManager& memory, const FileObject::Config& config)
      : object_(*FileObject::create(memory, config)) {}
  ~ObjectUser() { object_->drop_user(); }
  ObjectUser(const ObjectUser&) = delete;
  ObjectUser& operator=(const ObjectUser&) = delete;
  FileObject* operator->() const { return object_; }
  FileObject& operator*() const { return *object_; }

 private:
  FileObject* object_;
};

/// Tests with a file and an object over it, both made when they are first asked for.
template <typename Fixture>
class WithFile : public Fixture {
 protected:
  static constexpr std::uint64_t kPages = 8;

  void TearDown() override {
    object_.reset();
    Fixture::TearDown();
  }
  TestSource& source() {
    if (!source_) source_.emplace(this->memory());
    return *source_;
  }
  FileObject& object(std::uint64_t pages = kPages) {
    if (!object_) {
      object_.emplace(this->memory(), FileObject::Config{.leaf_class = LeafClass::kFile,
                                                         .size = PageCount(pages).bytes(),
                                                         .account = &source(),
                                                         .source = &source()});
    }
    return **object_;
  }

 private:
  std::optional<TestSource> source_;
  std::optional<ObjectUser> object_;
};

}  // namespace quire::test
