/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/control_process.c - what other processes can ask of a container's processes
 *
 * An exec's connection stays open: it first brings the streams, then how the
 * process ended, then an end of file.  Nobody else here forgets such a process:
 * the thread that made it waits for its end, also when the caller has gone, and
 * deletes it when he lets go of the connection, as he does once he has read all
 * that it wrote; the agent drops what is under way of one that is deleted.  A
 * caller that asks to have it deleted may be faster: it is looked up by its id
 * and number, never by a pointer that may be stale.
 */
#define LOG_CATEGORY "control"
#include "container/control.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"

int control_process(struct control_call *call, struct coffer_process **out,
		    struct coffer_error *err)
{
	const char *id;
	int r = wire_take_text(&call->req->process, "process", &id, err);

	if (r < 0)
		return r;
	if (id)
		return coffer_container_find_process(call->c, id, out, err);
	*out = coffer_container_process(call->c);
	return 0;
}

/* The lists of a struct coffer_process_config; owned, what they point to is the request's. */
struct control_words {
	const char **args, **env, **cap_add, **cap_drop;
	struct coffer_rlimit *rlimits;
};

static void control_words_free(struct control_words *words)
{
	free(words->args);
	free(words->env);
	free(words->cap_add);
	free(words->cap_drop);
	free(words->rlimits);
}

static int control_take_rlimits(const Ct__Exec *exec, struct coffer_rlimit **out,
				struct coffer_error *err)
{
	struct coffer_rlimit *v;

	if (exec->n_rlimits == 0)
		return 0;
	v = calloc(exec->n_rlimits, sizeof(*v));
	if (!v)
		return err_nomem(err);
	*out = v;
	for (size_t i = 0; i < exec->n_rlimits; i++) {
		const Ct__Rlimit *in = exec->rlimits[i];
		int r = wire_take_text(&in->type, "rlimit", &v[i].type, err);

		if (r < 0)
			return r;
		if (!v[i].type)
			return err_invalid(err, "rlimit: without a name");
		v[i].soft = in->soft;
		v[i].hard = in->hard;
	}
	return 0;
}

static int control_take_words(const Ct__Exec *exec, struct control_words *words,
			      struct coffer_error *err)
{
	int r = wire_take_words(exec->args, exec->n_args, "args", &words->args, err);

	if (r == 0)
		r = wire_take_words(exec->env, exec->n_env, "env", &words->env, err);
	if (r == 0)
		r = wire_take_words(exec->cap_add, exec->n_cap_add, "cap_add", &words->cap_add,
				    err);
	if (r == 0)
		r = wire_take_words(exec->cap_drop, exec->n_cap_drop, "cap_drop",
				    &words->cap_drop, err);
	return r < 0 ? r : control_take_rlimits(exec, &words->rlimits, err);
}

static int control_take_exec(const Ct__Request *req, const struct control_words *words,
			     struct coffer_process_config *cfg, struct coffer_error *err)
{
	const Ct__Exec *exec = req->exec;
	int r;

	cfg->args = words->args;
	cfg->env = words->env;
	cfg->groups = exec->groups;
	cfg->ngroups = exec->n_groups;
	cfg->terminal = exec->terminal;
	cfg->rows = (uint16_t)req->rows;
	cfg->columns = (uint16_t)req->columns;
	cfg->cap_add = words->cap_add;
	cfg->cap_drop = words->cap_drop;
	cfg->rlimits = words->rlimits;
	cfg->nrlimits = exec->n_rlimits;
	cfg->no_new_privs = exec->no_new_privs;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		if (exec->pipes & 1u << i)
			cfg->stdio[i].mode = COFFER_STDIO_PIPE;
	r = wire_take_text(&exec->cwd, "cwd", &cfg->cwd, err);
	if (r == 0)
		r = wire_take_text(&exec->user, "user", &cfg->user, err);
	return r < 0 ? r : wire_take_text(&exec->seccomp, "seccomp", &cfg->seccomp, err);
}

static int control_start(struct control_call *call, struct coffer_process **out,
			 struct coffer_error *err)
{
	CLEANUP(control_words_free) struct control_words words = { 0 };
	struct coffer_process_config cfg = COFFER_PROCESS_CONFIG_INIT;
	const Ct__Request *req = call->req;
	const char *id = NULL;
	int r;

	if (!req->exec)
		return err_invalid(err, "exec: nothing given");
	r = control_take_words(req->exec, &words, err);
	if (r == 0)
		r = control_take_exec(req, &words, &cfg, err);
	if (r == 0)
		r = wire_take_text(&req->id, "id", &id, err);
	return r < 0 ? r : coffer_container_exec(call->c, id, &cfg, out, err);
}

