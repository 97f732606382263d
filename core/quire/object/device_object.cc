#include "quire/object/device_object.h"

#include "quire/memory_manager.h"

namespace quire {

Result<DeviceObject*> DeviceObject::create(MemoryManager& memory, Pfn first, PageCount count) {
  const std::uint64_t frames = memory.config().frames.raw();
  if (count.raw() == 0 || first.raw() >= frames || count.raw() > frames - first.raw()) return fail(Errno::kInval);
  DeviceObject* const object = memory.device_objects().make_or_null(memory, first, count);
  if (object == nullptr) return fail(Errno::kNoMem);
  return object;
}

void DeviceObject::destroy() { memory_.device_objects().destroy(this); }

}  // namespace quire
