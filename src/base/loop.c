/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/loop.c - event loop over epoll, timerfd, signalfd
 *
 * Every source is a descriptor in one epoll set; epoll's datum points at the
 * source.  Theory of removal: epoll_pwait() returns a batch that may name a
 * source which an earlier callback of the same batch removes.  So removal only
 * marks the source dead and takes it out of the set; the memory is freed when
 * the batch is over and nothing can point at it any more.
 *
 * Single thread; no locks.
 */
#include "base/loop.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LOOP_BATCH 64

enum loop_kind {
	LOOP_FD,     /* the caller's descriptor */
	LOOP_TIMER,  /* our timerfd */
	LOOP_SIGNAL, /* our signalfd */
};

struct loop_source {
	struct loop *loop;
	struct loop_source *prev, *next; /* in loop->live or, when dead, only next in loop->dead */
	enum loop_kind kind;
	int fd; /* owned for TIMER and SIGNAL */
	bool dead;
	union {
		loop_fd_handler fd;
		loop_timer_handler timer;
		loop_signal_handler signal;
	} handler;
	void *data;
};

struct loop_task {
	struct loop_task *next;
	loop_deferred fn;
	void *data;
};

struct loop {
	int epfd;
	struct loop_source *live, *dead;
	struct loop_task *tasks, **tasks_end;
	bool quit;
	int code;
};

int loop_new(struct loop **out, struct coffer_error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return err_nomem(err);
	loop->tasks_end = &loop->tasks;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		int r = err_sys(err, "epoll_create1");

		free(loop);
		return r;
	}
	*out = loop;
	return 0;
}

static void loop_free_dead(struct loop *loop)
{
	struct loop_source *s;

	while ((s = loop->dead)) {
		loop->dead = s->next;
		free(s);
	}
}

void loop_free(struct loop *loop)
{
	struct loop_task *t;

	if (!loop)
		return;
	while (loop->live)
		loop_remove(loop->live);
	loop_free_dead(loop);
	while ((t = loop->tasks)) {
		loop->tasks = t->next;
		free(t);
	}
	close(loop->epfd);
	free(loop);
}

/* Takes @fd over only for the kinds that own it, and only on success. */
static struct loop_source *loop_add(struct loop *loop, enum loop_kind kind, int fd, uint32_t events,
				    void *data, struct coffer_error *err)
{
	struct loop_source *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->loop = loop;
	s->kind = kind;
	s->fd = fd;
	s->data = data;
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		err_sys(err, "watch descriptor %d", fd);
		free(s);
		return NULL;
	}
	s->next = loop->live;
	if (s->next)
		s->next->prev = s;
	loop->live = s;
	return s;
}

static int loop_added(struct loop_source *s, struct loop_source **out, struct coffer_error *err)
{
	if (!s)
		return err ? -err->err : -EIO;
	if (out)
		*out = s;
	return 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_handler handler, void *data,
		struct loop_source **out, struct coffer_error *err)
{
	struct loop_source *s = loop_add(loop, LOOP_FD, fd, events, data, err);

	if (s)
		s->handler.fd = handler;
	return loop_added(s, out, err);
}

