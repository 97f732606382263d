// Copies between kernel and user memory. Any of the accesses to user memory may fault; the handler resolves the fault
// or goes on at the fix-up, which returns what is left undone. RCX counts down in both kinds of REP, so it tells.
#include "arch/macros.h"

    .text

// std::size_t user_copy(void* to, const void* from, std::size_t size): bytes not copied.
    .align 16
    .globl user_copy
user_copy:
    SMAP_INSTRUCTION stac
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
    MAY_FAULT 1f
    rep movsq
    movl %edx, %ecx
    MAY_FAULT 2f
    rep movsb
    SMAP_INSTRUCTION clac
    xorl %eax, %eax
    ret
1:  leaq (%rdx, %rcx, 8), %rcx  // a word may reach over the end of what is mapped: up to there byte by byte, as Linux
    MAY_FAULT 2f
    rep movsb
2:  SMAP_INSTRUCTION clac
    movq %rcx, %rax
    ret

// std::size_t user_clear(void* to, std::size_t size): bytes not cleared.
    .align 16
    .globl user_clear
user_clear:
    SMAP_INSTRUCTION stac
    xorl %eax, %eax
    movq %rsi, %rcx
    shrq $3, %rcx
    andl $7, %esi
    MAY_FAULT 1f
    rep stosq
    movl %esi, %ecx
    MAY_FAULT 2f
    rep stosb
    SMAP_INSTRUCTION clac
    ret
1:  leaq (%rsi, %rcx, 8), %rcx
    MAY_FAULT 2f
    rep stosb
2:  SMAP_INSTRUCTION clac
    movq %rcx, %rax
    ret

// bool user_compare_exchange(std::uint32_t* word, std::uint32_t* expected, std::uint32_t desired): false on a bad
// pointer; *expected receives the old value.
    .align 16
    .globl user_compare_exchange
user_compare_exchange:
    movl (%rsi), %eax
    SMAP_INSTRUCTION stac
    MAY_FAULT 1f
    lock cmpxchgl %edx, (%rdi)
    SMAP_INSTRUCTION clac
    movl %eax, (%rsi)
    movl $1, %eax
    ret
1:  SMAP_INSTRUCTION clac
    xorl %eax, %eax
    ret

// bool user_load(const std::uint32_t* word, std::uint32_t* value): false on a bad pointer.
    .align 16
    .globl user_load
user_load:
    SMAP_INSTRUCTION stac
    MAY_FAULT 1f
    movl (%rdi), %eax
    SMAP_INSTRUCTION clac
    movl %eax, (%rsi)
    movl $1, %eax
    ret
1:  SMAP_INSTRUCTION clac
    xorl %eax, %eax
    ret

    .section .note.GNU-stack, "", @progbits
