/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/relay.c - between a terminal of ours and the host's connections
 *
 *	host --in--> buffer --> master file          master file --> buffer --out--> host
 *
 * The master is a file of the kernel, which the loop cannot wait for: an entry on its queue writes an
 * event descriptor that the loop has. Both directions hold one buffer and stop reading while it is
 * full.
 *
 * Called by process.c, on the loop.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "sentry/control/control.h"
#include "sentry/vfs/file.h"

#define RELAY_BUFFER 4096

struct tty_way {
	char data[RELAY_BUFFER];
	size_t len;
};

struct tty_relay {
	struct loop *loop;	   /* borrowed */
	struct file *master;	   /* a reference */
	int in, out, event_fd;	   /* owned; out may be in's number */
	struct loop_source *in_source, *out_source, *event_source;
	struct wait_entry entry;
	struct wait collect;
	struct tty_way to_guest, to_host;
	bool finish;
};

static bool relay_woken(struct wait_entry *entry, uint32_t events)
{
	const struct tty_relay *relay = container_of(entry, struct tty_relay, entry);
	const uint64_t one = 1;

	return write(relay->event_fd, &one, sizeof(one)) > 0;
}

static void relay_collect(struct wait *wait, struct waitq *q, uint32_t mask)
{
	struct tty_relay *relay = container_of(wait, struct tty_relay, collect);

	if (relay->entry.queue)
		return;
	relay->entry.mask = mask;
	relay->entry.wake = relay_woken;
	waitq_add(q, &relay->entry);
}

/* A master of ours has no descriptor. */
static void relay_collect_host(struct wait *wait, int fd, uint32_t mask)
{
}

/* Return: false: the direction is over */
static bool relay_fill_from_host(struct tty_relay *relay)
{
	struct tty_way *way = &relay->to_guest;
	ssize_t n;

	if (relay->in < 0 || way->len == sizeof(way->data))
		return true;
	n = read(relay->in, way->data + way->len, sizeof(way->data) - way->len);
	if (n > 0)
		way->len += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void relay_drain_to_guest(struct tty_relay *relay)
{
	struct tty_way *way = &relay->to_guest;
	long n;

	while (way->len) {
		n = file_write_kernel(relay->master, way->data, way->len, -1);
		if (n <= 0)
			break;
		way->len -= (size_t)n;
		memmove(way->data, way->data + n, way->len);
	}
}

static void relay_close_out(struct tty_relay *relay)
{
	loop_remove(steal_ptr(relay->out_source));
	if (relay->out >= 0)
		shutdown(relay->out, SHUT_WR);
	close_fd(&relay->out);
	relay->to_host.len = 0;
}

/* Return: false: the connection is gone */
static bool relay_drain_to_host(struct tty_relay *relay)
{
	struct tty_way *way = &relay->to_host;

	while (way->len) {
		ssize_t n = io_send(relay->out, way->data, way->len, MSG_DONTWAIT);

		if (n <= 0)
			return n == -EAGAIN;
		way->len -= (size_t)n;
		memmove(way->data, way->data + n, way->len);
	}
	return true;
}

/* Return: bytes; 0 nothing now; -1 nothing ever again */
static long relay_fill_from_guest(struct tty_relay *relay)
{
	struct tty_way *way = &relay->to_host;
	long n;

	if (way->len == sizeof(way->data))
		return 0;
	n = file_read_kernel(relay->master, way->data + way->len, sizeof(way->data) - way->len, -1);
	if (n == -EAGAIN && !relay->finish)
		return 0;
	if (n <= 0)
		return -1;
	way->len += (size_t)n;
	return n;
}

static void relay_to_host(struct tty_relay *relay)
{
	long n;

	if (relay->out < 0)
		return;
	do {
		n = relay_fill_from_guest(relay);
		if (!relay_drain_to_host(relay)) {
			relay_close_out(relay);
			return;
		}
	} while (n > 0 && relay->to_host.len == 0);
	if (n < 0 && relay->to_host.len == 0)
		relay_close_out(relay);
}

static void relay_run(struct tty_relay *relay)
{
	relay_drain_to_guest(relay);
	relay_to_host(relay);
	if (relay->out_source)
		loop_set_events(relay->out_source, relay->to_host.len ? EPOLLOUT : 0);
	if (relay->in_source)
		loop_set_events(relay->in_source,
				relay->to_guest.len < sizeof(relay->to_guest.data) ? EPOLLIN : 0);
}

static void relay_in_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct tty_relay *relay = data;

	if (!relay_fill_from_host(relay)) {
		loop_remove(steal_ptr(relay->in_source));
		close_fd(&relay->in);
	}
	relay_run(relay);
}

static void relay_out_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct tty_relay *relay = data;

	if (events & EPOLLERR)
		relay_close_out(relay);
	relay_run(relay);
}

static void relay_event_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) > 0)
		relay_run(data);
}

static int relay_watch(struct tty_relay *relay, struct coffer_error *err)
{
	int r = 0;

	if (relay->in >= 0)
		r = loop_add_fd(relay->loop, relay->in, EPOLLIN, relay_in_handler, relay,
				&relay->in_source, err);
	if (r == 0 && relay->out >= 0)
		r = loop_add_fd(relay->loop, relay->out, 0, relay_out_handler, relay,
				&relay->out_source, err);
	if (r == 0)
		r = loop_add_fd(relay->loop, relay->event_fd, EPOLLIN, relay_event_handler, relay,
				&relay->event_source, err);
	return r;
}

int tty_relay_new(struct loop *loop, struct file *master, int in, int out, struct tty_relay **rel,
		  struct coffer_error *err)
{
	struct tty_relay *relay = calloc(1, sizeof(*relay));
	int r;

	if (!relay) {
		file_put(master);
		close_fd(&in);
		close_fd(&out);
		return err_nomem(err);
	}
	*relay = (struct tty_relay){ .loop = loop, .master = master, .in = in, .out = out };
	relay->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = relay->event_fd < 0 ? err_sys(err, "eventfd") : relay_watch(relay, err);
	if (r < 0) {
		tty_relay_free(relay);
		return r;
	}
	wait_begin(&relay->collect, NULL);
	relay->collect.on = relay_collect;
	relay->collect.on_host = relay_collect_host;
	file_poll(master, POLLIN | POLLOUT, &relay->collect);
	relay_run(relay);
	*rel = relay;
	return 0;
}

void tty_relay_finish(struct tty_relay *relay)
{
	relay->finish = true;
	relay_run(relay);
}

void tty_relay_free(struct tty_relay *relay)
{
	waitq_remove(&relay->entry);
	loop_remove(relay->in_source);
	loop_remove(relay->out_source);
	loop_remove(relay->event_source);
	close_fd(&relay->event_fd);
	close_fd(&relay->in);
	close_fd(&relay->out);
	file_put(relay->master);
	free(relay);
}
