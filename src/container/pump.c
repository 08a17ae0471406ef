/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/pump.c - connections taken on one side and carried to a partner on the other
 *
 *	client --accept--> CONNECTING: a thread asks the target for the partner
 *	                   JOINED:     side 0 <== two ways ==> side 1
 *
 * A way reads its source into the pump's buffer and writes it on at once; only
 * what the destination does not take is kept, and then the source is not read,
 * so that back-pressure goes through and a way never holds more than a buffer.
 * End of file is passed on as shutdown(2) of the other side, whose own way goes
 * on until it ends, too.  A destination that is gone ends its way and tells the
 * source with shutdown(2) of its reading half.
 *
 * read and send rather than splice: that takes a pipe for each way and two
 * calls for each 64 KiB, and the machine's vsock is slower than a copy by far.
 *
 * An error costs the connection it happened on, nothing else.
 *
 * Callers: relay.c, forward.c.
 */
#define LOG_CATEGORY "pump"
#include "container/pump.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

#define PUMP_BUFFER	    (128u << 10)
#define PUMP_BURST	    4  /* buffers before others get their turn */
#define PUMP_CONNECTING_MAX 64 /* threads */
#define PUMP_STACK	    ((size_t)256 << 10)
#define PUMP_PAUSE	    (100 * USEC_PER_MSEC) /* when the process is out of descriptors */

struct pump_conn;

struct pump_side {
	struct pump_conn *conn; /* borrowed */
	int fd;                 /* owned; -1 while connecting */
	struct loop_source *source;
	uint32_t events;
};

/* From side n to the other. */
struct pump_way {
	uint8_t *held; /* owned; len bytes from off on are still to be written */
	size_t off, len;
	bool ended; /* the source gives no more */
	bool done;  /* and the destination knows */
};

struct pump_conn {
	struct pump_door *door;	       /* borrowed */
	struct pump_conn *next, **link; /* in door->conns */
	struct pump_side side[2];
	struct pump_way way[2];
	bool connecting; /* a thread points here */
	bool cut;	 /* meanwhile the door has been closed */
};

struct pump_door {
	struct pump *pump; /* borrowed */
	struct pump_door *next, **link;
	struct loop_source *source;
	struct pump_target target;
	struct pump_conn *conns; /* owned */
	unsigned connecting;
	bool is_closed;
	void (*closed)(void *data);
	void *data;
};

struct pump {
	struct loop *loop; /* owned */
	uint8_t *buffer;   /* owned */
	int made[2];	   /* owned; a pipe that threads tell their partners through */
	struct loop_source *resume; /* timer */
	struct pump_door *doors;    /* owned */
	unsigned conns, connecting;
	unsigned room; /* for connections */
	bool is_full; /* doors do not accept */
};

/* What a thread tells; it fits into one write to a pipe. */
struct pump_made {
	struct pump_conn *conn;
	int fd; /* or negative errno */
	struct coffer_error err;
};
static_assert(sizeof(struct pump_made) <= PIPE_BUF, "written as a whole");

/* ---- doors open and shut for all ---- */

static void pump_set_accepting(struct pump *p, bool on)
{
	p->is_full = !on;
	for (struct pump_door *d = p->doors; d; d = d->next)
		if (!d->is_closed)
			loop_set_events(d->source, on ? EPOLLIN : 0);
}

static bool pump_has_room(const struct pump *p)
{
	return p->conns < p->room && p->connecting < PUMP_CONNECTING_MAX;
}

static void pump_reconsider(struct pump *p)
{
	if (p->is_full && pump_has_room(p))
		pump_set_accepting(p, true);
}

static void pump_resume_handler(struct loop_source *timer, void *data)
{
	pump_reconsider(data);
}

/* ---- connections ---- */

static void pump_conn_free(struct pump_conn *c)
{
	struct pump *p = c->door->pump;

	for (int i = 0; i < 2; i++) {
		loop_remove(c->side[i].source);
		close_fd(&c->side[i].fd);
		free(c->way[i].held);
	}
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
	p->conns--;
	pump_reconsider(p);
}

/* The destination of way @w takes no more. */
static void pump_way_stop(struct pump_conn *c, int w)
{
	struct pump_way *way = &c->way[w];

	if (way->done)
		return;
	way->ended = way->done = true;
	way->len = 0;
	free(steal_ptr(way->held));
	shutdown(c->side[w].fd, SHUT_RD);
}

/* Nothing more is read from its source, and all that was is written. */
static void pump_way_finish(struct pump_conn *c, int w)
{
	if (c->way[w].done)
		return;
	c->way[w].done = true;
	shutdown(c->side[1 - w].fd, SHUT_WR);
}

