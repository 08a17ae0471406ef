/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/exec.c - exec: a further process in a container
 *
 * What it is comes from --process, or from the container's own document with
 * the options over it.  The exit code is the process's; 255 when there was
 * none.
 */
#define LOG_CATEGORY "exec"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/io.h"
#include "base/log.h"
#include "oci/console.h"
#include "oci/creation.h"
#include "oci/foreground.h"
#include "oci/handle.h"
#include "oci/inherit.h"
#include "oci/sentry.h"

struct exec_opts {
	bool help, tty, detach, no_new_privs, ignore_paused;
	const char *process, *cwd, *user, *console_socket, *pid_file, *process_label, *apparmor;
	struct opt_list env, caps, gids, cgroup;
	unsigned preserve_fds;
};

#define OCI_OPTS struct exec_opts

/* "1000" or "1000:100" */
static int exec_user(const char *text, struct oci_user *user, struct coffer_error *err)
{
	const char *group = strchr(text, ':');
	unsigned long uid, gid = user->gid;
	char *end;

	errno = 0;
	uid = strtoul(text, &end, 10);
	if (end == text || end != (group ? group : text + strlen(text)) || *text == '-' ||
	    uid > UINT32_MAX || errno)
		return err_invalid(err, "option --user: %s: not UID[:GID] in numbers", text);
	if (group) {
		gid = strtoul(group + 1, &end, 10);
		if (end == group + 1 || *end || group[1] == '-' || gid > UINT32_MAX || errno)
			return err_invalid(err, "option --user: %s: not UID[:GID] in numbers", text);
	}
	user->uid = (uint32_t)uid;
	user->gid = (uint32_t)gid;
	return 0;
}

static int exec_gids(const struct opt_list *gids, struct oci_user *user, struct coffer_error *err)
{
	for (size_t i = 0; i < gids->n; i++) {
		uint32_t *v = reallocarray(user->additional_gids.v, user->additional_gids.n + 1,
					   sizeof(*v));
		unsigned long gid;
		char *end;

		if (!v)
			return err_nomem(err);
		user->additional_gids.v = v;
		errno = 0;
		gid = strtoul(gids->v[i], &end, 10);
		if (end == gids->v[i] || *end || *gids->v[i] == '-' || gid > UINT32_MAX || errno)
			return err_invalid(err, "option --additional-gids: %s: not a number",
					   gids->v[i]);
		v[user->additional_gids.n++] = (uint32_t)gid;
	}
	return 0;
}

/* Into every set: also that of a user who is not root. */
static int exec_cap(const char *name, struct oci_capabilities *caps, struct coffer_error *err)
{
	struct oci_strv *const sets[] = { &caps->bounding, &caps->effective, &caps->permitted,
					  &caps->ambient };
	int cap = oci_capability(name), r = 0;

	if (cap == -EINVAL)
		return err_invalid(err, "option --cap: \"%s\" is not a capability name (CAP_...)",
				   name);
	if (cap < 0) {
		log_warning("option --cap: unknown capability %s is left out", name);
		return 0;
	}
	for (size_t set = 0; r == 0 && set < ARRAY_SIZE(sets); set++)
		r = oci_strv_add(sets[set], name, err);
	return r;
}

static int exec_caps(const struct opt_list *caps, struct oci_process *p, struct coffer_error *err)
{
	int r = 0;

	if (caps->n > 0 && !p->capabilities)
		p->capabilities = calloc(1, sizeof(*p->capabilities));
	if (caps->n > 0 && !p->capabilities)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < caps->n; i++)
		r = exec_cap(caps->v[i], p->capabilities, err);
	return r;
}

/* A variable takes the place of the container's own: most programs go by the first they find. */
static int exec_variable(const char *word, struct oci_process *p, struct coffer_error *err)
{
	const char *value = strchr(word, '=');
	autofree char *key = value ? strndup(word, (size_t)(value - word)) : NULL;

	if (!value)
		return oci_strv_add(&p->env, word, err);
	return key ? oci_env_set(p, key, value + 1, err) : err_nomem(err);
}

static int exec_env(const struct opt_list *env, struct oci_process *p, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < env->n; i++)
		r = exec_variable(env->v[i], p, err);
	return r;
}

static int exec_override(const struct exec_opts *opts, char *args[], struct oci_process *p,
			 struct coffer_error *err)
{
	int r = oci_strv_set(&p->args, (const char *const *)args, err);

