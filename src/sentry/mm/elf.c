/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/elf.c - ELF programs: what a file says, and how it is mapped
 *
 * Everything in the file is checked when it is read, so that loading only adds up numbers that
 * are known to fit. Segments may overlap as far as Linux lets them: the later one wins.
 *
 * x86-64 programs of the 64-bit interface only. Called by exec.c.
 */
#include "sentry/mm/elf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/space.h"
#include "sentry/vfs/file.h"

#define ELF_SEGMENTS_SIZE 65536u

static int elf_read_at(struct file *file, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	if (offset > INT64_MAX - len)
		return -ENOEXEC;
	while (done < len) {
		long n = file_read_kernel(file, (char *)buf + done, len - done,
					  (int64_t)(offset + done));

		if (n == 0)
			return -ENOEXEC;
		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

static int elf_check_header(const Elf64_Ehdr *h)
{
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_machine != EM_X86_64)
		return -ENOEXEC;
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return -ENOEXEC;
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 ||
	    h->e_phnum > ELF_SEGMENTS_SIZE / sizeof(Elf64_Phdr))
		return -ENOEXEC;
	return 0;
}

static int elf_check_load(const Elf64_Phdr *p, struct elf_image *image)
{
	uint64_t start = PAGE_DOWN(p->p_vaddr);
	uint64_t end;

	if (p->p_filesz > p->p_memsz || p->p_memsz > GUEST_END ||
	    p->p_vaddr > GUEST_END - p->p_memsz)
		return -ENOEXEC;
	if ((p->p_offset ^ p->p_vaddr) & (PAGE_SIZE - 1))
		return -ENOEXEC;
	if (p->p_offset > INT64_MAX - p->p_filesz - PAGE_SIZE)
		return -ENOEXEC;
	end = PAGE_UP(p->p_vaddr + p->p_memsz);
	if (start < image->start)
		image->start = start;
	if (end > image->end)
		image->end = end;
	if (p->p_align > image->align && !(p->p_align & (p->p_align - 1)) &&
	    p->p_align <= GUEST_END / 4)
		image->align = p->p_align;
	return 0;
}

static int elf_read_interpreter(struct file *file, const Elf64_Phdr *p, struct elf_image *image)
{
	int r;

	if (image->interpreter || p->p_filesz < 2 || p->p_filesz > PATH_MAX)
		return image->interpreter ? 0 : -ENOEXEC;
	image->interpreter = malloc(p->p_filesz);
	if (!image->interpreter)
		return -ENOMEM;
	r = elf_read_at(file, image->interpreter, p->p_filesz, p->p_offset);
	if (r)
		return r;
	return image->interpreter[p->p_filesz - 1] ? -ENOEXEC : 0;
}

static int elf_read_segments(struct file *file, struct elf_image *image)
{
	size_t size = image->header.e_phnum * sizeof(Elf64_Phdr);
	int r;

	image->segments = malloc(size);
	if (!image->segments)
		return -ENOMEM;
	r = elf_read_at(file, image->segments, size, image->header.e_phoff);
	for (unsigned i = 0; !r && i < image->header.e_phnum; i++) {
		const Elf64_Phdr *p = &image->segments[i];

		if (p->p_type == PT_LOAD)
			r = elf_check_load(p, image);
		else if (p->p_type == PT_INTERP)
			r = elf_read_interpreter(file, p, image);
		else if (p->p_type == PT_GNU_STACK)
			image->exec_stack = p->p_flags & PF_X;
	}
	return !r && image->end <= image->start ? -ENOEXEC : r;
}

int elf_read(struct file *file, struct elf_image *out)
{
	int r;

	*out = (struct elf_image){ .start = UINT64_MAX, .align = PAGE_SIZE };
	r = elf_read_at(file, &out->header, sizeof(out->header), 0);
	if (!r)
		r = elf_check_header(&out->header);
	if (!r)
		r = elf_read_segments(file, out);
	if (r)
		elf_free(out);
	return r;
}

void elf_free(struct elf_image *image)
{
	free(image->segments);
	free(image->interpreter);
	image->segments = NULL;
	image->interpreter = NULL;
}

/* --- mapping --- */

static int elf_prot(const Elf64_Phdr *p)
{
	return ((p->p_flags & PF_R) ? PROT_READ : 0) | ((p->p_flags & PF_W) ? PROT_WRITE : 0) |
	       ((p->p_flags & PF_X) ? PROT_EXEC : 0);
}

static int elf_place(struct mm *mm, struct file *file, uint64_t start, uint64_t end, int prot,
		     uint64_t offset)
{
	struct mm_map map = { .addr = start,
			      .len = end - start,
			      .prot = prot,
			      .flags = MAP_PRIVATE | MAP_FIXED,
			      .file = file,
			      .offset = offset };

	if (start >= end)
		return 0;
	if (start < GUEST_START || end > GUEST_END)
		return -ENOMEM;
	return map_place(mm, &map, start, VMA_MAY_WRITE | VMA_MAY_EXEC);
}

static int elf_load_segment(struct mm *mm, const Elf64_Phdr *p, struct file *file, uint64_t bias)
{
	uint64_t start = p->p_vaddr + bias;
	uint64_t file_end = start + p->p_filesz;
	uint64_t end = start + p->p_memsz;
	uint64_t split = p->p_filesz ? PAGE_UP(file_end) : PAGE_DOWN(start);
	int prot = elf_prot(p);
	int r = elf_place(mm, file, PAGE_DOWN(start), split, prot,
			  p->p_offset - (p->p_vaddr & (PAGE_SIZE - 1)));

	if (!r && (prot & PROT_WRITE) && p->p_filesz && end > file_end) {
		/* What follows in the file's last page is not the program's. */
		r = space_write(mm, file_end, NULL, split - file_end);
	}
	return r ? r : elf_place(mm, NULL, split, PAGE_UP(end), prot, 0);
}

static void elf_note_segment(const struct elf_image *image, const Elf64_Phdr *p, uint64_t bias,
			     struct elf_loaded *out)
{
	uint64_t start = p->p_vaddr + bias;
	uint64_t headers = image->header.e_phoff;

	if (headers >= p->p_offset && headers - p->p_offset < p->p_filesz)
		out->headers = start + (headers - p->p_offset);
	if ((p->p_flags & PF_X) && start < out->start_code)
		out->start_code = start;
	if ((p->p_flags & PF_X) && start + p->p_filesz > out->end_code)
		out->end_code = start + p->p_filesz;
	if (start + p->p_memsz > out->brk)
		out->brk = start + p->p_memsz;
}

int elf_load(struct mm *mm, const struct elf_image *image, struct file *file, uint64_t bias,
	     struct elf_loaded *out)
{
	*out = (struct elf_loaded){ .bias = bias,
				    .entry = image->header.e_entry + bias,
				    .start_code = UINT64_MAX };
	for (unsigned i = 0; i < image->header.e_phnum; i++) {
		const Elf64_Phdr *p = &image->segments[i];
		int r;

		if (p->p_type != PT_LOAD || !p->p_memsz)
			continue;
		r = elf_load_segment(mm, p, file, bias);
		if (r)
			return r;
		elf_note_segment(image, p, bias, out);
	}
	if (out->start_code == UINT64_MAX)
		out->start_code = 0;
	return 0;
}
