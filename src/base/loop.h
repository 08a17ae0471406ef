/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/loop.h - event loop over epoll, timerfd, signalfd and pidfd
 *
 * Sources are registered objects with a callback.  A source may be removed at
 * any time, also from its own or another source's callback in the same batch:
 * it is marked at once, never called again, and freed after the batch.
 * Descriptors stay owned by the caller unless said otherwise.  Single thread.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/error.h"

struct loop;
struct loop_source;

typedef void (*loop_fd_handler)(struct loop_source *src, int fd, uint32_t events, void *data);
typedef void (*loop_timer_handler)(struct loop_source *src, void *data);
typedef void (*loop_signal_handler)(struct loop_source *src, const struct signalfd_siginfo *si,
				    void *data);
typedef void (*loop_deferred)(void *data);

int loop_new(struct loop **out, struct coffer_error *err);
/* loop_free() - Also removes every source that is left */
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free);

/**
 * loop_add_fd() - Watch @fd (borrowed) for @events (EPOLLIN ...; 0 watches for HUP and ERR only)
 * @out:	Set to the source, may be NULL
 */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_handler handler, void *data,
		struct loop_source **out, struct coffer_error *err);
/* loop_set_events() - Change what a descriptor source waits for. Return: 0 or -errno */
int loop_set_events(struct loop_source *src, uint32_t events);

/* loop_add_timer() - A disarmed timer */
int loop_add_timer(struct loop *loop, loop_timer_handler handler, void *data,
		   struct loop_source **out, struct coffer_error *err);
/* loop_arm() - Fire after @after microseconds, then every @interval (0: once); USEC_INFINITY disarms */
int loop_arm(struct loop_source *timer, usec_t after, usec_t interval);

/* loop_add_signals() - Block the signals of @set in this thread and deliver them to @handler */
int loop_add_signals(struct loop *loop, const sigset_t *set, loop_signal_handler handler,
		     void *data, struct loop_source **out, struct coffer_error *err);

/* loop_defer() - Call @fn once after the current batch (or before the next wait) */
int loop_defer(struct loop *loop, loop_deferred fn, void *data);

/* loop_remove() - NULL-safe; see above. Remove a source before closing its descriptor: a reused
 * number would be taken out of the set in its place. */
void loop_remove(struct loop_source *src);

/**
 * loop_run() - Dispatch until loop_quit()
 *
 * Return: the code given to loop_quit(), or negative errno with @err filled
 */
int loop_run(struct loop *loop, struct coffer_error *err);
void loop_quit(struct loop *loop, int code);

/* loop_step() - One wait of at most until @deadline and one batch. Return: 0 or negative errno */
int loop_step(struct loop *loop, usec_t deadline, struct coffer_error *err);

/* loop_fd() - Readable when loop_step() has work; for embedding in another loop */
int loop_fd(const struct loop *loop);

#endif /* BASE_LOOP_H */
