/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/process.c - a process of the contract, from request to exit status
 *
 *	create:  connections to the host's ports, document read; init: the container is made
 *	start:   the connections become the standard streams, or a terminal's relay gets them
 *	ended:   status, waiters, the streams are told that nothing more comes
 *
 * A stream is the connection itself, as a file of the guest: nothing is copied. That a program has
 * ended is seen by a wait entry on its process, which wakes the loop.
 *
 * Called by rpc_process.c and the loop.
 */
#define LOG_CATEGORY "process"
#include "sentry/control/control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "contract/forward.h"
#include "sentry/control/archive.h"
#include "sentry/control/boot.h"
#include "sentry/control/container.h"
#include "sentry/control/events.h"
#include "sentry/control/machine.h"
#include "sentry/control/proxy.h"
#include "sentry/control/setup.h"
#include "sentry/gofer/gofer.h"
#include "sentry/task/task.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

/* How long killed processes may take to be gone. */
#define CONTROL_KILL_BUDGET (5 * USEC_PER_SEC)
#define CONTROL_KILL_STEP   (2 * USEC_PER_MSEC)

/* Exit codes of a process that never ran its program, as shells have them. */
enum {
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_NOT_STARTED = 128,
};

struct control_container *control_container_find(const struct control *control, const char *id)
{
	struct control_container *c = control->containers;

	while (c && strcmp(c->id, id) != 0)
		c = c->next;
	return c;
}

struct control_process *control_process_find(const struct control_container *c, const char *id)
{
	struct control_process *p = c->processes;

	while (p && strcmp(p->id, id) != 0)
		p = p->next;
	return p;
}

static void control_release_waiters(struct control_process *p, const struct control_process *ended)
{
	struct control_waiter *w;

	while ((w = p->waiters)) {
		p->waiters = w->next;
		w->fn(w, ended);
	}
}

static void control_process_free(struct control_process *p)
{
	struct control_process **link = &p->container->processes;

	while (*link && *link != p)
		link = &(*link)->next;
	if (*link)
		*link = p->next;
	control_release_waiters(p, NULL);
	waitq_remove(&p->ended);
	if (p->relay)
		tty_relay_free(p->relay);
	if (p->tty)
		tty_put(p->tty);
	if (p->process)
		process_put(p->process);
	for (int i = 0; i < 3; i++)
		close_fd(&p->sock[i]);
	oci_spec_free(p->spec);
	free(p->id);
	free(p);
}

/* Names in its directories. */
static void control_stop_proxies(const struct control_container *c)
{
	char prefix[sizeof(MACHINE_STATE_DIR) + CONTROL_ID_MAX + 2];

	snprintf(prefix, sizeof(prefix), MACHINE_STATE_DIR "/%s/", c->id);
	proxy_stop_below(prefix);
}

static void control_container_free(struct control_container *c)
{
	struct control_container **link = &c->control->containers;

	archive_stop(c);
	forward_stop(c);
	control_stop_proxies(c);
	while (c->processes)
		control_process_free(c->processes);
	while (*link && *link != c)
		link = &(*link)->next;
	if (*link)
		*link = c->next;
	if (c->kernel)
		container_free(c->kernel);
	free(c->id);
	free(c);
}

/* ---- create ---- */

static int control_check_id(const char *id, const char *what, struct coffer_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(id);

	if (n == 0 || n > CONTROL_ID_MAX || id[0] == '.' || strspn(id, allowed) != n)
		return err_invalid(err, "%s id \"%.*s\": want 1 to %d of letters, digits, \"_.-\", "
					"not starting with a dot", what, CONTROL_ID_MAX, id,
				   CONTROL_ID_MAX);
	return 0;
}

static int control_container_get(struct control *control, const struct control_create *args,
				 struct control_container **out, struct coffer_error *err)
{
	struct control_container *c = control_container_find(control, args->container);
	int r = control_check_id(args->id, "process", err);

	*out = c;
	if (r < 0 || c)
		return r;
	if (strcmp(args->container, args->id) != 0)
		return err_invalid(err, "init process id must match container id");
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(err);
	c->control = control;
	c->next = control->containers;
	control->containers = c;
	c->id = strdup(args->container);
	if (!c->id) {
		control_container_free(c);
		return err_nomem(err);
	}
	*out = c;
	return 0;
}

static int control_process_new(struct control_container *c, const struct control_create *args,
			       struct control_process **out, struct coffer_error *err)
{
	struct control_process *p = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	*p = (struct control_process){ .container = c, .sock = { -1, -1, -1 },
				       .ended_fd = c->control->ended_fd };
	p->is_init = !c->processes;
	p->next = c->processes;
	c->processes = p;
	p->id = strdup(args->id);
	*out = p;
	return p->id ? 0 : err_nomem(err);
}

static int control_dial(struct control_process *p, const struct control_create *args,
			struct coffer_error *err)
{
	for (int i = 0; i < 3; i++) {
		const struct gofer_call call = { .op = GOFER_DIAL, .fd = -1, .fd2 = -1,
						 .args = { args->ports[i] } };
		long fd;

		if (!args->ports[i])
			continue;
		fd = kernel.gofer ? gofer_call(kernel.gofer, &call) : -ENOTCONN;
		if (fd < 0)
			return err_sysn(err, (int)fd, "dial the host's port %u", args->ports[i]);
		p->sock[i] = (int)fd;
	}
	return 0;
}

static int control_read_document(struct control_process *p, const struct control_create *args,
				 struct coffer_error *err)
{
	int r = oci_spec_parse(args->config, args->config_len, &p->spec, err);

	if (r < 0) {
		/* The contract's status for a configuration that cannot be decoded. */
		err->kind = COFFER_ERR_INTERNAL;
		return err_wrap(err, "configuration");
	}
	if (!p->spec->process)
		return err_invalid(err, "configuration: process is missing");
	if (!p->spec->root || !p->spec->root->path)
		return err_invalid(err, "configuration: root.path is missing");
	if (p->is_init && !p->spec->linux_)
		return err_invalid(err, "configuration: linux is missing");
	if (p->spec->process->terminal && p->sock[2] >= 0)
		return err_invalid(err, "a terminal has no stderr of its own");
	return 0;
}

static int control_prepare(struct control_process *p, const struct control_create *args,
			   struct coffer_error *err)
{
	struct control_container *c = p->container;
	char bundle[sizeof(MACHINE_STATE_DIR) + CONTROL_ID_MAX + 2];
	int r = control_dial(p, args, err);

	if (r == 0)
		r = control_read_document(p, args, err);
	if (r < 0)
		return r;
	snprintf(bundle, sizeof(bundle), MACHINE_STATE_DIR "/%s", c->id);
	if (!p->spec->oci_version)
		r = oci_str_set(&p->spec->oci_version, OCI_VERSION, err);
	if (r == 0 && p->is_init)
		r = setup_container(c->id, bundle, p->spec, &c->kernel, err);
	if (r == 0)
		r = setup_complete(c->kernel, p->spec->process, err);
	if (r == 0 && p->is_init)
		r = oci_spec_validate(p->spec, err);
	return r;
}

int control_create(struct control *control, const struct control_create *args,
		   struct coffer_error *err)
{
	struct control_container *c = NULL;
	struct control_process *p = NULL;
	bool first;
	int r = control_container_get(control, args, &c, err);

	if (r < 0)
		return r;
	first = !c->processes;
	if (control_process_find(c, args->id))
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "process %s exists already",
			       args->id);
	r = control_process_new(c, args, &p, err);
	if (r == 0)
		r = control_prepare(p, args, err);
	if (r < 0 && first)
		control_container_free(c);
	else if (r < 0 && p)
		control_process_free(p);
	return r;
}

/* ---- start ---- */

static bool control_woken(struct wait_entry *entry, uint32_t events)
{
	const struct control_process *p = container_of(entry, struct control_process, ended);
	const uint64_t one = 1;

	return write(p->ended_fd, &one, sizeof(one)) > 0;
}

