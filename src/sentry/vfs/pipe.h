/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/pipe.h - what others than read and write want of a pipe
 *
 * pipe_open() is in vfs/file.h. The lock of a pipe is a leaf but for memory; it is never held while
 * a pipe's users are woken, nor over another file's operations.
 */
#ifndef SENTRY_VFS_PIPE_H
#define SENTRY_VFS_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "sentry/vfs/file.h"

struct vfs_path;

/* pipe_open_fifo() - Open a FIFO's inode (inode->fifo), and wait for the other side as Linux does. No
 * lock held. Return: 0, -ENXIO, -ENOMEM, -ERESTARTSYS */
int pipe_open_fifo(struct task *task, struct inode *inode, const struct vfs_path *path,
		   uint32_t flags, struct file **out);

bool pipe_is(const struct file *file);
/* F_GETPIPE_SZ, F_SETPIPE_SZ. Return: the size; -EBADF: not a pipe */
long pipe_get_size(struct file *file);
long pipe_set_size(struct file *file, uint64_t size);

/*
 * For splice-like calls: data leave and enter in pieces of at most a page, with no copy between
 * pipes. A piece that was taken, or room that was reserved, counts as being in the pipe until it is
 * given back or used.
 */
#define PIPE_PAGE 4096u

struct pipe_page {
	_Atomic unsigned refs;
	char data[PIPE_PAGE];
};

struct pipe_piece {
	struct pipe_page *page; /* a reference; NULL: empty */
	uint16_t offset, len;
	bool packet;		/* O_DIRECT: one write, one read */
	bool open;		/* a write may append to it: of all that share a page, one */
};

/* pipe_take() - The next piece. Return: bytes; 0: the end; -EAGAIN */
long pipe_take(struct file *file, struct pipe_piece *out);
/* pipe_taken() - What is left of a piece goes back to where it came from */
void pipe_taken(struct file *file, struct pipe_piece *rest);
/* pipe_peek() - A reference to piece number @at, which stays. Return: bytes; 0: the end; -EAGAIN:
 * there are not so many */
long pipe_peek(struct file *file, unsigned at, struct pipe_piece *out);
/* pipe_reserve() - Room for one piece. Return: 0, -EAGAIN, -EPIPE */
int pipe_reserve(struct file *file);
/* pipe_commit() - Use it; an empty piece gives it back. Takes the piece's reference. */
void pipe_commit(struct file *file, struct pipe_piece *piece);
/* pipe_page_new(), pipe_page_put() - NULL: no memory */
struct pipe_page *pipe_page_new(void);
void pipe_page_put(struct pipe_page *page);

#endif /* SENTRY_VFS_PIPE_H */
