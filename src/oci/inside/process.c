/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/process.c - a process in the sentry, and ours that stands for it
 *
 *	listen for its streams -> CreateProcess -> accept them -> StartProcess
 *	then one poll(2) over its end, our signals, and the streams
 *
 * With a terminal, ours is made raw and the sentry's does the rest; its size follows ours.
 *
 * Callers: init.c, exec.c.
 */
#define LOG_CATEGORY "process"
#include "oci/inside/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/tty.h"
#include "sandbox/agent_client.h"
#include "sandbox/hybrid.h"

#define INSIDE_PORT_FIRST 0x10000u
#define INSIDE_DRAIN	  (3 * USEC_PER_SEC) /* silence after the end: nothing more comes */
#define INSIDE_VERDICT	  USEC_PER_SEC
#define INSIDE_MORE_MAX	  128

int inside_connect(int sockets, struct agent **out, struct coffer_error *err)
{
	char name[32];
	autoclose int fd = -1;
	int r;

	snprintf(name, sizeof(name), "guest_%d", AGENT_PORT);
	fd = io_unix_connect(sockets, name, SOCK_STREAM, err);
	if (fd < 0)
		return err_wrap(err, "connect to the sentry");
	r = agent_client_new(fd, out, err);
	if (r == 0)
		steal_fd(&fd);
	return r;
}

/* ---- start ---- */

struct inside_streams {
	uint32_t ports[3]; /* 0: none */
	int listeners[3];  /* owned */
};

static void inside_unlisten(const struct inside_process *p, struct inside_streams *s)
{
	for (int i = 0; i < 3; i++) {
		if (s->listeners[i] >= 0)
			hybrid_unlisten(p->sockets, s->ports[i]);
		close_fd(&s->listeners[i]);
	}
}

/* A port is taken by one process of the host at a time, as its pid is. */
static int inside_listen(const struct inside_process *p, struct inside_streams *s,
			 struct coffer_error *err)
{
	for (unsigned i = 0; i < (p->terminal ? 2 : 3); i++) {
		s->ports[i] = INSIDE_PORT_FIRST + (unsigned)getpid() * 4 + i;
		s->listeners[i] = hybrid_listen(p->sockets, s->ports[i], err);
		if (s->listeners[i] < 0)
			return s->listeners[i];
	}
	return 0;
}

/* The sentry has connected before it answered. */
static int inside_accept(struct inside_process *p, const struct inside_streams *s,
			 struct coffer_error *err)
{
	for (int i = 0; i < 3; i++) {
		int fd;

		if (s->listeners[i] < 0)
			continue;
		fd = accept4(s->listeners[i], NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return err_sys(err, "standard stream %d", i);
		pump_begin(&p->pumps[i], i, fd, i == 0);
	}
	return 0;
}

static int inside_create(struct inside_process *p, const struct oci_spec *spec,
			 struct coffer_error *err)
{
	struct inside_streams s = { .listeners = { -1, -1, -1 } };
	autofree char *text = oci_spec_to_json(spec, err);
	struct agent_create args = { .process = p->key, .spec = text };
	int r;

