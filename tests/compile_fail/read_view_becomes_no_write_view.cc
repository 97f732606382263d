// Nothing converts a view into the right to write.
// Rows: S0.33
#include "quire/table/writer.h"

void careless_caller(const quire::TableView& view) {
#ifndef QUIRE_MUST_COMPILE
  quire::ExclusiveTable table(view);
#else
  (void)view;
#endif
}
