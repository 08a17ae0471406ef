/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/cpio.h - writing an initramfs archive ("newc" cpio)
 */
#ifndef GUEST_CPIO_H
#define GUEST_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct cpio {
	struct buf out;
	uint32_t entries;
};

#define CPIO_INIT(limit) { .out = BUF_INIT(limit) }

static inline void cpio_free(struct cpio *c)
{
	buf_free(&c->out);
}
#define autocpio CLEANUP(cpio_free)

/**
 * cpio_add() - Append an entry owned by root, dated 1970
 * @c:		Archive
 * @path:	Name without leading slash; its directory must have been added before
 * @mode:	Type and permissions: S_IFDIR or S_IFREG
 * @data:	Content of a regular file
 * @len:	Its size
 *
 * Return: 0 or negative errno with @err filled
 */
int cpio_add(struct cpio *c, const char *path, mode_t mode, const void *data, size_t len,
	     struct coffer_error *err);

/* cpio_finish() - Append the trailer; the archive is then buf_data() of @c->out */
int cpio_finish(struct cpio *c, struct coffer_error *err);

#endif /* GUEST_CPIO_H */
