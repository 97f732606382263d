// Where the other CPUs begin: real mode at QUIRE_TRAMPOLINE, whereto start_cpus() copies this. Each goes to long
// mode on the boot tables and from there to the kernel's own, finds its stack by its APIC id, and calls start_this_cpu().
#include "arch/offsets.h"

#define HERE(symbol) ((symbol) - trampoline_begin + QUIRE_TRAMPOLINE)
#define PHYSICAL(symbol) ((symbol) - QUIRE_IMAGE_BASE)

    .section .rodata, "a"
    .globl trampoline_begin, trampoline_end
    .code16
trampoline_begin:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl HERE(trampoline_gdt_pointer)
    movl $1, %eax               // PE
    movl %eax, %cr0
    ljmpl $8, $HERE(trampoline_protected)

    .code32
trampoline_protected:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    orl $(1 << 5), %eax         // PAE
    movl %eax, %cr4
    movl $PHYSICAL(boot_root), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      // EFER: SCE, LME, NXE
    rdmsr
    orl $((1 << 0) | (1 << 8) | (1 << 11)), %eax
    wrmsr
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16) | 1), %eax  // PG, WP, PE
    movl %eax, %cr0
    ljmp $QUIRE_KERNEL_CODE, $HERE(trampoline_long)

    .code64
trampoline_long:
    movabs $high_entry, %rax
    jmp *%rax

    .align 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    // 0x08 32-bit code
    .quad 0x00af9b000000ffff    // 0x10 64-bit code
    .quad 0x00cf93000000ffff    // 0x18 data
trampoline_gdt_pointer:
    .word . - trampoline_gdt - 1
    .long HERE(trampoline_gdt)
trampoline_end:

    .text
high_entry:
    movl $1, %eax
    cpuid
    shrl $24, %ebx              // initial APIC id
    movq start_root, %rax
    movq %rax, %cr3
    movq start_stacks(, %rbx, 8), %rsp
    xorl %ebp, %ebp
    movl %ebx, %edi
    call start_this_cpu
    ud2

    .section .note.GNU-stack, "", @progbits
