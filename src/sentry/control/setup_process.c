/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/setup_process.c - a process of a container, from its document
 *
 * Users are looked up in the container's own files, read through its mounts.
 *
 * Called on the control loop only.
 */
#define LOG_CATEGORY "setup"
#include "sentry/control/setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/control/machine.h"
#include "sentry/task/cred.h"
#include "sentry/task/task.h"
#include "spec/passwd.h"

#define SETUP_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A file of the container as text; one that is not there is empty. */
static int setup_read(struct sandbox_container *c, const char *path, char **text, size_t *len,
		      struct coffer_error *err)
{
	autofile struct file *file = NULL;
	struct walk walk;
	struct stat st = { 0 };
	long n;
	int r;

	machine_walk_container(&walk, c);
	r = vfs_open(&walk, path, O_RDONLY | O_NONBLOCK, 0, 0, &file);
	walk_end(&walk);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == 0)
		r = file_stat(file, &st);
	if (r < 0)
		return err_sysn(err, r, "container's %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)PASSWD_FILE_MAX)
		return err_invalid(err, "container's %s: %s", path,
				   S_ISREG(st.st_mode) ? "too large" : "not a regular file");
	*text = malloc((size_t)st.st_size + 1);
	if (!*text)
		return err_nomem(err);
	n = file_read_kernel(file, *text, (size_t)st.st_size, 0);
	if (n < 0)
		return err_sysn(err, (int)n, "read the container's %s", path);
	*len = (size_t)n;
	return 0;
}

static int setup_user(struct sandbox_container *c, struct oci_process *process,
		      struct coffer_error *err)
{
	autofree char *passwd = NULL, *group = NULL;
	struct passwd_files files = { 0 };
	int r = setup_read(c, "/etc/passwd", &passwd, &files.passwd_len, err);

	if (r == 0)
		r = setup_read(c, "/etc/group", &group, &files.group_len, err);
	files.passwd = passwd;
	files.group = group;
	return r < 0 ? r : passwd_apply(&files, process, err);
}

int setup_complete(struct sandbox_container *c, struct oci_process *process,
		   struct coffer_error *err)
{
	int r = 0;

	if (!process->cwd)
		r = oci_str_set(&process->cwd, "/", err);
	if (r == 0 && !oci_env_get(process, "PATH"))
		r = oci_env_set(process, "PATH", SETUP_PATH, err);
	if (r == 0 && process->terminal && !oci_env_get(process, "TERM"))
		r = oci_env_set(process, "TERM", "xterm", err);
	if (r == 0)
		r = setup_user(c, process, err);
	if (r == 0)
		r = oci_str_set(&process->user.username, NULL, err);
	return r < 0 ? r : oci_process_validate(process, "process", err);
}

static uint64_t setup_caps(const struct oci_strv *names)
{
	uint64_t set = 0;

	for (size_t i = 0; i < names->n; i++) {
		int cap = oci_capability(names->v[i]);

		if (cap >= 0)
			set |= UINT64_C(1) << cap;
		else
			log_warning("capability %s is unknown, left out", names->v[i]);
	}
	return set;
}

static struct cred *setup_cred(const struct oci_process *p)
{
	size_t n = p->user.additional_gids.n;
	struct cred *cred = cred_copy(machine_cred(), n);

	if (!cred)
		return NULL;
	cred->uid = cred->euid = cred->suid = cred->fsuid = p->user.uid;
	cred->gid = cred->egid = cred->sgid = cred->fsgid = p->user.gid;
	if (n)
		memcpy(cred->groups, p->user.additional_gids.v, n * sizeof(cred->groups[0]));
	cred->ngroups = n;
	cred->cap_effective = cred->cap_permitted = cred->cap_bounding = 0;
	cred->cap_inheritable = cred->cap_ambient = 0;
	cred->no_new_privs = p->no_new_privileges;
	if (!p->capabilities)
		return cred;
	cred->cap_bounding = setup_caps(&p->capabilities->bounding);
	cred->cap_effective = setup_caps(&p->capabilities->effective);
	cred->cap_permitted = setup_caps(&p->capabilities->permitted);
	cred->cap_inheritable = setup_caps(&p->capabilities->inheritable);
	/* One that nobody may inherit cannot be ambient. */
	cred->cap_ambient = setup_caps(&p->capabilities->ambient) & cred->cap_permitted &
			    cred->cap_inheritable;
	return cred;
}

