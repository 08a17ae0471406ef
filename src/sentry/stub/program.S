/* SPDX-License-Identifier: Apache-2.0 */
/* stub/program.S - the stub program as bytes of the library; STUB is its path */
	.section .rodata
	.globl	trap_stub_program, trap_stub_program_end
	.hidden	trap_stub_program, trap_stub_program_end
	.balign	16
trap_stub_program:
	.incbin	STUB
trap_stub_program_end:
	.section .note.GNU-stack,"",@progbits
