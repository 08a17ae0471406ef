/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/self_image.c - run on from another file with the same content
 *
 * An execve of that file means a loader, its relocations and a second look at
 * everything: a tenth of a container's life.  Instead what is mapped from the
 * old file is mapped from the new one, what may have been written to since
 * becomes memory of no file, and the kernel is told which file we are from now
 * on.  It refuses that as long as anything of the old file is mapped, so what
 * can be reached through us (/proc/PID/exe, maps, map_files) is the same as after
 * an execve.
 *
 * Needs CAP_SYS_ADMIN (or CAP_CHECKPOINT_RESTORE) in our user namespace, and a
 * kernel with CONFIG_CHECKPOINT_RESTORE.  Whoever is refused runs on from both
 * files, and may still call execve.
 *
 * Caller: self.c, while there is one thread.
 */
#include "oci/self.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Where the program lies in memory: the linker's name for its first byte. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

struct image_range {
	uintptr_t start, end;
};

static struct image_range image_range(const ElfW(Phdr) *ph, size_t size)
{
	uintptr_t start = (uintptr_t)__ehdr_start + ph->p_vaddr;

	return (struct image_range){ start, start + size };
}

static struct image_range image_pages(struct image_range r)
{
	uintptr_t mask = (uintptr_t)getauxval(AT_PAGESZ) - 1;

	return (struct image_range){ r.start & ~mask, (r.end + mask) & ~mask };
}

static int image_map(const ElfW(Phdr) *ph, struct image_range pages, int fd)
{
	int prot = (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_X ? PROT_EXEC : 0);
	uintptr_t skipped = (uintptr_t)__ehdr_start + ph->p_vaddr - pages.start;
	void *at = mmap((void *)pages.start, pages.end - pages.start, prot,
			MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, fd, (off_t)(ph->p_offset - skipped));

	return at == MAP_FAILED ? -errno : 0;
}

/* Word by word: what lies between variables is not to be read, says a sanitizer's memcpy(). */
__attribute__((no_sanitize("address"))) static int image_copy(struct image_range pages)
{
	size_t size = pages.end - pages.start;
	const volatile uintptr_t *from = (const uintptr_t *)pages.start;
	uintptr_t *to = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (to == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < size / sizeof(*to); i++)
		to[i] = from[i];
	/* Nothing is written to the old pages up to here, where the new ones take their place. */
	return mremap(to, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)pages.start) ==
	       MAP_FAILED ? -errno : 0;
}

/* Ended by the last whole page, as the loader does it. */
static int image_seal(const ElfW(Phdr) *ph)
{
	struct image_range pages = image_pages(image_range(ph, ph->p_memsz));
	uintptr_t mask = (uintptr_t)getauxval(AT_PAGESZ) - 1;
	uintptr_t end = image_range(ph, ph->p_memsz).end & ~mask;

	return mprotect((void *)pages.start, end - pages.start, PROT_READ) < 0 ? -errno : 0;
}

/* What the kernel shows of us stays as it was, but for the heap: that counts from here on. */
static int image_tell(int fd, struct image_range code, struct image_range data, char *argv[])
{
	uintptr_t heap = (uintptr_t)sbrk(0);
	struct prctl_mm_map map = {
		.start_code = code.start,
		.end_code = code.end,
		.start_data = data.start,
		.end_data = data.end,
		.start_brk = heap,
		.brk = heap,
		.start_stack = (uintptr_t)argv,
		.arg_start = (uintptr_t)argv[0],
		.exe_fd = (uint32_t)fd,
	};

	for (char **p = argv; *p; p++)
		map.arg_end = (uintptr_t)*p + strlen(*p) + 1;
	map.env_start = map.env_end = map.arg_end;
	for (char **p = environ; *p; p++)
		map.env_end = (uintptr_t)*p + strlen(*p) + 1;
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0 ? -errno : 0;
}

int self_image_exchange(int fd, char *argv[])
{
	const ElfW(Phdr) *ph = (const ElfW(Phdr) *)getauxval(AT_PHDR), *relro = NULL;
	const ElfW(Phdr) *end = ph + getauxval(AT_PHNUM);
	struct image_range code = { 0 }, data = { 0 }, pages;
	int r = 0;

	for (; r == 0 && ph < end; ph++) {
		if (ph->p_type == PT_GNU_RELRO)
			relro = ph;
		if (ph->p_type != PT_LOAD)
			continue;
		pages = image_pages(image_range(ph, ph->p_filesz));
		r = ph->p_flags & PF_W ? image_copy(pages) : image_map(ph, pages, fd);
		if (ph->p_flags & PF_X)
			code = image_range(ph, ph->p_filesz);
		if (ph->p_flags & PF_W)
			data = image_range(ph, ph->p_filesz);
	}
	if (r == 0 && relro)
		r = image_seal(relro);
	return r < 0 ? r : image_tell(fd, code, data, argv);
}
