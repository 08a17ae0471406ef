/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/restore.c - restore: a container out of the files of a checkpoint
 *
 *	checkpoint's directory looked at    nothing is made
 *	as run does, up to init             directory, state, cgroup
 *	criu started                        mounts of its own; in the container's cgroup
 *	setup-namespaces                    loopback, hooks
 *	orphan-pts-master                   the terminal's master comes to us
 *	post-restore                        init is our child: written down before it goes on
 *	as run does, from started on        foreground, or pid file and leave
 *
 * criu has our standard descriptors, and gives them to the processes in place
 * of those that they shared with outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "oci/criu_setup.h"
#include "oci/notify.h"
#include "oci/run.h"

#define RESTORE_LOG	  "restore.log"
#define RESTORE_ROOT	  "criu-root" /* in the container's directory */
#define RESTORE_INVENTORY "inventory.img"
#define RESTORE_SMALL	  ((size_t)65536)
#define RESTORE_FDS_MAX	  8 /* three for /dev/null, two for namespaces */

struct restore_opts {
	struct criu_opts criu;
	struct creation_opts creation;
	const char *lsm_profile, *lsm_mount_context;
};

#define OCI_OPTS struct restore_opts

struct restore {
	const struct restore_opts *opts;
	struct creation creation;
	struct criu_dirs dirs;
	struct criu_options options;
	struct criu criu;
	char *root;				  /* where criu takes the root from; owned */
	struct json_object *descriptors;	  /* CRIU_DESCRIPTORS; owned */
	struct spawn_fd fds[3 + RESTORE_FDS_MAX]; /* of criu; from the fourth on owned */
	size_t nfds;
};

#define RESTORE_INIT                                                                               \
	{                                                                                          \
		.creation = CREATION_INIT, .dirs = CRIU_DIRS_INIT, .options = CRIU_OPTIONS_INIT,   \
		.criu = CRIU_INIT, .fds = { { 0, 0 }, { 1, 1 }, { 2, 2 } }, .nfds = 3              \
	}

static void restore_free(struct restore *r)
{
	criu_end(&r->criu);
	creation_free(&r->creation);
	criu_dirs_close(&r->dirs);
	criu_options_free(&r->options);
	json_object_put(r->descriptors);
	for (size_t i = 3; i < r->nfds; i++)
		close(r->fds[i].fd);
	free(r->root);
}

/* ---- the images ---- */

static int restore_read_descriptors(struct restore *r, struct coffer_error *err)
{
	autofree char *text = NULL;
	int n = io_read_file(r->dirs.images, CRIU_DESCRIPTORS, RESTORE_SMALL, &text, NULL, err);

	if (n < 0)
		return n;
	r->descriptors = json_tokener_parse(text);
	if (!json_object_is_type(r->descriptors, json_type_array))
		return err_invalid(err, "%s is not a list", CRIU_DESCRIPTORS);
	return 0;
}

static int restore_look(struct restore *r, struct coffer_error *err)
{
	int n = criu_dirs_open(&r->opts->criu, 0, &r->dirs, err);

	if (n < 0)
		return n;
	n = faccessat(r->dirs.images, RESTORE_INVENTORY, R_OK, 0) < 0
		? err_sys(err, "%s", RESTORE_INVENTORY)
		: restore_read_descriptors(r, err);
	return n < 0 ? err_wrap(err, "no checkpoint in %s",
				r->opts->criu.image_path ? r->opts->criu.image_path : ".")
		     : 0;
}

/* ---- what criu is told ---- */

static int restore_external_mount(const char *place, const char *source, void *data,
				  struct coffer_error *err)
{
	struct restore *r = data;

	criu_add_texts(&r->options, CRIU_EXT_MNT, place, source);
	return 0;
}

