/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/vmlinux.c - checks on and slimming of an ELF kernel that boots by PVH
 *
 * The file inside a bzImage has its segments padded to 2 MiB, zero pages (bss
 * among them) stored as bytes, section headers, and the relocations of the
 * decompressor behind its end.  A PVH loader uses none of that.  The slim file
 * is the ELF header, the program headers, and each segment up to its last page
 * that is not zero; memory sizes and addresses stay, so what the kernel finds
 * in memory is the same.  A third of the file goes, and with it a quarter of
 * what the machine copies into memory at every boot.
 *
 * Callers: the extract-vmlinux build tool and the fuzzer.
 */
#include "guest/vmlinux.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define VMLINUX_PAGE	     4096
#define VMLINUX_SEGMENTS_MAX 32
#define VMLINUX_NOTE_PVH     18 /* XEN_ELFNOTE_PHYS32_ENTRY */

struct vmlinux_layout {
	Elf64_Ehdr ehdr;
	Elf64_Phdr old[VMLINUX_SEGMENTS_MAX];
	Elf64_Phdr new[VMLINUX_SEGMENTS_MAX];
	size_t count;
	size_t size; /* of the new file */
};

static size_t vmlinux_round_up(size_t n)
{
	return (n + VMLINUX_PAGE - 1) & ~(size_t)(VMLINUX_PAGE - 1);
}

static int vmlinux_read_headers(const uint8_t *elf, size_t len, struct vmlinux_layout *l,
				struct coffer_error *err)
{
	if (len < sizeof(l->ehdr))
		return err_invalid(err, "kernel is not an ELF file: %zu bytes", len);
	memcpy(&l->ehdr, elf, sizeof(l->ehdr));
	if (memcmp(l->ehdr.e_ident, ELFMAG, SELFMAG) != 0 ||
	    l->ehdr.e_ident[EI_CLASS] != ELFCLASS64 || l->ehdr.e_machine != EM_X86_64)
		return err_invalid(err, "kernel is not a 64-bit x86 ELF file");

	l->count = l->ehdr.e_phnum;
	if (!l->count || l->count > VMLINUX_SEGMENTS_MAX ||
	    l->ehdr.e_phentsize != sizeof(Elf64_Phdr) || l->ehdr.e_phoff > len ||
	    l->count * sizeof(Elf64_Phdr) > len - l->ehdr.e_phoff)
		return err_invalid(err, "kernel's program headers are out of bounds");
	memcpy(l->old, elf + l->ehdr.e_phoff, l->count * sizeof(Elf64_Phdr));

	for (size_t i = 0; i < l->count; i++) {
		const Elf64_Phdr *ph = &l->old[i];

		if (ph->p_offset > len || ph->p_filesz > len - ph->p_offset ||
		    (ph->p_type == PT_LOAD && ph->p_filesz > ph->p_memsz))
			return err_invalid(err, "kernel's segment %zu is out of bounds", i);
	}
	return 0;
}

/* Whether the notes at @p have one of owner "Xen" and the type of a PVH entry. */
static bool vmlinux_notes_have_pvh(const uint8_t *p, size_t len)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t need;

		memcpy(&note, p, sizeof(note));
		need = sizeof(note) + (((size_t)note.n_namesz + 3) & ~(size_t)3) +
		       (((size_t)note.n_descsz + 3) & ~(size_t)3);
		if (need > len)
			return false;
		if (note.n_type == VMLINUX_NOTE_PVH && note.n_namesz == 4 &&
		    !memcmp(p + sizeof(note), "Xen", 4))
			return true;
		p += need;
		len -= need;
	}
	return false;
}

static bool vmlinux_has_pvh(const uint8_t *elf, const struct vmlinux_layout *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->old[i].p_type == PT_NOTE &&
		    vmlinux_notes_have_pvh(elf + l->old[i].p_offset, l->old[i].p_filesz))
			return true;
	}
	return false;
}

/* Bytes of a segment up to the end of its last page that is not zero. */
static size_t vmlinux_used(const uint8_t *p, size_t len)
{
	static const uint8_t zero[VMLINUX_PAGE];

	while (len) {
		size_t n = len % VMLINUX_PAGE ? len % VMLINUX_PAGE : VMLINUX_PAGE;

		if (memcmp(p + len - n, zero, n) != 0)
			break;
		len -= n;
	}
	return len;
}

/* Places of the new file: first the loaded segments, then what lies within them (notes). */
static int vmlinux_plan(const uint8_t *elf, struct vmlinux_layout *l, struct coffer_error *err)
{
	l->size = vmlinux_round_up(sizeof(l->ehdr) + l->count * sizeof(Elf64_Phdr));
	memcpy(l->new, l->old, sizeof(l->new));
	for (size_t i = 0; i < l->count; i++) {
		if (l->old[i].p_type != PT_LOAD)
			continue;
		l->new[i].p_offset = l->size;
		l->new[i].p_filesz = vmlinux_used(elf + l->old[i].p_offset, l->old[i].p_filesz);
		l->size += vmlinux_round_up(l->new[i].p_filesz);
		/* Overlapping segments could name the same bytes many times. */
		if (l->size > (size_t)1 << 30)
			return err_invalid(err, "kernel's segments overlap");
	}
	for (size_t i = 0; i < l->count; i++) {
		const Elf64_Phdr *ph = &l->old[i];
		bool placed = ph->p_type == PT_LOAD;

		for (size_t k = 0; k < l->count && !placed; k++) {
			const Elf64_Phdr *in = &l->old[k];

			if (in->p_type != PT_LOAD || ph->p_offset < in->p_offset ||
			    ph->p_offset + ph->p_filesz > in->p_offset + l->new[k].p_filesz)
				continue;
			l->new[i].p_offset = l->new[k].p_offset + ph->p_offset - in->p_offset;
			placed = true;
		}
		if (!placed)
			return err_invalid(err, "kernel's segment %zu lies outside the loaded ones",
					   i);
	}
	return 0;
}

int vmlinux_compact(const uint8_t *elf, size_t len, uint8_t **out, size_t *out_len,
		    struct coffer_error *err)
{
	struct vmlinux_layout l = { 0 };
	autofree uint8_t *mem = NULL;
	int r;

	r = vmlinux_read_headers(elf, len, &l, err);
	if (r < 0)
		return r;
	if (!vmlinux_has_pvh(elf, &l))
		return err_unsupported(err, "kernel has no PVH entry (CONFIG_PVH)");
	r = vmlinux_plan(elf, &l, err);
	if (r < 0)
		return r;

	mem = calloc(1, l.size);
	if (!mem)
		return err_nomem(err);
	l.ehdr.e_phoff = sizeof(l.ehdr);
	l.ehdr.e_shoff = 0;
	l.ehdr.e_shnum = 0;
	l.ehdr.e_shstrndx = 0;
	memcpy(mem, &l.ehdr, sizeof(l.ehdr));
	memcpy(mem + sizeof(l.ehdr), l.new, l.count * sizeof(Elf64_Phdr));
	for (size_t i = 0; i < l.count; i++) {
		if (l.old[i].p_type == PT_LOAD)
			memcpy(mem + l.new[i].p_offset, elf + l.old[i].p_offset, l.new[i].p_filesz);
	}
	*out = steal_ptr(mem);
	*out_len = l.size;
	return 0;
}