	if (!text)
		return -ENOMEM;
	r = inside_listen(p, &s, err);
	memcpy(args.ports, s.ports, sizeof(args.ports));
	if (r == 0)
		r = p->calls->ops->create(p->calls, &args, err);
	if (r == 0)
		r = inside_accept(p, &s, err);
	inside_unlisten(p, &s);
	return r;
}

static void inside_resize(const struct inside_process *p)
{
	uint16_t rows, columns;

	tty_size(STDIN_FILENO, &rows, &columns);
	if (p->terminal && rows && columns)
		p->calls->ops->resize(p->calls, &p->key, rows, columns, NULL);
}

static int inside_signals(struct inside_process *p, struct coffer_error *err)
{
	static const int kept[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		sigdelset(&set, kept[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sys(err, "block signals");
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signals < 0 ? err_sys(err, "signalfd") : 0;
}

/* The exit code of a program that was never run tells why. */
static int inside_refused(struct inside_process *p, int r, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(INSIDE_VERDICT));
	struct agent_exit end = { 0 };

	if (p->wait->ops->wait_begin(p->wait, &p->key, NULL) == 0)
		p->wait->ops->wait_poll(p->wait, deadline, &end, NULL);
	if (end.code == INSIDE_EXIT_NOT_FOUND)
		err->err = ENOENT;
	else if (end.code == INSIDE_EXIT_NOT_EXECUTABLE)
		err->err = EACCES;
	return end.code ? -err->err : r;
}

int inside_start(struct inside_process *p, const struct oci_spec *spec, struct coffer_error *err)
{
	int r, pid;

	p->terminal = spec->process->terminal;
	r = inside_signals(p, err);
	if (r == 0)
		r = inside_connect(p->sockets, &p->calls, err);
	if (r == 0)
		r = inside_connect(p->sockets, &p->wait, err);
	if (r == 0)
		r = inside_create(p, spec, err);
	if (r == 0 && p->terminal && isatty(STDIN_FILENO))
		r = tty_raw(STDIN_FILENO, err);
	if (r < 0)
		return r;
	inside_resize(p);
	r = p->calls->ops->start(p->calls, &p->key, &pid, err);
	return r < 0 ? inside_refused(p, r, err) : p->wait->ops->wait_begin(p->wait, &p->key, err);
}

/* ---- wait ---- */

static void inside_forward(const struct inside_process *p)
{
	struct signalfd_siginfo si;

	while (read(p->signals, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		int sig = (int)si.ssi_signo;

		if (sig == SIGWINCH && p->terminal)
			inside_resize(p);
		else if (sig != SIGCHLD && sig != SIGPIPE &&
			 p->calls->ops->kill(p->calls, &p->key, sig, NULL) < 0)
			log_debug("signal %d found nobody", sig);
	}
}

/* Return: poll(2)'s */
static int inside_poll(struct inside_process *p, int ended, int timeout)
{
	struct pollfd fds[5 + INSIDE_MORE_MAX] = { { .fd = ended, .events = POLLIN },
						   { .fd = p->signals, .events = POLLIN } };
	struct pollfd *more = NULL;
	size_t n = 0;
	int r;

	for (int i = 0; i < 3; i++)
		fds[2 + i] = pump_poll(&p->pumps[i]);
	if (p->more)
		more = p->more(p->data, &n);
	if (n > INSIDE_MORE_MAX)
		n = INSIDE_MORE_MAX;
	if (n > 0)
		memcpy(fds + 5, more, n * sizeof(*more));
	r = poll(fds, 5 + n, timeout);
	if (r <= 0)
		return r;
	if (fds[1].revents)
		inside_forward(p);
	for (int i = 0; i < 3; i++)
		pump_move(&p->pumps[i], fds[2 + i].revents);
	if (n > 0) {
		memcpy(more, fds + 5, n * sizeof(*more));
		p->moved(p->data);
	}
	return r;
}

/* What it wrote is still on the way; who it left behind may write on. */
static void inside_drain(struct inside_process *p)
{
	int r = 1;

	pump_end(&p->pumps[0]);
	while (r != 0 && !(pump_over(&p->pumps[1]) && pump_over(&p->pumps[2]))) {
		r = inside_poll(p, -1, (int)(INSIDE_DRAIN / USEC_PER_MSEC));
		if (r < 0 && errno != EINTR)
			return;
	}
}

int inside_wait(struct inside_process *p)
{
	struct agent_exit end = { .code = INSIDE_EXIT_LOST };
	int r;

	while ((r = p->wait->ops->wait_poll(p->wait, 0, &end, NULL)) == -ETIMEDOUT)
		if (inside_poll(p, p->wait->ops->fd(p->wait), -1) < 0 && errno != EINTR)
			break;
	inside_drain(p);
	tty_restore();
	if (r == 0)
		p->calls->ops->remove(p->calls, &p->key, NULL);
	return r == 0 ? end.code : INSIDE_EXIT_LOST;
}

void inside_free(struct inside_process *p)
{
	tty_restore();
	for (int i = 0; i < 3; i++)
		pump_end(&p->pumps[i]);
	if (p->calls)
		agent_close(p->calls);
	if (p->wait)
		agent_close(p->wait);
	close_fd(&p->signals);
}