/* A container that had a socket for notifications gets one, though nobody listens any more. */
static int restore_notify(struct restore *r, struct coffer_error *err)
{
	const struct creation *c = &r->creation;
	autofree char *path = NULL;

	if (mkdirat(c->dir.fd, NOTIFY_DIR, 0755) < 0)
		return errno == EEXIST ? 0 : err_sys(err, "create %s", NOTIFY_DIR);
	if (asprintf(&path, "%s/%s/" NOTIFY_DIR, c->oci->root, c->id) < 0) {
		path = NULL;
		return err_nomem(err);
	}
	criu_add_texts(&r->options, CRIU_EXT_MNT, NOTIFY_EXTERNAL, path);
	return 0;
}

static int restore_mounts(struct restore *r, struct coffer_error *err)
{
	const struct creation *c = &r->creation;
	autoclose int rootfd = open(c->state.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int n;

	if (rootfd < 0)
		return err_sys(err, "open %s", c->state.rootfs);
	if (c->spec->linux_->masked_paths.n > 0)
		criu_add_texts(&r->options, CRIU_EXT_MNT, "/dev/null", "/dev/null");
	n = restore_notify(r, err);
	return n < 0 ? n : engine_external(c->engine, rootfd, restore_external_mount, r, err);
}

/* A further descriptor of criu's, for what the images call @key. @fd: owned from here on */
static int restore_inherit(struct restore *r, const char *key, int fd, struct coffer_error *err)
{
	struct spawn_fd *f = &r->fds[r->nfds];

	if (r->nfds == ARRAY_SIZE(r->fds)) {
		close(fd);
		return err_invalid(err, "too many descriptors and namespaces from outside");
	}
	*f = (struct spawn_fd){ fd, CRIU_FD_FREE + (int)(r->nfds++ - 3) };
	criu_add_text_number(&r->options, CRIU_INHERIT_FD, key, (uint32_t)f->target);
	return 0;
}

/* Our own standard descriptors, but where there was /dev/null: a pipe can't take its place. */
static int restore_descriptor(struct restore *r, const char *name, int std,
			      struct coffer_error *err)
{
	static const char *const shared[] = { "pipe:[", "socket:[", "file[" };
	size_t n = strlen(CRIU_DESCRIPTOR_NULL);
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		if (strncmp(name, shared[i], strlen(shared[i])) == 0)
			criu_add_text_number(&r->options, CRIU_INHERIT_FD, name, (uint32_t)std);
	if (strncmp(name, CRIU_DESCRIPTOR_NULL, n) != 0)
		return 0;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open /dev/null") : restore_inherit(r, name + n, fd, err);
}

static int restore_descriptors(struct restore *r, struct coffer_error *err)
{
	size_t count = json_object_array_length(r->descriptors);
	const char *name;
	int n = 0;

	for (size_t fd = 0; n == 0 && fd < 3 && fd < count; fd++) {
		name = json_object_get_string(json_object_array_get_idx(r->descriptors, fd));
		if (name)
			n = restore_descriptor(r, name, (int)fd, err);
	}
	return n;
}

static int restore_join(struct restore *r, const struct oci_namespace *ns, struct coffer_error *err)
{
	char key[CRIU_NS_KEY_MAX];
	int fd;

	if (strcmp(ns->type, "cgroup") == 0 || strcmp(ns->type, "time") == 0)
		return err_unsupported(err, "CRIU cannot join a %s namespace", ns->type);
	if (!criu_ns_key(ns, key)) {
		criu_add_texts(&r->options, CRIU_JOIN_NS, criu_namespace(ns->type), ns->path);
		return 0;
	}
	fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "%s namespace %s", ns->type, ns->path)
		      : restore_inherit(r, key, fd, err);
}

static int restore_namespaces(struct restore *r, struct coffer_error *err)
{
	const struct oci_linux *l = r->creation.spec->linux_;
	int n = 0;

	for (size_t i = 0; n == 0 && i < l->namespaces.n; i++)
		if (l->namespaces.v[i].path)
			n = restore_join(r, &l->namespaces.v[i], err);
	return n;
}

