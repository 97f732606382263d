#include "task/elf_image.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "quire/memory_manager.h"
#include "quire/uapi.h"
#include "task/uapi.h"

namespace quire::kernel {

namespace {

using Header = uapi::Elf64_Ehdr;
using Segment = uapi::Elf64_Phdr;

constexpr std::uint64_t kLargestHeaders = 65536;
constexpr std::uint64_t kLongestInterpreter = 4096;  // PATH_MAX
/// Most bytes read at once: what the heap gives in one block.
constexpr std::uint64_t kReadSize = 65536;

[[nodiscard]] constexpr std::uint64_t page_floor(std::uint64_t address) {
  return address & ~(kPageSize - 1);
}
[[nodiscard]] constexpr std::uint64_t page_ceil(std::uint64_t address) {
  return page_floor(address + kPageSize - 1);
}

/// Reads exactly `size` bytes. Errors: ENOEXEC (the file is shorter), EIO.
Result<void> read_exactly(File& file, void* to, std::uint64_t size, std::uint64_t offset) {
  QUIRE_TRY(const std::size_t got, read_file(file, to, size, offset));
  if (got != size) return fail(Errno::kNoExec);
  return {};
}

Result<Header> read_header(File& file) {
  Header header{};
  QUIRE_CHECK(read_exactly(file, &header, sizeof header, 0));
  const bool ours = std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
                    header.e_ident[EI_CLASS] == ELFCLASS64 &&
                    header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64 &&
                    (header.e_type == ET_EXEC || header.e_type == ET_DYN);
  const std::uint64_t size = std::uint64_t{header.e_phnum} * sizeof(Segment);
  if (!ours || header.e_phentsize != sizeof(Segment) || size == 0 || size > kLargestHeaders)
    return fail(Errno::kNoExec);
  return header;
}

/// Whether a PT_LOAD makes sense by itself, wherever it will be put.
bool is_plausible(const Segment& segment, std::uint64_t user_top) {
  if (segment.p_filesz > segment.p_memsz || segment.p_memsz > user_top ||
      segment.p_vaddr > user_top - segment.p_memsz)
    return false;
  if ((segment.p_vaddr & (kPageSize - 1)) != (segment.p_offset & (kPageSize - 1))) return false;
  std::uint64_t end = 0;
  return !__builtin_add_overflow(segment.p_offset, segment.p_filesz, &end) &&
         end <= std::uint64_t{1} << 62;
}

Result<std::vector<Segment>> read_segments(File& file, const Header& header,
                                           std::uint64_t user_top) {
  std::vector<Segment> segments(header.e_phnum);
  QUIRE_CHECK(
      read_exactly(file, segments.data(), segments.size() * sizeof(Segment), header.e_phoff));
  bool has_load = false;
  for (const Segment& segment : segments) {
    if (segment.p_type != PT_LOAD) continue;
    if (!is_plausible(segment, user_top)) return fail(Errno::kNoExec);
    has_load = true;
  }
  if (!has_load) return fail(Errno::kNoExec);
  return segments;
}

/// From the first to the last byte of all PT_LOADs, in whole pages.
VirtRange extent(const std::vector<Segment>& segments) {
  std::uint64_t begin = ~std::uint64_t{0}, end = 0;
  for (const Segment& segment : segments) {
    if (segment.p_type != PT_LOAD) continue;
    begin = std::min(begin, page_floor(segment.p_vaddr));
    end = std::max(end, page_ceil(segment.p_vaddr + segment.p_memsz));
  }
  return VirtRange(VirtAddr(begin), VirtAddr(end));
}

MmapRequest anonymous(std::uint64_t address, std::uint64_t size, std::uint32_t prot,
                      std::uint32_t flags) {
  MmapRequest request;
  request.address = VirtAddr(address);
  request.length = ByteCount(size);
  request.prot = prot;
  request.flags = flags | quire::uapi::kMapPrivate | quire::uapi::kMapAnonymous;
  return request;
}

/// Position-independent without an interpreter: a loader, or a program that needs none.
bool is_loader(const Header& header, const std::vector<Segment>& segments) {
  return header.e_type == ET_DYN &&
         std::ranges::none_of(segments, [](const Segment& segment) { return segment.p_type == PT_INTERP; });
}

/// The amount to add to the file's addresses (Linux v6.12 fs/binfmt_elf.c:load_elf_binary()). Errors: ENOMEM.
Result<std::uint64_t> choose_base(AddressSpace& space, const Header& header,
                                  const std::vector<Segment>& segments, std::uint64_t base) {
  if (header.e_type == ET_EXEC) return 0;
  const VirtRange range = extent(segments);
  constexpr std::uint64_t kLargestAlignment = 2U << 20;
  std::uint64_t alignment = kPageSize;
  for (const Segment& segment : segments) {
    const bool power_of_two =
        segment.p_align != 0 && (segment.p_align & (segment.p_align - 1)) == 0;
    if (segment.p_type == PT_LOAD && power_of_two)
      alignment = std::max(alignment, std::min<std::uint64_t>(segment.p_align, kLargestAlignment));
  }
  std::uint64_t at = base;
  if (is_loader(header, segments)) {
    // Maps the whole to find room for it; the segments then go over it and the rest goes away.
    const ByteCount room = range.size() + ByteCount(alignment - kPageSize);
    QUIRE_TRY(const VirtAddr found,
              space.mmap(anonymous(0, room.raw(), quire::uapi::kProtRead, 0)));
    QUIRE_CHECK(space.munmap(found, room));
    at = found.raw() + alignment - kPageSize;
  }
  at &= ~(alignment - 1);
  return at - range.begin().raw();
}

/// Fills [address, address + size) from the file.
Result<void> fill(AddressSpace& space, File& file, std::uint64_t address, std::uint64_t size,
                  std::uint64_t offset) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(std::min(size, kReadSize));
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t n = std::min(size - done, kReadSize);
    QUIRE_CHECK(read_exactly(file, buffer.get(), n, offset + done));
    QUIRE_TRY(const ByteCount written,
              space.write(VirtAddr(address + done), std::span(buffer.get(), n)));
    if (written.raw() != n) return fail(Errno::kNoMem);
    done += n;
  }
  return {};
}

