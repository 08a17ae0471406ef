/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/socket.h - sockets and their backends
 *
 * A socket is a struct file with more operations. Three families are ours (unix, netlink-route);
 * inet and inet6 go to the backend the container has: sockets of the host in the sentry's network
 * namespace (net/host.c), later a stack of our own. Operations never block, as file_ops.
 *
 * Addresses and options come from the guest: net/ gets copies with their length and checks both.
 */
#ifndef SENTRY_NET_SOCKET_H
#define SENTRY_NET_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sentry/vfs/file.h"

struct sandbox_container;
struct socket;
struct task;

struct socket_addr {
	socklen_t len;
	struct sockaddr_storage addr;
};

/* Ancillary data on their way; descriptors are files with references. */
#define SOCKET_FDS_MAX 253
struct socket_control {
	struct file **files;   /* owned, nfiles references */
	unsigned nfiles;
	bool has_cred;
	struct ucred cred;     /* in the receiver's container's numbers */
	void *raw;	       /* other control messages, as in a msg_control; owned */
	size_t raw_len;
	size_t raw_room;       /* receiving: how much the caller takes of these */
	bool unknown;	       /* some of raw are of SOL_SOCKET */
	bool truncated;
};

void socket_control_free(struct socket_control *control);
/* socket_control_parse() - What a sendmsg(2) has in its msg_control. Return: 0, -EINVAL, -EBADF,
 * -EPERM, -ENOMEM; @out is to be freed in any case */
int socket_control_parse(struct task *task, const void *bytes, size_t len,
			 struct socket_control *out);

struct socket_ops {
	int (*bind)(struct socket *s, struct task *task, const struct socket_addr *addr);
	/* -EINPROGRESS, -EALREADY, -EAGAIN: wait for POLLOUT, then call again; -EISCONN then means
	 * that it has succeeded */
	int (*connect)(struct socket *s, struct task *task, const struct socket_addr *addr);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, struct task *task, struct socket_addr *peer,
		      struct file **out); /* -EAGAIN */
	int (*shutdown)(struct socket *s, int how);
	int (*name)(struct socket *s, bool peer, struct socket_addr *out);
	/* @flags: MSG_* without WAITALL, NOSIGNAL, CMSG_CLOEXEC; DONTWAIT: nobody is going to wait. @control and @from may be NULL.
	 * What send() takes of @control it takes out. Return: bytes; of a packet its whole length
	 * with MSG_TRUNC */
	long (*send)(struct socket *s, struct task *task, struct user_io *io,
		     const struct socket_addr *to, struct socket_control *control, int flags);
	long (*recv)(struct socket *s, struct task *task, struct user_io *io,
		     struct socket_addr *from, struct socket_control *control, int flags,
		     int *out_flags);
	int (*getsockopt)(struct socket *s, int level, int name, void *value, socklen_t *len);
	int (*setsockopt)(struct socket *s, int level, int name, const void *value,
			  socklen_t len);
};

struct socket {
	struct file file; /* first */
	const struct socket_ops *ops;
	int family, type, protocol;
	usec_t receive_timeout, send_timeout; /* SO_RCVTIMEO, SO_SNDTIMEO */
	_Atomic uint32_t options; /* net/options.c's: those that are only remembered */
};

/* socket_of() - NULL: not a socket */
struct socket *socket_of(struct file *file);

/* socket_deadline() - Until when a read(2) or write(2) that begins to wait now may do so, by
 * SO_RCVTIMEO and SO_SNDTIMEO; USEC_INFINITY for other files */
usec_t socket_deadline(struct file *file, uint32_t mask);

/* A way to the network. */
struct socket_backend {
	const char *name;
	int (*create)(int family, int type, int protocol, uint32_t flags, struct file **out);
};

extern const struct socket_backend socket_backend_host;
/* host_guard_ports() - Of that backend: the host lets anybody bind low ports here, so our programs
 * have to have the capability. Before there are any. */
void host_guard_ports(void);
/* The host's network lets us have ICMP sockets; set before there are programs */
extern bool host_pings;

/* Options that all families have are served here, the others by the family. */
int socket_getsockopt(struct socket *s, struct task *task, int level, int name, void *value,
		      socklen_t *len);
int socket_setsockopt(struct socket *s, struct task *task, int level, int name, const void *value,
		      socklen_t len);

/* For /proc/net: all of a family and protocol (IPPROTO_*), with a heading */
struct buf;
int socket_print_inet(int family, int protocol, struct buf *out);
int socket_print_unix(struct sandbox_container *container, struct buf *out);

/* What control/ has: names of unix sockets that lead to ports of the host, and clients from there. */
struct walk;

/**
 * unix_port_listen() - A node at @path whose clients are connected to the host's @port
 * @dir:	Who walks; its directory and last name are those of the node afterwards
 *
 * The connection is the guest's socket itself: nothing is copied. file_put() closes the name, those
 * who are connected stay.
 *
 * Return: 0, -EADDRINUSE: something is there, or other negative errno
 */
int unix_port_listen(struct walk *dir, const char *path, uint32_t mode, uint32_t port,
		     struct file **out);
/* unix_port_push() - To who listens at @node: @fd, a connection of the host's, as a client. Taken over
 * on success. Return: 0, -ECONNREFUSED, -EPROTOTYPE: no streams, -EAGAIN: too many wait there */
int unix_port_push(struct inode *node, int fd);
/* unix_port_owns() - Whether the node is still @file's, of unix_port_listen() */
bool unix_port_owns(struct inode *node, const struct file *file);

int socket_create(struct task *task, int family, int type, int protocol, struct file **out);
int unix_pair(struct task *task, int type, uint32_t flags, struct file *out[2]);

#endif /* SENTRY_NET_SOCKET_H */
