// The text file of a process whose text a source makes.
#pragma once

#include <memory>
#include <tuple>

#include "fs/procfs/node.h"
#include "fs/procfs/observe_access.h"

namespace quire::kernel {

/// Who may open a file besides what its mode says.
enum class Readers : std::uint8_t {
  kAll,
  kObservers,  ///< may_observe()
};

/// A source is made from the process's identity and `Extra` when the file is opened.
template <typename Source, Readers kReaders, typename... Extra>
class ProcessTextNode final : public ProcText {
 public:
  ProcessTextNode(std::uint64_t number, std::uint32_t permissions, Owner owner,
                  const ProcessIdentity& identity, Extra... extra)
      : ProcText(number, permissions, owner), identity_(identity), extra_(extra...) {}

  Result<RefPtr<File>> open(std::uint32_t flags) override {
    if constexpr (kReaders == Readers::kObservers) QUIRE_CHECK(may_observe(identity_));
    return ProcText::open(flags);
  }

 protected:
  std::unique_ptr<TextSource> source() const override {
    return std::apply(
        [this](auto... extra) { return std::make_unique<Source>(identity_, extra...); }, extra_);
  }

 private:
  ProcessIdentity identity_;
  std::tuple<Extra...> extra_;
};

}  // namespace quire::kernel
