// The PVH entry: 32-bit protected mode without paging, EBX = physical address of hvm_start_info
// (Xen public/arch-x86/hvm/start_info.h). Goes to long mode on the boot tables and calls kernel_main()
// in the high half.
#include "arch/offsets.h"

#define PHYSICAL(symbol) ((symbol) - QUIRE_IMAGE_BASE)

    .section .note.quire, "a"
    .align 4
    .long 4, 4, 18              // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long PHYSICAL(pvh_entry)

    .section .text.boot, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    movl $PHYSICAL(boot_stack_top), %esp
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
    lgdt PHYSICAL(boot_gdt_pointer)
    ljmp $QUIRE_KERNEL_CODE, $PHYSICAL(long_entry)

    .code64
long_entry:
    movabs $high_entry, %rax
    jmp *%rax
high_entry:
    movl $QUIRE_KERNEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    movl %ebx, %edi
    call kernel_main
    ud2

    .section .data, "aw"
    .align 16
    .globl boot_gdt_pointer
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    // 0x10 kernel code
    .quad 0x00cf93000000ffff    // 0x18 kernel data
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .quad PHYSICAL(boot_gdt)

// Boot tables: the first GiB at 0, at the direct map and at the image's base, all rights. Only the way
// into the kernel's own tables, on the first CPU and, later, on the others.
    .align 4096
    .globl boot_root
boot_root:
    .quad PHYSICAL(boot_upper) + 3
    .fill 255, 8, 0
    .quad PHYSICAL(boot_upper) + 3
    .fill 254, 8, 0
    .quad PHYSICAL(boot_upper) + 3
boot_upper:
    .quad PHYSICAL(boot_middle) + 3
    .fill 509, 8, 0
    .quad PHYSICAL(boot_middle) + 3
    .quad 0
boot_middle:
    .set address, 0
    .rept 512
    .quad address + 0x83
    .set address, address + 0x200000
    .endr

    .section .bss, "aw", @nobits
    .align 4096
    .globl boot_stack_guard, boot_stack_top
boot_stack_guard:               // left out of the kernel's own tables
    .skip 4096
    .skip 16384
boot_stack_top:
