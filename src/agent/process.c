/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/process.c - one process of a container, from request to exit status
 *
 * process_create():  dial the host --> read the spec --> init: engine_create()
 *                    --> connections made --> CREATED
 * process_start():   engine_start() or engine_exec() --> relays --> RUNNING
 * process_reap():    exit status --> waiters --> output drained --> STOPPED
 *
 * Dialling comes first and is waited for last, so that the host accepts while
 * the engine works.  Knows nothing of RPC: results go to callbacks.
 *
 * Callers: rpc_process.c (everything), container.c (reap, free).
 */
#define LOG_CATEGORY "process"
#include "agent/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/events.h"
#include "agent/freezer.h"
#include "agent/modules.h"
#include "agent/process_spec.h"
#include "agent/spared.h"
#include "base/log.h"

/* Exit codes of a process that never ran its program, as shells have them. */
enum {
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_NOT_STARTED = 128,
};

static void process_report_created(struct process *p, const struct coffer_error *err)
{
	process_created created = steal_ptr(p->created);

	if (created)
		created(p->created_data, err);
}

static void process_release_waiters(struct process *p, const struct process *ended)
{
	struct process_waiter *w;

	while ((w = p->waiters)) {
		p->waiters = w->next;
		w->fn(w, ended);
	}
}

void process_free(struct process *p)
{
	struct process **link = &p->container->processes;
	struct coffer_error err = COFFER_ERROR_INIT;

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	streams_free(&p->streams);
	err_state(&err, "process %s was deleted", p->id);
	process_report_created(p, &err);
	process_release_waiters(p, NULL);
	/* The engine owns init's; an exec's child, should it run, is reaped as an orphan. */
	close_fd(&p->exec.child.pidfd);
	close_fd(&p->exec.ptmx);
	oci_spec_free(p->spec);
	free(p->id);
	free(p);
}

static int process_new(struct container *c, const struct process_create_args *args,
		       struct process **out, struct coffer_error *err)
{
	size_t n = strlen(args->id);
	struct process *p = NULL;

	if (n == 0 || n > PROCESS_ID_MAX)
		return err_invalid(err, "process id: want 1 to %d bytes", PROCESS_ID_MAX);
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_nomem(err);
	p->id = strdup(args->id);
	p->container = c;
	p->exec = (struct engine_process)ENGINE_PROCESS_INIT;
	streams_init(&p->streams, c->agent);
	p->next = c->processes;
	c->processes = p;
	*out = p;
	if (p->id)
		return 0;
	process_free(p);
	return err_nomem(err);
}

/* The engine mounts what the spec says; what that needs of the guest's kernel is ours to bring. */
static void process_load_modules(const struct process *p)
{
	for (size_t i = 0; p->container->agent->init && i < p->spec->mounts.n; i++)
		modules_load_for_mount(p->spec->mounts.v[i].type, p->spec->mounts.v[i].source);
}

/* Init exists, waiting before its program, from here on. */
static int process_create_init(struct process *p, struct coffer_error *err)
{
	struct container *c = p->container;
	struct engine_create_args args = ENGINE_CREATE_ARGS_INIT;
	int r = 0;

	args.id = c->id;
	args.bundle = c->bundle;
	args.spec = p->spec;
	args.own_kernel = c->agent->init;
	if (!p->spec->process->terminal)
		r = streams_pipes(&p->streams, &args.stdio, err);
	process_load_modules(p);
	if (r == 0)
		r = engine_create(&args, &c->engine, err);
	streams_close_child(&p->streams);
	if (r < 0)
		return r;
	p->proc = engine_init(c->engine);
	return 0;
}

static void process_want_streams(struct process *p, const struct process_create_args *args)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		p->streams.stream[i].wanted = args->stdio[i].set;
		p->streams.stream[i].port = args->stdio[i].port;
	}
}

static int process_check_exec(const struct process *p, struct coffer_error *err)
{
	const struct process *init = container_process(p->container, p->container->id);

	/* Without one nothing can be started any more, which the start will say. */
	return init && init->spec ? process_spec_check_exec(p->spec, init->spec, err) : 0;
}

/* The spec says whether there is a terminal only after the dialling has begun. */
static int process_prepare(struct process *p, const struct process_create_args *args,
			   struct coffer_error *err)
{
	struct container *c = p->container;
	int r;