/* Forget @id, unless somebody did, and perhaps gave its name to another. */
static void control_forget(struct coffer_container *c, const char *id, int pid)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *p;

	if (coffer_container_find_process(c, id, &p, &err) < 0 || coffer_process_pid(p) != pid)
		return;
	if (coffer_process_delete(p, false, &err) < 0)
		log_debug("forget process %s: %s", id, err.message);
}

/* Its end to whoever made it, if he is there; an end in any case. */
static int control_see_off(struct control_call *call, struct coffer_process *p,
			   struct coffer_exit *end, struct coffer_error *err)
{
	int r = coffer_process_wait_or(p, COFFER_FOREVER, call->sock, end, err);

	if (r == -ECANCELED)
		return coffer_process_wait(p, COFFER_FOREVER, end, err);
	return r;
}

static void control_put_exit(struct control_call *call, struct coffer_exit *end)
{
	call->reply.data = (ProtobufCBinaryData){ .len = sizeof(*end), .data = (uint8_t *)end };
}

int control_exec(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p = NULL;
	char id[COFFER_ID_MAX + 1];
	struct coffer_exit *end;
	int r, pid;

	call->hold = end = calloc(1, sizeof(*end));
	if (!end)
		return err_nomem(err);
	r = control_start(call, &p, err);
	if (r < 0)
		return r;
	snprintf(id, sizeof(id), "%s", coffer_process_id(p));
	pid = coffer_process_pid(p);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		if (call->req->exec->pipes & 1u << i)
			call->fds.v[call->fds.n++] =
			    coffer_process_take_stream(p, (enum coffer_stream)i);
	call->reply.text = wire_text(id);
	call->reply.number = (uint64_t)pid;
	r = control_reply(call, NULL);
	wire_fds_close(&call->fds);
	ct__reply__init(&call->reply);
	/* A caller that has gone sees neither this nor the end. */
	if (r < 0)
		log_debug("reply: %s", strerror(-r));
	r = control_see_off(call, p, end, err);
	control_put_exit(call, end);
	control_reply(call, r < 0 ? err : NULL);
	call->told = true;
	shutdown(call->sock, SHUT_WR);
	io_wait(call->sock, POLLIN, USEC_INFINITY);
	control_forget(call->c, id, pid);
	return 0;
}

int control_find(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p;
	int r = control_process(call, &p, err);

	if (r < 0)
		return r;
	call->hold = strdup(coffer_process_id(p));
	if (!call->hold)
		return err_nomem(err);
	call->reply.text = wire_text(call->hold);
	call->reply.number = (uint64_t)(int64_t)coffer_process_pid(p);
	call->reply.flag = p->config->terminal;
	return 0;
}

int control_wait(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p;
	struct coffer_exit *end;
	int r = control_process(call, &p, err);

	if (r < 0)
		return r;
	call->hold = end = calloc(1, sizeof(*end));
	if (!end)
		return err_nomem(err);
	control_put_exit(call, end);
	return coffer_process_wait_or(p, COFFER_FOREVER, call->sock, end, err);
}

static int control_signal(struct control_call *call,
			  int (*fn)(struct coffer_process *, int, struct coffer_error *),
			  struct coffer_error *err)
{
	uint64_t sig = call->req->number;
	struct coffer_process *p;
	int r = control_process(call, &p, err);

	return r < 0 ? r : fn(p, sig > INT32_MAX ? -1 : (int)sig, err);
}

int control_kill(struct control_call *call, struct coffer_error *err)
{
	return control_signal(call, coffer_process_kill, err);
}

int control_kill_foreground(struct control_call *call, struct coffer_error *err)
{
	return control_signal(call, coffer_process_kill_foreground, err);
}

int control_resize(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p;
	int r = control_process(call, &p, err);

	if (r == 0 && (call->req->rows > UINT16_MAX || call->req->columns > UINT16_MAX))
		return err_invalid(err, "terminal size: too large");
	if (r < 0)
		return r;
	return coffer_process_resize(p, (uint16_t)call->req->rows, (uint16_t)call->req->columns,
				     err);
}

int control_close_stdin(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p;
	int r = control_process(call, &p, err);

	return r < 0 ? r : coffer_process_close_stdin(p, err);
}

int control_delete(struct control_call *call, struct coffer_error *err)
{
	struct coffer_process *p;
	int r = control_process(call, &p, err);

	return r < 0 ? r : coffer_process_delete(p, call->req->flags & 1, err);
}
