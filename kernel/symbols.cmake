# Writes the table of the kernel's functions as an assembly file: cmake -DNM=… -DELF=… -DOUTPUT=… -P symbols.cmake
# Without ELF the table is empty: that is for the first link, whose text has the addresses the second link keeps.
set(offsets "")
set(names "")
set(text "")
if(ELF)
  execute_process(COMMAND ${NM} --demangle --numeric-sort --defined-only ${ELF}
    OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "(anonymous namespace)::" "" listing "${listing}")
  string(REGEX MATCHALL "ffffffff[0-9a-f]+ [tTwW] [^\n]+" lines "${listing}")
  set(position 0)
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^ffffffff([0-9a-f]+) . ([^(]+)" matched "${line}")
    # The image's base is 0xffffffff80000000.
    math(EXPR offset "0x${CMAKE_MATCH_1} - 0x80000000" OUTPUT_FORMAT HEXADECIMAL)
    set(name "${CMAKE_MATCH_2}")
    string(REPLACE "quire::kernel::" "" name "${name}")
    string(REPLACE "\"" "" name "${name}")
    string(REPLACE "\\" "" name "${name}")
    string(APPEND offsets ".long ${offset}\n")
    string(APPEND names ".long ${position}\n")
    string(APPEND text ".asciz \"${name}\"\n")
    string(LENGTH "${name}" length)
    math(EXPR position "${position} + ${length} + 1")
  endforeach()
endif()
file(WRITE ${OUTPUT} ".section .symbols, \"a\"
.globl symbol_offsets, symbol_offsets_end, symbol_names, symbol_text
.align 4
symbol_offsets:
${offsets}symbol_offsets_end:
symbol_names:
${names}symbol_text:
${text}.byte 0
.section .note.GNU-stack, \"\", @progbits
")
