/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/console.c - the guest's console as a file that cannot grow without bound
 *
 *	| head: first half, kept for ever | mark | end: the latest lines |
 *
 * The boot messages at the front and the last words at the back are both worth
 * having, the flood between them is not.  When the file reaches its limit, the
 * newer half of the end part is copied down and the file cut behind it, so the
 * file is always readable from front to back and each byte is copied at most
 * about once more.
 */
#define LOG_CATEGORY "console"

#include "vmm/console.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

static const char console_mark[] = "\n[... cut: the console has been busy ...]\n";

int console_open(struct console *c, int dirfd, const char *name, uint64_t limit,
		 struct coffer_error *err)
{
	*c = (struct console)CONSOLE_INIT;
	c->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->fd < 0)
		return err_sys(err, "create %s", name);
	c->limit = limit;
	c->head = limit / 2;
	return 0;
}

void console_close(struct console *c)
{
	close_fd(&c->fd);
}

/* The file is a convenience: a full disk may not stop the machine. */
static void console_give_up(struct console *c)
{
	log_warning("console log: %s: no more of it is kept", strerror(errno));
	close_fd(&c->fd);
}

static void console_put(struct console *c, const char *data, size_t n)
{
	while (n > 0 && c->fd >= 0) {
		ssize_t r = pwrite(c->fd, data, n, (off_t)c->size);

		if (r <= 0) {
			console_give_up(c);
			return;
		}
		c->size += (uint64_t)r;
		data += r;
		n -= (size_t)r;
	}
}

/* Keep the newer half of the end part. */
static void console_compact(struct console *c)
{
	uint64_t from = c->size - (c->limit - c->head) / 2, end = c->size;
	char chunk[2048];

	c->size = c->head;
	console_put(c, console_mark, sizeof(console_mark) - 1);
	while (from < end && c->fd >= 0) {
		ssize_t r = pread(c->fd, chunk, sizeof(chunk), (off_t)from);

		if (r <= 0) {
			console_give_up(c);
			return;
		}
		from += (uint64_t)r;
		console_put(c, chunk, (size_t)r);
	}
	if (c->fd >= 0 && ftruncate(c->fd, (off_t)c->size) < 0)
		console_give_up(c);
}

void console_write(struct console *c, const void *data, size_t n)
{
	const char *p = data;

	tail_add(&c->tail, data, n);
	while (n > 0 && c->fd >= 0) {
		size_t room = (size_t)(c->limit - c->size), part = n < room ? n : room;

		console_put(c, p, part);
		p += part;
		n -= part;
		if (c->size == c->limit)
			console_compact(c);
	}
}