/* Return: bytes taken, or -1 when the destination is gone */
static ssize_t pump_send(struct pump_conn *c, int w, const uint8_t *data, size_t n)
{
	ssize_t sent;

	do
		sent = send(c->side[1 - w].fd, data, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		return 0;
	return sent;
}

static void pump_hold(struct pump_conn *c, int w, const uint8_t *data, size_t n)
{
	struct pump_way *way = &c->way[w];

	way->held = malloc(n);
	if (!way->held) {
		pump_way_stop(c, w);
		return;
	}
	memcpy(way->held, data, n);
	way->off = 0;
	way->len = n;
}

/* One buffer. Return: whether there may be more at once */
static bool pump_move(struct pump_conn *c, int w)
{
	uint8_t *buffer = c->door->pump->buffer;
	ssize_t n = read(c->side[w].fd, buffer, PUMP_BUFFER), sent;

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		c->way[w].ended = true;
		pump_way_finish(c, w);
		return false;
	}
	sent = pump_send(c, w, buffer, (size_t)n);
	if (sent < 0)
		pump_way_stop(c, w);
	else if (sent < n)
		pump_hold(c, w, buffer + sent, (size_t)(n - sent));
	return sent == n;
}

static void pump_drain(struct pump_conn *c, int w)
{
	for (int i = 0; i < PUMP_BURST && !c->way[w].ended && !c->way[w].len; i++)
		if (!pump_move(c, w))
			return;
}

static void pump_flush(struct pump_conn *c, int w)
{
	struct pump_way *way = &c->way[w];
	ssize_t sent;

	if (!way->len)
		return;
	sent = pump_send(c, w, way->held + way->off, way->len);
	if (sent < 0) {
		pump_way_stop(c, w);
		return;
	}
	way->off += (size_t)sent;
	way->len -= (size_t)sent;
	if (!way->len)
		free(steal_ptr(way->held));
}

/* A side nothing is wanted of is watched edge-triggered: a hang-up would be told for ever. */
static void pump_watch(struct pump_conn *c, int i)
{
	const struct pump_way *out = &c->way[i], *in = &c->way[1 - i];
	uint32_t events = 0;

	if (!out->ended && !out->len)
		events |= EPOLLIN;
	if (in->len)
		events |= EPOLLOUT;
	if (!events)
		events = EPOLLET;
	if (events != c->side[i].events)
		loop_set_events(c->side[i].source, events);
	c->side[i].events = events;
}

static void pump_side_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct pump_side *side = data;
	struct pump_conn *c = side->conn;
	int i = side == &c->side[1];

	if (events & EPOLLOUT)
		pump_flush(c, 1 - i);
	/* Neither half of it works any more: what comes for it is lost. What it sent is not. */
	if (events & (EPOLLHUP | EPOLLERR))
		pump_way_stop(c, 1 - i);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		pump_drain(c, i);
	if (c->way[0].done && c->way[1].done) {
		pump_conn_free(c);
		return;
	}
	pump_watch(c, 0);
	pump_watch(c, 1);
}

static int pump_join(struct pump_conn *c, int fd, struct coffer_error *err)
{
	struct pump *p = c->door->pump;
	int r = io_set_nonblock(fd, true);

	c->side[1].fd = fd;
	if (r < 0)
		return err_sysn(err, r, "set up a socket");
	for (int i = 0; i < 2 && r == 0; i++) {
		c->side[i].events = EPOLLIN;
		r = loop_add_fd(p->loop, c->side[i].fd, EPOLLIN, pump_side_handler, &c->side[i],
				&c->side[i].source, err);
	}
	return r;
}

/* ---- partners ---- */

static void *pump_thread(void *data)
{
	struct pump_conn *c = data;
	const struct pump_target *target = &c->door->target;
	struct pump_made made = { .conn = c, .err = COFFER_ERROR_INIT };

	made.fd = target->connect(target->data, &made.err);
	/* From here on all this may be gone. */
	io_write_full(c->door->pump->made[1], &made, sizeof(made));
	return NULL;
}

static void pump_door_settle(struct pump_door *d)
{
	if (!d->is_closed || d->connecting)
		return;
	*d->link = d->next;
	if (d->next)
		d->next->link = d->link;
	if (d->closed)
		d->closed(d->data);
	free(d);
}

static void pump_take_partner(struct pump_made *made)
{
	struct pump_conn *c = made->conn;
	struct pump_door *d = c->door;
	int r = made->fd;

	c->connecting = false;
	d->connecting--;
	d->pump->connecting--;
	if (r >= 0 && !c->cut)
		r = pump_join(c, made->fd, &made->err);
	else if (r >= 0)
		close(made->fd);
	if (r < 0 && !c->cut) {
		log_debug("client closed: %s", made->err.message);
		if (d->target.failed)
			d->target.failed(d->target.data, &made->err);
	}
	if (r < 0 || c->cut)
		pump_conn_free(c);
	pump_reconsider(d->pump);
	pump_door_settle(d);
}

