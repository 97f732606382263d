// From a path to a program ready to run: scripts resolved, image and interpreter loaded, stack
// built, all in a new address space.
//
// Nothing of the caller changes, so every error is a plain one; what follows (exec's commit, or the
// first process's start) cannot fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fs/vfs.h"
#include "task/exec_arguments.h"
#include "task/process.h"

namespace quire::kernel {

/// A file to execute, after following "#!" lines.
struct ProgramFile {
  RefPtr<File> file;
  std::string path;                 ///< as given: AT_EXECFN, and where the command name comes from
  std::vector<std::string> prefix;  ///< for a script: what takes the place of argv[0]
};
/// Errors: ENOEXEC, ELOOP, EIO, and those of open_executable() for interpreters.
Result<ProgramFile> resolve_program(RefPtr<File> file, std::string_view path);

/// What a program has from whoever starts it, beside credentials.
struct StartConditions {
  ForkMode fork_mode;
  bool borrows;  ///< tables that files lend
  const SharedLimits& limits;
  std::uint32_t personality;
};

/// A loaded program. Owns its address space until someone takes it.
class Program {
 public:
  [[nodiscard]] AddressSpace* take_space() { return space_.release(); }
  /// The registers it starts with.
  void set_registers(TrapFrame& frame) const;
  /// The name ps shows, at most 15 bytes: the last component of the path.
  void set_command(char (&command)[16]) const;

  RefPtr<File> executable;
  RefPtr<AuxiliaryVector> auxiliary;
  RefPtr<SharedCredentials> credentials;
  std::uint32_t personality = 0;

 private:
  friend Result<Program> load_program(const ProgramFile&, const ExecArguments&, const Credentials&,
                                      const StartConditions&);
  SpaceUser space_;
  std::uint64_t entry_ = 0, stack_ = 0;
  std::string path_;
};

/// Errors: ENOEXEC, ENOMEM, E2BIG, EIO, and those of open_executable() for the ELF interpreter.
Result<Program> load_program(const ProgramFile& file, const ExecArguments& strings,
                             const Credentials& who, const StartConditions& conditions);

/// Bytes that strings and their pointers may take (Linux v6.12 fs/exec.c:bprm_stack_limits()).
[[nodiscard]] std::uint64_t argument_budget(std::uint64_t stack_limit);

}  // namespace quire::kernel
