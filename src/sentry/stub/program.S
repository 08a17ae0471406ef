/* SPDX-License-Identifier: Apache-2.0 */
/* stub/program.S - a program as bytes of the library: PROGRAM is its path, SYMBOL how it is called */
#define NAME_OF(a, b) a##b
#define SIZE_OF(a)    NAME_OF(a, _size)
	.section .rodata
	.globl	SYMBOL, SIZE_OF(SYMBOL)
	.hidden	SYMBOL, SIZE_OF(SYMBOL)
	.balign	16
SYMBOL:
	.incbin	PROGRAM
	.balign	8
SIZE_OF(SYMBOL):
	.quad	. - SYMBOL
	.section .note.GNU-stack,"",@progbits
