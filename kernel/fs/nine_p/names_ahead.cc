#include "fs/nine_p/names_ahead.h"

#include <algorithm>

namespace quire::kernel::nine_p {

NamesAhead::Found NamesAhead::take_known(std::string_view name) {
  const auto it = std::ranges::find(known_, name, &Found::name);
  if (it == known_.end()) return {};
  Found found = std::move(*it);
  known_.erase(it);
  return found;
}

bool NamesAhead::is_next(std::string_view name) {
  DirectoryListing::Cursor cursor = expected_;
  DirectoryEntry entry;
  for (unsigned skipped = 0; skipped <= kSkips && listing_->next(cursor, entry); ++skipped) {
    if (entry.name != name) continue;
    expected_ = cursor;
    return true;
  }
  return false;
}

void NamesAhead::fetch(Client& client, Fid directory, std::string_view name) {
  window_ = known_.empty() ? std::min(window_ * 2, Session::kMaxBatch) : std::max<std::size_t>(window_ / 2, 1);
  known_.clear();
  if (window_ == 1) return;
  std::vector<std::string> names{std::string(name)};
  DirectoryEntry entry;
  while (names.size() < window_ && listing_->next(expected_, entry)) names.push_back(entry.name);
  std::array<Client::Sought, Session::kMaxBatch> sought;
  for (std::size_t i = 0; i < names.size(); ++i) sought[i].name = names[i];
  client.walk_and_stat(directory, std::span(sought).first(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!sought[i].is_found()) continue;
    known_.push_back({.name = std::move(names[i]),
                      .qid = sought[i].qid,
                      .fid = std::move(sought[i].fid),
                      .attributes = sought[i].attributes});
  }
}

NamesAhead::Found NamesAhead::take(Client& client, Fid directory, std::string_view name) {
  Found found = take_known(name);
  if (found.fid || !is_next(name)) return found;
  fetch(client, directory, name);
  return take_known(name);
}

}  // namespace quire::kernel::nine_p
