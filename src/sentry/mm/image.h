/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/image.h - a program on its way into an address space; mm/'s own
 */
#ifndef SENTRY_MM_IMAGE_H
#define SENTRY_MM_IMAGE_H

#include <stdint.h>

#include "sentry/mm/elf.h"

struct mm;
struct mm_exec;

struct exec_image {
	struct file *file, *interpreter_file; /* references */
	struct elf_image program, interpreter;
	char **argv;	   /* the caller's, or argv_owned with what #! lines put before */
	char **argv_owned; /* owned: the array, not the strings */
	uint64_t base, headers, program_entry, entry;
	uint64_t argc, envc, stack_size;
};

/* image_measure() - Count arguments and environment. Return: 0 or -E2BIG */
int image_measure(const struct mm_exec *args, struct exec_image *image);
/* image_stack() - Arguments, environment, auxiliary vector, below @top; with the lock held.
 * Return: 0 with the stack pointer to start from, or negative errno */
int image_stack(struct mm *mm, const struct mm_exec *args, struct exec_image *image, uint64_t top,
		uint64_t *sp);

#endif /* SENTRY_MM_IMAGE_H */
