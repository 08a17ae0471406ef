/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_kernel_extract.c - a bzImage, or the ELF file in it, by a hostile hand
 *
 * The first byte chooses: an even one means the rest is a bzImage, an odd one
 * that it is an ELF kernel.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "guest/bzimage.h"
#include "guest/vmlinux.h"

#define OUTPUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree uint8_t *elf = NULL, *slim = NULL;
	size_t elf_len = size ? size - 1 : 0, slim_len;

	if (!size)
		return 0;
	if (data[0] & 1)
		vmlinux_compact(data + 1, elf_len, &slim, &slim_len, NULL);
	else if (bzimage_unpack(data + 1, size - 1, OUTPUT_MAX, &elf, &elf_len, NULL) == 0)
		vmlinux_compact(elf, elf_len, &slim, &slim_len, NULL);
	return 0;
}
