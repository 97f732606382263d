# Warnings are errors everywhere (S2.14).
add_library(quire_warnings INTERFACE)
target_compile_options(quire_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum -Werror>)