int loop_set_events(struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (src->dead)
		return -EBADF;
	return epoll_ctl(src->loop->epfd, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
}

int loop_add_timer(struct loop *loop, loop_timer_handler handler, void *data,
		   struct loop_source **out, struct coffer_error *err)
{
	autoclose int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct loop_source *s;

	if (fd < 0)
		return err_sys(err, "timerfd_create");
	s = loop_add(loop, LOOP_TIMER, fd, EPOLLIN, data, err);
	if (s) {
		s->handler.timer = handler;
		steal_fd(&fd);
	}
	return loop_added(s, out, err);
}

static struct timespec loop_timespec(usec_t usec)
{
	return (struct timespec){ .tv_sec = (time_t)(usec / USEC_PER_SEC),
				  .tv_nsec = (long)(usec % USEC_PER_SEC) * 1000 };
}

int loop_arm(struct loop_source *timer, usec_t after, usec_t interval)
{
	struct itimerspec it = { 0 };

	if (timer->dead)
		return -EBADF;
	if (after != USEC_INFINITY) {
		/* An all-zero value would disarm. */
		it.it_value = loop_timespec(after ? after : 1);
		it.it_interval = loop_timespec(interval);
	}
	return timerfd_settime(timer->fd, 0, &it, NULL) < 0 ? -errno : 0;
}

int loop_add_signals(struct loop *loop, const sigset_t *set, loop_signal_handler handler,
		     void *data, struct loop_source **out, struct coffer_error *err)
{
	autoclose int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	struct loop_source *s;

	if (fd < 0)
		return err_sys(err, "signalfd");
	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return err_sys(err, "sigprocmask");
	s = loop_add(loop, LOOP_SIGNAL, fd, EPOLLIN, data, err);
	if (s) {
		s->handler.signal = handler;
		steal_fd(&fd);
	}
	return loop_added(s, out, err);
}

int loop_defer(struct loop *loop, loop_deferred fn, void *data)
{
	struct loop_task *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->fn = fn;
	t->data = data;
	*loop->tasks_end = t;
	loop->tasks_end = &t->next;
	return 0;
}

void loop_remove(struct loop_source *src)
{
	struct loop *loop;

	if (!src || src->dead)
		return;
	loop = src->loop;
	src->dead = true;
	/* May fail when the caller closed the descriptor first; epoll forgot it then. */
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	if (src->kind != LOOP_FD)
		close(src->fd);
	if (src->prev)
		src->prev->next = src->next;
	else
		loop->live = src->next;
	if (src->next)
		src->next->prev = src->prev;
	src->next = loop->dead;
	loop->dead = src;
}

static void loop_dispatch_signal(struct loop_source *s)
{
	struct signalfd_siginfo si;

	while (!s->dead && read(s->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		s->handler.signal(s, &si, s->data);
}

static void loop_dispatch(struct loop_source *s, uint32_t events)
{
	uint64_t ticks;

	if (s->dead)
		return;
	switch (s->kind) {
	case LOOP_FD:
		s->handler.fd(s, s->fd, events, s->data);
		break;
	case LOOP_TIMER:
		if (read(s->fd, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks))
			s->handler.timer(s, s->data);
		break;
	case LOOP_SIGNAL:
		loop_dispatch_signal(s);
		break;
	}
}

/* Tasks queued by tasks run in the same call, so a task must not requeue itself for ever. */
static void loop_run_tasks(struct loop *loop)
{
	struct loop_task *t;

	while ((t = loop->tasks)) {
		loop->tasks = t->next;
		if (!loop->tasks)
			loop->tasks_end = &loop->tasks;
		t->fn(t->data);
		free(t);
	}
}

int loop_step(struct loop *loop, usec_t deadline, struct coffer_error *err)
{
	struct epoll_event ev[LOOP_BATCH];
	int n;

	loop_run_tasks(loop);
	if (loop->quit)
		return 0;
	n = epoll_pwait(loop->epfd, ev, LOOP_BATCH, deadline_poll_ms(deadline), NULL);
	if (n < 0)
		return errno == EINTR ? 0 : err_sys(err, "epoll_wait");
	for (int i = 0; i < n; i++)
		loop_dispatch(ev[i].data.ptr, ev[i].events);
	loop_run_tasks(loop);
	loop_free_dead(loop);
	return 0;
}

int loop_run(struct loop *loop, struct coffer_error *err)
{
	int r;

	loop->quit = false;
	while (!loop->quit) {
		r = loop_step(loop, USEC_INFINITY, err);
		if (r < 0)
			return r;
	}
	return loop->code;
}

void loop_quit(struct loop *loop, int code)
{
	loop->quit = true;
	loop->code = code;
}

int loop_fd(const struct loop *loop)
{
	return loop->epfd;
}
