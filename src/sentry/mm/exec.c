/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/exec.c - a program in place of what was there
 *
 *	file -> #! interpreters, a few deep -> ELF -> its PT_INTERP
 *	        all of that read and checked, then:
 *	everything goes, segments are mapped, the stack is built, registers
 *
 * All changes go to the stub together. Addresses are drawn at random as Linux does: program,
 * interpreter and mappings by pages, heap and stack a little more.
 *
 * Called by task/ for execve(2) and for a container's first process.
 */
#include "sentry/mm/mm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "sentry/mm/elf.h"
#include "sentry/mm/image.h"
#include "sentry/mm/script.h"
#include "sentry/mm/space.h"
#include "sentry/vfs/file.h"

#define EXEC_SCRIPTS  5u /* one that leads to another, and so on */
#define EXEC_DYN_BASE UINT64_C(0x555555554000)
#define EXEC_RANDOM_BITS   28 /* pages: programs and mappings */
#define EXEC_STACK_BITS    22
#define EXEC_BRK_RANDOM	   (UINT64_C(32) << 20)
#define EXEC_GAP_MIN	   (UINT64_C(128) << 20) /* between stack and mappings */
#define EXEC_STACK_START   (UINT64_C(128) << 10) /* that is there without a fault */

/* --- scripts --- */

static int exec_head(struct file *file, char head[SCRIPT_LINE])
{
	long n;

	memset(head, 0, SCRIPT_LINE);
	n = file_read_kernel(file, head, SCRIPT_LINE, 0);
	return n < 0 ? (int)n : 0;
}

/* @argv without its first, behind @name, @arg and the script's own @path. */
static int exec_script_argv(struct exec_image *image, const char *name, const char *arg,
			    const char *path)
{
	size_t n = 0;
	size_t at = 0;
	char **argv;

	while (image->argv[n])
		n++;
	argv = calloc(n + 4, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	argv[at++] = (char *)(uintptr_t)name;
	if (arg)
		argv[at++] = (char *)(uintptr_t)arg;
	argv[at++] = (char *)(uintptr_t)path;
	for (size_t i = 1; i < n; i++)
		argv[at++] = image->argv[i];
	free(image->argv_owned);
	image->argv = image->argv_owned = argv;
	return 0;
}

static const char *const exec_no_argv[] = { "", NULL };

/* Follow #! lines to a program. @lines: where what they say is kept. */
static int exec_follow(struct exec_image *image, const struct mm_exec *args,
		       char lines[EXEC_SCRIPTS + 1][SCRIPT_LINE])
{
	const char *path = args->path;

	image->file = file_get(args->file);
	image->argv = (char **)(uintptr_t)args->argv;
	if (!image->argv || !image->argv[0]) /* Linux gives it a name, so that nobody reads past */
		image->argv = (char **)(uintptr_t)exec_no_argv;
	for (unsigned depth = 0;; depth++) {
		const char *name;
		const char *arg;
		struct file *next;
		int r = exec_head(image->file, lines[depth]);

		if (r)
			return r;
		if (script_parse(lines[depth], &name, &arg))
			return 0;
		if (depth == EXEC_SCRIPTS)
			return -ELOOP;
		r = exec_script_argv(image, name, arg, path);
		if (r)
			return r;
		r = args->open(args->open_data, name, &next);
		if (r)
			return r;
		file_put(image->file);
		image->file = next;
		path = name;
	}
}

static int exec_read(struct exec_image *image, const struct mm_exec *args)
{
	int r = elf_read(image->file, &image->program);

	if (r || !image->program.interpreter)
		return r;
	r = args->open(args->open_data, image->program.interpreter, &image->interpreter_file);
	if (r)
		return r;
	r = elf_read(image->interpreter_file, &image->interpreter);
	return r == -ENOEXEC ? -ELIBBAD : r;
}

/* --- layout --- */

static uint64_t exec_random(uint64_t below)
{
	uint64_t value = 0;

	/* Without it everything works, just not as hidden. */
	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) < 0)
		value = 0;
	return value % below;
}

static uint64_t exec_random_pages(unsigned bits)
{
	return exec_random(UINT64_C(1) << bits) * PAGE_SIZE;
}

static void exec_layout(struct mm *mm, const struct mm_exec *args, uint64_t *stack_top)
{
	uint64_t room = GUEST_END / 6 * 5;
	uint64_t gap = args->stack_max < EXEC_GAP_MIN ? EXEC_GAP_MIN : args->stack_max;

	gap = gap < room ? gap : room;
	gap += (PAGE_SIZE << EXEC_STACK_BITS) + (256 * PAGE_SIZE);
	*stack_top = GUEST_END - PAGE_SIZE - exec_random_pages(EXEC_STACK_BITS);
	mm->map_base = PAGE_DOWN(GUEST_END - gap - exec_random_pages(EXEC_RANDOM_BITS));
	mm->stack_max = args->stack_max;
}

