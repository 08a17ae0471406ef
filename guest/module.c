/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/module.c - reading and slimming of kernel modules (.ko files)
 *
 * A module is a relocatable ELF file, perhaps with a signature behind it.  The
 * kernel spends half of a module's load time on checking the signature and a
 * good part of the rest on parsing .BTF, and a guest that trusts its initrd
 * needs neither.  The slim copy keeps the section table as it is, so that no
 * index changes, but the unwanted sections become empty, the others move
 * together, and what lay outside all sections (the signature) is gone.
 *
 * Deliberately absent: compressed modules, 32-bit and big-endian files.
 * Only the mkinitrd build tool calls this.
 */
#include "guest/module.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct module_elf {
	const uint8_t *data;
	size_t len;
	Elf64_Ehdr ehdr;
	Elf64_Shdr *sections; /* owned */
	size_t count;
	const char *names; /* section names, NUL-terminated as a whole */
	size_t names_len;
};

static const char *const module_unwanted[] = { ".BTF", ".BTF_ids", ".comment" };

static void module_elf_free(struct module_elf *m)
{
	free(m->sections);
}

/* Bytes that a section has in the file. */
static size_t module_section_len(const Elf64_Shdr *sh)
{
	return sh->sh_type == SHT_NULL || sh->sh_type == SHT_NOBITS ? 0 : sh->sh_size;
}

static const char *module_section_name(const struct module_elf *m, const Elf64_Shdr *sh)
{
	return sh->sh_name < m->names_len ? m->names + sh->sh_name : "";
}

static int module_parse(const uint8_t *ko, size_t len, struct module_elf *m,
			struct coffer_error *err)
{
	const Elf64_Shdr *names;

	*m = (struct module_elf){ .data = ko, .len = len };
	if (len < sizeof(m->ehdr))
		return err_invalid(err, "not a module: %zu bytes", len);
	memcpy(&m->ehdr, ko, sizeof(m->ehdr));
	if (memcmp(m->ehdr.e_ident, ELFMAG, SELFMAG) != 0 ||
	    m->ehdr.e_ident[EI_CLASS] != ELFCLASS64 || m->ehdr.e_type != ET_REL)
		return err_invalid(err, "not an uncompressed 64-bit module");

	m->count = m->ehdr.e_shnum;
	if (m->ehdr.e_shentsize != sizeof(Elf64_Shdr) || m->ehdr.e_shoff > len ||
	    m->count * sizeof(Elf64_Shdr) > len - m->ehdr.e_shoff || m->ehdr.e_shstrndx >= m->count)
		return err_invalid(err, "module's section table is out of bounds");
	m->sections = calloc(m->count, sizeof(Elf64_Shdr));
	if (!m->sections)
		return err_nomem(err);
	memcpy(m->sections, ko + m->ehdr.e_shoff, m->count * sizeof(Elf64_Shdr));

	for (size_t i = 0; i < m->count; i++) {
		const Elf64_Shdr *sh = &m->sections[i];

		if (sh->sh_offset > len || module_section_len(sh) > len - sh->sh_offset ||
		    sh->sh_addralign > 65536 || (sh->sh_addralign & (sh->sh_addralign - 1)))
			return err_invalid(err, "module's section %zu is out of bounds", i);
	}
	names = &m->sections[m->ehdr.e_shstrndx];
	m->names = (const char *)ko + names->sh_offset;
	m->names_len = module_section_len(names);
	if (!m->names_len || m->names[m->names_len - 1])
		return err_invalid(err, "module's section names are not terminated");
	return 0;
}

int module_depends(const uint8_t *ko, size_t len, char **names, struct coffer_error *err)
{
	static const char key[] = "depends=";
	CLEANUP(module_elf_free) struct module_elf m = { 0 };
	int r;

	r = module_parse(ko, len, &m, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < m.count; i++) {
		const char *p = (const char *)ko + m.sections[i].sh_offset;
		size_t left = module_section_len(&m.sections[i]);

		if (strcmp(module_section_name(&m, &m.sections[i]), ".modinfo") != 0)
			continue;
		while (left) {
			size_t n = strnlen(p, left);

			if (n >= sizeof(key) - 1 && !memcmp(p, key, sizeof(key) - 1)) {
				*names = strndup(p + sizeof(key) - 1, n - sizeof(key) + 1);
				return *names ? 0 : err_nomem(err);
			}
			n += n < left; /* the terminator */
			p += n;
			left -= n;
		}
	}
	return err_invalid(err, "module has no list of dependencies");
}

static bool module_wants_section(const struct module_elf *m, const Elf64_Shdr *sh)
{
	for (size_t i = 0; i < ARRAY_SIZE(module_unwanted); i++) {
		if (!strcmp(module_section_name(m, sh), module_unwanted[i]))
			return false;
	}
	return true;
}

/* Append @sh's bytes at @off of @to, or only say where they end when @to is NULL. */
static size_t module_place_section(const struct module_elf *m, Elf64_Shdr *sh, uint8_t *to,
				   size_t off)
{
	size_t align = sh->sh_addralign ? sh->sh_addralign : 1;
	size_t len = module_section_len(sh);

	off = (off + align - 1) & ~(align - 1);
	if (to) {
		memcpy(to + off, m->data + sh->sh_offset, len);
		sh->sh_offset = off;
	}
	return off + len;
}

static size_t module_place_all(struct module_elf *m, uint8_t *to)
{
	size_t off = sizeof(Elf64_Ehdr);

	for (size_t i = 1; i < m->count; i++)
		off = module_place_section(m, &m->sections[i], to, off);
	return (off + 7) & ~(size_t)7;
}

int module_slim(const uint8_t *ko, size_t len, uint8_t **out, size_t *out_len,
		struct coffer_error *err)
{
	CLEANUP(module_elf_free) struct module_elf m = { 0 };
	autofree uint8_t *mem = NULL;
	size_t table, size;
	int r;

	r = module_parse(ko, len, &m, err);
	if (r < 0)
		return r;
	for (size_t i = 1; i < m.count; i++) {
		Elf64_Shdr *sh = &m.sections[i];

		if (!module_wants_section(&m, sh))
			*sh = (Elf64_Shdr){ .sh_type = SHT_NULL, .sh_name = sh->sh_name };
	}

	table = module_place_all(&m, NULL);
	size = table + m.count * sizeof(Elf64_Shdr);
	if (size > 2 * len)
		return err_invalid(err, "module's sections overlap");
	mem = calloc(1, size);
	if (!mem)
		return err_nomem(err);
	module_place_all(&m, mem);
	m.ehdr.e_shoff = table;
	memcpy(mem, &m.ehdr, sizeof(m.ehdr));
	memcpy(mem + table, m.sections, m.count * sizeof(Elf64_Shdr));
	*out = steal_ptr(mem);
	*out_len = size;
	return 0;
}
