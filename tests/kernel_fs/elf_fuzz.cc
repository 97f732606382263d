// libFuzzer's way into the ELF loader (preset fuzz). An input is a file as it is, or changes to a program that would run: what lies is
// refused, and whatever is loaded keeps to user space and is gone afterwards.
//
// Byte 0: bit 0 a file that can be mapped, bit 1 changes to a good program, the others where it is put. Changes are three bytes each: where
// (16 bits), and what is put there.
#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "mm/memory.h"
#include "quire/audit/audit.h"
#include "quire/object/file_object.h"
#include "quire/quire.h"
#include "task/elf_image.h"

namespace quire::kernel {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// A file that holds these bytes and nothing else.
class BytesFile final : public File {
 public:
  BytesFile(const Bytes& bytes, MemoryObject* object) : bytes_(bytes), object_(object) {}
  Result<std::size_t> read(IoBuffer& buffer, std::uint64_t offset) override {
    if (offset >= bytes_.size()) return 0U;
    const std::size_t size = std::min<std::size_t>(buffer.size(), bytes_.size() - offset);
    QUIRE_CHECK(buffer.copy_out(bytes_.data() + offset, size));
    return size;
  }
  Result<MemoryObject*> object_to_map(MapAccess) override {
    if (object_ == nullptr) return fail(Errno::kNoDev);
    return object_;
  }

 private:
  const Bytes& bytes_;
  MemoryObject* object_;
};

/// Its contents in memory, for mappings.
class Contents {
 public:
  explicit Contents(const Bytes& bytes)
      : object_(*FileObject::create(memory(), {.leaf_class = LeafClass::kFile, .size = ByteCount(bytes.size())})) {
    for (std::size_t at = 0; at < bytes.size(); at += kPageSize) {
      Frame& page = **object_->page_for_write(PageIndex(at / kPageSize));
      std::memcpy(memory().contents(page), bytes.data() + at, std::min<std::size_t>(kPageSize, bytes.size() - at));
      object_->put_page(page);
    }
  }
  ~Contents() {
    object_->retire();
    object_->drop_user();
  }
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;
  [[nodiscard]] MemoryObject* object() { return object_; }

 private:
  FileObject* object_;
};

/// Code, data with zeros behind it, a note of an interpreter, a stack.
Bytes good_program() {
  constexpr std::size_t kSize = 3 * kPageSize;
  Bytes bytes(kSize);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  const Elf64_Phdr segments[] = {
      {PT_INTERP, PF_R, 0x400, 0x400, 0x400, 16, 16, 1},
      {PT_LOAD, PF_R, 0, 0, 0, 0x500, 0x500, kPageSize},
      {PT_LOAD, PF_R | PF_X, kPageSize, kPageSize, kPageSize, 0x800, 0x800, kPageSize},
      {PT_LOAD, PF_R | PF_W, 2 * kPageSize, 3 * kPageSize, 3 * kPageSize, 0x300, 0x5000, kPageSize},
      {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16},
  };
  header.e_phnum = std::size(segments);
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + header.e_phoff, segments, sizeof segments);
  std::memcpy(bytes.data() + 0x400, "/lib/ld-quire.so", 16);
  bytes[0x40f] = 0;
  return bytes;
}

Bytes changed_program(std::span<const std::uint8_t> changes) {
  Bytes bytes = good_program();
  for (; changes.size() >= 3; changes = changes.subspan(3)) {
    const std::size_t at = changes[0] | static_cast<std::size_t>(changes[1]) << 8;
    // Mostly the headers: they are what is believed or not.
    bytes[at < 0x8000 ? at % 0x1a0 : at % bytes.size()] = changes[2];
  }
  return bytes;
}

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void load(const Bytes& bytes, std::uint64_t base, MemoryObject* object) {
  AddressSpace* const space = *AddressSpace::create(memory(), {});
  {
    const RefPtr<File> file = make_ref<BytesFile>(bytes, object);
    const Result<ElfImage> image = load_elf(*space, *file, base);
    if (image) {
      expect(image->code_begin <= memory().geometry().user_top().raw(), "a program beyond user space");
      expect(image->memory_end <= memory().geometry().user_top().raw(), "a program that ends beyond user space");
      expect(image->interpreter.find('\0') == std::string::npos, "a name with a NUL");
      std::byte first{};
      static_cast<void>(space->read(VirtAddr(image->code_begin), std::span(&first, 1)));
    } else {
      const Errno error = image.error();
      expect(error == Errno::kNoExec || error == Errno::kNoMem || error == Errno::kIo, "an error that load_elf does not name");
    }
    space->release();
  }
}

void check_nothing_left() {
  static std::uint64_t rounds = 0;
  if (++rounds % 4096 != 0) return;
  Audit audit(memory());
  audit.check_empty();
  expect(audit.clean(), "something is left of a program");
}

}  // namespace
}  // namespace quire::kernel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quire::kernel;
  if (size == 0) return 0;
  const auto rest = std::span(data, size).subspan(1);
  const Bytes bytes = (data[0] & 2) != 0 ? changed_program(rest) : Bytes(rest.begin(), rest.end());
  const std::uint64_t base = kProgramBase + std::uint64_t{data[0]} / 4 * quire::kPageSize;
  if ((data[0] & 1) != 0) {
    Contents contents(bytes);
    load(bytes, base, contents.object());
  } else {
    load(bytes, base, nullptr);
  }
  check_nothing_left();
  return 0;
}