	p->terminal = opts->tty;
	p->no_new_privileges |= opts->no_new_privs;
	if (r == 0 && opts->cwd)
		r = oci_str_set(&p->cwd, opts->cwd, err);
	if (r == 0 && opts->apparmor)
		r = oci_str_set(&p->apparmor_profile, opts->apparmor, err);
	if (r == 0 && opts->process_label)
		r = oci_str_set(&p->selinux_label, opts->process_label, err);
	if (r == 0 && opts->user)
		r = exec_user(opts->user, &p->user, err);
	if (r == 0)
		r = exec_gids(&opts->gids, &p->user, err);
	if (r == 0)
		r = exec_caps(&opts->caps, p, err);
	return r < 0 ? r : exec_env(&opts->env, p, err);
}

static int exec_read(const char *path, struct oci_process **out, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(AT_FDCWD, path, OCI_JSON_MAX, &text, &len, err);

	return r < 0 ? r : oci_process_parse(text, len, out, err);
}

/* The document's process becomes the new one's: nobody needs it as it was. */
static int exec_process(const struct exec_opts *opts, int nargs, char *args[],
			struct oci_spec *spec, struct coffer_error *err)
{
	struct oci_process *process = NULL;
	int r;

	if (!opts->process && nargs == 0)
		return err_invalid(err, "process args cannot be empty");
	if (opts->process) {
		r = exec_read(opts->process, &process, err);
		if (r < 0)
			return r;
		oci_process_free(spec->process);
		spec->process = process;
	} else {
		r = exec_override(opts, args, spec->process, err);
		if (r < 0)
			return r;
	}
	return oci_process_validate(spec->process, "process", err);
}

struct exec {
	const struct exec_opts *opts;
	struct handle h;
	struct foreground fg;
	struct engine_process process;
	int console;
};

static int exec_run(struct exec *e, unsigned inherited, struct coffer_error *err)
{
	struct engine_exec_args args = ENGINE_EXEC_ARGS_INIT;
	const struct exec_opts *opts = e->opts;
	bool inside = sentry_inside(&e->h.dir);
	autoclose int verdict = -1;
	int r;

	if (inside) {
		verdict = sentry_exec_listen(&e->h.dir, err);
		if (verdict < 0)
			return verdict;
	}
	args.process = e->h.spec->process;
	args.stdio = (struct engine_stdio){ 0, 1, 2 };
	args.preserve_fds = inherited;
	args.cgroups = opts->cgroup.v;
	args.ncgroups = opts->cgroup.n;
	args.own_mounts = inside;
	r = engine_exec(e->h.engine, &args, &e->process, err);
	if (r < 0)
		return r;
	if (e->console >= 0)
		r = console_send(e->console, e->process.ptmx, err);
	else if (args.process->terminal)
		r = foreground_terminal(&e->fg, e->process.ptmx, err);
	if (r == 0 && opts->pid_file)
		r = inherit_write_pid(opts->pid_file, e->process.child.pid, err);
	if (r == 0 && inside)
		r = sentry_exec_verdict(&e->h.dir, verdict, &e->process.child, err);
	if (r < 0)
		child_end(&e->process.child);
	else
		log_debug("process %d in container %s", (int)e->process.child.pid, e->h.state.id);
	return r;
}

/* What is asked for is what the sentry gets; the engine runs who stands for it. */
static int exec_inside(const struct exec *e, const struct oci *oci, int nargs, char *args[],
		       struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *inside = NULL;
	int r;

	if (e->h.status == STATUS_CREATED)
		return err_unsupported(err, "exec before start, in a sentry");
	if (e->opts->preserve_fds > 0)
		return err_unsupported(err, "--preserve-fds in a sentry");
	r = sentry_read(&e->h.dir, &inside, err);
	if (r == 0)
		r = exec_process(e->opts, nargs, args, inside, err);
	return r < 0 ? r : sentry_exec(oci, &e->h.dir, &e->h.state, inside, e->h.spec, err);
}

