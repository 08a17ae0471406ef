/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/user.c - reading and writing guest memory by address
 *
 *	address -> piece -> memory file: our own mapping, copied under the lock for reading
 *	                 -> host file:   pread and pwrite of its descriptor
 *	        -> none, or not writable yet: fault_in(), and again
 *
 * A copy ends where guest memory does; lengths are never trusted to fit into the address space.
 *
 * Any thread with a reference to the address space.
 */
#include "sentry/mm/user.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/oom.h"
#include "sentry/mm/reach.h"
#include "sentry/mm/space.h"

#define USER_TRIES 100u /* while memory is being given back */

/* --- one address --- */

static bool user_ready(const struct piece *piece, uint64_t addr, bool write)
{
	return piece && piece->r.start <= addr &&
	       vma_allows(write ? (unsigned)piece_prot(piece) : piece->prot, write);
}

static int user_fault(struct mm *mm, uint64_t addr, bool write)
{
	int broken;
	int r;

	space_lock(mm);
	r = fault_in(mm, addr, write ? FAULT_WRITE : FAULT_READ);
	broken = space_unlock(mm);
	if (r)
		return r == -ENOMEM ? r : -EFAULT;
	return broken ? -EFAULT : 0;
}

int reach_lock(struct mm *mm, uint64_t addr, bool write, const struct piece **out)
{
	/* Another thread may take away what we faulted in, but not for ever. */
	for (unsigned i = 0; i < 1000; i++) {
		int r;

		pthread_rwlock_rdlock(&mm->lock);
		*out = ranges_find(&mm->pieces, addr, NULL);
		if (user_ready(*out, addr, write))
			return 0;
		pthread_rwlock_unlock(&mm->lock);
		r = user_fault(mm, addr, write);
		if (r)
			return r;
	}
	return -EFAULT;
}

void reach_unlock(struct mm *mm)
{
	pthread_rwlock_unlock(&mm->lock);
}

/* --- copying --- */

static ssize_t user_host_write(int fd, uint64_t offset, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { .iov_base = (char *)buf + done, .iov_len = len - done };
		ssize_t n = pwritev2(fd, &iov, 1, (off_t)(offset + done), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int user_host_copy(const struct piece *piece, uint64_t addr, void *buf, size_t len,
			  bool write)
{
	uint64_t offset = piece->r.offset + (addr - piece->r.start);
	ssize_t n = write ? user_host_write(piece->fd, offset, buf, len)
			  : io_read_at(piece->fd, buf, len, offset);

	if (n < 0)
		return -EFAULT;
	if ((size_t)n < len && !write) {
		/* The rest of the last page is zeros; what is beyond it faults. */
		if (PAGE_UP(offset + (uint64_t)n) < offset + len || !n)
			return -EFAULT;
		memset((char *)buf + n, 0, len - (size_t)n);
	}
	return 0;
}

/* Up to @len bytes at @addr, as far as one piece goes. @buf NULL: zeros are written.
 * Return: bytes, or negative errno */
static long user_some(struct mm *mm, uint64_t addr, void *buf, size_t len, bool write)
{
	static const char zeros[PAGE_SIZE];
	const struct piece *piece;
	size_t left = 0;
	int r = reach_lock(mm, addr, write, &piece);

	if (r)
		return r;
	if (len > piece->r.end - addr)
		len = piece->r.end - addr;
	if (piece->fd >= 0) {
		if (!buf && len > sizeof(zeros))
			len = sizeof(zeros);
		r = user_host_copy(piece, addr, buf ? buf : (void *)(uintptr_t)zeros, len, write);
	} else {
		void *at = memfile_ptr(kernel.memory,
				       piece->r.offset + (addr - piece->r.start));

		if (!buf)
			left = copy_zeros(at, len);
		else
			left = write ? copy_bytes(at, buf, len) : copy_bytes(buf, at, len);
	}
	reach_unlock(mm);
	if (r)
		return r;
	return left ? -ENOMEM : (long)len;
}

static int user_copy(struct mm *mm, uint64_t addr, void *buf, size_t len, bool write)
{
	unsigned tries = 0;

	if (addr > GUEST_END || len > GUEST_END - addr)
		return len ? -EFAULT : 0;
	for (size_t done = 0; done < len;) {
		long n = user_some(mm, addr + done, buf ? (char *)buf + done : NULL, len - done,
				   write);

		if (n == -ENOMEM && tries++ < USER_TRIES && oom_relieve())
			continue;
		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}

int user_read(struct mm *mm, void *dst, uint64_t src, size_t len)
{
	return user_copy(mm, src, dst, len, false);
}

int user_write(struct mm *mm, uint64_t dst, const void *src, size_t len)
{
	return user_copy(mm, dst, (void *)(uintptr_t)src, len, true);
}

int user_zero(struct mm *mm, uint64_t dst, size_t len)
{
	return user_copy(mm, dst, NULL, len, true);
}

/* --- strings --- */

long user_string(struct mm *mm, char *dst, uint64_t src, size_t size)
{
	size_t done = 0;
	size_t step = 256; /* most are short */

	while (done < size) {
		uint64_t addr = src + done;
		size_t len = PAGE_SIZE - addr % PAGE_SIZE;
		const char *end;
		long n;

		len = len < step ? len : step;
		len = len < size - done ? len : size - done;
		if (addr >= GUEST_END)
			return -EFAULT;
		n = user_some(mm, addr, dst + done, len, false);
		if (n < 0)
			return n;
		end = memchr(dst + done, 0, (size_t)n);
		if (end)
			return end - dst;
		done += (size_t)n;
		step = PAGE_SIZE;
	}
	return -ENAMETOOLONG;
}

int user_path(struct mm *mm, uint64_t src, char **out)
{
	char small[256];
	autofree char *path = NULL;
	long n = user_string(mm, small, src, sizeof(small));

	if (n >= 0) {
		*out = strdup(small);
		return *out ? 0 : -ENOMEM;
	}
	if (n != -ENAMETOOLONG)
		return (int)n;
	path = malloc(PATH_MAX);
	if (!path)
		return -ENOMEM;
	n = user_string(mm, path, src, PATH_MAX);
	if (n < 0)
		return (int)n;
	*out = steal_ptr(path);
	return 0;
}

/* --- vectors --- */

int user_iovec(struct mm *mm, uint64_t iov, uint64_t count, struct iovec **out, size_t *total)
{
	autofree struct iovec *v = NULL;
	int r;

	*total = 0;
	if (count > IOV_MAX)
		return -EINVAL;
	v = calloc(count ? count : 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	r = user_read(mm, v, iov, count * sizeof(*v));
	if (r)
		return r;
	for (uint64_t i = 0; i < count; i++) {
		if ((ssize_t)v[i].iov_len < 0)
			return -EINVAL;
		if (v[i].iov_len > GUEST_END || (uintptr_t)v[i].iov_base > GUEST_END - v[i].iov_len)
			return -EFAULT;
		if (v[i].iov_len > MAX_RW_COUNT - *total)
			v[i].iov_len = MAX_RW_COUNT - *total;
		*total += v[i].iov_len;
	}
	*out = steal_ptr(v);
	return 0;
}