	process_want_streams(p, args);
	r = streams_dial(&p->streams, err);
	if (r == 0)
		r = process_spec_parse(args->config, args->config_len, p->is_init, &p->spec, err);
	if (r == 0 && p->is_init)
		r = process_spec_rootfs(p->spec, c->bundle, &c->rootfs, err);
	if (r == 0)
		r = process_spec_complete(p->spec, c->id, c->rootfs, p->is_init, err);
	if (r == 0 && !p->is_init)
		r = process_check_exec(p, err);
	if (r == 0 && p->spec->process->terminal && p->streams.stream[STREAM_ERR].wanted)
		r = err_invalid(err, "a terminal has no stderr of its own");
	if (r == 0 && p->is_init)
		r = process_create_init(p, err);
	return r;
}

static void process_forget(struct process *p)
{
	if (p->is_init)
		container_free(p->container);
	else
		process_free(p);
}

static void process_dialled_handler(void *data, const struct coffer_error *dial_err)
{
	struct process *p = data;
	process_created created = steal_ptr(p->created);
	void *created_data = p->created_data;
	struct coffer_error err;

	if (!dial_err) {
		/* A container killed meanwhile is STOPPED already. */
		if (p->state == PROCESS_CREATING)
			p->state = PROCESS_CREATED;
		created(created_data, NULL);
		return;
	}
	err = *dial_err;
	process_forget(p);
	created(created_data, &err);
}

int process_create(struct container *container, const struct process_create_args *args,
		   process_created created, void *data, struct coffer_error *err)
{
	bool is_init = container->processes == NULL;
	struct process *p = NULL;
	int r;

	if (container_process(container, args->id)) {
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "process %s exists already",
			       args->id);
	}
	r = process_new(container, args, &p, err);
	if (r < 0) {
		if (is_init)
			container_free(container);
		return r;
	}
	p->is_init = is_init;
	r = process_prepare(p, args, err);
	if (r < 0) {
		process_forget(p);
		return r;
	}
	p->created = created;
	p->created_data = data;
	streams_when_dialled(&p->streams, process_dialled_handler, p);
	return 0;
}

static void process_stopped(struct process *p, int32_t code)
{
	p->state = PROCESS_STOPPED;
	p->exit_code = code;
	clock_gettime(CLOCK_REALTIME, &p->exited_at);
	events_tell_exit(p);
	process_release_waiters(p, p);
	streams_process_ended(&p->streams);
}

void process_reap(struct process *p)
{
	siginfo_t si = { 0 };

	if (child_wait(&p->proc->child, USEC_INFINITY, &si) < 0)
		return;
	if (p->ended_by && si.si_code == CLD_KILLED && si.si_status == SIGKILL)
		si.si_status = p->ended_by;
	process_stopped(p, spawn_exit_code(&si));
}

static int32_t process_failure_code(const struct coffer_error *err)
{
	switch (err->err) {
	case ENOENT:
	case ENOTDIR:
		return EXIT_NOT_FOUND;
	case EACCES:
	case EPERM:
	case ENOEXEC:
	case EISDIR:
		return EXIT_NOT_EXECUTABLE;
	default:
		return EXIT_NOT_STARTED;
	}
}

static int process_start_exec(struct process *p, struct coffer_error *err)
{
	struct process *init = container_process(p->container, p->container->id);
	struct engine_exec_args args = ENGINE_EXEC_ARGS_INIT;
	int r = 0;

	if (!init || init->state != PROCESS_RUNNING)
		return err_state(err, "container %s is not running", p->container->id);
	if (!p->spec->process->terminal)
		r = streams_pipes(&p->streams, &args.stdio, err);
	args.process = p->spec->process;
	if (r == 0)
		r = engine_exec(p->container->engine, &args, &p->exec, err);
	streams_close_child(&p->streams);
	if (r == 0)
		p->proc = &p->exec;
	return r;
}

static int process_run(struct process *p, struct coffer_error *err)
{
	int r;

	r = p->is_init ? engine_start(p->container->engine, err) : process_start_exec(p, err);
	if (r < 0)
		return r;
	return streams_start(&p->streams, p->proc->ptmx, err);
}

