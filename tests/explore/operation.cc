#include "explore/operation.h"

#include <array>
#include <cstring>

#include "quire/quire.h"

namespace quire::explore {
namespace {

struct Label {
  const char* name;
  Effect effect;
};

constexpr std::array kLabels{
    Label{"op", Effect::kBoundary},    Label{"load", Effect::kRead},         Label{"entry", Effect::kRead},
    Label{"walk", Effect::kRead},      Label{"load_frame", Effect::kRead},   Label{"copy_frame", Effect::kRead},
    Label{"rw_look", Effect::kRead},   Label{"look_frame", Effect::kRead},   Label{"lock", Effect::kTakeSpin},
    Label{"unlock", Effect::kRelease}, Label{"lock_mmu", Effect::kTakeMmu},  Label{"unlock_mmu", Effect::kRelease},
    Label{"relax", Effect::kRelax},    Label{"rw_change", Effect::kConfirm}, Label{"moves_look", Effect::kRead},
};

/// Labels of operations on a frame as a whole: its contents and its kind are one thing to the explorer.
bool is_about_frame(const char* label) { return std::string_view(label).ends_with("_frame"); }

const char* kind_name(FrameKind kind) {
  switch (kind) {
    case FrameKind::kUntouched: return "untouched";
    case FrameKind::kFree: return "free";
    case FrameKind::kHeld: return "held";
    case FrameKind::kAnon: return "private page";
    case FrameKind::kObject: return "shared page";
    case FrameKind::kTable: return "table";
    case FrameKind::kLentTable: return "lent table";
    case FrameKind::kZero: return "zero";
    case FrameKind::kSlab: return "small objects";
    case FrameKind::kRadix: return "index node";
    case FrameKind::kFailed: return "failed memory";
    case FrameKind::kKernel: return "kernel";
    case FrameKind::kHugeIdle: return "idle huge page";
    case FrameKind::kHugePart: return "part of a huge page";
  }
  return "unknown";
}

}  // namespace

Effect effect_of(const char* label) {
  for (const Label& known : kLabels) {
    if (std::strcmp(known.name, label) == 0) return known.effect;
  }
  return Effect::kWrite;
}

void Places::begin(const Machine& machine) {
  machine_ = &machine;
  heap_.clear();
}

Place Places::of(const char* label, const void* where) {
  if (where == nullptr) return place(Area::kNowhere, 0);
  const auto address = reinterpret_cast<std::uintptr_t>(where);
  const PhysicalMemory& physical = machine_->physical();
  const auto offset_in = [address](const void* base, std::uint64_t size, std::uint64_t& offset) {
    offset = address - reinterpret_cast<std::uintptr_t>(base);
    return offset < size;
  };
  std::uint64_t offset = 0;
  if (offset_in(physical.window(), physical.frames().bytes().raw(), offset)) {
    return is_about_frame(label) ? place(Area::kFrame, offset / kPageSize) : place(Area::kWindow, offset);
  }
  if (offset_in(physical.descriptors(), physical.frames().raw() * sizeof(Frame), offset)) return place(Area::kDescriptor, offset);
  if (offset_in(machine_, sizeof(Machine), offset)) return place(Area::kMachine, offset);
  return place(Area::kHeap, heap_.try_emplace(where, heap_.size()).first->second);
}

bool Places::is_allocator(Place place) const { return place >> kAreaShift == static_cast<std::uint64_t>(Area::kMachine); }

std::string Places::describe_frame(std::uint64_t pfn) const {
  const Frame& frame = const_cast<Machine*>(machine_)->memory().frame(Pfn(pfn));
  std::string text = "frame " + std::to_string(pfn) + " (" + kind_name(frame.kind);
  if (frame.kind == FrameKind::kTable || frame.is_lent()) text += " of level " + std::to_string(Level(frame.level).raw());
  return text + ")";
}

std::string Places::describe(const Operation& operation) const {
  const std::uint64_t offset = operation.place & ((std::uint64_t{1} << kAreaShift) - 1);
  std::string text = operation.label;
  switch (static_cast<Area>(operation.place >> kAreaShift)) {
    case Area::kNowhere: return text;
    case Area::kMachine: return text + " of the machine +" + std::to_string(offset);
    case Area::kWindow: return text + " " + describe_frame(offset / kPageSize) + "[" + std::to_string(offset % kPageSize / 8) + "]";
    case Area::kFrame: return text + " " + describe_frame(offset);
    case Area::kDescriptor:
      return text + " descriptor of " + describe_frame(offset / sizeof(Frame)) + " +" + std::to_string(offset % sizeof(Frame));
    case Area::kHeap: return text + " CPU or lock " + std::to_string(offset);
  }
  return text;
}

}  // namespace quire::explore
