// A table that was only found cannot be changed: the read view has no way to store, and becomes no write view (S0.33).
#include "quire/table/writer.h"

void forgetful_walker(const quire::TableView& view, quire::Slot slot) {
  (void)view.entry(slot);
#ifndef QUIRE_MUST_COMPILE
  view.clear(slot);
#endif
}
