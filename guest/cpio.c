/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/cpio.c - writing an initramfs archive ("newc" cpio)
 *
 * Each entry is a header of fourteen numbers in hex, the name, and the content,
 * the last two padded to four bytes.  Nothing of the build machine goes in (no
 * owner, time, inode or device number), so equal inputs give equal archives.
 * The archive stays uncompressed: under emulation unpacking costs more than the
 * bytes.
 *
 * Deliberately absent: links, device nodes (the kernel brings /dev/console).
 */
#include "guest/cpio.h"

#include <string.h>
#include <sys/stat.h>

static int cpio_pad(struct cpio *c)
{
	static const uint8_t zero[4];

	return buf_append(&c->out, zero, -c->out.len & 3);
}

static int cpio_append(struct cpio *c, const char *path, mode_t mode, unsigned nlink,
		       const void *data, size_t len)
{
	int r;

	r = buf_printf(&c->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		       c->entries + 1, mode, 0, 0, nlink, 0, (unsigned)len, 0, 0, 0, 0,
		       (unsigned)strlen(path) + 1, 0);
	if (r == 0)
		r = buf_append(&c->out, path, strlen(path) + 1);
	if (r == 0)
		r = cpio_pad(c);
	if (r == 0)
		r = buf_append(&c->out, data, len);
	if (r == 0)
		r = cpio_pad(c);
	c->entries++;
	return r;
}

int cpio_add(struct cpio *c, const char *path, mode_t mode, const void *data, size_t len,
	     struct coffer_error *err)
{
	int r = len > UINT32_MAX ? -EFBIG
				 : cpio_append(c, path, mode, S_ISDIR(mode) ? 2 : 1, data, len);

	return r < 0 ? err_sysn(err, r, "add %s to the archive", path) : 0;
}

int cpio_finish(struct cpio *c, struct coffer_error *err)
{
	int r = cpio_append(c, "TRAILER!!!", 0, 1, NULL, 0);

	return r < 0 ? err_sysn(err, r, "end the archive") : 0;
}
