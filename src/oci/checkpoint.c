/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/checkpoint.c - checkpoint: the processes of a container as files
 *
 * criu stops them through their control group and writes them into the images,
 * with all they hold.  What they share with outside is named there instead:
 * mounts, joined namespaces, standard descriptors.  Then they are killed and
 * the container is deleted, or they go on (--leave-running, --pre-dump).  When
 * anything fails they go on too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "engine/device.h"
#include "oci/criu_setup.h"
#include "oci/handle.h"
#include "oci/notify.h"
#include "oci/sentry.h"

#define CHECKPOINT_LOG	    "dump.log"
#define CHECKPOINT_INFO_MAX ((size_t)4 << 20)
#define CHECKPOINT_PORT_MAX 65535

struct checkpoint_opts {
	struct criu_opts criu;
	bool leave_running, pre_dump, tcp_skip_in_flight;
	const char *parent_path, *page_server;
	unsigned status_fd;
};

#define OCI_OPTS struct checkpoint_opts

/* One dump. */
struct checkpoint {
	const struct checkpoint_opts *opts;
	struct handle h;
	pid_t pid;  /* init */
	int rootfd; /* what is "/" to it; owned */
	struct criu_dirs dirs;
	struct criu_options options;
};

#define CHECKPOINT_INIT                                                                            \
	{                                                                                          \
		.h = HANDLE_INIT, .rootfd = -1, .dirs = CRIU_DIRS_INIT,                            \
		.options = CRIU_OPTIONS_INIT                                                       \
	}

static void checkpoint_free(struct checkpoint *c)
{
	handle_close(&c->h);
	close_fd(&c->rootfd);
	criu_dirs_close(&c->dirs);
	criu_options_free(&c->options);
}

/* ---- what is shared with outside ---- */

static int checkpoint_external_mount(const char *place, const char *source, void *data,
				     struct coffer_error *err)
{
	struct checkpoint *c = data;

	criu_add_texts(&c->options, CRIU_EXT_MNT, place, place);
	return 0;
}

/* Files that are hidden: the outside's /dev/null is there. */
static int checkpoint_masked(struct checkpoint *c, struct coffer_error *err)
{
	const struct oci_strv *paths = &c->h.spec->linux_->masked_paths;
	struct stat st;

	for (size_t i = 0; i < paths->n; i++) {
		autoclose int fd =
		    path_open_in_root(c->rootfd, paths->v[i], O_PATH | O_CLOEXEC, 0, NULL);

		if (fd < 0 && fd != -ENOENT)
			return err_sysn(err, fd, "masked path %s", paths->v[i]);
		if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
			criu_add_texts(&c->options, CRIU_EXT_MNT, paths->v[i], "/dev/null");
	}
	return 0;
}

static int checkpoint_namespaces(struct checkpoint *c, struct coffer_error *err)
{
	const struct oci_linux *l = c->h.spec->linux_;
	char key[CRIU_NS_KEY_MAX], text[128];
	struct stat st;

	for (size_t i = 0; i < l->namespaces.n; i++) {
		const struct oci_namespace *ns = &l->namespaces.v[i];

		if (!criu_ns_key(ns, key))
			continue;
		if (stat(ns->path, &st) < 0)
			return err_sys(err, "%s namespace %s", ns->type, ns->path);
		snprintf(text, sizeof(text), "%s[%llu]:%s", criu_namespace(ns->type),
			 (unsigned long long)st.st_ino, key);
		criu_set_text(&c->options, CRIU_EXTERNAL, text);
	}
	return 0;
}

/* The mount that descriptor @fd of init is on. Return: its id or negative errno */
static int checkpoint_mount_id(const struct checkpoint *c, int fd, struct coffer_error *err)
{
	autofree char *text = NULL;
	char path[64];
	const char *p;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)c->pid, fd);
	r = io_read_file(AT_FDCWD, path, 65536, &text, NULL, err);
	if (r < 0)
		return r;
	p = strstr(text, "mnt_id:");
	return p ? atoi(p + strlen("mnt_id:")) : err_internal(err, "%s has no mnt_id", path);
}

/* Is mount @id one of the container's? Return: 1, 0, negative errno */
static int checkpoint_has_mount(const struct checkpoint *c, int id, struct coffer_error *err)
{
	autofree char *text = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)c->pid);
	r = io_read_file(AT_FDCWD, path, CHECKPOINT_INFO_MAX, &text, NULL, err);
	if (r < 0)
		return r;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (*line && atoi(line) == id)
			return 1;
	}
	return 0;
}

/*
 * What criu calls standard descriptor @fd, if it comes from outside: a pipe or a socket by its
 * link, a file by mount and inode.  @name is "" for others.
 */
