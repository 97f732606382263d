#include "vdso/vdso.h"

#include <cstring>

#include "arch/layout.h"
#include "arch/panic.h"
#include "fs/vfs.h"
#include "mm/memory.h"
#include "quire/object/device_object.h"
#include "quire/object/file_object.h"
#include "quire/uapi.h"
#include "time/tsc.h"

namespace quire::kernel {

namespace {

extern "C" const std::byte vdso_image_begin[], vdso_image_end[];

/// What /proc/PID/maps calls one of the pages.
class PageName final : public File {
 public:
  explicit PageName(const char* text) : text_(text) {}
  [[nodiscard]] std::string anonymous_name() const override { return text_; }

 private:
  const char* const text_;
};

struct SystemPages {
  FileObject& code;
  DeviceObject& data;
  RefPtr<File> code_name, data_name;
};
constinit SystemPages* pages = nullptr;

Pfn frame_of_image(const void* address) {
  return Pfn((reinterpret_cast<std::uint64_t>(address) - kImageBase) >> kPageShift);
}

FileObject& make_code() {
  const auto size = static_cast<std::size_t>(vdso_image_end - vdso_image_begin);
  const auto made = FileObject::create(memory(), {.leaf_class = LeafClass::kFile, .size = ByteCount(kPageSize)});
  const auto page = made ? (*made)->page_for_write(PageIndex(0)) : fail(made.error());
  if (!page || size > kPageSize) panic("no memory for the vDSO");
  std::memcpy(memory().contents(**page), vdso_image_begin, size);
  (*made)->put_page(**page);
  return **made;
}

DeviceObject& make_data() {
  const auto made = DeviceObject::create(memory(), frame_of_image(&clock_page), PageCount(1));
  if (!made) panic("no memory for the vDSO's data");
  return **made;
}

/// Room for both, where mmap would put it.
Result<VirtAddr> find_room(AddressSpace& space) {
  MmapRequest request;
  request.length = PageCount(2).bytes();
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous | quire::uapi::kMapNoReserve;
  return space.mmap(request);
}

Result<void> map_page(AddressSpace& space, VirtAddr address, std::uint32_t prot, MemoryObject& object, File& name) {
  MmapRequest request;
  request.address = address;
  request.length = ByteCount(kPageSize);
  request.prot = prot;
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapFixed;
  request.object = &object;
  request.label = &name;
  request.size = MmapRequest::Size::kFixed;
  QUIRE_CHECK(space.mmap(request));
  return {};
}

}  // namespace

void init_vdso() {
  pages = new SystemPages{make_code(), make_data(), make_ref<PageName>("[vdso]"), make_ref<PageName>("[vvar]")};
}

void drop_vdso() {
  pages->code.drop_user();
  pages->data.drop_user();
  delete std::exchange(pages, nullptr);
}

Result<VirtAddr> map_vdso(AddressSpace& space) {
  QUIRE_TRY(const VirtAddr data, find_room(space));
  const VirtAddr code = data + ByteCount(kPageSize);
  QUIRE_CHECK(map_page(space, data, quire::uapi::kProtRead, pages->data, *pages->data_name));
  QUIRE_CHECK(map_page(space, code, quire::uapi::kProtRead | quire::uapi::kProtExec, pages->code, *pages->code_name));
  return code;
}

}  // namespace quire::kernel
