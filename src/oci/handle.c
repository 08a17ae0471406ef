/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/handle.c - the container that a command is about
 *
 * Two steps: what reads costs little; only who touches processes pays for the
 * document and the engine's object.
 *
 * Callers: every command but create, run, list and features.
 */
#include "oci/handle.h"

#include "base/io.h"

/* Wrong status; "does not exist" and these are words that callers look for. */
static int handle_refuse(const char *id, enum status status, const char *what,
			 struct coffer_error *err)
{
	if (status == STATUS_STOPPED)
		return err_state(err, "cannot %s container %s: container not running", what, id);
	return err_state(err, "cannot %s a %s container: %s", what, status_str(status), id);
}

int handle_open(const struct oci *oci, const char *id, enum state_lock lock, unsigned allowed,
		const char *what, struct handle *out, struct coffer_error *err)
{
	int r = state_dir_open(oci->root, id, lock, false, &out->dir, err);

	if (r < 0)
		return r;
	r = state_read(&out->dir, &out->state, err);
	if (r == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "container %s does not exist",
			       id);
	if (r == 0)
		r = status_get(&out->dir, &out->state, err);
	if (r < 0)
		return err_wrap(err, "container %s", id);
	out->status = (enum status)r;
	if (what && !(allowed & STATUS_BIT(out->status)))
		return handle_refuse(id, out->status, what, err);
	return 0;
}

static int handle_read_config(struct handle *h, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(h->dir.fd, STATE_CONFIG, OCI_JSON_MAX, &text, &len, err);

	if (r == 0)
		r = oci_spec_parse(text, len, &h->spec, err);
	if (r == 0)
		r = oci_spec_validate(h->spec, err);
	return r;
}

static int handle_engine(struct handle *h, int gate, struct coffer_error *err)
{
	const struct engine_open_args args = {
		.id = h->state.id,
		.bundle = h->state.bundle,
		.spec = h->spec,
		.record = { .pid = h->state.pid,
			    .start_time = h->state.start_time,
			    .cgroup = &h->state.cgroup },
		.gate = gate,
		.rootless = h->state.rootless,
	};

	return engine_open(&args, &h->engine, err);
}

int handle_attach(struct handle *h, int gate, struct coffer_error *err)
{
	autoclose int fd = gate;
	int r = handle_read_config(h, err);

	if (r < 0)
		return err_wrap(err, "container %s", h->state.id);
	return handle_engine(h, steal_fd(&fd), err);
}

int handle_attach_blank(struct handle *h, struct coffer_error *err)
{
	int r = oci_spec_default(&h->spec, err);

	return r < 0 ? r : handle_engine(h, -1, err);
}

void handle_close(struct handle *h)
{
	if (h->engine)
		engine_release(h->engine);
	oci_spec_free(h->spec);
	state_free(&h->state);
	state_dir_close(&h->dir);
	*h = (struct handle)HANDLE_INIT;
}