std::uint32_t prot_of(const Segment& segment) {
  std::uint32_t prot = 0;
  if ((segment.p_flags & PF_R) != 0) prot |= quire::uapi::kProtRead;
  if ((segment.p_flags & PF_W) != 0) prot |= quire::uapi::kProtWrite;
  if ((segment.p_flags & PF_X) != 0) prot |= quire::uapi::kProtExec;
  return prot;
}

/// The segment as read, for a file that cannot be mapped. `lead` bytes of its first page come before it.
Result<void> read_segment(AddressSpace& space, File& file, const Segment& segment,
                          std::uint64_t begin, std::uint64_t lead) {
  const std::uint64_t size = page_ceil(lead + segment.p_filesz);
  constexpr std::uint32_t kWhileLoading = quire::uapi::kProtRead | quire::uapi::kProtWrite;
  QUIRE_CHECK(space.mmap(anonymous(begin, size, kWhileLoading, quire::uapi::kMapFixed)));
  QUIRE_CHECK(fill(space, file, begin, lead + segment.p_filesz, segment.p_offset - lead));
  if (const std::uint32_t prot = prot_of(segment); prot != kWhileLoading) {
    QUIRE_CHECK(space.mprotect(VirtAddr(begin), ByteCount(size), prot));
  }
  return {};
}

/// Linux v6.12 fs/binfmt_elf.c:elf_map().
Result<void> map_segment(AddressSpace& space, File& file, MemoryObject& object,
                         const Segment& segment, std::uint64_t begin, std::uint64_t lead) {
  MmapRequest request;
  request.address = VirtAddr(begin);
  request.length = ByteCount(page_ceil(lead + segment.p_filesz));
  request.prot = prot_of(segment);
  request.flags = quire::uapi::kMapPrivate | quire::uapi::kMapFixed;
  request.object = &object;
  request.offset = PageIndex((segment.p_offset - lead) >> kPageShift);
  request.label = &file;
  QUIRE_CHECK(space.mmap(request));
  return {};
}

/// Bytes that are not in the file: the rest of its last page, and pages of their own behind it (Linux v6.12
/// fs/binfmt_elf.c:elf_load()).
Result<void> add_zeros(AddressSpace& space, const Segment& segment, std::uint64_t base) {
  const std::uint64_t file_end = base + segment.p_vaddr + segment.p_filesz;
  const std::uint64_t end = page_ceil(base + segment.p_vaddr + segment.p_memsz);
  std::uint64_t begin = page_floor(file_end);
  if (segment.p_filesz != 0) {
    begin = page_ceil(file_end);
    // A segment that may not be written keeps what the file has there.
    if (begin != file_end && (segment.p_flags & PF_W) != 0) {
      static constexpr std::array<std::byte, kPageSize> kZeros{};
      QUIRE_CHECK(space.write(VirtAddr(file_end), std::span(kZeros).first(begin - file_end)));
    }
  }
  if (begin >= end) return {};
  const std::uint32_t prot = prot_of(segment);
  QUIRE_CHECK(space.mmap(anonymous(begin, end - begin, prot, quire::uapi::kMapFixed)));
  return {};
}