/* Control groups in the images lie below that of the old container; theirs is where criu is now.
 * @line: "4:cpu,cpuacct:/path", v2 is "0::/path" */
static void restore_cgroup(struct restore *r, char *line)
{
	char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL, *save;

	if (!path)
		return;
	*path++ = '\0';
	if (!*++names)
		criu_add_texts(&r->options, CRIU_CG_ROOT, "", path);
	for (char *n = strtok_r(names, ",", &save); n; n = strtok_r(NULL, ",", &save))
		criu_add_texts(&r->options, CRIU_CG_ROOT, n, path);
}

static int restore_cgroups(struct restore *r, struct coffer_error *err)
{
	autofree char *text = NULL;
	char path[64], *save;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)r->criu.child.pid);
	n = io_read_file(AT_FDCWD, path, RESTORE_SMALL, &text, NULL, err);
	if (n < 0)
		return n;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		restore_cgroup(r, line);
	return 0;
}

static int restore_word(struct restore *r, struct coffer_error *err)
{
	struct criu_options *o = &r->options;
	int n = criu_setup(o, &r->opts->criu, &r->dirs, RESTORE_LOG, r->creation.spec, err);

	if (n < 0)
		return n;
	criu_set_text(o, CRIU_ROOT, r->root);
	criu_set_number(o, CRIU_RST_SIBLING, 1);
	criu_set_number(o, CRIU_EVASIVE_DEVICES, 1);
	criu_set_text(o, CRIU_LSM_PROFILE, r->opts->lsm_profile);
	criu_set_text(o, CRIU_LSM_MOUNT_CONTEXT, r->opts->lsm_mount_context);
	return 0;
}

/* ---- the restore ---- */

static int restore_step(const struct criu_answer *step, int *fd, void *data,
			struct coffer_error *err)
{
	struct restore *r = data;
	struct engine_container *engine = r->creation.engine;
	struct engine_process *init = engine_init(engine);

	if (strcmp(step->script, "setup-namespaces") == 0)
		return engine_restore_hooks(engine, step->pid, err);
	if (strcmp(step->script, "post-restore") == 0)
		return engine_restore_adopt(engine, step->pid, err);
	if (strcmp(step->script, "orphan-pts-master") == 0 && init->ptmx < 0)
		init->ptmx = steal_fd(fd);
	return 0;
}

/*
 * In criu's process before it is criu.  No new privileges for it means none for its children, of
 * which criu itself would forget it.  It mounts in the directory it works in, which must
 * therefore be seen through the mounts that it now has; and it takes the directories from our
 * descriptors.
 */
