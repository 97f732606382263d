# Flags of everything that runs on the bare machine. g++ only: clang rejects libstdc++ under
# -mgeneral-regs-only.
add_compile_options(
  -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only
  -fno-stack-protector -fno-omit-frame-pointer -g
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-threadsafe-statics>)
add_compile_definitions(NDEBUG BOOST_NO_EXCEPTIONS BOOST_DISABLE_ASSERTS)
