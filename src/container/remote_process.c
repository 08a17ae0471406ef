/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/remote_process.c - processes of a container that another process owns
 *
 * An exec's connection brings its streams and later its end; a process that
 * was only found gets a connection when it is first waited for.  Whoever sees
 * the end stores it, and shuts the connection down for reading.  An exec's is
 * kept until its object goes: then the owner forgets it.
 *
 * Streams that are inherited or descriptors of the caller's are pumped here:
 * the owner only ever makes pipes.
 */
#define LOG_CATEGORY "remote"
#include "container/remote.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"

static int remote_process_new(struct coffer_container *c, const char *id, int64_t pid,
			      struct coffer_process **out, struct coffer_error *err)
{
	struct coffer_process *p;

	if (!rundir_id_is_valid(id))
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "process id: malformed");
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(err);
	p->container = c;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->pid = pid > 0 && pid <= INT32_MAX ? (int)pid : -1;
	p->phase = PROCESS_RUNNING;
	p->remote_fd = p->end_fd = p->exit_fd = -1;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		p->streams[i] = -1;
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

/* What it wrote has arrived, or nothing more comes. */
static void remote_end_streams(struct coffer_process *p)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		stream_free(steal_ptr(p->stdio[i]));
}

void remote_process_free(struct coffer_process *p)
{
	if (!p)
		return;
	/* The streams that are copied here take it for the end of the process. */
	if (p->remote_fd >= 0)
		shutdown(p->remote_fd, SHUT_RDWR);
	remote_end_streams(p);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		close_fd(&p->streams[i]);
	close_fd(&p->remote_fd);
	config_free_process(p->config);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int remote_ask_process(struct coffer_container *c, const char *id,
			      struct coffer_process **out, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	autoremote Ct__Reply *reply = NULL;
	autoclose int sock = -1;
	const char *told = NULL;
	int r;

	req.method = CT__METHOD__FIND;
	req.process = wire_text(id);
	sock = remote_begin(c, &req, err);
	if (sock < 0)
		return sock;
	r = remote_reply(c, sock, -1, deadline_in(c->remote->limit), &reply, NULL, err);
	if (r == 0)
		r = wire_take_text(&reply->text, "id", &told, err);
	if (r < 0)
		return r;
	return remote_process_new(c, told ? told : "", (int64_t)reply->number, out, err);
}

int remote_init(struct coffer_container *c, struct coffer_error *err)
{
	return remote_ask_process(c, NULL, &c->init, err);
}

/* With the container's lock. */
static struct coffer_process *remote_known(struct coffer_container *c, const char *id)
{
	if (strcmp(c->init->id, id) == 0)
		return c->init;
	for (struct coffer_process *p = c->execs; p; p = p->next)
		if (strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

static void remote_list(struct coffer_container *c, struct coffer_process *p)
{
	pthread_mutex_lock(&c->lock);
	p->next = c->execs;
	c->execs = p;
	pthread_mutex_unlock(&c->lock);
}

int remote_find_process(struct coffer_container *c, const char *id, struct coffer_process **out,
			struct coffer_error *err)
{
	int r;

	pthread_mutex_lock(&c->lock);
	*out = remote_known(c, id);
	pthread_mutex_unlock(&c->lock);
	if (*out)
		return 0;
	r = remote_ask_process(c, id, out, err);
	if (r == 0)
		remote_list(c, *out);
	return r;
}

/* A list of words as fields, which are owned; the words are not. */
static ProtobufCBinaryData *remote_words(const char *const *words, size_t *n)
{
	ProtobufCBinaryData *fields;

	for (*n = 0; words && words[*n]; (*n)++)
		;
	fields = calloc(*n + 1, sizeof(*fields));
	for (size_t i = 0; fields && i < *n; i++)
		fields[i] = wire_text(words[i]);
	return fields;
}

/* A request to exec, with what its lists need. */
struct remote_exec {
	Ct__Request req;
	Ct__Exec exec;
	Ct__Rlimit *rlimits;
	Ct__Rlimit **rlimit_list;
};

static void remote_exec_free(struct remote_exec *x)
{
	free(x->exec.args);
	free(x->exec.env);
	free(x->exec.cap_add);
	free(x->exec.cap_drop);
	free(x->rlimits);
	free(x->rlimit_list);
}

static bool remote_put_rlimits(const struct coffer_process_config *cfg, struct remote_exec *x)
{
	x->rlimits = calloc(cfg->nrlimits + 1, sizeof(*x->rlimits));
	x->rlimit_list = calloc(cfg->nrlimits + 1, sizeof(Ct__Rlimit *));
	if (!x->rlimits || !x->rlimit_list)
		return false;
	for (size_t i = 0; i < cfg->nrlimits; i++) {
		ct__rlimit__init(&x->rlimits[i]);
		x->rlimits[i].type = wire_text(cfg->rlimits[i].type);
		x->rlimits[i].soft = cfg->rlimits[i].soft;
		x->rlimits[i].hard = cfg->rlimits[i].hard;
		x->rlimit_list[i] = &x->rlimits[i];
	}
	x->exec.rlimits = x->rlimit_list;
	x->exec.n_rlimits = cfg->nrlimits;
	return true;
}

static bool remote_put_exec(const struct coffer_process_config *cfg, struct remote_exec *x)
{
	Ct__Exec *exec = &x->exec;

	exec->args = remote_words(cfg->args, &exec->n_args);
	exec->env = remote_words(cfg->env, &exec->n_env);
	exec->cap_add = remote_words(cfg->cap_add, &exec->n_cap_add);
	exec->cap_drop = remote_words(cfg->cap_drop, &exec->n_cap_drop);
	exec->cwd = wire_text(cfg->cwd);
	exec->user = wire_text(cfg->user);
	exec->seccomp = wire_text(cfg->seccomp);
	exec->groups = (uint32_t *)cfg->groups;
	exec->n_groups = cfg->ngroups;
	exec->terminal = cfg->terminal;
	exec->no_new_privs = cfg->no_new_privs;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		if (cfg->stdio[i].mode != COFFER_STDIO_NULL)
			exec->pipes |= 1u << i;
	x->req.rows = cfg->rows;
	x->req.columns = cfg->columns;
	return exec->args && exec->env && exec->cap_add && exec->cap_drop &&
	       remote_put_rlimits(cfg, x);
}

/* The owner's answer: which process it is, and its streams in order. */
static int remote_take_exec(struct coffer_container *c, int sock, unsigned pipes,
			    struct coffer_process **out, struct coffer_error *err)
{
	autofds struct wire_fds fds = WIRE_FDS_INIT;
	autoremote Ct__Reply *reply = NULL;
	const char *id = NULL;
	size_t n = 0;
	int r;

	fds.n = (size_t)__builtin_popcount(pipes);
	r = remote_reply(c, sock, -1, USEC_INFINITY, &reply, &fds, err);
	if (r == 0)
		r = wire_take_text(&reply->text, "id", &id, err);
	if (r == 0)
		r = remote_process_new(c, id ? id : "", (int64_t)reply->number, out, err);
	if (r < 0)
		return r;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		if (pipes & 1u << i)
			(*out)->streams[i] = steal_fd(&fds.v[n++]);
	return 0;
}

/* Those that are not the caller's to take. */
static int remote_copy_streams(struct coffer_process *p, struct coffer_error *err)
{
	const struct stream_process process = { .exit_fd = p->remote_fd, .gone_fd = -1 };
	int r = 0;

	for (int i = 0; r == 0 && i < COFFER_STREAM_COUNT; i++) {
		const struct coffer_stdio *how = &p->config->stdio[i];

		if (how->mode >= COFFER_STDIO_INHERIT)
			r = stream_start(how->mode == COFFER_STDIO_FD ? how->fd : i,
					 steal_fd(&p->streams[i]), i != COFFER_STDIN, &process,
					 &p->stdio[i], err);
	}
	return r;
}

int remote_exec(struct coffer_container *c, const char *id,
		const struct coffer_process_config *config, struct coffer_process **out,
		struct coffer_error *err)
{
	CLEANUP(remote_exec_free) struct remote_exec x = { .req = CT__REQUEST__INIT,
							   .exec = CT__EXEC__INIT };
	struct coffer_process_config *cfg = NULL;
	autoclose int sock = -1;
	int r;

	*out = NULL;
	/* What is wrong with it is told before anything is sent, as by the owner's own exec. */
	r = config_take_process(config, &cfg, err);
	if (r < 0)
		return r;
	x.req.method = CT__METHOD__EXEC;
	x.req.id = wire_text(id);
	x.req.exec = &x.exec;
	sock = remote_put_exec(cfg, &x) ? remote_begin(c, &x.req, err) : err_nomem(err);
	r = sock < 0 ? sock : remote_take_exec(c, sock, x.exec.pipes, out, err);
	if (r == 0) {
		(*out)->remote_fd = steal_fd(&sock);
		(*out)->mine = true;
		(*out)->config = steal_ptr(cfg);
		remote_list(c, *out);
		r = remote_copy_streams(*out, err);
		if (r < 0)
			remote_process_delete(steal_ptr(*out), true, NULL);
	}
	config_free_process(cfg);
	return r;
}

static int remote_wait_begin(struct coffer_process *p, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__WAIT;
	req.process = wire_text(p->id);
	return remote_begin(p->container, &req, err);
}

/* With the process's lock: one look. Return: 0, -ETIMEDOUT when it runs, other negative errno */
static int remote_look(struct coffer_process *p, struct coffer_exit *status,
		       struct coffer_error *err)
{
	autoremote Ct__Reply *reply = NULL;
	struct pollfd pfd = { .events = POLLIN };
	int r;

	if (p->phase == PROCESS_RUNNING && p->remote_fd < 0) {
		p->remote_fd = remote_wait_begin(p, err);
		if (p->remote_fd < 0)
			return steal_fd(&p->remote_fd);
	}
	if (p->phase == PROCESS_RUNNING) {
		pfd.fd = p->remote_fd;
		if (poll(&pfd, 1, 0) <= 0)
			return -ETIMEDOUT;
		r = remote_reply(p->container, p->remote_fd, -1, deadline_in(WIRE_PATIENCE), &reply,
				 NULL, &p->lost);
		if (r == 0)
			r = wire_take_struct(&reply->data, &p->exit, sizeof(p->exit), false,
					     &p->lost);
		p->phase = r < 0 ? PROCESS_LOST : PROCESS_ENDED;
		/* Readable for ever from now on, which wakes the others; the owner does not see it. */
		shutdown(p->remote_fd, SHUT_RD);
		remote_end_streams(p);
	}
	if (p->phase == PROCESS_LOST) {
		if (err)
			*err = p->lost;
		return -p->lost.err;
	}
	if (status)
		*status = p->exit;
	return 0;
}

int remote_process_wait_or(struct coffer_process *p, uint64_t timeout, int cancel_fd,
			   struct coffer_exit *status, struct coffer_error *err)
{
	usec_t deadline = deadline_in(timeout);

	for (;;) {
		struct pollfd fds[] = { { .fd = -1, .events = POLLIN },
					{ .fd = cancel_fd, .events = POLLIN } };
		int r;

		pthread_mutex_lock(&p->lock);
		r = remote_look(p, status, err);
		fds[0].fd = p->remote_fd;
		pthread_mutex_unlock(&p->lock);
		if (r != -ETIMEDOUT || fds[0].fd < 0)
			return r;
		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
		if (r == 0)
			return err_timeout(err, "wait: process %s still runs", p->id);
		if (r > 0 && !fds[0].revents)
			return err_set(err, COFFER_ERR_CANCELLED, 0, "wait: given up");
	}
}

int remote_process_wait_fd(struct coffer_process *p)
{
	int fd;

	pthread_mutex_lock(&p->lock);
	if (p->phase == PROCESS_RUNNING && p->remote_fd < 0) {
		fd = remote_wait_begin(p, NULL);
		if (fd >= 0)
			p->remote_fd = fd;
	}
	fd = p->remote_fd;
	pthread_mutex_unlock(&p->lock);
	return fd;
}

static int remote_about(struct coffer_process *p, Ct__Method method, Ct__Request *req,
			struct coffer_error *err)
{
	req->method = method;
	req->process = wire_text(p->id);
	return remote_call(p->container, req, NULL, NULL, err);
}

int remote_process_kill(struct coffer_process *p, int sig, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.number = (uint64_t)(int64_t)sig;
	return remote_about(p, CT__METHOD__KILL, &req, err);
}

int remote_process_kill_foreground(struct coffer_process *p, int sig, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.number = (uint64_t)(int64_t)sig;
	return remote_about(p, CT__METHOD__KILL_FOREGROUND, &req, err);
}

int remote_process_resize(struct coffer_process *p, uint16_t rows, uint16_t columns,
			  struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.rows = rows;
	req.columns = columns;
	return remote_about(p, CT__METHOD__RESIZE, &req, err);
}

int remote_process_close_stdin(struct coffer_process *p, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	bool ours;

	pthread_mutex_lock(&p->lock);
	ours = p->stdio[COFFER_STDIN] != NULL;
	if (ours)
		stream_end_input(p->stdio[COFFER_STDIN]);
	pthread_mutex_unlock(&p->lock);
	return ours ? 0 : remote_about(p, CT__METHOD__CLOSE_STDIN, &req, err);
}

/* Its owner forgets an exec of ours when its connection is closed. */
static bool remote_is_over(struct coffer_process *p)
{
	bool over;

	pthread_mutex_lock(&p->lock);
	over = p->mine && p->phase != PROCESS_RUNNING;
	pthread_mutex_unlock(&p->lock);
	return over;
}

int remote_process_delete(struct coffer_process *p, bool force, struct coffer_error *err)
{
	struct coffer_container *c = p->container;
	Ct__Request req = CT__REQUEST__INIT;
	struct coffer_process **q;
	int r;

	if (p == c->init)
		return err_state(err, "delete: process %s is the container's init", p->id);
	req.flags = force;
	r = remote_is_over(p) ? 0 : remote_about(p, CT__METHOD__DELETE, &req, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	for (q = &c->execs; *q && *q != p; q = &(*q)->next)
		;
	if (*q)
		*q = p->next;
	pthread_mutex_unlock(&c->lock);
	remote_process_free(p);
	return 0;
}