/* Our own descriptor stays, to tell the host when the process has ended. */
static int control_stream_files(struct control_process *p, struct file *files[3],
				struct coffer_error *err)
{
	for (int i = 0; i < 3; i++) {
		int fd, r;

		if (p->sock[i] < 0)
			continue;
		fd = fcntl(p->sock[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_sys(err, "standard stream %d", i);
		r = hostfd_open(fd, i == 0 ? O_RDONLY : O_WRONLY, &files[i]);
		if (r < 0)
			return err_sysn(err, r, "standard stream %d", i);
	}
	return 0;
}

static int control_null_files(struct control_process *p, struct file *files[3],
			      struct coffer_error *err)
{
	for (int i = 0; i < 3; i++) {
		struct walk walk;
		int r;

		if (files[i])
			continue;
		machine_walk_container(&walk, p->container->kernel);
		r = vfs_open(&walk, "/dev/null", O_RDWR, 0, 0, &files[i]);
		walk_end(&walk);
		if (r < 0 && r != -ENOENT)
			return err_sysn(err, r, "/dev/null");
	}
	return 0;
}

/* By its name, which programs ask for, where the container has it in the usual place. It is the
 * user's to open again. */
static int control_open_terminal(struct control_process *p, struct file **out)
{
	struct inode_attr owner = { .mask = ATTR_UID, .uid = p->spec->process->user.uid };
	struct walk walk;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "/dev/pts/%d", tty_number(p->tty));
	machine_walk_container(&walk, p->container->kernel);
	r = vfs_open(&walk, name, O_RDWR | O_NOCTTY, 0, 0, out);
	walk_end(&walk);
	if (r == 0 && tty_of_file(*out) == p->tty)
		return vfs_setattr(&(struct vfs_path){ (*out)->mount, (*out)->dentry },
				   machine_cred(), &owner);
	if (r == 0)
		file_put(*out);
	*out = NULL;
	return tty_open(p->tty, O_RDWR, out);
}

static int control_terminal(struct control_process *p, struct file *files[3],
			    struct coffer_error *err)
{
	const struct oci_console_size *size = p->spec->process->console_size;
	struct file *master = NULL;
	int r;