int process_start(struct process *p, int32_t *pid, struct coffer_error *err)
{
	static const char *const states[] = {
		[PROCESS_CREATING] = "still being created",
		[PROCESS_CREATED] = "created",
		[PROCESS_RUNNING] = "running",
		[PROCESS_STOPPED] = "stopped",
	};
	int r;

	_Static_assert(ARRAY_SIZE(states) == PROCESS_STATE_COUNT, "one word per state");
	if (p->state != PROCESS_CREATED)
		return err_state(err, "process %s is %s", p->id, states[p->state]);
	/* It would stand still in there before it could say that it runs. */
	if (freezer_is_frozen(p->container))
		return err_state(err, "container %s is frozen", p->container->id);
	r = process_run(p, err);
	if (r < 0) {
		if (p->proc)
			child_end(&p->proc->child);
		process_stopped(p, process_failure_code(err));
		return r;
	}
	p->state = PROCESS_RUNNING;
	*pid = p->pid = p->proc->child.pid;
	events_tell_start(p);
	return 0;
}

static bool process_is_namespace_init(const struct process *p)
{
	const struct oci_namespace *ns = oci_namespace_find(p->spec, "pid");

	return p->is_init && ns && !ns->path;
}

static int process_signal(struct process *p, int sig, struct coffer_error *err)
{
	int r = child_kill(&p->proc->child, sig);

	if (r < 0)
		return err_set(err, COFFER_ERR_INTERNAL, -r, "signal %d: %s", sig, strerror(-r));
	/* With init go all others, frozen or not; the next one is not to find a frozen group. */
	if (sig == SIGKILL && p->is_init)
		freezer_forget(p->container);
	return 0;
}

static bool process_is_spared(const struct process *p, int sig)
{
	return process_is_namespace_init(p) && spared_signal(p->proc->child.pid, sig);
}

static int process_end_as(struct process *p, int sig, struct coffer_error *err)
{
	p->ended_by = sig;
	return process_signal(p, SIGKILL, err);
}

int process_kill_spared(struct process *p, int sig, struct coffer_error *err)
{
	if (p->state != PROCESS_RUNNING || !process_is_spared(p, sig))
		return 0;
	return process_end_as(p, sig, err);
}

int process_kill(struct process *p, int sig, struct coffer_error *err)
{
	if (p->state == PROCESS_STOPPED)
		return 0;
	if (p->state != PROCESS_RUNNING)
		return err_state(err, "process %s has not been started", p->id);
	return process_is_spared(p, sig) ? process_end_as(p, sig, err)
					 : process_signal(p, sig, err);
}

/* The terminal of an exec comes with its start: the engine is told the size then. */
static int process_resize_later(struct process *p, uint32_t rows, uint32_t columns,
				struct coffer_error *err)
{
	struct oci_process *process = p->spec->process;

	if (!process->console_size)
		process->console_size = calloc(1, sizeof(*process->console_size));
	if (!process->console_size)
		return err_nomem(err);
	*process->console_size = (struct oci_console_size){ .height = rows, .width = columns };
	return 0;
}

int process_resize(struct process *p, uint32_t rows, uint32_t columns, struct coffer_error *err)
{
	struct winsize size = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)columns };

	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return err_invalid(err, "terminal size %ux%u: at most 65535 each", columns, rows);
	if (p->state == PROCESS_CREATING)
		return err_state(err, "process %s is still being created", p->id);
	if (!p->spec->process->terminal)
		return err_unsupported(err, "process %s has no terminal", p->id);
	if (p->state == PROCESS_STOPPED)
		return 0;
	if (!p->proc)
		return process_resize_later(p, rows, columns, err);
	if (ioctl(p->proc->ptmx, TIOCSWINSZ, &size) < 0)
		return err_sys(err, "set size of terminal");
	return 0;
}

void process_wait(struct process *p, struct process_waiter *w)
{
	if (p->state == PROCESS_STOPPED) {
		w->fn(w, p);
		return;
	}
	w->next = p->waiters;
	p->waiters = w;
}

void process_wait_cancel(struct process *p, struct process_waiter *w)
{
	struct process_waiter **link = &p->waiters;

	while (*link && *link != w)
		link = &(*link)->next;
	if (*link)
		*link = w->next;
}
