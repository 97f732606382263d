// A switch over kinds of entry that forgets one does not compile.
// Rows: S3.6
#include "quire/arch/entry.h"

bool names_a_frame(quire::EntryKind kind) {
  switch (kind) {
    case quire::EntryKind::kFrame:
    case quire::EntryKind::kTable:
    case quire::EntryKind::kZeroFrame:
    case quire::EntryKind::kZeroTable:
    case quire::EntryKind::kRaw:
      return true;
    case quire::EntryKind::kAbsent:
    case quire::EntryKind::kSwap:
    case quire::EntryKind::kMigration:
    case quire::EntryKind::kPoison:
    case quire::EntryKind::kMalformed:
#ifdef QUIRE_MUST_COMPILE
    case quire::EntryKind::kMarker:
#endif
      return false;
  }
  return false;
}
