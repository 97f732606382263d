#include "fs/overlay/overlay_fs.h"

#include "fs/memory/machine_memory.h"
#include "fs/overlay/overlay_directory.h"
#include "fs/release_chain.h"

namespace quire::kernel {

OverlayPlace::OverlayPlace(RefPtr<OverlayDirectory> directory, std::string_view name)
    : directory_(std::move(directory)), name_(name) {}

OverlayPlace::~OverlayPlace() {
  release_chain(std::move(directory_), [](OverlayDirectory& above) { return std::move(above.place_.directory_); });
}

void OverlayPlace::pin(MemoryNode& self) {
  OverlayPlace* place = this;
  RefPtr<Inode> node(&self);
  for (;;) {
    RefPtr<OverlayDirectory> directory;
    {
      Guard guard(self.fs().names_lock);
      directory = std::move(place->directory_);
      if (!directory) return;
      if (directory->names_.find_or_null(place->name_) == nullptr) {
        static_cast<void>(directory->names_.set(place->name_, std::move(node)));
      }
    }
    place = &directory->place_;
    node = std::move(directory);
  }
}

RefPtr<OverlayFs> make_overlay_fs() { return make_ref<OverlayFs>(memory_pages() / 2, memory_pages() / 2); }

}  // namespace quire::kernel