static bool pump_read_made(struct pump *p, struct pump_made *made)
{
	return io_read_full(p->made[0], made, sizeof(*made)) == sizeof(*made);
}

static void pump_made_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct pump_made made;

	if (pump_read_made(data, &made))
		pump_take_partner(&made);
}

static void pump_client(struct pump_door *d, int fd)
{
	struct pump_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	*c = (struct pump_conn){ .door = d, .next = d->conns, .link = &d->conns };
	c->side[0] = (struct pump_side){ .conn = c, .fd = fd };
	c->side[1] = (struct pump_side){ .conn = c, .fd = -1 };
	if (c->next)
		c->next->link = &c->next;
	d->conns = c;
	d->pump->conns++;
	c->connecting = true;
	d->connecting++;
	d->pump->connecting++;
	if (thread_start(NULL, PUMP_STACK, pump_thread, c) == 0)
		return;
	log_warning("no thread for a connection");
	c->connecting = false;
	d->connecting--;
	d->pump->connecting--;
	pump_conn_free(c);
}

static void pump_accept_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct pump_door *d = data;
	struct pump *p = d->pump;
	int client;

	if (!pump_has_room(p)) {
		pump_set_accepting(p, false);
		return;
	}
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client >= 0) {
		pump_client(d, client);
		return;
	}
	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	log_warning("accept: %s", strerror(errno));
	pump_set_accepting(p, false);
	loop_arm(p->resume, PUMP_PAUSE, 0);
}

/* ---- outside ---- */

/* Each connection takes two descriptors. */
static unsigned pump_room(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / 4 > PUMP_CONNECTIONS_MAX)
		return PUMP_CONNECTIONS_MAX;
	return files.rlim_cur < 4 ? 1 : (unsigned)files.rlim_cur / 4;
}

int pump_new(struct pump **out, struct coffer_error *err)
{
	CLEANUP(pump_freep) struct pump *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_nomem(err);
	p->made[0] = p->made[1] = -1;
	p->room = pump_room();
	p->buffer = malloc(PUMP_BUFFER);
	if (!p->buffer)
		return err_nomem(err);
	if (pipe2(p->made, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	r = loop_new(&p->loop, err);
	if (r == 0)
		r = loop_add_timer(p->loop, pump_resume_handler, p, &p->resume, err);
	if (r == 0)
		r = loop_add_fd(p->loop, p->made[0], EPOLLIN, pump_made_handler, p, NULL, err);
	if (r < 0)
		return r;
	*out = steal_ptr(p);
	return 0;
}

void pump_free(struct pump *p)
{
	struct pump_made made;

	for (struct pump_door *d = p->doors, *next; d; d = next) {
		next = d->next;
		if (!d->is_closed)
			pump_close_door(d, NULL, NULL);
	}
	while (p->connecting && pump_read_made(p, &made))
		pump_take_partner(&made);
	loop_free(p->loop);
	close_fd(&p->made[0]);
	close_fd(&p->made[1]);
	free(p->buffer);
	free(p);
}

struct loop *pump_loop(struct pump *p)
{
	return p->loop;
}

int pump_open_door(struct pump *p, int fd, const struct pump_target *target,
		   struct pump_door **out, struct coffer_error *err)
{
	struct pump_door *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_nomem(err);
	*d = (struct pump_door){ .pump = p, .target = *target };
	r = loop_add_fd(p->loop, fd, EPOLLIN, pump_accept_handler, d, &d->source, err);
	if (r < 0) {
		free(d);
		return r;
	}
	d->next = p->doors;
	d->link = &p->doors;
	if (d->next)
		d->next->link = &d->next;
	p->doors = d;
	if (p->is_full)
		loop_set_events(d->source, 0);
	*out = d;
	return 0;
}

void pump_close_door(struct pump_door *d, void (*closed)(void *data), void *data)
{
	struct pump_conn *c, *next;

	loop_remove(d->source);
	d->source = NULL;
	d->is_closed = true;
	d->closed = closed;
	d->data = data;
	for (c = d->conns; c; c = next) {
		next = c->next;
		/* A thread points at it; its client learns now. */
		if (c->connecting) {
			c->cut = true;
			shutdown(c->side[0].fd, SHUT_RDWR);
		} else {
			pump_conn_free(c);
		}
	}
	pump_door_settle(d);
}