static int restore_enter_root(void *data, struct coffer_error *err)
{
	autocriudirs struct criu_dirs dirs = CRIU_DIRS_INIT;
	struct restore *r = data;
	int n = engine_restore_root(r->creation.engine, r->root, err);

	if (n == 0 && r->creation.spec->process->no_new_privileges &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		n = err_sys(err, "no_new_privs");
	if (n == 0)
		n = criu_dirs_open(&r->opts->criu, 0, &dirs, err);
	return n < 0 ? n : criu_dirs_send(&dirs, CRIU_FD_FREE - 1, err);
}

static int restore_start(struct restore *r, struct coffer_error *err)
{
	struct creation *c = &r->creation;
	const struct criu_start_args start = {
		.program = criu_program(c->oci),
		.fds = r->fds,
		.nfds = r->nfds,
		.hook = restore_enter_root,
		.hook_data = r,
	};
	autofree char *path = NULL;
	int n;

	if (asprintf(&path, "%s/%s/" RESTORE_ROOT, c->oci->root, c->id) < 0) {
		path = NULL;
		return err_nomem(err);
	}
	if (mkdir(path, 0700) < 0)
		return err_sys(err, "create %s", path);
	/* criu compares it with what the kernel says. */
	r->root = realpath(path, NULL);
	if (!r->root)
		return err_sys(err, "find %s", path);
	n = criu_start(&start, &r->criu, err);
	if (n == 0)
		n = criu_dirs_receive(&r->dirs, r->criu.sock, err);
	if (n == 0)
		n = engine_restore_enter(c->engine, r->criu.child.pid, err);
	return n;
}

static int restore_request(struct restore *r, struct coffer_error *err)
{
	const struct criu_call call = {
		.type = CRIU_RESTORE,
		.options = &r->options,
		.notify = restore_step,
		.data = r,
		.log_dirfd = r->dirs.work >= 0 ? r->dirs.work : r->dirs.images,
		.log_dir = r->dirs.log_in,
		.log_file = RESTORE_LOG,
	};
	int n = restore_word(r, err);

	if (n == 0)
		n = restore_mounts(r, err);
	if (n == 0)
		n = restore_cgroups(r, err);
	return n < 0 ? n : criu_request(&r->criu, &call, err);
}

static int restore_check(const struct restore *r, struct coffer_error *err)
{
	const struct creation *c = &r->creation;

	if (!engine_alive(c->engine))
		return err_internal(err, "its first process has ended");
	if (c->spec->process->terminal && engine_init(c->engine)->ptmx < 0)
		return err_invalid(err, "the checkpoint has no terminal");
	return 0;
}

static int restore_make(struct creation *c, const struct engine_create_args *args,
			struct coffer_error *err)
{
	struct restore *r = container_of(c, struct restore, creation);
	int n = engine_restore(args, &c->engine, err);

	if (n < 0)
		return n;
	n = restore_descriptors(r, err);
	if (n == 0)
		n = restore_namespaces(r, err);
	if (n == 0)
		n = restore_start(r, err);
	if (n == 0)
		n = restore_request(r, err);
	if (n == 0)
		n = restore_check(r, err);
	if (n < 0)
		return err_wrap(err, "restore container %s", c->id);
	unlinkat(c->dir.fd, RESTORE_ROOT, AT_REMOVEDIR);
	return 0;
}

static int restore_main(const struct oci *oci, const void *opts, int nargs, char *args[],
			struct coffer_error *err)
{
	CLEANUP(restore_free) struct restore r = RESTORE_INIT;
	int n;

	if (oci->sentry)
		return err_unsupported(err, "restore into a sentry");
	r.opts = opts;
	r.creation.oci = oci;
	r.creation.opts = &r.opts->creation;
	r.creation.id = args[0];
	r.creation.detach = r.opts->creation.detach;
	r.creation.make = restore_make;
	n = restore_look(&r, err);
	return n < 0 ? err_wrap(err, "restore container %s", args[0])
		     : run_container(&r.creation, err);
}

static const struct opt_row restore_rows[] = {
	OCI_TEXT("bundle", 'b', creation.bundle, "DIR", "Directory of the bundle (default: .)"),
	OCI_TEXT("console-socket", 0, creation.console_socket, "PATH",
		 "Unix socket that gets the terminal's master"),
	OCI_FLAG("detach", 'd', creation.detach, "Do not wait for it to end"),
	OCI_TEXT("pid-file", 0, creation.pid_file, "FILE", "Write init's pid there"),
	OCI_FLAG("no-pivot", 0, creation.no_pivot, "Accepted; nothing is pivoted by us"),
	OCI_FLAG("no-subreaper", 0, creation.no_subreaper, "Leave orphans to others"),
	OCI_TEXT("lsm-profile", 0, lsm_profile, "TYPE:NAME", "Another security profile"),
	OCI_TEXT("lsm-mount-context", 0, lsm_mount_context, "CONTEXT",
		 "Another security context of mounts"),
	CRIU_ROWS,
};

const struct oci_command oci_restore = {
	.name = "restore",
	.usage = "[OPTION...] ID",
	.help = "Make a container out of a checkpoint",
	.fn = restore_main,
	.rows = restore_rows,
	.nrows = ARRAY_SIZE(restore_rows),
	.min_args = 1,
	.max_args = 1,
};