/// Linux maps whole pages of the file, so bytes before the segment in its first page are the file's
/// too. `object` is null for a file that cannot be mapped.
Result<void> load_segment(AddressSpace& space, File& file, MemoryObject* object,
                          const Segment& segment, std::uint64_t base) {
  if (segment.p_memsz == 0) return {};
  const std::uint64_t lead = segment.p_vaddr & (kPageSize - 1);
  const std::uint64_t begin = base + segment.p_vaddr - lead;
  if (segment.p_filesz != 0) {
    QUIRE_CHECK(object != nullptr ? map_segment(space, file, *object, segment, begin, lead)
                                  : read_segment(space, file, segment, begin, lead));
  }
  if (segment.p_memsz > segment.p_filesz) return add_zeros(space, segment, base);
  return {};
}

/// Places that cannot be mapped and contents that the file does not have are the file's fault.
Result<void> as_load_error(Result<void> loaded) {
  if (loaded || loaded.error() == Errno::kNoMem || loaded.error() == Errno::kIo) return loaded;
  return fail(Errno::kNoExec);
}

Result<std::string> read_interpreter(File& file, const Segment& segment) {
  if (segment.p_filesz < 2 || segment.p_filesz > kLongestInterpreter) return fail(Errno::kNoExec);
  std::string name(segment.p_filesz, '\0');
  QUIRE_CHECK(read_exactly(file, name.data(), name.size(), segment.p_offset));
  if (name.back() != '\0') return fail(Errno::kNoExec);
  name.resize(std::strlen(name.c_str()));
  if (name.empty()) return fail(Errno::kNoExec);
  return name;
}

/// Linux v6.12 fs/binfmt_elf.c: start_code, end_code, start_data, end_data as /proc shows them.
void note_segment(ElfImage& image, const Segment& segment, const Header& header) {
  const std::uint64_t begin = image.base + segment.p_vaddr;
  const std::uint64_t file_end = begin + segment.p_filesz;
  if (image.memory_end == 0 || begin < image.code_begin) image.code_begin = begin;
  image.data_begin = std::max(image.data_begin, begin);
  if ((segment.p_flags & PF_X) != 0) image.code_end = std::max(image.code_end, file_end);
  image.data_end = std::max(image.data_end, file_end);
  image.memory_end = std::max<std::uint64_t>(image.memory_end, begin + segment.p_memsz);
  const std::uint64_t headers_end =
      header.e_phoff + std::uint64_t{header.e_phnum} * sizeof(Segment);
  if (segment.p_offset <= header.e_phoff && headers_end <= segment.p_offset + segment.p_filesz) {
    image.program_headers = begin + (header.e_phoff - segment.p_offset);
  }
}

}  // namespace

Result<ElfImage> load_elf(AddressSpace& space, File& file, std::uint64_t base) {
  const std::uint64_t user_top = space.memory().geometry().user_top().raw();
  QUIRE_TRY(const Header header, read_header(file));
  QUIRE_TRY(const std::vector<Segment> segments, read_segments(file, header, user_top));
  const VirtRange range = extent(segments);
  if (range.empty()) return fail(Errno::kNoExec);
  ElfImage image;
  QUIRE_TRY(image.base, choose_base(space, header, segments, base));
  image.is_loader = is_loader(header, segments);
  const std::uint64_t begin = image.base + range.begin().raw();  // may wrap on the way
  if (begin > user_top || range.size().raw() > user_top - begin) return fail(Errno::kNoExec);
  image.entry = image.base + header.e_entry;
  image.program_header_count = header.e_phnum;
  Result<MemoryObject*> object = file.object_to_map(MapAccess::kReads);
  if (!object && object.error() != Errno::kNoDev) return fail(object.error());
  for (const Segment& segment : segments) {
    switch (segment.p_type) {
      case PT_LOAD:
        QUIRE_CHECK(as_load_error(load_segment(space, file, object.value_or(nullptr), segment, image.base)));
        note_segment(image, segment, header);
        break;
      case PT_INTERP: {
        QUIRE_TRY(image.interpreter, read_interpreter(file, segment));
        break;
      }
      case PT_GNU_STACK:
        image.executable_stack = (segment.p_flags & PF_X) != 0;
        break;
      default:
        break;
    }
  }
  return image;
}

}  // namespace quire::kernel
