/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/io.h - whole reads and writes, small files, unix sockets, descriptor passing
 *
 * Everything is EINTR-safe and close-on-exec.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"

/* io_read_full() - Read exactly @n bytes unless EOF comes. Return: bytes read, or -errno */
ssize_t io_read_full(int fd, void *buf, size_t n);
/* io_read_at() - The same at @offset, which leaves the place in the file alone */
ssize_t io_read_at(int fd, void *buf, size_t n, uint64_t offset);
/* io_write_some() - write(2), again after a signal, and of less if the kernel has no memory for so
 * much at once: a vsock socket wants that of each packet in one piece. Return: bytes, or -errno */
ssize_t io_write_some(int fd, const void *buf, size_t n);
/* io_write_full() - Write all (blocking descriptor). Return: 0 or -errno */
int io_write_full(int fd, const void *buf, size_t n);

/**
 * io_read_file() - A whole small file as a NUL-terminated malloc'd string
 * @dirfd:	Directory or AT_FDCWD
 * @limit:	Most bytes accepted, -EFBIG above
 * @len:	May be NULL
 */
int io_read_file(int dirfd, const char *path, size_t limit, char **data, size_t *len,
		 struct coffer_error *err);
/* io_read_stream() - The same from a descriptor. @what: its name in errors */
int io_read_stream(int fd, const char *what, size_t limit, char **data, size_t *len,
		   struct coffer_error *err);
/* io_write_file() - Write to an existing file (sysfs, procfs, cgroup) in one write(2) */
int io_write_file(int dirfd, const char *path, const char *text, struct coffer_error *err);
/* io_replace_file() - Write aside, fsync, rename over @name */
int io_replace_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		    struct coffer_error *err);
/* io_swap_file() - Without the fsync: whole for every reader, but not for a power cut */
int io_swap_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 struct coffer_error *err);

/* io_open_standard() - First thing in main: a standard descriptor that is missing would become some
 * file of ours, and get the program's output */
void io_open_standard(void);

/* io_set_nonblock(), io_set_cloexec() - Return: 0 or -errno */
int io_set_nonblock(int fd, bool on);
int io_set_cloexec(int fd, bool on);

/* io_wait() - Poll one descriptor (-1: just wait). Return: revents, 0 on deadline, -errno */
int io_wait(int fd, short events, usec_t deadline);

/**
 * io_unix_listen() - A listening unix socket named @name in directory @dirfd
 * @dirfd:	Directory descriptor or AT_FDCWD; lets paths exceed sun_path
 * @type:	SOCK_STREAM, SOCK_SEQPACKET, or SOCK_DGRAM, which is only bound
 * @mode:	Permissions of the socket node
 *
 * Return: descriptor (non-blocking) or negative errno
 */
int io_unix_listen(int dirfd, const char *name, int type, mode_t mode, struct coffer_error *err);
/* io_unix_connect() - Connect to it. Return: descriptor (blocking) or negative errno */
int io_unix_connect(int dirfd, const char *name, int type, struct coffer_error *err);

/* io_send(), io_recv() - As send(2) and recv(2), never SIGPIPE. Return: bytes or -errno */
ssize_t io_send(int sock, const void *data, size_t n, int flags);
ssize_t io_recv(int sock, void *data, size_t n, int flags);
/* io_send_fds() - @n bytes (at least 1) with @nfds descriptors on a unix socket */
int io_send_fds(int sock, const void *data, size_t n, const int *fds, size_t nfds);
/* io_recv_fds() - Return: bytes, 0 on EOF, -errno; *@nfds in: room, out: received (cloexec).
 * Descriptors past the room are closed and the call fails with -EMSGSIZE. */
ssize_t io_recv_fds(int sock, void *data, size_t n, int *fds, size_t *nfds);

#endif /* BASE_IO_H */
