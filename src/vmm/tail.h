/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/tail.h - the last bytes of an endless stream of foreign text
 */
#ifndef VMM_TAIL_H
#define VMM_TAIL_H

#include <stdbool.h>
#include <stddef.h>

#define TAIL_SIZE 8192 /* a dying kernel writes some 4 KiB behind the line that says why */

struct tail {
	char mem[TAIL_SIZE];
	size_t len;
};

/* tail_add() - Take @n more bytes, dropping the oldest */
void tail_add(struct tail *t, const void *data, size_t n);

/**
 * tail_last() - The last @lines non-empty lines as one: "a | b | c"
 * @out:	At least 1 byte; what does not fit is cut at the front
 *
 * Control characters and bytes above ASCII become '?'.
 *
 * Return: false when there was nothing
 */
bool tail_last(const struct tail *t, unsigned lines, char *out, size_t size);

/* tail_find() - The last line that holds @needle, from @needle on; cleaned likewise */
bool tail_find(const struct tail *t, const char *needle, char *out, size_t size);

#endif /* VMM_TAIL_H */