/* What to add to the addresses in a file. */
static int exec_bias(struct mm *mm, const struct elf_image *elf, bool program, uint64_t *bias)
{
	uint64_t len = elf->end - elf->start;
	uint64_t base;

	*bias = 0;
	if (elf->header.e_type == ET_EXEC)
		return elf->start < GUEST_START ? -EPERM : 0;
	if (program) {
		base = EXEC_DYN_BASE + exec_random_pages(EXEC_RANDOM_BITS);
		base &= ~(elf->align - 1);
		if (base < GUEST_START || len > mm->map_base - base)
			return -ENOMEM;
	} else {
		base = vma_room(mm, 0, len + elf->align - PAGE_SIZE, mm->map_base);
		if (!base)
			return -ENOMEM;
		base = (base + elf->align - 1) & ~(elf->align - 1);
	}
	*bias = base - elf->start;
	return 0;
}

static int exec_map(struct mm *mm, struct exec_image *image)
{
	struct elf_loaded interpreter = { .bias = 0 };
	struct elf_loaded program;
	uint64_t bias;
	int r = exec_bias(mm, &image->program, true, &bias);

	if (!r)
		r = elf_load(mm, &image->program, image->file, bias, &program);
	if (r)
		return r;
	if (image->interpreter_file) {
		r = exec_bias(mm, &image->interpreter, false, &bias);
		if (!r)
			r = elf_load(mm, &image->interpreter, image->interpreter_file, bias,
				     &interpreter);
		if (r)
			return r;
	}
	image->base = interpreter.bias;
	image->headers = program.headers;
	image->program_entry = program.entry;
	image->entry = image->interpreter_file ? interpreter.entry : program.entry;
	mm->info.start_code = program.start_code;
	mm->info.end_code = program.end_code;
	mm->info.start_brk = PAGE_UP(program.brk) + PAGE_DOWN(exec_random(EXEC_BRK_RANDOM));
	mm->info.brk = mm->info.start_brk;
	return 0;
}

static int exec_stack(struct mm *mm, const struct mm_exec *args, struct exec_image *image,
		      uint64_t top, uint64_t *sp)
{
	int prot = PROT_READ | PROT_WRITE | (image->program.exec_stack ? PROT_EXEC : 0);
	uint64_t size = PAGE_UP(image->stack_size) + EXEC_STACK_START;
	uint64_t limit = args->stack_max < GUEST_END ? PAGE_DOWN(args->stack_max) : GUEST_END;
	uint64_t most = PAGE_UP(image->stack_size) + limit;
	struct mm_map map = { .len = size < most ? size : most,
			      .prot = prot,
			      .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN };
	int r;

	map.addr = top - map.len;
	r = map_place(mm, &map, map.addr, VMA_MAY_WRITE | VMA_MAY_EXEC | VMA_GROWS_DOWN);
	return r ? r : image_stack(mm, args, image, top - exec_random(512) * 16, sp);
}

/* --- entry --- */

static void exec_image_free(struct exec_image *image)
{
	elf_free(&image->program);
	elf_free(&image->interpreter);
	if (image->file)
		file_put(image->file);
	if (image->interpreter_file)
		file_put(image->interpreter_file);
	free(image->argv_owned);
}

static int exec_replace(struct mm *mm, const struct mm_exec *args, struct exec_image *image,
			uint64_t *sp)
{
	struct file *old;
	uint64_t top;
	int broken;
	int r;

	space_lock(mm);
	space_clear(mm);
	old = mm->exe;
	mm->exe = file_get(image->file);
	mm->info = (struct mm_usage){ .vsize = 0 };
	mm->lock_future = false;
	mm->cow_next = 0;
	exec_layout(mm, args, &top);
	r = exec_map(mm, image);
	if (!r)
		r = exec_stack(mm, args, image, top, sp);
	broken = space_unlock(mm);
	if (old)
		file_put(old);
	return r ? r : broken;
}

int mm_exec(struct mm *mm, const struct mm_exec *args, struct trap_regs *regs, bool *committed)
{
	char(*lines)[SCRIPT_LINE] = malloc((EXEC_SCRIPTS + 1) * sizeof(*lines));
	struct exec_image image = { .file = NULL };
	uint64_t sp = 0;
	int r;

	*committed = false;
	if (!lines)
		return -ENOMEM;
	r = exec_follow(&image, args, lines);
	if (!r)
		r = image_measure(args, &image);
	if (!r)
		r = exec_read(&image, args);
	if (!r) {
		*committed = true;
		r = exec_replace(mm, args, &image, &sp);
	}
	if (!r)
		*regs = (struct trap_regs){ .rip = image.entry, .rsp = sp, .eflags = 0x200 };
	exec_image_free(&image);
	free(lines);
	return r;
}
