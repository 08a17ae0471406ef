/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64_program.h - a program for another processor
 */
#ifndef ARM64_PROGRAM_H
#define ARM64_PROGRAM_H

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* cmocka.h comes before this. */

/* A whole program: the head of an ELF file, one segment, and code that says "arm64" and ends with
 * 42, which only an arm64 processor takes for that. */
static inline void arm64_program_put(const char *path)
{
	static const uint32_t code[] = {
		0xd2800020,		/* mov x0, #1 */
		0x100000e1,		/* adr x1, text */
		0xd28000a2,		/* mov x2, #5 */
		0xd2800808,		/* mov x8, #64: write */
		0xd4000001,		/* svc #0 */
		0xd2800540,		/* mov x0, #42 */
		0xd2800ba8,		/* mov x8, #93: exit */
		0xd4000001,		/* svc #0 */
		0x366d7261, 0x00000034, /* text */
	};
	const size_t size = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + sizeof(code);
	const Elf64_Phdr segment = { .p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_vaddr = 0x400000,
				     .p_paddr = 0x400000,
				     .p_filesz = size,
				     .p_memsz = size,
				     .p_align = 0x1000 };
	const Elf64_Ehdr head = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_AARCH64,
		.e_version = EV_CURRENT,
		.e_entry = 0x400000 + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fwrite(&head, sizeof(head), 1, f);
	fwrite(&segment, sizeof(segment), 1, f);
	fwrite(code, sizeof(code), 1, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

#endif /* ARM64_PROGRAM_H */
