/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/image.c - what a program finds on its stack
 *
 *	argc, argv[], NULL, envp[], NULL, auxv, pad, random bytes, platform, argv strings,
 *	envp strings, file name, 8 zero bytes					(upwards)
 *
 * Called by exec.c.
 */
#include "sentry/mm/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "sentry/mm/space.h"

#define IMAGE_STRING_MAX 131072u /* MAX_ARG_STRLEN */
#define IMAGE_MIN	 131072u /* that many are good whatever RLIMIT_STACK is */
#define IMAGE_MAX	 (6u << 20)
#define IMAGE_FIXED	 8192u /* auxiliary vector, random offset, alignment */

static int image_count(char *const *strings, uint64_t *n, uint64_t *size)
{
	for (*n = 0; strings && strings[*n]; ++*n) {
		size_t len = strlen(strings[*n]) + 1;

		if (len > IMAGE_STRING_MAX || *size > IMAGE_MAX)
			return -E2BIG;
		*size += len + sizeof(uint64_t);
	}
	return 0;
}

int image_measure(const struct mm_exec *args, struct exec_image *image)
{
	uint64_t size = strlen(args->path) + 1 + 4 * sizeof(uint64_t);
	uint64_t max = args->stack_max / 4 < IMAGE_MAX ? args->stack_max / 4 : IMAGE_MAX;
	int r = image_count(image->argv, &image->argc, &size);

	if (!r)
		r = image_count(args->envp, &image->envc, &size);
	max = max > IMAGE_MIN ? max : IMAGE_MIN;
	if (r || size > max)
		return -E2BIG;
	image->stack_size = size + IMAGE_FIXED * 2;
	return 0;
}

/* --- auxiliary vector --- */

static void image_aux(struct mm *mm, uint64_t type, uint64_t value)
{
	mm->auxv[mm->nauxv++] = type;
	mm->auxv[mm->nauxv++] = value;
}

static void image_auxv(struct mm *mm, const struct mm_exec *args, const struct exec_image *image,
		       uint64_t random, uint64_t platform, uint64_t name)
{
	size_t vdso_size;
	uint64_t vdso = trap_pool_vdso(kernel.stubs, &vdso_size);

	mm->nauxv = 0;
	if (vdso)
		image_aux(mm, AT_SYSINFO_EHDR, vdso);
	image_aux(mm, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ));
	image_aux(mm, AT_HWCAP, getauxval(AT_HWCAP));
	image_aux(mm, AT_PAGESZ, PAGE_SIZE);
	image_aux(mm, AT_CLKTCK, 100);
	image_aux(mm, AT_PHDR, image->headers);
	image_aux(mm, AT_PHENT, sizeof(Elf64_Phdr));
	image_aux(mm, AT_PHNUM, image->program.header.e_phnum);
	image_aux(mm, AT_BASE, image->base);
	image_aux(mm, AT_FLAGS, 0);
	image_aux(mm, AT_ENTRY, image->program_entry);
	image_aux(mm, AT_UID, args->uid);
	image_aux(mm, AT_EUID, args->euid);
	image_aux(mm, AT_GID, args->gid);
	image_aux(mm, AT_EGID, args->egid);
	image_aux(mm, AT_SECURE, args->secure);
	image_aux(mm, AT_RANDOM, random);
	image_aux(mm, AT_HWCAP2, getauxval(AT_HWCAP2));
	image_aux(mm, AT_EXECFN, name);
	image_aux(mm, AT_PLATFORM, platform);
	image_aux(mm, AT_NULL, 0);
}

/* --- strings --- */

struct image_pen {
	struct mm *mm;
	uint64_t at; /* the next string goes below */
	int error;
};

static uint64_t image_push(struct image_pen *pen, const void *data, uint64_t len)
{
	pen->at -= len;
	if (!pen->error)
		pen->error = space_write(pen->mm, pen->at, data, len);
	return pen->at;
}

/* Last one first, so that they lie in order. @where gets their addresses. */
static void image_push_strings(struct image_pen *pen, char *const *strings, uint64_t n,
			       uint64_t *where)
{
	where[n] = 0;
	while (n--)
		where[n] = image_push(pen, strings[n], strlen(strings[n]) + 1);
}

static int image_write(struct image_pen *pen, struct mm *mm, const struct mm_exec *args,
		       struct exec_image *image, uint64_t *words)
{
	uint8_t random[16];
	uint64_t name;
	uint64_t platform;
	uint64_t where;

	words[0] = image->argc;
	image_push(pen, NULL, 8);
	name = image_push(pen, args->path, strlen(args->path) + 1);
	mm->info.env_end = pen->at;
	image_push_strings(pen, args->envp, image->envc, words + 2 + image->argc);
	mm->info.env_start = mm->info.arg_end = pen->at;
	image_push_strings(pen, image->argv, image->argc, words + 1);
	mm->info.arg_start = pen->at;
	platform = image_push(pen, "x86_64", sizeof("x86_64"));
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	where = image_push(pen, random, sizeof(random));
	image_auxv(mm, args, image, where, platform, name);
	return pen->error;
}

int image_stack(struct mm *mm, const struct mm_exec *args, struct exec_image *image, uint64_t top,
		uint64_t *sp)
{
	uint64_t n = 1 + image->argc + 1 + image->envc + 1;
	autofree uint64_t *words = calloc(n + 1, sizeof(*words));
	struct image_pen pen = { .mm = mm, .at = top };
	uint64_t size;
	int r;

	if (!words)
		return -ENOMEM;
	r = image_write(&pen, mm, args, image, words);
	if (r)
		return r;
	size = (n + mm->nauxv) * sizeof(uint64_t);
	pen.at = (pen.at - size) & ~UINT64_C(15);
	*sp = pen.at;
	mm->info.start_stack = pen.at;
	r = space_write(mm, pen.at, words, n * sizeof(uint64_t));
	return r ? r : space_write(mm, pen.at + n * sizeof(uint64_t), mm->auxv,
				   mm->nauxv * sizeof(uint64_t));
}
