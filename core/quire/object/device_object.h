// Physical memory that is mapped as it is: the pages of nobody, never counted, moved, lent or copied on write (Linux VM_PFNMAP).
//
// Life cycle: made over frames that its maker keeps, ended by the last of its users; the frames outlive every mapping. A mapping of it
// (VmaFlag::kDevice) may be read, moved and unmapped as any other, but never grows, and gives no right to write or execute. Its leaves are
// EntryKind::kRaw: no reverse map finds them, and no figure but the size of the mappings counts them.
#pragma once

#include "quire/object/memory_object.h"

namespace quire {

class DeviceObject final : public MemoryObject {
 public:
  /// An object with one user over frames `first` … first + count − 1. Errors: EINVAL (not all in the machine), ENOMEM.
  static Result<DeviceObject*> create(MemoryManager& memory, Pfn first, PageCount count);
  DeviceObject(MemoryManager& memory, Pfn first, PageCount count) : MemoryObject(memory), first_(first), count_(count) { become_known(); }

  [[nodiscard]] bool is_device() const override { return true; }
  [[nodiscard]] LeafClass leaf_class() const override { return LeafClass::kNone; }
  /// None of its pages can be held.
  Result<ObjectPage> get_page(PageIndex, Access) override { return fail(Errno::kFault); }
  [[nodiscard]] bool has_page(PageIndex index) override { return index.raw() < count_.raw(); }
  [[nodiscard]] bool owns(const Frame&) override { return false; }
  /// The frame of page `index`. Pre: it has that page.
  [[nodiscard]] Pfn frame_of(PageIndex index) const { return Pfn(first_.raw() + index.raw()); }

 private:
  void destroy() override;

  const Pfn first_;
  const PageCount count_;
};

}  // namespace quire
