/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu_setup.c - what checkpoint and restore ask of criu alike
 *
 * Callers: checkpoint.c, restore.c.
 */
#include "oci/criu_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/path.h"

#define CRIU_LOG_DEBUG	    4
#define CRIU_CONFIG_KEY	    "org.criu.config"
#define CRIU_CONFIG	    "/etc/criu/runc.conf" /* that of runtimes with this command line */
#define CRIU_DEFAULT_IMAGES "checkpoint"

const char *const criu_cgroup_modes[] = { "soft", "full", "strict", "ignore", NULL };

static const enum criu_cgroup_mode criu_cgroup_mode_numbers[] = {
	CRIU_CG_SOFT,
	CRIU_CG_FULL,
	CRIU_CG_STRICT,
	CRIU_CG_IGNORE,
};

_Static_assert(ARRAY_SIZE(criu_cgroup_modes) == ARRAY_SIZE(criu_cgroup_mode_numbers) + 1,
	       "a number for each mode");

static const struct {
	const char *type, *name;
	unsigned flag;
	const char *key; /* NULL: joined without one */
} criu_namespaces[] = {
	{ "pid", "pid", CLONE_NEWPID, "extRootPidNS" },
	{ "network", "net", CLONE_NEWNET, "extRootNetNS" },
	{ "mount", "mnt", CLONE_NEWNS, NULL },
	{ "ipc", "ipc", CLONE_NEWIPC, NULL },
	{ "uts", "uts", CLONE_NEWUTS, NULL },
	{ "user", "user", CLONE_NEWUSER, NULL },
	{ "cgroup", "cgroup", CLONE_NEWCGROUP, NULL },
	{ "time", "time", CLONE_NEWTIME, NULL },
};

static int criu_namespace_index(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(criu_namespaces); i++)
		if (strcmp(type, criu_namespaces[i].type) == 0)
			return (int)i;
	return -1;
}

const char *criu_namespace(const char *type)
{
	int i = criu_namespace_index(type);

	return i < 0 ? NULL : criu_namespaces[i].name;
}

bool criu_ns_key(const struct oci_namespace *ns, char key[CRIU_NS_KEY_MAX])
{
	int i = criu_namespace_index(ns->type);

	if (!ns->path || i < 0 || !criu_namespaces[i].key)
		return false;
	snprintf(key, CRIU_NS_KEY_MAX, "%s", criu_namespaces[i].key);
	return true;
}

void criu_dirs_close(struct criu_dirs *dirs)
{
	close_fd(&dirs->images);
	close_fd(&dirs->work);
}

static int criu_open_dir(const char *path, mode_t mode, int *fd, struct coffer_error *err)
{
	int r = mode ? path_mkdirs(path, mode, err) : 0;

	if (r < 0)
		return r;
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, "open %s", path) : 0;
}

int criu_dirs_open(const struct criu_opts *opts, mode_t mode, struct criu_dirs *out,
		   struct coffer_error *err)
{
	const char *images = opts->image_path ? opts->image_path : CRIU_DEFAULT_IMAGES;
	int r = criu_open_dir(images, mode, &out->images, err);

	out->log_in = opts->work_path ? opts->work_path : images;
	if (r < 0 || !opts->work_path)
		return r;
	return criu_open_dir(opts->work_path, 0700, &out->work, err);
}

int criu_dirs_send(const struct criu_dirs *dirs, int sock, struct coffer_error *err)
{
	const int fds[] = { dirs->images, dirs->work };
	int r = io_send_fds(sock, "", 1, fds, dirs->work >= 0 ? 2 : 1);

	return r < 0 ? err_sysn(err, r, "hand over directories") : 0;
}

int criu_dirs_receive(struct criu_dirs *dirs, int sock, struct coffer_error *err)
{
	size_t n = 2, wanted = dirs->work >= 0 ? 2 : 1;
	int fds[] = { -1, -1 };
	ssize_t r;
	char byte;

	r = io_recv_fds(sock, &byte, 1, fds, &n);
	if (r == 1 && n == wanted) {
		criu_dirs_close(dirs);
		dirs->images = fds[0];
		dirs->work = fds[1];
		return 0;
	}
	while (r >= 0 && n > 0)
		close(fds[--n]);
	return err_sysn(err, r < 0 ? (int)r : EPROTO, "take over directories");
}

static int criu_setup_empty(struct criu_options *o, const struct opt_list *kinds,
			    struct coffer_error *err)
{
	/* Interfaces and addresses are made by whoever made the network. */
	unsigned flags = CLONE_NEWNET;
	int index;

	for (size_t i = 0; i < kinds->n; i++) {
		index = criu_namespace_index(kinds->v[i]);
		if (index < 0)
			return err_invalid(err, "--empty-ns: there are no %s namespaces",
					   kinds->v[i]);
		flags |= criu_namespaces[index].flag;
	}
	criu_set_number(o, CRIU_EMPTY_NS, flags);
	return 0;
}

static void criu_setup_cgroups(struct criu_options *o, const char *mode)
{
	enum criu_cgroup_mode number = CRIU_CG_DEFAULT;

	for (size_t i = 0; mode && criu_cgroup_modes[i]; i++)
		if (strcmp(mode, criu_cgroup_modes[i]) == 0)
			number = criu_cgroup_mode_numbers[i];
	criu_set_number(o, CRIU_MANAGE_CGROUPS, 1);
	criu_set_number(o, CRIU_MANAGE_CGROUPS_MODE, number);
}

static void criu_setup_config(struct criu_options *o, const struct oci_pairs *annotations)
{
	const char *path = CRIU_CONFIG;

	for (size_t i = 0; i < annotations->n; i++)
		if (strcmp(annotations->v[i].key, CRIU_CONFIG_KEY) == 0)
			path = annotations->v[i].value;
	criu_set_text(o, CRIU_CONFIG_FILE, path);
}

int criu_setup(struct criu_options *o, const struct criu_opts *opts, const struct criu_dirs *dirs,
	       const char *log_file, const struct oci_spec *spec, struct coffer_error *err)
{
	const struct {
		enum criu_option option;
		bool on;
	} flags[] = {
		{ CRIU_TCP_ESTABLISHED, opts->tcp_established },
		{ CRIU_EXT_UNIX_SK, opts->ext_unix_sk },
		{ CRIU_SHELL_JOB, opts->shell_job },
		{ CRIU_FILE_LOCKS, opts->file_locks },
		{ CRIU_AUTO_DEDUP, opts->auto_dedup },
		{ CRIU_LAZY_PAGES, opts->lazy_pages },
		{ CRIU_NOTIFY_SCRIPTS, true },
		{ CRIU_ORPHAN_PTS_MASTER, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].on)
			criu_set_number(o, flags[i].option, 1);
	criu_set_number(o, CRIU_IMAGES_DIR_FD, (uint32_t)dirs->images);
	if (dirs->work >= 0)
		criu_set_number(o, CRIU_WORK_DIR_FD, (uint32_t)dirs->work);
	criu_set_number(o, CRIU_LOG_LEVEL, CRIU_LOG_DEBUG);
	criu_set_text(o, CRIU_LOG_FILE, log_file);
	criu_setup_cgroups(o, opts->manage_cgroups_mode);
	criu_setup_config(o, &spec->annotations);
	return criu_setup_empty(o, &opts->empty_ns, err);
}