static int checkpoint_descriptor(struct checkpoint *c, int fd, char *name, size_t room,
				 struct coffer_error *err)
{
	char path[64], target[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r, id;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)c->pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0 || stat(path, &st) < 0)
		return err_sys(err, "read %s", path);
	target[n] = '\0';
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)) {
		/* "pipe:[123]"; one that has a path is found again by it. */
		if (target[0] != '/' && (size_t)n < room)
			memcpy(name, target, (size_t)n + 1);
		return 0;
	}
	/* Terminals are criu's business. */
	if (!S_ISREG(st.st_mode) && !device_is_null(&st))
		return 0;
	id = checkpoint_mount_id(c, fd, err);
	r = id < 0 ? id : checkpoint_has_mount(c, id, err);
	if (r == 0)
		snprintf(name, room, "%sfile[%x:%llx]",
			 S_ISREG(st.st_mode) ? "" : CRIU_DESCRIPTOR_NULL, (unsigned)id,
			 (unsigned long long)st.st_ino);
	return r < 0 ? r : 0;
}

static int checkpoint_descriptors(struct checkpoint *c, struct coffer_error *err)
{
	autojson struct json_object *names = json_object_new_array();
	const char *text;
	int r = 0;

	for (int fd = 0; r == 0 && fd < 3; fd++) {
		char name[CRIU_TEXT_MAX];

		r = checkpoint_descriptor(c, fd, name, sizeof(name), err);
		/* A link that we made has a name, which criu must be told. */
		if (r == 0 && strstr(name, "file["))
			criu_set_text(&c->options, CRIU_EXTERNAL, strstr(name, "file["));
		if (r == 0)
			json_object_array_add(names, json_object_new_string(name));
	}
	if (r < 0)
		return r;
	text = json_object_to_json_string_ext(names, JSON_C_TO_STRING_NOSLASHESCAPE);
	return io_replace_file(c->dirs.images, CRIU_DESCRIPTORS, text, strlen(text), 0600, err);
}

static int checkpoint_notify(struct checkpoint *c, struct coffer_error *err)
{
	autofree char *place = NULL;
	int r = notify_find(c->h.dir.fd, c->h.state.id, c->pid, &place, err);

	if (place)
		criu_add_texts(&c->options, CRIU_EXT_MNT, place, NOTIFY_EXTERNAL);
	return r;
}

static int checkpoint_outside(struct checkpoint *c, struct coffer_error *err)
{
	int r = checkpoint_notify(c, err);

	if (r < 0)
		return r;
	r = engine_external(c->h.engine, c->rootfd, checkpoint_external_mount, c, err);
	if (r == 0)
		r = checkpoint_masked(c, err);
	if (r == 0)
		r = checkpoint_namespaces(c, err);
	return r < 0 ? r : checkpoint_descriptors(c, err);
}

/* ---- the rest of the request ---- */

static int checkpoint_page_server(struct checkpoint *c, struct coffer_error *err)
{
	const char *where = c->opts->page_server;
	const char *colon = where ? strrchr(where, ':') : NULL;
	autofree char *address = NULL;
	unsigned long port;
	char *end;

	if (!where)
		return 0;
	port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || colon == where || *end || port == 0 || port > CHECKPOINT_PORT_MAX)
		return err_invalid(err, "--page-server: \"%s\" is not ADDRESS:PORT", where);
	/* "[::1]:27" */
	address = where[0] == '[' && colon[-1] == ']' ? strndup(where + 1, colon - where - 2)
						      : strndup(where, colon - where);
	if (!address)
		return err_nomem(err);
	criu_add_text_number(&c->options, CRIU_PAGE_SERVER, address, (uint32_t)port);
	return 0;
}

/* Memory that has not changed since then is not written again. */
static int checkpoint_parent(struct checkpoint *c, struct coffer_error *err)
{
	const char *parent = c->opts->parent_path;
	struct stat st;

	if (!parent)
		return 0;
	if (parent[0] == '/')
		return err_invalid(err, "--parent-path: %s must be relative to the images", parent);
	if (fstatat(c->dirs.images, parent, &st, 0) < 0)
		return err_sys(err, "--parent-path: %s", parent);
	if (!S_ISDIR(st.st_mode))
		return err_sysn(err, ENOTDIR, "--parent-path: %s", parent);
	criu_set_text(&c->options, CRIU_PARENT_IMG, parent);
	criu_set_number(&c->options, CRIU_TRACK_MEM, 1);
	return 0;
}

