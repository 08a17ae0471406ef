/* SPDX-License-Identifier: Apache-2.0 */
/* stub/program.S - the stub program as bytes of the library; STUB is its path */
	.section .rodata
	.globl	trap_stub_program, trap_stub_program_size
	.hidden	trap_stub_program, trap_stub_program_size
	.balign	16
trap_stub_program:
	.incbin	STUB
	.balign	8
trap_stub_program_size:
	.quad	. - trap_stub_program
	.section .note.GNU-stack,"",@progbits
