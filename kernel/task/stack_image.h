// The first stack of a program: strings, auxiliary vector, environment, arguments, argc, as Linux
// and the x86-64 ABI lay them out (Linux v6.12 fs/exec.c:setup_arg_pages(),
// fs/binfmt_elf.c:create_elf_tables(); man7 getauxval(3)).
#pragma once

#include <string_view>

#include "task/elf_image.h"
#include "task/exec_arguments.h"
#include "task/random_layout.h"
#include "task/task.h"

namespace quire::kernel {

struct StackImage {
  std::uint64_t pointer = 0;  ///< where RSP starts: at argc
  std::uint64_t bottom = 0;   ///< lowest address mapped at first
  std::uint64_t arguments_begin = 0, arguments_end = 0, environment_end = 0;
  RefPtr<AuxiliaryVector> auxiliary;
};

/// What the auxiliary vector tells beside the image.
struct AuxiliaryFacts {
  std::uint64_t interpreter_base = 0;
  VirtAddr vdso;
  const Credentials* credentials = nullptr;
  std::string_view file_name;  ///< AT_EXECFN
  bool secure = false;
};

/// Maps the stack of `space` at the top of user memory and fills it. Errors: ENOMEM.
Result<StackImage> build_stack(AddressSpace& space, const ExecArguments& strings,
                               const ElfImage& image, const AuxiliaryFacts& facts,
                               const RandomLayout& random);

}  // namespace quire::kernel