static int checkpoint_prepare(struct checkpoint *c, struct coffer_error *err)
{
	const struct checkpoint_opts *opts = c->opts;
	/* The root of a user namespace will look for names in there; files are for ours only. */
	mode_t mode = oci_namespace_find(c->h.spec, "user") ? 0711 : 0700;
	char root[64];
	int r;

	c->pid = engine_init(c->h.engine)->child.pid;
	snprintf(root, sizeof(root), "/proc/%d/root", (int)c->pid);
	c->rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->rootfd < 0)
		return err_sys(err, "open %s", root);
	r = criu_dirs_open(&opts->criu, mode, &c->dirs, err);
	if (r == 0)
		r = criu_setup(&c->options, &opts->criu, &c->dirs, CHECKPOINT_LOG, c->h.spec, err);
	if (r == 0)
		r = checkpoint_page_server(c, err);
	if (r == 0)
		r = checkpoint_parent(c, err);
	if (r < 0)
		return r;
	criu_set_number(&c->options, CRIU_PID, (uint32_t)c->pid);
	criu_set_text(&c->options, CRIU_ROOT, c->h.state.rootfs);
	criu_set_text(&c->options, CRIU_FREEZE_CGROUP, engine_freezer(c->h.engine));
	if (opts->leave_running)
		criu_set_number(&c->options, CRIU_LEAVE_RUNNING, 1);
	if (opts->tcp_skip_in_flight)
		criu_set_number(&c->options, CRIU_TCP_SKIP_IN_FLIGHT, 1);
	/* Memory alone knows nothing of all that. */
	return opts->pre_dump ? 0 : checkpoint_outside(c, err);
}

/* ---- the dump ---- */

/* With --lazy-pages criu stays to serve memory, and says when it does. */
static int checkpoint_step(const struct criu_answer *step, int *fd, void *data,
			   struct coffer_error *err)
{
	const struct checkpoint *c = data;

	if (strcmp(step->script, "status-ready") != 0 || c->opts->status_fd == 0)
		return 0;
	if (write((int)c->opts->status_fd, "", 1) != 1)
		return err_sys(err, "--status-fd: write");
	close((int)c->opts->status_fd);
	return 0;
}

static int checkpoint_dump(struct checkpoint *c, const struct oci *oci, struct coffer_error *err)
{
	/* Whoever interrupts us at a terminal must not interrupt criu. */
	const struct criu_start_args start = { .program = criu_program(oci), .new_session = true };
	const struct criu_call call = {
		.type = c->opts->pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP,
		.options = &c->options,
		.notify = checkpoint_step,
		.data = c,
		.log_dirfd = c->dirs.work >= 0 ? c->dirs.work : c->dirs.images,
		.log_dir = c->dirs.log_in,
		.log_file = CHECKPOINT_LOG,
	};
	autocriu struct criu criu = CRIU_INIT;
	int r = criu_start(&start, &criu, err);

	return r < 0 ? r : criu_request(&criu, &call, err);
}

static int checkpoint_end(struct checkpoint *c, const struct oci *oci, struct coffer_error *err)
{
	int r = engine_delete(steal_ptr(c->h.engine), err);

	return r < 0 ? r : state_dir_remove(&c->h.dir, oci->root, c->h.state.id, err);
}

static int checkpoint_run(struct checkpoint *c, const struct oci *oci, const char *id,
			  struct coffer_error *err)
{
	int r;

	r = handle_open(oci, id, STATE_EXCLUSIVE,
			STATUS_BIT(STATUS_RUNNING) | STATUS_BIT(STATUS_PAUSED), "checkpoint", &c->h,
			err);
	if (r == 0 && sentry_inside(&c->h.dir))
		return err_unsupported(err, "checkpoint of a container in a sentry");
	if (r == 0)
		r = handle_attach(&c->h, -1, err);
	if (r < 0)
		return r;
	r = checkpoint_prepare(c, err);
	if (r == 0)
		r = checkpoint_dump(c, oci, err);
	if (r == 0 && !c->opts->leave_running && !c->opts->pre_dump)
		r = checkpoint_end(c, oci, err);
	return r < 0 ? err_wrap(err, "checkpoint container %s", id) : 0;
}

static int checkpoint_main(const struct oci *oci, const void *opts, int nargs, char *args[],
			   struct coffer_error *err)
{
	CLEANUP(checkpoint_free) struct checkpoint c = CHECKPOINT_INIT;

	c.opts = opts;
	return checkpoint_run(&c, oci, args[0], err);
}

static const struct opt_row checkpoint_rows[] = {
	OCI_FLAG("leave-running", 0, leave_running, "Let the container go on afterwards"),
	OCI_FLAG("pre-dump", 0, pre_dump, "Memory only, and let it go on"),
	OCI_TEXT("parent-path", 0, parent_path, "DIR",
		 "Images of an earlier dump, seen from these"),
	OCI_TEXT("page-server", 0, page_server, "ADDRESS:PORT", "Send memory there"),
	OCI_FLAG("tcp-skip-in-flight", 0, tcp_skip_in_flight,
		 "Leave out TCP connections that are being made"),
	{ "status-fd", 0, OPT_COUNT, offsetof(struct checkpoint_opts, status_fd), "N",
	  "With --lazy-pages: gets a zero byte when memory is served", 1, 1 << 20 },
	CRIU_ROWS,
};

const struct oci_command oci_checkpoint = {
	.name = "checkpoint",
	.usage = "[OPTION...] ID",
	.help = "Write a container's processes to files",
	.fn = checkpoint_main,
	.rows = checkpoint_rows,
	.nrows = ARRAY_SIZE(checkpoint_rows),
	.min_args = 1,
	.max_args = 1,
};
