/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/creation.c - from a bundle to a container, for create and run
 *
 *	read and check the document             nothing is made
 *	directory, lock, copy of the document   "delete --force" removes them
 *	engine_create(): creating, state.json   and finds the cgroup and init by them
 *	terminal to its receiver, pid file
 *	creating removed                        complete
 *
 * Every descriptor of ours lies above those that are passed on, so that none
 * of ours is taken for one of the caller's.
 *
 * Callers: create.c, run.c.
 */
#include "oci/creation.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"
#include "oci/console.h"
#include "oci/inherit.h"
#include "oci/notify.h"
#include "oci/sentry.h"

/* ---- the document ---- */

static int creation_read(struct creation *c, const char *bundle, char **text, size_t *len,
			 struct coffer_error *err)
{
	const char *name = c->opts->config ? c->opts->config : "config.json";
	autofree char *path = name[0] == '/' ? strdup(name) : path_join(bundle, name);
	int r;

	if (!path)
		return err_nomem(err);
	r = io_read_file(AT_FDCWD, path, OCI_JSON_MAX, text, len, err);
	if (r == 0)
		r = oci_spec_parse(*text, *len, &c->spec, err);
	if (r == 0)
		r = oci_spec_validate(c->spec, err);
	return r;
}

/* ---- the directory ---- */

/* Not through a rename: nobody reads it before the state, which is written later. */
static int creation_copy(struct creation *c, const char *text, size_t len,
			 struct coffer_error *err)
{
	autoclose int fd =
	    openat(c->dir.fd, STATE_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : io_write_full(fd, text, len);

	return r < 0 ? err_sysn(err, r, "write %s", STATE_CONFIG) : 0;
}

static int creation_dir(struct creation *c, const char *text, size_t len, struct coffer_error *err)
{
	int r = state_dir_create(c->oci->root, c->id, &c->dir, err);

	if (r < 0)
		return r;
	c->made = true;
	return c->oci->sentry ? sentry_adopt(c->oci, &c->dir, &c->state, &c->spec, err)
			      : creation_copy(c, text, len, err);
}

/* ---- the container ---- */

static int creation_record(const struct engine_record *rec, void *data, struct coffer_error *err)
{
	struct creation *c = data;

	c->state.pid = rec->pid;
	c->state.start_time = rec->start_time;
	/* The second time it may be less: groups that were not ours to make. */
	if (rec->cgroup &&
	    oci_strv_set(&c->state.cgroup, (const char *const *)rec->cgroup->v, err) < 0)
		return -ENOMEM;
	if (rec->pid == 0)
		return state_write_first(&c->dir, &c->state, err);
	/* What ends with us has no more to tell after a power cut than we. */
	return state_write(&c->dir, &c->state, c->detach || c->opts->keep, err);
}

static int creation_engine(struct creation *c, unsigned inherited, struct coffer_error *err)
{
	struct engine_create_args args = ENGINE_CREATE_ARGS_INIT;
	autoclose int gate = -1;

	if (c->gate) {
		gate = engine_gate_listen(c->dir.fd, err);
		if (gate < 0)
			return gate;
	}
	args.id = c->id;
	args.bundle = c->state.bundle;
	args.spec = c->spec;
	args.stdio = (struct engine_stdio){ 0, 1, 2 };
	args.manager = c->oci->manager;
	args.gate = gate;
	args.preserve_fds = inherited;
	args.no_pivot = c->opts->no_pivot;
	args.no_new_keyring = c->opts->no_new_keyring;
	args.rootless = c->oci->rootless;
	args.find_program = true;
	args.record = creation_record;
	args.record_data = c;
	return c->make ? c->make(c, &args, err) : engine_create(&args, &c->engine, err);
}

static int creation_outside(struct creation *c, struct coffer_error *err)
{
	struct engine_process *init = engine_init(c->engine);
	int r = 0;

	if (c->console >= 0) {
		r = console_send(c->console, init->ptmx, err);
		close_fd(&init->ptmx);
		close_fd(&c->console);
	}
	if (r == 0 && c->opts->pid_file)
		r = inherit_write_pid(c->opts->pid_file, init->child.pid, err);
	return r;
}

static int creation_fill(struct creation *c, const char *bundle, struct coffer_error *err)
{
	int r = state_fill(c->id, bundle, c->spec, &c->state, err);

	c->state.systemd = c->oci->manager == ENGINE_SYSTEMD;
	c->state.rootless = c->oci->rootless;
	return r;
}

int creation_make(struct creation *c, struct coffer_error *err)
{
	autofree char *text = NULL, *bundle = realpath(c->opts->bundle ? c->opts->bundle : ".", NULL);
	unsigned inherited = 0;
	size_t len;
	int r;

	if (!bundle)
		return err_sys(err, "bundle %s", c->opts->bundle ? c->opts->bundle : ".");
	r = state_check_id(c->id, err);
	if (r == 0)
		r = creation_read(c, bundle, &text, &len, err);
	if (r == 0)
		r = console_check(c->spec->process->terminal, c->detach, c->opts->console_socket,
				  err);
	if (r == 0)
		r = inherit_prepare(c->opts->preserve_fds, c->spec->process, &inherited, err);
	if (r == 0 && inherited > 0 && c->oci->sentry)
		r = err_unsupported(err, "descriptors for a program in a sentry");
	if (r == 0 && c->opts->console_socket)
		r = console_connect(c->opts->console_socket, &c->console, err);
	if (r == 0)
		r = creation_fill(c, bundle, err);
	if (r == 0)
		r = creation_dir(c, text, len, err);
	if (r == 0 && !c->oci->sentry)
		r = notify_prepare(c->oci->root, c->id, c->dir.fd, c->spec, err);
	if (r == 0)
		r = creation_engine(c, inherited, err);
	return r < 0 ? r : creation_outside(c, err);
}

int creation_complete(struct creation *c, struct coffer_error *err)
{
	if (unlinkat(c->dir.fd, STATE_CREATING, 0) < 0)
		return err_sys(err, "remove %s", STATE_CREATING);
	return 0;
}

void creation_keep(struct creation *c)
{
	engine_release(steal_ptr(c->engine));
	c->made = false;
}

int creation_delete(struct creation *c, struct coffer_error *err)
{
	int r = c->engine ? engine_delete(steal_ptr(c->engine), err) : 0, step;

	if (!c->made)
		return r;
	c->made = false;
	step = state_dir_remove(&c->dir, c->oci->root, c->id, r < 0 ? NULL : err);
	return r < 0 ? r : step;
}

void creation_free(struct creation *c)
{
	creation_delete(c, NULL);
	oci_spec_free(c->spec);
	state_free(&c->state);
	state_dir_close(&c->dir);
	close_fd(&c->console);
	*c = (struct creation)CREATION_INIT;
}