	if (!p->container->kernel->devpts)
		return err_unsupported(err, "process.terminal without a mount of type devpts");
	r = pty_open(p->container->kernel->devpts, O_RDWR | O_NONBLOCK, &master, &p->tty);
	if (r < 0)
		return err_sysn(err, r, "make a terminal");
	if (size)
		tty_resize(p->tty, &(struct winsize){ .ws_row = (unsigned short)size->height,
						      .ws_col = (unsigned short)size->width });
	for (int i = 0; r == 0 && i < 3; i++)
		r = control_open_terminal(p, &files[i]);
	if (r == 0 && p->is_init)
		setup_console(p->container->kernel, tty_number(p->tty));
	if (r < 0) {
		file_put(master);
		return err_sysn(err, r, "open the terminal");
	}
	return tty_relay_new(p->container->control->loop, master, steal_fd(&p->sock[0]),
			     steal_fd(&p->sock[1]), &p->relay, err);
}

static int control_run(struct control_process *p, struct coffer_error *err)
{
	struct file *files[3] = { NULL, NULL, NULL };
	int r;

	if (p->spec->process->terminal)
		r = control_terminal(p, files, err);
	else
		r = control_stream_files(p, files, err);
	if (r == 0)
		r = control_null_files(p, files, err);
	if (r == 0)
		r = setup_start(p->container->kernel, p->spec->process, p->is_init, files, p->tty,
				&p->process, err);
	for (int i = 0; i < 3; i++)
		if (files[i])
			file_put(files[i]);
	return r;
}

static int32_t control_failure_code(const struct coffer_error *err)
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

static void control_stopped(struct control_process *p, int32_t code)
{
	p->state = CONTROL_STOPPED;
	p->exit_code = code;
	clock_gettime(CLOCK_REALTIME, &p->exited_at);
	waitq_remove(&p->ended);
	if (p->relay)
		tty_relay_finish(p->relay);
	for (int i = 0; i < 3; i++) {
		if (p->sock[i] >= 0)
			shutdown(p->sock[i], i == 0 ? SHUT_RD : SHUT_WR);
		close_fd(&p->sock[i]);
	}
	events_tell_exit(p);
	control_release_waiters(p, p);
}

static int control_check_start(const struct control_process *p, struct coffer_error *err)
{
	static const char *const states[] = { "created", "running", "stopped" };
	const struct control_process *init = control_process_find(p->container, p->container->id);

	_Static_assert(ARRAY_SIZE(states) == CONTROL_STATE_COUNT, "one word per state");
	if (p->state != CONTROL_CREATED)
		return err_state(err, "process %s is %s", p->id, states[p->state]);
	if (!p->is_init && (!init || init->state != CONTROL_RUNNING))
		return err_state(err, "container %s is not running", p->container->id);
	if (p->container->kernel->frozen)
		return err_state(err, "container %s is frozen", p->container->id);
	return 0;
}

int control_start(struct control_process *p, struct coffer_error *err)
{
	int r = control_check_start(p, err);

	if (r < 0)
		return r;
	r = control_run(p, err);
	if (r < 0) {
		control_stopped(p, control_failure_code(err));
		return r;
	}
	p->pid = p->process->pid;
	p->state = CONTROL_RUNNING;
	p->ended = (struct wait_entry){ .wake = control_woken, .mask = POLLIN };
	events_tell_start(p);
	waitq_add(&p->process->exited, &p->ended);
	/* It may have been quicker than that. */
	control_woken(&p->ended, 0);
	return 0;
}

/* ---- while it runs, and its end ---- */

static bool control_has_ended(const struct control_process *p, int *status)
{
	bool ended;

	pthread_mutex_lock(&kernel.tasks_lock);
	ended = p->process->zombie;
	*status = p->process->exit_status;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return ended;
}

void control_reap(struct control *control)
{
	for (struct control_container *c = control->containers; c; c = c->next)
		for (struct control_process *p = c->processes; p; p = p->next) {
			int status;

			if (p->state != CONTROL_RUNNING || !control_has_ended(p, &status))
				continue;
			control_stopped(p, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							       : WEXITSTATUS(status));
		}
}

int control_kill(struct control_process *p, int sig, struct coffer_error *err)
{
	struct signal_info info;
	int r;

	if (sig < 0 || sig > SIGNAL_MAX)
		return err_invalid(err, "signal %d: want 0 to %d", sig, SIGNAL_MAX);
	if (p->state == CONTROL_STOPPED)
		return 0;
	if (p->state != CONTROL_RUNNING)
		return err_state(err, "process %s has not been started", p->id);
	signal_info_user(&info, sig, SI_USER, 0, 0);
	pthread_mutex_lock(&kernel.tasks_lock);
	r = sig ? signal_process_send(p->process, sig, &info) : 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r < 0 ? err_sysn(err, r, "signal %d", sig) : 0;
}

int control_resize(struct control_process *p, uint32_t rows, uint32_t columns,
		   struct coffer_error *err)
{
	struct oci_process *doc = p->spec->process;

	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return err_invalid(err, "terminal size %ux%u: at most 65535 each", columns, rows);
	if (!doc->terminal)
		return err_unsupported(err, "process %s has no terminal", p->id);
	if (p->tty) {
		tty_resize(p->tty, &(struct winsize){ .ws_row = (unsigned short)rows,
						      .ws_col = (unsigned short)columns });
		return 0;
	}
	if (!doc->console_size)
		doc->console_size = calloc(1, sizeof(*doc->console_size));
	if (!doc->console_size)
		return err_nomem(err);
	*doc->console_size = (struct oci_console_size){ .height = rows, .width = columns };
	return 0;
}

/* What has arrived can still be read, then comes the end. */
void control_close_stdin(struct control_process *p)
{
	if (p->sock[0] >= 0)
		shutdown(p->sock[0], SHUT_RD);
}

void control_wait(struct control_process *p, struct control_waiter *w)
{
	if (p->state == CONTROL_STOPPED) {
		w->fn(w, p);
		return;
	}
	w->next = p->waiters;
	p->waiters = w;
}

void control_wait_cancel(struct control_process *p, struct control_waiter *w)
{
	struct control_waiter **link = &p->waiters;

	while (*link && *link != w)
		link = &(*link)->next;
	if (*link)
		*link = w->next;
}

static bool control_is_empty(const struct control_container *c)
{
	bool empty;

	pthread_mutex_lock(&kernel.tasks_lock);
	empty = c->kernel->npids == 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return empty;
}

static int control_end_all(struct control_container *c, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(CONTROL_KILL_BUDGET));

	pthread_mutex_lock(&kernel.tasks_lock);
	signal_container_send(c->kernel, SIGKILL, false);
	pthread_mutex_unlock(&kernel.tasks_lock);
	while (!control_is_empty(c)) {
		if (deadline_left(deadline) == 0)
			return err_timeout(err, "processes of container %s do not end", c->id);
		io_wait(-1, 0, deadline_in(CONTROL_KILL_STEP));
	}
	control_reap(c->control);
	return 0;
}

int control_delete(struct control_process *p, struct coffer_error *err)
{
	struct control_container *c = p->container;
	int r;

	if (!p->is_init && p->state == CONTROL_RUNNING)
		return err_state(err, "process %s is running", p->id);
	if (!p->is_init) {
		control_process_free(p);
		return 0;
	}
	r = control_end_all(c, err);
	if (r < 0)
		return r;
	machine_forget(c->id);
	control_container_free(c);
	return 0;
}
