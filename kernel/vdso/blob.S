// The vDSO's image, as it was linked.
    .section .rodata
    .globl vdso_image_begin, vdso_image_end
vdso_image_begin:
    .incbin QUIRE_VDSO_IMAGE
vdso_image_end:
    .section .note.GNU-stack, "", @progbits
