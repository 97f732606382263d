// A kind of object that does not say what its pages count as, how they are got and whether they are its own does not compile.
// Rows: S2.5
#include "quire/object/memory_object.h"

class Kind final : public quire::MemoryObject {
 public:
  explicit Kind(quire::MemoryManager& memory) : MemoryObject(memory) {}
  quire::LeafClass leaf_class() const override { return quire::LeafClass::kFile; }
  quire::Result<quire::ObjectPage> get_page(quire::PageIndex, quire::Access) override { return quire::fail(quire::Errno::kFault); }
  bool has_page(quire::PageIndex) override { return false; }
#ifdef QUIRE_MUST_COMPILE
  bool owns(const quire::Frame&) override { return true; }
#endif

 private:
  void destroy() override {}
};

void make(quire::MemoryManager& memory) { Kind kind(memory); }
