#include "fs/nine_p/file_system.h"

#include "fs/nine_p/shared_contents.h"

namespace quire::kernel {
namespace nine_p {

FileSystem9p::FileSystem9p(RefPtr<Client> client, Sharing sharing)
    : FileSystem("9p"), client_(std::move(client)), sharing_(sharing) {
  SharedContents::prepare();
}

Result<RefPtr<FileSystem9p>> FileSystem9p::mount(NinePTransport& transport, Sharing sharing,
                                                 RefPtr<Inode>& root) {
  QUIRE_TRY(Client::Connection connection, Client::connect(transport));
  QUIRE_TRY(FidHandle root_fid, connection.client->clone(connection.root.get()));
  RefPtr<FileSystem9p> fs = make_ref<FileSystem9p>(connection.client, sharing);
  fs->root_ = std::move(connection.root);
  root = make_ref<Inode9p>(fs, nullptr, "", connection.root_qid, std::move(root_fid));
  return fs;
}

Result<FileSystemFigures> FileSystem9p::figures() { return client_->statfs(root_.get()); }

Result<void> FileSystem9p::sync() { return SharedContents::store_every(this); }

RefPtr<Inode9p> Listings::take_first_locked() {
  auto& first = static_cast<Inode9p&>(listed_.front());
  listed_.pop_front();
  first.is_listed_ = false;
  return try_ref(first);
}

void Listings::note_use(Inode9p& inode) {
  RefPtr<Inode9p> victim;
  {
    Guard guard(lock_);
    if (inode.is_listed_) listed_.erase(listed_.iterator_to(inode));
    listed_.push_back(inode);
    inode.is_listed_ = true;
    if (listed_.size() <= kMost) return;
    victim = take_first_locked();
  }
  if (!victim) return;
  Guard guard(victim->ahead_lock_);
  victim->ahead_ = nullptr;
}

void Listings::forget(Inode9p& inode) {
  Guard guard(lock_);
  if (inode.is_listed_) listed_.erase(listed_.iterator_to(inode));
  inode.is_listed_ = false;
}

}  // namespace nine_p
}  // namespace quire::kernel
