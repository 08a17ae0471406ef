/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/user_io.c - guest memory as pieces of host memory, for file systems
 *
 *	addresses -> user_io_begin() -> iov of our own mapping of the memory file -> user_io_end()
 *
 * Ranges that a host's file is mapped at go through a bounce buffer: one of them at a time, and
 * alone. Pages stay what they are until the end: unmapping defers (memfile_enter()), fork waits.
 *
 * Called by the generic reads and writes of vfs/ and net/.
 */
#include "sentry/mm/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/reach.h"
#include "sentry/mm/space.h"

#define USER_IO_PIECES 64u
#define USER_IO_BOUNCE (64u << 10)

static void user_io_release(struct user_io *io)
{
	if (io->mm) {
		memfile_leave(kernel.memory);
		pthread_rwlock_unlock(&io->mm->io);
	}
	if (io->base != io->inline_iov)
		free(io->base);
	free(io->bounce);
}

/* Room for one more piece. */
static struct iovec *user_io_slot(struct user_io *io)
{
	struct iovec *more;

	if (io->niov < ARRAY_SIZE(io->inline_iov) ||
	    (io->base != io->inline_iov && io->niov < USER_IO_PIECES))
		return &io->base[io->niov];
	if (io->base != io->inline_iov)
		return NULL;
	more = malloc(USER_IO_PIECES * sizeof(*more));
	if (!more)
		return NULL;
	memcpy(more, io->inline_iov, sizeof(io->inline_iov));
	io->base = more;
	return &io->base[io->niov];
}

/* What lies at @addr comes through a buffer. Return: bytes, or negative errno */
static long user_io_bounce(struct user_io *io, uint64_t addr, size_t len)
{
	len = len < USER_IO_BOUNCE ? len : USER_IO_BOUNCE;
	io->bounce = malloc(len);
	if (!io->bounce)
		return -ENOMEM;
	if (io->dir == USER_FROM_GUEST) {
		int r = user_read(io->mm, io->bounce, addr, len);

		if (r)
			return r;
	}
	io->bounce_addr = addr;
	io->bounce_len = len;
	io->base[io->niov++] = (struct iovec){ .iov_base = io->bounce, .iov_len = len };
	io->left += len;
	return (long)len;
}

/* At most @len bytes at @addr. Return: bytes, 0: full, or negative errno */
static long user_io_add(struct user_io *io, uint64_t addr, size_t len)
{
	struct iovec *slot = user_io_slot(io); /* first: it may move the others */
	struct iovec *last = io->niov ? &io->base[io->niov - 1] : NULL;
	const struct piece *piece;
	bool host;
	char *at;
	int r;

	if (!slot || io->bounce)
		return 0;
	if (addr >= GUEST_END)
		return -EFAULT;
	r = reach_lock(io->mm, addr, io->dir == USER_TO_GUEST, &piece);
	if (r)
		return r;
	host = piece->fd >= 0;
	len = len < piece->r.end - addr ? len : piece->r.end - addr;
	at = memfile_ptr(kernel.memory, piece->r.offset + (addr - piece->r.start));
	reach_unlock(io->mm);
	if (host)
		return io->niov ? 0 : user_io_bounce(io, addr, len);
	if (last && (char *)last->iov_base + last->iov_len == at) {
		last->iov_len += len;
	} else {
		*slot = (struct iovec){ .iov_base = at, .iov_len = len };
		io->niov++;
	}
	io->left += len;
	return (long)len;
}

int user_io_begin(struct user_io *io, struct mm *mm, const struct iovec *iov, size_t niov,
		  size_t skip, size_t max, enum user_dir dir)
{
	long n = 1;

	memset(io, 0, offsetof(struct user_io, inline_iov));
	io->base = io->inline_iov;
	io->bounce = NULL;
	io->done = 0;
	io->dir = dir;
	io->mm = mm;
	max = max < MAX_RW_COUNT ? max : MAX_RW_COUNT;
	pthread_rwlock_rdlock(&mm->io);
	memfile_enter(kernel.memory);
	for (size_t i = 0; i < niov && n > 0; i++) {
		size_t len = iov[i].iov_len;
		size_t off = skip < len ? skip : len;

		skip -= off;
		while (off < len && io->left < max && n > 0) {
			size_t want = len - off < max - io->left ? len - off : max - io->left;

			n = user_io_add(io, (uint64_t)(uintptr_t)iov[i].iov_base + off, want);
			off += n > 0 ? (size_t)n : 0;
		}
	}
	if (n < 0 && !io->left) {
		user_io_release(io);
		return (int)n;
	}
	io->iov = io->base;
	return 0;
}

void user_io_kernel(struct user_io *io, void *buf, size_t len)
{
	memset(io, 0, offsetof(struct user_io, inline_iov));
	io->base = io->inline_iov;
	io->bounce = NULL;
	io->done = 0;
	io->inline_iov[0] = (struct iovec){ .iov_base = buf, .iov_len = len };
	io->iov = io->inline_iov;
	io->niov = len ? 1 : 0;
	io->left = len;
}

int user_io_end(struct user_io *io)
{
	int r = 0;

	if (io->bounce && io->dir == USER_TO_GUEST) {
		size_t n = io->done < io->bounce_len ? io->done : io->bounce_len;

		r = user_write(io->mm, io->bounce_addr, io->bounce, n);
	}
	user_io_release(io);
	return r;
}

/* --- for file systems --- */

void user_io_advance(struct user_io *io, size_t len)
{
	len = len < io->left ? len : io->left;
	io->left -= len;
	io->done += len;
	while (len) {
		size_t n = io->iov->iov_len < len ? io->iov->iov_len : len;

		io->iov->iov_base = (char *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
		len -= n;
		if (!io->iov->iov_len) {
			io->iov++;
			io->niov--;
		}
	}
}

/* @what: 0 zeros to it, 1 @buf to it, 2 from it to @buf. */
static size_t user_io_move(struct user_io *io, char *buf, size_t len, int what)
{
	size_t done = 0;

	while (done < len && io->left) {
		size_t n = io->iov->iov_len < len - done ? io->iov->iov_len : len - done;
		size_t left;

		if (what == 0)
			left = copy_zeros(io->iov->iov_base, n);
		else if (what == 1)
			left = copy_bytes(io->iov->iov_base, buf + done, n);
		else
			left = copy_bytes(buf + done, io->iov->iov_base, n);
		user_io_advance(io, n - left);
		done += n - left;
		if (left)
			break;
	}
	return done;
}

size_t user_io_put(struct user_io *io, const void *src, size_t len)
{
	return user_io_move(io, (char *)(uintptr_t)src, len, 1);
}

size_t user_io_get(struct user_io *io, void *dst, size_t len)
{
	return user_io_move(io, dst, len, 2);
}

size_t user_io_zero(struct user_io *io, size_t len)
{
	return user_io_move(io, NULL, len, 0);
}
