#include "task/program.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "arch/trap_frame.h"
#include "mm/memory.h"
#include "task/random_layout.h"
#include "task/stack_image.h"
#include "task/task_limits.h"
#include "task/tracing.h"
#include "vdso/vdso.h"

namespace quire::kernel {

namespace {

constexpr std::size_t kScriptLine = 256;  // Linux: BINPRM_BUF_SIZE
constexpr unsigned kMostInterpreters = 5;
constexpr std::uint64_t kStartFlags = 0x202;  // interrupts on
/// Room for the stack above the mappings (Linux v6.12 arch/x86/mm/mmap.c:mmap_base()).
constexpr std::uint64_t kLeastStackGap = std::uint64_t{128} << 20;
/// Where nothing is moved, the gap ends at an entry of this level: the stack then has a table of level 2 to itself, and the
/// first write to it after a fork, which is what every fork is followed by, copies a table with one
/// entry instead of one full of other mappings' tables.
constexpr Level kStackLevel{3};

struct ScriptLine {
  std::string interpreter, argument;
};

constexpr std::string_view kBlanks = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Linux v6.12 fs/binfmt_script.c:load_script(). Errors: ENOEXEC.
Result<ScriptLine> parse_script_line(std::string_view head) {
  const std::size_t newline = head.find('\n');
  // Without an end of line the interpreter's name must at least have one.
  const bool cut_off = newline == std::string_view::npos && head.size() == kScriptLine;
  std::string_view line =
      head.substr(2, newline == std::string_view::npos ? head.size() : newline - 2);
  line = line.substr(0, line.find('\0'));
  const std::size_t begin = line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return fail(Errno::kNoExec);
  line = line.substr(begin);
  const std::size_t end = line.find_first_of(kBlanks);
  if (end == std::string_view::npos && cut_off) return fail(Errno::kNoExec);
  ScriptLine script;
  script.interpreter = line.substr(0, end);
  if (end != std::string_view::npos) script.argument = trim(line.substr(end));
  return script;
}

/// What a program has that runs in `who`'s name: all if that is root. Linux v6.12 security/commoncap.c:cap_bprm_creds_from_file().
Capabilities capabilities_of_program(const Credentials& who, bool may_gain) {
  Capabilities result = who.capabilities;
  const std::uint64_t granted = who.uid == 0 || who.euid == 0 ? Capabilities::kAll : 0;
  result.permitted = may_gain ? granted : granted & who.capabilities.permitted;
  result.effective = who.euid == 0 ? result.permitted : 0;
  return result;
}

/// Set-user-ID and set-group-ID programs (Linux v6.12 fs/exec.c:bprm_fill_uid()).
Result<Credentials> credentials_for(File& file, const Credentials& who) {
  Credentials result = who;
  const bool may_gain = !current_process().no_new_privileges && tracer_lets_gain();
  if (may_gain) {
    QUIRE_TRY(const Attributes attributes, file.attributes());
    if ((attributes.mode & S_ISUID) != 0) result.euid = attributes.uid;
    if ((attributes.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) result.egid = attributes.gid;
    result.suid = result.fsuid = result.euid;
    result.sgid = result.fsgid = result.egid;
  }
  result.capabilities = capabilities_of_program(result, may_gain);
  return result;
}

/// Where the heap begins (Linux v6.15 fs/binfmt_elf.c:load_elf_binary()). A program without interpreter lies among the mappings, its heap
/// where programs with one lie.
VirtAddr heap_begin(const ElfImage& image, const RandomLayout& random) {
  std::uint64_t begin = image.is_loader ? kProgramBase : (image.memory_end + kPageSize - 1) & ~(kPageSize - 1);
  if (random.moves_heap && !image.is_loader) begin += kPageSize;
  return VirtAddr(begin + random.heap);
}

Layout layout_of(const ElfImage& image, const StackImage& stack, const RandomLayout& random) {
  Layout layout;
  layout.code_begin = VirtAddr(image.code_begin);
  layout.code_end = VirtAddr(image.code_end);
  layout.data_begin = VirtAddr(image.data_begin);
  layout.data_end = VirtAddr(image.data_end);
  layout.brk_begin = heap_begin(image, random);
  layout.stack_begin = VirtAddr(stack.pointer);
  layout.args_begin = VirtAddr(stack.arguments_begin);
  layout.args_end = VirtAddr(stack.arguments_end);
  layout.env_begin = VirtAddr(stack.arguments_end);
  layout.env_end = VirtAddr(stack.environment_end);
  return layout;
}

// Linux v6.12 arch/x86/mm/mmap.c:mmap_base(), stack_maxrandom_size()
VirtAddr mmap_top(const Limits& limits, const RandomLayout& random) {
  const Geometry& geometry = memory().geometry();
  const std::uint64_t top = geometry.user_top().raw();
  const std::uint64_t spare = kStackGuardGap.bytes().raw() + (random.is_random ? RandomLayout::kMostStack : 0);
  const std::uint64_t stack = std::min(limits.stack.raw(), top) + spare;
  const VirtAddr highest = VirtAddr(top - std::clamp(stack, kLeastStackGap, top / 6 * 5)).page_floor();
  return random.is_random ? highest - ByteCount(random.mappings) : geometry.entry_range(highest, kStackLevel).begin();
}

}  // namespace

Result<ProgramFile> resolve_program(RefPtr<File> file, std::string_view path) {
  ProgramFile program{.file = std::move(file), .path = std::string(path), .prefix = {}};
  std::string name(path);
  for (unsigned depth = 0;; ++depth) {
    std::array<char, kScriptLine> head{};
    QUIRE_TRY(const std::size_t size, read_file(*program.file, head.data(), head.size(), 0));
    if (size < 2 || head[0] != '#' || head[1] != '!') return program;
    if (depth == kMostInterpreters) return fail(Errno::kLoop);
    QUIRE_TRY(const ScriptLine script, parse_script_line(std::string_view(head.data(), size)));
    if (program.prefix.empty()) program.prefix.push_back(name);
    if (!script.argument.empty()) program.prefix.insert(program.prefix.begin(), script.argument);
    program.prefix.insert(program.prefix.begin(), script.interpreter);
    QUIRE_TRY(program.file, open_executable(script.interpreter));
  }
}

void Program::set_registers(TrapFrame& frame) const {
  const std::uint64_t cs = frame.cs, ss = frame.ss, call = frame.orig_rax;
  frame = {};
  frame.cs = cs;
  frame.ss = ss;
  frame.orig_rax = call;  // a tracer asks which one this was
  frame.rip = entry_;
  frame.rsp = stack_;
  frame.rflags = kStartFlags;
}

void Program::set_command(char (&command)[16]) const {
  const std::size_t slash = path_.rfind('/');
  const std::string_view base = slash == std::string::npos
                                    ? std::string_view(path_)
                                    : std::string_view(path_).substr(slash + 1);
  std::memset(command, 0, sizeof command);
  std::memcpy(command, base.data(), std::min(base.size(), sizeof command - 1));
}

Result<Program> load_program(const ProgramFile& file, const ExecArguments& strings,
                             const Credentials& who, const StartConditions& conditions) {
  Program program;
  QUIRE_TRY(Credentials identity, credentials_for(*file.file, who));
  const bool gains = identity.euid != who.euid || identity.egid != who.egid;
  program.personality = gains ? conditions.personality & ~kAddressNoRandomize : conditions.personality;
  const RandomLayout random = random_layout(program.personality);
  AddressSpaceConfig config{.fork_mode = conditions.fork_mode,
                            .borrow_tables = conditions.borrows,
                            .limits = memory_limits(conditions.limits, who)};
  config.mmap_top = mmap_top(config.limits, random);
  QUIRE_TRY(AddressSpace* const space, AddressSpace::create(memory(), config));
  program.space_.reset(space);
  const std::uint64_t base = kProgramBase + random.program;
  QUIRE_TRY(const ElfImage image, load_elf(*space, *file.file, base));
  AuxiliaryFacts facts;
  facts.credentials = &identity;
  facts.file_name = file.path;
  facts.secure = identity.euid != identity.uid || identity.egid != identity.gid;
  program.entry_ = image.entry;
  if (!image.interpreter.empty()) {
    QUIRE_TRY(const RefPtr<File> interpreter_file, open_executable(image.interpreter));
    QUIRE_TRY(const ElfImage interpreter,
              load_elf(*space, *interpreter_file, base));
    facts.interpreter_base = interpreter.base;
    program.entry_ = interpreter.entry;
  }
  QUIRE_TRY(facts.vdso, map_vdso(*space));
  QUIRE_TRY(const StackImage stack, build_stack(*space, strings, image, facts, random));
  space->set_layout(layout_of(image, stack, random));
  program.stack_ = stack.pointer;
  program.auxiliary = stack.auxiliary;
  program.path_ = file.path;
  program.executable = file.file;
  program.credentials = make_ref<SharedCredentials>(std::move(identity));
  return program;
}

std::uint64_t argument_budget(std::uint64_t stack_limit) {
  constexpr std::uint64_t kLeast = 128 * 1024;
  constexpr std::uint64_t kMost = (std::uint64_t{8} << 20) / 4 * 3;
  return std::max(kLeast, std::min(stack_limit / 4, kMost));
}

}  // namespace quire::kernel