/* What containers of other engines begin with, where the document is silent. */
static void setup_default_limits(struct rlimit limits[RLIM_NLIMITS])
{
	for (int i = 0; i < RLIM_NLIMITS; i++)
		limits[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	limits[RLIMIT_STACK].rlim_cur = 8 << 20;
	limits[RLIMIT_NOFILE] = (struct rlimit){ 1024, 1048576 };
	limits[RLIMIT_MEMLOCK] = (struct rlimit){ 8 << 20, 8 << 20 };
	limits[RLIMIT_CORE].rlim_cur = 0;
	limits[RLIMIT_NICE] = limits[RLIMIT_RTPRIO] = (struct rlimit){ 0, 0 };
	limits[RLIMIT_MSGQUEUE] = (struct rlimit){ 819200, 819200 };
	limits[RLIMIT_SIGPENDING] = (struct rlimit){ 8192, 8192 };
}

static int setup_rlimits(const struct oci_process *p, struct rlimit limits[RLIM_NLIMITS],
			 struct coffer_error *err)
{
	setup_default_limits(limits);
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct oci_rlimit *l = &p->rlimits.v[i];
		int resource = oci_rlimit(l->type);

		if (resource < 0 || l->soft > l->hard)
			return err_invalid(err, "process.rlimits: %s", l->type);
		limits[resource] = (struct rlimit){ l->soft, l->hard };
	}
	return 0;
}

static int setup_bind_console(struct sandbox_container *c, const char *terminal)
{
	struct vfs_create args = { .mode = S_IFREG | 0600, .exclusive = true };
	struct walk from, to;
	int r;

	machine_walk_container(&to, c);
	r = vfs_create(&to, "/dev/console", &args);
	walk_end(&to);
	if (r < 0 && r != -EEXIST)
		return r;
	machine_walk_container(&from, c);
	machine_walk_container(&to, c);
	r = vfs_walk(&from, terminal, 0);
	if (r == 0)
		r = vfs_walk(&to, "/dev/console", WALK_NOFOLLOW);
	if (r == 0)
		r = mount_bind(c->mounts, &to.path, &from.path, mount_flags(from.path.mount), false);
	walk_end(&from);
	walk_end(&to);
	return r;
}

void setup_console(struct sandbox_container *c, int terminal)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/dev/pts/%d", terminal);
	r = setup_bind_console(c, path);
	if (r < 0)
		log_info("no /dev/console: %s", strerror(-r));
}

/* Made if it is missing, as container engines do. */
static int setup_cwd(struct sandbox_container *c, const char *cwd, struct coffer_error *err)
{
	struct walk walk;
	int r;

	machine_walk_container(&walk, c);
	r = machine_mkdirs(&walk, cwd, 0755, err);
	walk_end(&walk);
	return r < 0 ? err_wrap(err, "process.cwd") : 0;
}

int setup_start(struct sandbox_container *c, const struct oci_process *p, bool init,
		struct file *const stdio[3], struct tty *tty, struct process **out,
		struct coffer_error *err)
{
	struct rlimit limits[RLIM_NLIMITS];
	struct process_start args = {
		.container = c,
		.argv = p->args.v,
		.envp = p->env.v,
		.cwd = p->cwd,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.tty = tty,
		.limits = limits,
		.init = init,
		.no_new_privs = p->no_new_privileges,
		.umask = p->user.umask.set ? p->user.umask.v : 022,
	};
	int r = setup_rlimits(p, limits, err);

	if (r == 0)
		r = setup_cwd(c, p->cwd, err);
	if (r < 0)
		return r;
	if (p->oom_score_adj.set && init)
		c->oom_score_adj = p->oom_score_adj.v;
	args.cred = setup_cred(p);
	if (!args.cred)
		return err_nomem(err);
	r = process_start(&args, out, err);
	cred_put(args.cred);
	return r;
}
