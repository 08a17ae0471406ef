/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/elf.h - ELF programs: what a file says, and how it is mapped; mm/'s own
 */
#ifndef SENTRY_MM_ELF_H
#define SENTRY_MM_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

struct file;
struct mm;

struct elf_image {
	Elf64_Ehdr header;
	Elf64_Phdr *segments; /* owned; header.e_phnum of them, checked */
	char *interpreter;    /* owned; NULL: none */
	uint64_t start, end;  /* of all loaded segments, by page, before relocation */
	uint64_t align;
	bool exec_stack;
};

/* elf_read() - Read and check. Return: 0, -ENOEXEC, -ENOMEM, -EIO */
int elf_read(struct file *file, struct elf_image *out);
void elf_free(struct elf_image *image);

/* Where it came to lie. */
struct elf_loaded {
	uint64_t bias;		/* added to addresses in the file */
	uint64_t entry;
	uint64_t headers;	/* program headers in memory, 0: not loaded */
	uint64_t start_code, end_code;
	uint64_t brk;		/* end of all segments, by byte */
};

/* elf_load() - Map it with @bias. With the lock held; queues. Return: 0 or negative errno */
int elf_load(struct mm *mm, const struct elf_image *image, struct file *file, uint64_t bias,
	     struct elf_loaded *out);

#endif /* SENTRY_MM_ELF_H */
