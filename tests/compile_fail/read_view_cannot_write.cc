// A table that was only found cannot be changed: the read view has no way to store, and becomes no
// write view. Rows: S0.33 S1.23
#include "quire/table/writer.h"

void forgetful_walker(const quire::TableView& view, quire::Slot slot) {
  (void)view.entry(slot);
#ifndef QUIRE_MUST_COMPILE
  view.clear(slot);
#endif
}
