/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/console.h - the guest's console as a file that cannot grow without bound
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <stdint.h>

#include "base/error.h"
#include "vmm/tail.h"

struct console {
	int fd;         /* owned; -1 after a write error */
	uint64_t limit; /* most bytes of the file */
	uint64_t head;  /* bytes of the part that stays; the rest of the file is the moving end */
	uint64_t size;
	struct tail tail;
};

#define CONSOLE_INIT { .fd = -1 }

/* console_open() - Create @name in @dirfd; @limit as in the config */
int console_open(struct console *c, int dirfd, const char *name, uint64_t limit,
		 struct coffer_error *err);
/* console_write() - Bytes from the guest; never fails, a full disk only ends the file */
void console_write(struct console *c, const void *data, size_t n);
void console_close(struct console *c);

#endif /* VMM_CONSOLE_H */
