// Every way into the kernel and back: 256 trap vectors, SYSCALL, and the switch between kernel stacks.
//
// On entry the registers are saved as a TrapFrame (arch/trap_frame.h). From user mode the stack is the
// thread's, so the frame is at its very top and Thread::trap_frame() finds it. The frame's size is 8 more
// than a multiple of 16; calls into C++ realign the stack by 8.
#include "arch/macros.h"
#include "arch/offsets.h"

    .macro SAVE_REGISTERS
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro RESTORE_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    .endm

    .text
    .align 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .align 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0                    // no error code by the CPU
    .endif
    pushq $vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp emergency_entry
    .else
    jmp trap_entry
    .endif
    .set vector, vector + 1
    .endr

    .align 16
trap_entry:
    pushq $-1                   // orig_rax: not a system call
    SAVE_REGISTERS
    cld
    SMAP_INSTRUCTION clac
    movq %rsp, %rdi
    testb $3, QUIRE_FRAME_CS(%rsp)
    jz 1f
    swapgs
    xorl %ebp, %ebp
    subq $8, %rsp
    call trap_from_user
    addq $8, %rsp
    jmp return_by_iret
1:
    subq $8, %rsp
    call trap_from_kernel
    addq $8, %rsp
    RESTORE_REGISTERS
    addq $24, %rsp
    iretq

// NMI, double fault and machine check, on stacks of their own. They may strike between an entry and its
// SWAPGS, so CS does not tell whose GS is loaded; the kernel's base is negative. None of them returns.
    .align 16
emergency_entry:
    pushq $-1
    SAVE_REGISTERS
    cld
    movl $0xc0000101, %ecx      // MSR GS base
    rdmsr
    testl %edx, %edx
    js 1f
    swapgs
1:
    movq %rsp, %rdi
    subq $8, %rsp
    call trap_emergency
    ud2

// SYSCALL: RCX = RIP, R11 = RFLAGS, interrupts off by the mask, still on the user's stack.
    .align 16
    .globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:QUIRE_CPU_USER_RSP
    movq %gs:QUIRE_CPU_KERNEL_STACK, %rsp
    pushq $QUIRE_USER_DATA
    pushq %gs:QUIRE_CPU_USER_RSP
    pushq %r11
    pushq $QUIRE_USER_CODE
    pushq %rcx
    pushq $0
    pushq $256                  // vector: none
    pushq %rax
    SAVE_REGISTERS
    movq %rsp, %rdi
    xorl %ebp, %ebp
    subq $8, %rsp
    call syscall_from_user
    addq $8, %rsp

// A frame at RSP, interrupts off, nothing left to do. SYSRET takes RIP from RCX and RFLAGS from R11 and
// faults in kernel mode if RIP is not canonical, so it serves only frames that look as SYSCALL left them.
return_to_user:
    movq QUIRE_FRAME_RCX(%rsp), %rcx
    movq QUIRE_FRAME_R11(%rsp), %r11
    cmpq QUIRE_FRAME_RIP(%rsp), %rcx
    jne return_by_iret
    cmpq QUIRE_FRAME_RFLAGS(%rsp), %r11
    jne return_by_iret
    movq %rcx, %rdx
    shrq $47, %rdx
    jne return_by_iret
    movl %r11d, %edx            // interrupts on; none of TF, IOPL, NT, RF, VM, VIF, VIP
    andl $0x1b7300, %edx
    cmpl $0x200, %edx
    jne return_by_iret
    RESTORE_REGISTERS
    movq (QUIRE_FRAME_RSP - 120)(%rsp), %rsp
    swapgs
    sysretq

    .globl return_by_iret
return_by_iret:
    movq $QUIRE_USER_CODE, QUIRE_FRAME_CS(%rsp)
    movq $QUIRE_USER_DATA, QUIRE_FRAME_SS(%rsp)
    andq $0x250dd5, QUIRE_FRAME_RFLAGS(%rsp)    // what a program may choose, and ID
    orq $0x202, QUIRE_FRAME_RFLAGS(%rsp)
    // A RIP that is not canonical would make IRET fault in kernel mode; the first address beyond user
    // space faults in user mode instead.
    movq QUIRE_FRAME_RIP(%rsp), %rdx
    shrq $47, %rdx
    je 1f
    movabs $0x00007ffffffff000, %rdx
    movq %rdx, QUIRE_FRAME_RIP(%rsp)
1:
    RESTORE_REGISTERS
    addq $24, %rsp
    swapgs
    iretq

// A new thread's first code: switch_stacks() returns here with the frame on the stack.
    .align 16
    .globl user_thread_entry
user_thread_entry:
    movq %rsp, %rdi
    xorl %ebp, %ebp
    subq $8, %rsp
    call first_return_to_user
    addq $8, %rsp
    jmp return_by_iret

// A new kernel thread's first code; R12 = entry, R13 = argument.
    .align 16
    .globl kernel_thread_entry
kernel_thread_entry:
    xorl %ebp, %ebp
    movq %r12, %rdi
    movq %r13, %rsi
    call run_kernel_thread
    ud2

// void switch_stacks(std::uint64_t* save_rsp, std::uint64_t load_rsp)
    .align 16
    .globl switch_stacks
switch_stacks:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .section .note.GNU-stack, "", @progbits
