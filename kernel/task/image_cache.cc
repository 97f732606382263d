#include "task/image_cache.h"

#include <array>

#include "mm/memory.h"
#include "sync/lock.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kPrograms = 8;
/// Larger programs are not kept: they would take too much of a small machine.
constexpr std::uint64_t kLargestProgram = std::uint64_t{32} << 20;

/// What tells one state of a file from another, and what else of a kept program is fixed.
struct FileVersion {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modify_ns = 0, change_ns = 0;
  VirtAddr mmap_top;
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};

struct CachedProgram {
  FileVersion version;
  ElfImage image;
  AddressSpace* space = nullptr;
  std::uint64_t last_use = 0;
};

class ImageCache {
 public:
  /// A child of the kept program, or null.
  Result<AddressSpace*> fork(const FileVersion& version, ForkMode mode, ElfImage& image) {
    const Guard guard(mutex_);
    for (CachedProgram& program : programs_) {
      if (program.space == nullptr || program.version != version) continue;
      program.last_use = ++uses_;
      image = program.image;
      return program.space->fork(mode);
    }
    return nullptr;
  }

  /// Keeps `space`, whose holder the cache becomes, in the place of the program that was not used
  /// for longest.
  void keep(const FileVersion& version, const ElfImage& image, AddressSpace* space) {
    AddressSpace* dropped = nullptr;
    space->hide();
    {
      const Guard guard(mutex_);
      CachedProgram* oldest = programs_.data();
      for (CachedProgram& program : programs_) {
        if (program.last_use < oldest->last_use) oldest = &program;
      }
      dropped = oldest->space;
      *oldest = {version, image, space, ++uses_};
    }
    if (dropped != nullptr) dropped->release();
  }

  bool empty() {
    bool had_any = false;
    const Guard guard(mutex_);
    for (CachedProgram& program : programs_) {
      if (program.space == nullptr) continue;
      program.space->release();
      program = {};
      had_any = true;
    }
    return had_any;
  }

 private:
  Mutex mutex_;
  std::array<CachedProgram, kPrograms> programs_;
  std::uint64_t uses_ = 0;
};

ImageCache& image_cache() {
  static ImageCache* const the_cache = new ImageCache;
  return *the_cache;
}

Result<FileVersion> version_of(File& file, const AddressSpaceConfig& config) {
  QUIRE_TRY(const Attributes attributes, file.attributes());
  return FileVersion{attributes.device,          attributes.inode,           attributes.size,
                     attributes.times.modify_ns, attributes.times.change_ns, config.mmap_top};
}

}  // namespace

Result<LoadedProgram> load_cached(File& file, const AddressSpaceConfig& config) {
  QUIRE_TRY(const FileVersion version, version_of(file, config));
  LoadedProgram program;
  QUIRE_TRY(program.space, image_cache().fork(version, config.fork_mode, program.image));
  if (program.space != nullptr) {
    program.space->set_limits(config.limits);
    program.space->set_fork_mode(config.fork_mode);
    return program;
  }
  QUIRE_TRY(program.space, AddressSpace::create(memory(), config));
  Result<ElfImage> image = load_elf(*program.space, file, Placement::kProgram);
  if (!image) {
    program.space->release();
    return fail(image.error());
  }
  program.image = std::move(*image);
  if (!program.image.interpreter.empty() || version.size > kLargestProgram) return program;
  // A file that changed while it was read is not kept.
  const Result<FileVersion> version_after = version_of(file, config);
  if (!version_after || *version_after != version) return program;
  if (Result<AddressSpace*> child = program.space->fork(config.fork_mode); child) {
    image_cache().keep(version, program.image, std::exchange(program.space, *child));
  }
  return program;
}

bool empty_image_cache() { return image_cache().empty(); }

}  // namespace quire::kernel
