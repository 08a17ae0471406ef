/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix.h - unix sockets, all of it ours
 *
 *	unix.c          a socket's life, poll, options
 *	unix_name.c     addresses: names in directories, abstract ones
 *	unix_connect.c  who talks to whom
 *	unix_send.c     messages into the other's queue
 *	unix_recv.c     and out of one's own
 *	unix_flight.c   descriptors in messages, and the cycles they can make
 *	unix_host.c     connections to programs of the host
 *	unix_port.c     names that lead to ports of the host, and clients that come from there
 *	unix_list.c     all of them, for /proc/net
 *
 * A socket's memory outlives its file while others hold it (a peer, a message on its way). Each
 * has a lock for all its state; two are held only in the order of their addresses
 * (unix_lock_two()). The names' lock is outside of it, that of what is in flight outside of all,
 * that of who waits for room inside. No file is put under any of these.
 */
#ifndef SENTRY_NET_UNIX_H
#define SENTRY_NET_UNIX_H

#include <sys/un.h>

#include "sentry/net/net.h"
#include "sentry/task/waitq.h"
#include "sentry/vfs/vfs.h"

#define UNIX_BUFFER_MIN	    4608u
#define UNIX_QUEUE_PACKETS  512u       /* net.unix.max_dgram_qlen */
#define UNIX_BACKLOG_MAX    4096	/* net.core.somaxconn */
#define UNIX_CHUNK	    (32u << 10) /* of a stream, one message */

/* The name of a socket; shared by those who have it on their messages. */
struct unix_address {
	_Atomic unsigned refs;
	socklen_t len; /* as getsockname(2) tells; with the family */
	struct sockaddr_un addr;
};

struct unix_cred {
	struct sandbox_container *container; /* whose numbers; compared, never followed */
	struct ucred cred;
};

/* One send(2) of packets, or up to UNIX_CHUNK bytes of a stream. */
struct unix_message {
	struct unix_message *next;
	struct unix_socket *sender;	/* held; its budget this counts against */
	struct unix_address *from;	/* reference; NULL: no name */
	struct unix_cred who;		/* as it said, or is */
	struct file **files;		/* owned, nfiles references, in flight */
	unsigned nfiles;
	size_t charge;			/* bytes of budget */
	size_t len, off;		/* off: read already */
	char data[];
};

struct unix_queue {
	struct unix_message *first, *last;
	size_t bytes;	 /* not read yet */
	unsigned count;
};

enum unix_state { UNIX_IDLE, UNIX_LISTENING, UNIX_CONNECTED };

struct unix_socket {
	struct socket socket; /* first */
	_Atomic unsigned holds;
	struct sandbox_container *container; /* a reference; NULL: the sandbox's own */
	uint64_t net_space;	/* the container's; 0: all that have none of their own */
	struct waitq wait; /* POLLIN: queue, backlog, ends; POLLOUT: budget, peer's queue, backlog */

	/* names' lock */
	struct unix_socket *abstract_next;
	struct vfs_path path;	/* references, of a name in a directory */
	bool abstract;		/* has an abstract name */

	/* flight's lock */
	bool candidate, reachable;
	unsigned inflight;	/* references to the file that are in messages */
	unsigned unseen;	/* collection: of these, not found in candidates yet */
	struct unix_socket *flight_prev, *flight_next, *gc_next;

	pthread_mutex_t lock;	/* what follows */
	enum unix_state state;
	int error;		/* SO_ERROR */
	unsigned shutdown;	/* UNIX_SHUT_* */
	unsigned nbacklog, backlog_max;
	uint32_t send_max, receive_max;
	bool dead;		/* its file is gone */
	bool binding;		/* a name is on its way */
	bool pass_cred;
	bool unaccepted;	/* ended in a backlog */
	struct unix_address *name;
	struct unix_socket *peer; /* held; of a packet socket: where it sends to */
	struct unix_cred peer_cred; /* SO_PEERCRED; a listener's: who listens */
	struct unix_queue queue;
	struct unix_socket *backlog, *backlog_last; /* by backlog_next: references to files */
	struct unix_socket *backlog_next;	     /* the listener's lock */

	_Atomic int host_fd;	/* owned; connected to a program of the host for good; -1: not */
	struct socket_addr host_peer; /* set before it */
	uint32_t host_port; /* set before it has a name: its clients are connected to that; 0: none */

	_Atomic size_t sent;	/* bytes of budget that are in others' queues */

	struct unix_socket *list_prev, *list_next; /* unix_list.c's */

	/* unix.c's; who waits for room here, and where this one waits */
	struct unix_socket *_Atomic blockers, *blocked_next, *_Atomic blocked_on;
};

#define UNIX_SHUT_RECEIVE 1u
#define UNIX_SHUT_SEND	  2u
#define UNIX_SHUT_BOTH	  3u

static inline struct unix_socket *unix_of(struct socket *s)
{
	return (struct unix_socket *)s;
}

static inline bool unix_is_packets(const struct unix_socket *u)
{
	return u->socket.type == SOCK_DGRAM;
}

/* --- unix.c --- */
extern const struct file_ops unix_file_ops;
int unix_new(struct sandbox_container *container, int type, uint32_t flags,
	     struct unix_socket **out);
