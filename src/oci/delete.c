/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/delete.c - delete: everything that is left of a container
 *
 * Whatever a killed command left has at most a directory, a cgroup and
 * processes in it: the first record, which is written before anything else is
 * made, names the cgroup, and nothing else needs undoing (mounts end with their
 * namespace).  So a directory without a record has nothing behind it.
 */
#include "oci/handle.h"

#include <dirent.h>
#include <regex.h>
#include <string.h>

#include "base/log.h"

struct delete_opts {
	bool help, force, regex;
};

#define OCI_OPTS struct delete_opts

/* A document that nobody can read any more is no reason to keep the rest. */
static int delete_attach(struct handle *h, bool force, struct coffer_error *err)
{
	int r = handle_attach(h, -1, err);

	if (r == 0 || !force)
		return r;
	log_warning("%s", err->message);
	err_clear(err);
	oci_spec_free(steal_ptr(h->spec));
	return handle_attach_blank(h, err);
}

static int delete_container(struct handle *h, bool force, struct coffer_error *err)
{
	int r;

	if (!force && h->status != STATUS_STOPPED && h->status != STATUS_CREATED)
		return err_state(err, "cannot delete container %s that is not stopped: %s",
				 h->state.id, status_str(h->status));
	r = delete_attach(h, force, err);
	return r < 0 ? r : engine_delete(steal_ptr(h->engine), err);
}

/* The lock is ours. Without a state there is nothing but the directory. */
static int delete_locked(struct handle *h, const char *id, bool force, bool *empty,
			 struct coffer_error *err)
{
	int r = state_read(&h->dir, &h->state, err);

	*empty = r == -ENOENT || (r < 0 && force);
	if (*empty && r != -ENOENT)
		log_warning("%s: its cgroup is not known", err->message);
	if (*empty)
		err_clear(err);
	if (r == 0)
		r = status_get(&h->dir, &h->state, err);
	if (*empty || r < 0)
		return *empty ? 0 : r;
	h->status = (enum status)r;
	return delete_container(h, force, err);
}

static int delete_one(const struct oci *oci, const char *id, bool force, struct coffer_error *err)
{
	autohandle struct handle h = HANDLE_INIT;
	bool empty;
	int r;

	r = state_dir_open(oci->root, id, STATE_EXCLUSIVE, true, &h.dir, err);
	if (r == -ENOENT && force)
		return 0;
	if (r == 0)
		r = delete_locked(&h, id, force, &empty, err);
	if (r == 0)
		r = state_dir_remove(&h.dir, oci->root, id, err);
	if (r == 0 && empty && !force)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "container %s does not exist",
			       id);
	return r;
}

/* ---- --regex ---- */

static void delete_regfree(regex_t *re)
{
	regfree(re);
}

static int delete_matching(const struct oci *oci, const char *pattern, bool force,
			   struct coffer_error *err)
{
	CLEANUP(delete_regfree) regex_t re;
	autoclosedir DIR *dir = NULL;
	struct dirent *de;
	int r = 0;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
		re = (regex_t){ 0 };
		return err_invalid(err, "not a regular expression: %s", pattern);
	}
	dir = opendir(oci->root);
	while (dir && r == 0 && (de = readdir(dir)))
		if (state_check_id(de->d_name, NULL) == 0 &&
		    regexec(&re, de->d_name, 0, NULL, 0) == 0)
			r = delete_one(oci, de->d_name, force, err);
	return r;
}

static int delete_main(const struct oci *oci, const void *data, int nargs, char *args[],
		       struct coffer_error *err)
{
	const struct delete_opts *opts = data;

	return opts->regex ? delete_matching(oci, args[0], opts->force, err)
			   : delete_one(oci, args[0], opts->force, err);
}

static const struct opt_row delete_rows[] = {
	OCI_FLAG("force", 'f', force, "Also one that runs: kill it; one that is not there is fine"),
	OCI_FLAG("regex", 'r', regex, "ID is a regular expression: all that match"),
	OCI_ROW_HELP,
};

const struct oci_command oci_delete = {
	.name = "delete",
	.usage = "[OPTION...] ID",
	.help = "Delete what is left of a container",
	.fn = delete_main,
	.rows = delete_rows,
	.nrows = ARRAY_SIZE(delete_rows),
	.min_args = 1,
	.max_args = 1,
};