static int exec_prepare(struct exec *e, const struct oci *oci, int nargs, char *args[],
			unsigned *inherited, struct coffer_error *err)
{
	const struct exec_opts *opts = e->opts;
	unsigned allowed = STATUS_BIT(STATUS_CREATED) | STATUS_BIT(STATUS_RUNNING) |
			   (opts->ignore_paused ? STATUS_BIT(STATUS_PAUSED) : 0);
	/* What goes into a paused container waits there for the one who ends the pause. */
	enum state_lock lock = opts->ignore_paused ? STATE_UNLOCKED : STATE_SHARED;
	int r = inherit_prepare(opts->preserve_fds, NULL, inherited, err);

	if (r == 0)
		r = handle_open(oci, args[0], lock, allowed, "exec in", &e->h, err);
	if (r == 0)
		r = handle_attach(&e->h, -1, err);
	if (r == 0)
		r = sentry_inside(&e->h.dir) ? exec_inside(e, oci, nargs - 1, args + 1, err)
					     : exec_process(opts, nargs - 1, args + 1, e->h.spec, err);
	if (r == 0)
		r = console_check(e->h.spec->process->terminal, opts->detach,
				  opts->console_socket, err);
	if (r == 0 && opts->console_socket)
		r = console_connect(opts->console_socket, &e->console, err);
	if (r == 0 && !opts->detach)
		r = foreground_begin(&e->fg, err);
	return r;
}

static int exec_go(struct exec *e, const struct oci *oci, int nargs, char *args[],
		   struct coffer_error *err)
{
	unsigned inherited;
	int r = exec_prepare(e, oci, nargs, args, &inherited, err);

	if (r == 0)
		r = exec_run(e, inherited, err);
	if (r < 0)
		return r;
	/* The container may end, or be deleted, while the process runs. */
	state_dir_unlock(&e->h.dir);
	return e->opts->detach ? 0 : foreground_wait(&e->fg, &e->process.child, err);
}

static int exec_main(const struct oci *oci, const void *data, int nargs, char *args[],
		     struct coffer_error *err)
{
	struct exec e = { .opts = data, .h = HANDLE_INIT, .fg = FOREGROUND_INIT,
			  .process = ENGINE_PROCESS_INIT, .console = -1 };
	int r = exec_go(&e, oci, nargs, args, err);

	foreground_free(&e.fg);
	close_fd(&e.process.ptmx);
	close_fd(&e.process.child.pidfd);
	close_fd(&e.console);
	handle_close(&e.h);
	return r;
}

static const struct opt_row exec_rows[] = {
	OCI_TEXT("process", 'p', process, "FILE", "JSON of the process; other options are ignored"),
	OCI_FLAG("tty", 't', tty, "Run it on a terminal"),
	OCI_TEXT("cwd", 0, cwd, "DIR", "Working directory"),
	OCI_MANY("env", 'e', env, "KEY=VALUE", "Set a variable"),
	OCI_TEXT("user", 'u', user, "UID[:GID]", "Ids to run as"),
	OCI_MANY("additional-gids", 'g', gids, "GID", "A further group"),
	OCI_MANY("cap", 'c', caps, "CAP", "A further capability"),
	OCI_FLAG("no-new-privs", 0, no_new_privs, "Set no_new_privs"),
	OCI_FLAG("detach", 'd', detach, "Do not wait for it to end"),
	OCI_TEXT("pid-file", 0, pid_file, "FILE", "Write its pid there"),
	OCI_TEXT("console-socket", 0, console_socket, "PATH",
		 "Unix socket that gets the terminal's master"),
	OCI_TEXT("process-label", 0, process_label, "LABEL", "SELinux label"),
	OCI_TEXT("apparmor", 0, apparmor, "PROFILE", "AppArmor profile"),
	{ "preserve-fds", 0, OPT_COUNT, offsetof(struct exec_opts, preserve_fds), "N",
	  "Pass descriptors 3 to 3+N-1 on", 0, CREATION_PRESERVE_MAX },
	OCI_MANY("cgroup", 0, cgroup, "[CONTROLLER,...:]PATH",
		 "Go into a group below the container's"),
	OCI_FLAG("ignore-paused", 0, ignore_paused, "Also in a paused container"),
	OCI_ROW_HELP,
};

const struct oci_command oci_exec = {
	.name = "exec",
	.usage = "[OPTION...] ID COMMAND [ARG...]",
	.help = "Run a further process in a container",
	.fn = exec_main,
	.rows = exec_rows,
	.nrows = ARRAY_SIZE(exec_rows),
	.min_args = 1,
	.max_args = -1,
	.enters = true,
	.options_first = true,
	.failure = OCI_EXIT_EXEC,
};