struct unix_socket *unix_hold(struct unix_socket *u);
void unix_drop(struct unix_socket *u); /* NULL is fine */
/* unix_lock_two() - Of two that may be the same */
void unix_lock_two(struct unix_socket *a, struct unix_socket *b);
void unix_unlock_two(struct unix_socket *a, struct unix_socket *b);
/* unix_block() - @on has no room for @u: it is not writable until unix_unblock_all(). @on's lock is
 * held, and @on is not dead */
void unix_block(struct unix_socket *u, struct unix_socket *on);
/* unix_unblock_all() - There is room at @on, or never will be. No socket's lock held. */
void unix_unblock_all(struct unix_socket *on);
void unix_cred_of(struct task *task, struct unix_cred *out);
/* unix_writable() - Whether a sender has budget enough that it is worth waking */
bool unix_writable(const struct unix_socket *u);

/* --- unix_name.c --- */
struct unix_address *unix_address_get(struct unix_address *a);
void unix_address_put(struct unix_address *a); /* NULL is fine */
void unix_address_tell(const struct unix_address *a, struct socket_addr *out);
int unix_bind(struct socket *s, struct task *task, const struct socket_addr *addr);
/* unix_autobind() - A name that nobody has, if it has none and none is on its way */
int unix_autobind(struct unix_socket *u);
/* unix_bind_node() - To a new node of @args at @path, whose directory and last name are then in @dir.
 * Takes @a's reference (NULL: no address) when it succeeds */
int unix_bind_node(struct unix_socket *u, struct walk *dir, const char *path,
		   struct vfs_create *args, struct unix_address *a);
/* unix_find_node() - Who is bound to it, held. Return: 0 or -ECONNREFUSED */
int unix_find_node(struct inode *inode, struct unix_socket **out);
/* unix_find() - Who is bound to @addr, held. Return: 0, -ECONNREFUSED, -EPROTOTYPE: of another
 * @type, or what the walk says */
int unix_find(struct task *task, const struct socket_addr *addr, int type,
	      struct unix_socket **out);
/* unix_unbind() - At the end. No lock held. */
void unix_unbind(struct unix_socket *u);

/* --- unix_connect.c --- */
int unix_connect(struct socket *s, struct task *task, const struct socket_addr *addr);
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, struct task *task, struct socket_addr *peer, struct file **out);
int unix_shutdown(struct socket *s, int how);
int unix_name(struct socket *s, bool peer, struct socket_addr *out);
/* unix_offer() - @other, connected already and nobody's yet, to the backlog. Return: 0 with its file's
 * reference taken, -ECONNREFUSED, -EAGAIN: it is full */
int unix_offer(struct unix_socket *listener, struct unix_socket *other);
/* unix_disconnect() - At the end: the other side hears of it */
void unix_disconnect(struct unix_socket *u);

/* --- unix_host.c --- */
/* unix_host_connect() - To who is bound to @addr on the host. Return: 0, -ECONNREFUSED ... */
int unix_host_connect(struct unix_socket *u, struct task *task, const struct socket_addr *addr);
/* unix_host_take() - @u is connected to the host by @fd from now on, which is taken over in any case.
 * @addr: who the peer is. Return: 0 or -EISCONN */
int unix_host_take(struct unix_socket *u, int fd, const struct socket_addr *addr);
/* Of one that is */
long unix_host_send(struct unix_socket *u, struct user_io *io, const struct socket_addr *to,
		    struct socket_control *control, int flags);
long unix_host_recv(struct unix_socket *u, struct user_io *io, struct socket_addr *from, int flags,
		    int *out_flags);
int unix_host_getsockopt(struct unix_socket *u, int name, void *value, socklen_t *len);

/* --- unix_port.c --- */
/* unix_port_connect() - A client of a listener with a host_port. Return: as connect(2) */
int unix_port_connect(struct unix_socket *u, const struct unix_socket *listener,
		      const struct socket_addr *addr);

/* --- unix_send.c, unix_recv.c --- */
long unix_send(struct socket *s, struct task *task, struct user_io *io,
	       const struct socket_addr *to, struct socket_control *control, int flags);
long unix_recv(struct socket *s, struct task *task, struct user_io *io, struct socket_addr *from,
	       struct socket_control *control, int flags, int *out_flags);
/* unix_room() - Whether @peer takes another packet of @u. Its lock is held. */
bool unix_room(const struct unix_socket *u, const struct unix_socket *peer);
/* unix_message_free() - Taken off its queue; no lock held */
void unix_message_free(struct unix_message *m);
void unix_queue_free(struct unix_queue *queue);
struct unix_message *unix_queue_pop(struct unix_queue *queue);

/* --- unix_list.c; only sockets with a file are in it --- */
void unix_list_add(struct unix_socket *u);
void unix_list_remove(struct unix_socket *u);

/* --- unix_flight.c --- */
/* flight_attach() - Files of a message that is being made. Return: 0, -ETOOMANYREFS */
int flight_attach(struct task *task, struct file **files, unsigned n);
/* flight_detach() - They have arrived, or never will */
void flight_detach(struct file **files, unsigned n);
/* flight_collect() - End what only messages refer to that nobody can receive. No lock held. */
void flight_collect(void);
/* flight_ended() - A socket has ended: every now and then, collect */
void flight_ended(void);
/* flight_release() - Put files; safe however deep they are nested */
void flight_release(struct file **files, unsigned n);

#endif /* SENTRY_NET_UNIX_H */
