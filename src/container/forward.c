/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/forward.c - what connects to a listener of the caller's, carried to a TCP port inside
 *
 * The loop turns in the caller's thread; each client costs a short-lived thread
 * while its connection inside is made (pump.c).  Works alike for a container of
 * this process and of another one: only the connecting differs.
 *
 * Callers: users of the library.
 */
#define LOG_CATEGORY "forward"
#include <fcntl.h>

#include "base/io.h"
#include "base/log.h"
#include "container/pump.h"
#include "container/transfer.h"

struct forward {
	struct coffer_container *c; /* borrowed */
	uint16_t port;
	int stop_fd;
	struct pump *pump; /* borrowed */
	struct coffer_error *err;
};

static int forward_connect(void *data, struct coffer_error *err)
{
	const struct forward *f = data;

	return transfer_ops_of(f->c)->connect(f->c, f->port, f->stop_fd, err);
}

static void forward_end(struct forward *f)
{
	int r = err_set(f->err, COFFER_ERR_INTERRUPTED, ECONNRESET,
			"forward to container %s: it is no longer started", f->c->id);

	loop_quit(pump_loop(f->pump), r);
}

/* Nobody may be listening inside yet, or it is paused: the next client is another try. */
static void forward_failed(void *data, const struct coffer_error *err)
{
	struct forward *f = data;
	enum coffer_state state = coffer_container_state(f->c);

	log_info("port %u of container %s: %s", f->port, f->c->id, err->message);
	if (state != COFFER_STATE_STARTED && state != COFFER_STATE_PAUSED)
		forward_end(f);
}

static void forward_gone_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	forward_end(data);
}

static void forward_stop_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	const struct forward *f = data;

	loop_quit(pump_loop(f->pump), 0);
}

static int forward_run(struct forward *f, int listen_fd, struct coffer_error *err)
{
	const struct pump_target target = { .connect = forward_connect,
					    .failed = forward_failed,
					    .data = f };
	struct loop *loop = pump_loop(f->pump);
	struct pump_door *door;
	int r = pump_open_door(f->pump, listen_fd, &target, &door, err);

	if (r == 0 && f->stop_fd >= 0)
		r = loop_add_fd(loop, f->stop_fd, EPOLLIN, forward_stop_handler, f, NULL, err);
	if (r == 0 && !f->c->remote)
		r = loop_add_fd(loop, f->c->gone_fd, EPOLLIN, forward_gone_handler, f, NULL, err);
	return r < 0 ? r : loop_run(loop, err);
}

int coffer_container_forward(struct coffer_container *c, int listen_fd, uint16_t port, int stop_fd,
			     struct coffer_error *err)
{
	CLEANUP(pump_freep) struct pump *pump = NULL;
	struct forward f = { .c = c, .port = port, .stop_fd = stop_fd, .err = err };
	enum coffer_state state = coffer_container_state(c);
	int flags = fcntl(listen_fd, F_GETFL), r;

	if (port == 0)
		return err_invalid(err, "forward to port 0: there is none");
	if (flags < 0)
		return err_sys(err, "forward from descriptor %d", listen_fd);
	if (state != COFFER_STATE_STARTED)
		return err_state(err, "forward to container %s: it is %s", c->id,
				 coffer_state_str(state));
	r = pump_new(&pump, err);
	if (r < 0)
		return r;
	f.pump = pump;
	io_set_nonblock(listen_fd, true);
	r = forward_run(&f, listen_fd, err);
	if (!(flags & O_NONBLOCK))
		io_set_nonblock(listen_fd, false);
	return r;
}
