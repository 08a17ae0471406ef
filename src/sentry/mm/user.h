/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/user.h - reading and writing guest memory by address
 *
 * Every address is looked up in the VMA tree, with the rights the guest itself has there; pages are
 * faulted in as they would be for it. What is copied out is copied once. All return 0 (or a
 * count) or -EFAULT, also -ENOMEM where a page cannot be had.
 *
 * Call with no lock held but the ones of the caller's own room that are left of mm->lock (see
 * kernel.h); a file system's read and write get a struct user_io instead of addresses.
 */
#ifndef SENTRY_MM_USER_H
#define SENTRY_MM_USER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct mm;
struct task;

int user_read(struct mm *mm, void *dst, uint64_t src, size_t len);
int user_write(struct mm *mm, uint64_t dst, const void *src, size_t len);
int user_zero(struct mm *mm, uint64_t dst, size_t len);

/* user_string() - A terminated string of less than @size bytes. Return: its length;
 * -ENAMETOOLONG: no terminator within @size */
long user_string(struct mm *mm, char *dst, uint64_t src, size_t size);
/* user_path() - The same of a path into allocated memory (free() it); -ENOENT when empty is left to
 * the caller */
int user_path(struct mm *mm, uint64_t src, char **out);

/* user_iovec() - Copy and check an array of struct iovec: at most IOV_MAX, lengths not negative,
 * their sum cut at MAX_RW_COUNT as Linux does. free() it. */
int user_iovec(struct mm *mm, uint64_t iov, uint64_t count, struct iovec **out, size_t *total);

#define MAX_RW_COUNT 0x7ffff000ul

/*
 * Bytes on their way between guest memory and a file. Made by user_io_begin() from guest
 * addresses, or by user_io_kernel() from our own buffer; a file system sees pieces of host memory
 * and needs to know nothing else.
 *
 * user_io_begin() .. user_io_end() is a memfile_enter() section: no sleeping in it. An operation
 * that would block returns -EAGAIN, its caller ends the section, waits, and begins again.
 */
struct user_io {
	struct iovec *iov; /* host memory: what is left */
	size_t niov;
	size_t left;	   /* bytes in iov */
	/* the rest is mm/user_io.c's */
	struct mm *mm;
	struct iovec inline_iov[4];
	struct iovec *base;
	void *bounce;
	uint64_t bounce_addr;
	size_t bounce_len;
	size_t done;
	int dir;
};

enum user_dir {
	USER_FROM_GUEST, /* a write(2): host memory is read */
	USER_TO_GUEST,	 /* a read(2) */
};

/* user_io_begin() - Of guest addresses (@iov as user_iovec() gave it, @skip bytes of it done
 * already), at most @max bytes now: fewer may be taken, never 0 of some. */
int user_io_begin(struct user_io *io, struct mm *mm, const struct iovec *iov, size_t niov,
		  size_t skip, size_t max, enum user_dir dir);
void user_io_kernel(struct user_io *io, void *buf, size_t len);
/* user_io_end() - Also when begin was user_io_kernel(). Return: 0, or -EFAULT when what was to be
 * written back could not be */
int user_io_end(struct user_io *io);

/* What file systems use. They return how much was copied, at most io->left. */
size_t user_io_put(struct user_io *io, const void *src, size_t len); /* to the guest */
size_t user_io_get(struct user_io *io, void *dst, size_t len);	     /* from the guest */
size_t user_io_zero(struct user_io *io, size_t len);
/* user_io_advance() - @len bytes of iov were filled or taken by other means (preadv ...) */
void user_io_advance(struct user_io *io, size_t len);

/*
 * A futex word. @key is the same for all that share the word: (private) address space and address,
 * or what is mapped there and where. *@word stays good until user_word_put(); only atomic access.
 */
struct user_key {
	uint64_t object;
	uint64_t offset;
};

struct user_word {
	_Atomic uint32_t *word;
	struct user_key key;
	void *map;     /* these are mm/user_word.c's */
	struct mm *mm;
};

int user_word_get(struct mm *mm, uint64_t addr, int write, int shared, struct user_word *out);
void user_word_put(struct user_word *word);

#endif /* SENTRY_MM_USER_H */
