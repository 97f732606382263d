// Numbers that assembly and C++ must agree on. arch/cpu.h and arch/trap_frame.h assert each of them.
// Macros, because the assembler reads this file too.
#pragma once

// Fields of Cpu, relative to GS.
#define QUIRE_CPU_SELF 0
#define QUIRE_CPU_KERNEL_STACK 8
#define QUIRE_CPU_USER_RSP 16

// Fields of TrapFrame.
#define QUIRE_FRAME_R11 48
#define QUIRE_FRAME_RCX 88
#define QUIRE_FRAME_RIP 144
#define QUIRE_FRAME_CS 152
#define QUIRE_FRAME_RFLAGS 160
#define QUIRE_FRAME_RSP 168
#define QUIRE_FRAME_SS 176
#define QUIRE_FRAME_SIZE 184

// Selectors, with Linux's values (arch/x86/include/asm/segment.h), because programs see CS and SS in
// signal frames.
#define QUIRE_KERNEL_CODE 0x10
#define QUIRE_KERNEL_DATA 0x18
#define QUIRE_USER_CODE_32 0x23
#define QUIRE_USER_DATA 0x2b
#define QUIRE_USER_CODE 0x33
#define QUIRE_TSS 0x40
#define QUIRE_CPU_NUMBER 0x7b

// Where things are.
#define QUIRE_IMAGE_BASE 0xffffffff80000000
#define QUIRE_TRAMPOLINE 0x8000
#define QUIRE_MAX_CPUS 16
