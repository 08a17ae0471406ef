/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/relay_loop.c - the thread that carries all relays of a container
 *
 * It is a user of the machine (container_enter()) from the first relay to the
 * end of the machine, and then takes away what the relays made on the host; so
 * nobody has to stop them.  Others hand it orders and wait.
 *
 * Locks: c->lock (or none), then relays->lock.
 *
 * Callers: relay.c.
 */
#define LOG_CATEGORY "relay"
#include "container/relay_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/thread.h"

/* What the thread is to do with a relay's door. */
struct relay_order {
	struct relay_order *next;
	struct relay *relay;
	struct relays *relays;
	bool open; /* or close */
	bool done;
	int r;
	struct coffer_error err;
};

static void relay_order_finish(struct relay_order *order, int r)
{
	struct relays *all = order->relays;

	pthread_mutex_lock(&all->lock);
	order->r = r;
	order->done = true;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

static void relay_closed(void *data)
{
	relay_order_finish(data, 0);
}

static void relay_carry_out(struct relays *all, struct relay_order *order)
{
	struct relay *relay = order->relay;
	const struct pump_target target = relay_target(relay);

	if (order->open)
		relay_order_finish(order, pump_open_door(all->pump, relay->listen_fd, &target,
							 &relay->door, &order->err));
	else
		pump_close_door(relay->door, relay_closed, order);
}

static void relay_wake_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct relays *all = data;
	struct relay_order *order;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	for (;;) {
		pthread_mutex_lock(&all->lock);
		order = all->orders;
		if (order)
			all->orders = order->next;
		pthread_mutex_unlock(&all->lock);
		if (!order)
			return;
		relay_carry_out(all, order);
	}
}

static void relay_gone_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct relays *all = data;

	loop_quit(pump_loop(all->pump), 0);
}

static void relays_free(struct relays *all)
{
	while (all->list) {
		struct relay *relay = all->list;

		all->list = relay->next;
		if (relay->direction == COFFER_RELAY_INTO && relay->listen_fd >= 0)
			all->c->sandbox->ops->unlisten(all->c->sandbox, relay->port);
		relay_free(relay);
	}
	if (all->pump)
		pump_free(all->pump);
	close_fd(&all->wake_fd);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

/* Connections are cut, and all who wait for an order are told. */
static void relay_end_all(struct relays *all)
{
	pump_free(steal_ptr(all->pump));
	pthread_mutex_lock(&all->lock);
	all->ended = true;
	while (all->orders) {
		struct relay_order *order = all->orders;

		all->orders = order->next;
		order->r = err_set(&order->err, COFFER_ERR_INTERRUPTED, ECONNRESET,
				   "the machine has ended");
		order->done = true;
	}
	pthread_cond_broadcast(&all->changed);
	while (all->callers > 0)
		pthread_cond_wait(&all->changed, &all->lock);
	pthread_mutex_unlock(&all->lock);
}

static void *relay_thread(void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct relays *all = data;
	struct coffer_container *c = all->c;

	if (loop_run(pump_loop(all->pump), &err) < 0)
		log_error("relays of %s: %s", c->id, err.message);
	pthread_mutex_lock(&c->lock);
	c->relays = NULL;
	pthread_mutex_unlock(&c->lock);
	relay_end_all(all);
	relays_free(all);
	container_leave(c);
	return NULL;
}

/* c->lock held, the container entered or about to start. Return: 0 or negative errno */
static int relays_make(struct coffer_container *c, struct coffer_error *err)
{
	struct relays *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return err_nomem(err);
	all->c = c;
	all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	r = all->wake_fd < 0 ? err_sys(err, "eventfd") : pump_new(&all->pump, err);
	if (r == 0)
		r = loop_add_fd(pump_loop(all->pump), all->wake_fd, EPOLLIN, relay_wake_handler,
				all, NULL, err);
	if (r == 0)
		r = loop_add_fd(pump_loop(all->pump), c->gone_fd, EPOLLIN, relay_gone_handler, all,
				NULL, err);
	if (r == 0) {
		r = thread_start(NULL, 0, relay_thread, all);
		if (r < 0)
			r = err_sysn(err, r, "start a thread");
	}
	if (r < 0) {
		relays_free(all);
		return r;
	}
	c->users++;
	c->relays = all;
	return 0;
}

struct relays *relays_get(struct coffer_container *c, struct coffer_error *err)
{
	struct relays *all;

	if (!c->relays && relays_make(c, err) < 0)
		return NULL;
	all = c->relays;
	pthread_mutex_lock(&all->lock);
	all->callers++;
	pthread_mutex_unlock(&all->lock);
	return all;
}

void relays_put(struct relays *all)
{
	pthread_mutex_lock(&all->lock);
	all->callers--;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

int relay_order(struct relay *relay, bool open, struct coffer_error *err)
{
	struct relay_order order = { .relay = relay, .relays = relay->relays, .open = open,
				     .err = COFFER_ERROR_INIT };
	struct relays *all = relay->relays;
	const uint64_t one = 1;

	pthread_mutex_lock(&all->lock);
	if (all->ended) {
		pthread_mutex_unlock(&all->lock);
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "the machine has ended");
	}
	order.next = all->orders;
	all->orders = &order;
	if (write(all->wake_fd, &one, sizeof(one)) < 0)
		log_warning("write to an eventfd: %s", strerror(errno));
	while (!order.done)
		pthread_cond_wait(&all->changed, &all->lock);
	pthread_mutex_unlock(&all->lock);
	if (order.r < 0 && err)
		*err = order.err;
	return order.r;
}
