/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/extract_vmlinux.c - build tool: extract-vmlinux BZIMAGE VMLINUX
 *
 * Booting the ELF file directly spares the guest the decompression of itself,
 * which costs a third of a second and more when the machine is emulated.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "guest/bzimage.h"
#include "guest/vmlinux.h"

#define EXTRACT_BZIMAGE_MAX ((size_t)128 << 20)

static int extract_convert(const char *from, uint8_t **slim, size_t *slim_len,
			   struct coffer_error *err)
{
	autofree uint8_t *elf = NULL;
	autofree char *img = NULL;
	size_t len, elf_len;
	int r;

	r = io_read_file(AT_FDCWD, from, EXTRACT_BZIMAGE_MAX, &img, &len, err);
	if (r < 0)
		return r;
	r = bzimage_unpack((const uint8_t *)img, len, BZIMAGE_VMLINUX_MAX, &elf, &elf_len, err);
	if (r < 0)
		return err_wrap(err, "%s", from);
	r = vmlinux_compact(elf, elf_len, slim, slim_len, err);
	if (r < 0)
		return err_wrap(err, "%s", from);
	return 0;
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree uint8_t *slim = NULL;
	size_t len;

	if (argc != 3) {
		fprintf(stderr, "usage: extract-vmlinux BZIMAGE VMLINUX\n");
		return 2;
	}
	if (extract_convert(argv[1], &slim, &len, &err) < 0 ||
	    io_replace_file(AT_FDCWD, argv[2], slim, len, 0644, &err) < 0) {
		fprintf(stderr, "extract-vmlinux: %s\n", err.message);
		return 1;
	}
	return 0;
}
