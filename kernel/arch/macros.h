// Macros of the assembly files.
#pragma once

// STAC and CLAC where the CPU has them: detect_features() replaces the listed sites otherwise.
    .macro SMAP_INSTRUCTION name
771:
    \name
    .pushsection .smap_sites, "a"
    .quad 771b
    .popsection
    .endm

// The next instruction may fault; then the kernel goes on at `fixup` (arch/traps.cc).
    .macro MAY_FAULT fixup
772:
    .pushsection .fixups, "a"
    .quad 772b, \fixup
    .popsection
    .endm
