/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/sentry.c - containers on an application kernel
 *
 * For the engine such a container is a program of the host, coffer-oci-sentry: it has the
 * container's control group, network namespace, standard streams or terminal, and its pid is the
 * container's.  It boots a sentry, runs the document inside, passes signals on, and ends as the
 * container's init does; a further process has one of its own.  So the commands need to know
 * little more than that there are two documents:
 *
 *	config.json  for the engine: the helper, with what of the original concerns the host
 *	inside.json  for the sentry: the original, with absolute paths
 *
 * Callers: creation.c, run.c, start.c, exec.c, kill.c.
 */
#define LOG_CATEGORY "sentry"
#include "oci/sentry.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/paths.h"
#include "oci/sentry_names.h"

#define SENTRY_HELPER "coffer-oci-sentry"

bool sentry_inside(const struct state_dir *dir)
{
	return faccessat(dir->fd, SENTRY_DOCUMENT, F_OK, 0) == 0;
}

int sentry_read(const struct state_dir *dir, struct oci_spec **out, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(dir->fd, SENTRY_DOCUMENT, OCI_JSON_MAX, &text, &len, err);

	return r < 0 ? r : oci_spec_parse(text, len, out, err);
}

/* ---- the document of what is inside ---- */

/* What would fail in the sentry for sure fails before anything is made. */
static int sentry_check_host(const struct oci_spec *spec, struct coffer_error *err)
{
	const struct oci_linux *l = spec->linux_;

	for (size_t i = 0; l && i < l->namespaces.n; i++)
		if (l->namespaces.v[i].path && strcmp(l->namespaces.v[i].type, "network") != 0)
			return err_unsupported(err, "linux.namespaces: %s of another process, in "
						    "a sentry", l->namespaces.v[i].type);
	if (l && l->devices.n > 0)
		return err_unsupported(err, "linux.devices: %s: devices of the host, in a sentry",
				       l->devices.v[0].path);
	return 0;
}

static int sentry_check(const struct oci_spec *spec, struct coffer_error *err)
{
	if (oci_namespace_find(spec, "user") ||
	    (spec->linux_ && spec->linux_->uid_mappings.n > 0))
		return err_unsupported(err, "linux.namespaces: user, in a sentry");
	if (spec->hooks && (spec->hooks->create_container.n || spec->hooks->start_container.n))
		return err_unsupported(err, "hooks.createContainer, startContainer: in a sentry");
	return sentry_check_host(spec, err);
}

static bool sentry_is_bind(const struct oci_mount *m)
{
	bool bind = m->type && strcmp(m->type, "bind") == 0;

	for (size_t i = 0; i < m->options.n; i++)
		bind |= strcmp(m->options.v[i], "bind") == 0 ||
			strcmp(m->options.v[i], "rbind") == 0;
	return bind;
}

static int sentry_check_binds(const struct oci_spec *spec, struct coffer_error *err)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];
		struct stat st;

		if (!sentry_is_bind(m) || !m->source)
			continue;
		if (stat(m->source, &st) < 0)
			return err_sys(err, "mount %s: %s", m->destination, m->source);
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			return err_unsupported(err, "mount %s: %s: a device, socket or pipe of the "
						    "host, in a sentry", m->destination, m->source);
	}
	return 0;
}

static int sentry_absolute(const struct state *state, struct oci_spec *spec,
			   struct coffer_error *err)
{
	int r = oci_str_set(&spec->root->path, state->rootfs, err);

	for (size_t i = 0; r == 0 && i < spec->mounts.n; i++) {
		struct oci_mount *m = &spec->mounts.v[i];
		autofree char *path = NULL;

		if (!m->source || m->source[0] == '/' || !strchr(m->source, '/'))
			continue;
		path = path_join(state->bundle, m->source);
		r = path ? oci_str_set(&m->source, path, err) : err_nomem(err);
	}
	return r;
}

static int sentry_write(const struct state_dir *dir, const char *name, const struct oci_spec *spec,
			struct coffer_error *err)
{
	autofree char *text = oci_spec_to_json(spec, err);

	return text ? io_swap_file(dir->fd, name, text, strlen(text), 0600, err)
		    : err_wrap(err, "%s", name);
}

/* ---- the document for the engine ---- */

/* It opens what the document names and makes the sentry's namespaces: it has all rights we have. */
static int sentry_rights(struct oci_process *p, struct coffer_error *err)
{
	struct oci_strv *sets[3];
	int r = 0;

	p->capabilities = calloc(1, sizeof(*p->capabilities));
	if (!p->capabilities)
		return err_nomem(err);
	sets[0] = &p->capabilities->bounding;
	sets[1] = &p->capabilities->effective;
	sets[2] = &p->capabilities->permitted;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sets); i++)
		r = oci_strv_set(sets[i], oci_words(OCI_WORDS_CAPABILITY), err);
	return r;
}

static int sentry_process(const struct oci_process *inside, const char *const *args,
			  struct oci_process **out, struct coffer_error *err)
{
	auto_oci_process struct oci_process *p = calloc(1, sizeof(*p));
	autofree char *program = NULL;
	int r = p ? paths_find_program(SENTRY_HELPER, &program, err) : err_nomem(err);

	if (r < 0)
		return r;
	p->terminal = inside->terminal;
	p->oom_score_adj = inside->oom_score_adj;
	r = oci_strv_add(&p->args, program, err);
	for (; r == 0 && *args; args++)
		r = oci_strv_add(&p->args, *args, err);
	if (r == 0)
		r = oci_str_set(&p->cwd, "/", err);
	if (r == 0)
		r = oci_env_set(p, "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", err);
	if (r == 0)
		r = sentry_rights(p, err);
	if (r == 0)
		*out = steal_ptr(p);
	return r;
}

static int sentry_namespaces(const struct oci_spec *inside, struct oci_spec *host,
			     struct coffer_error *err)
{
	const struct oci_namespace *net = oci_namespace_find(inside, "network");
	int r = oci_namespace_add(host, "mount", NULL, err);

	return r == 0 && net ? oci_namespace_add(host, "network", net->path, err) : r;
}

/* Those of the network are the namespace's, which the engine makes; the rest is the sentry's. */
static int sentry_sysctls(struct oci_spec *inside, struct oci_spec *host, struct coffer_error *err)
{
	struct oci_pairs *pairs = &inside->linux_->sysctl;
	size_t left = 0;
	int r = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		struct oci_pair pair = pairs->v[i];

		if (strncmp(pair.key, "net", 3) != 0 || !strchr("./", pair.key[3])) {
			pairs->v[left++] = pair;
			continue;
		}
		if (r == 0)
			r = oci_pairs_set(&host->linux_->sysctl, pair.key, pair.value, err);
		free(pair.key);
		free(pair.value);
	}
	pairs->n = left;
	return r;
}

/* Its limits hold for the sentry with all it runs, but its own tasks are more than those inside. */
static int sentry_limits(const struct oci_spec *inside, struct oci_spec *host,
			 struct coffer_error *err)
{
	struct oci_linux *l = host->linux_;
	const char *group = inside->linux_->cgroups_path;
	autofree char *text = NULL;
	struct oci_spec *copy = NULL;
	int r = group ? oci_str_set(&l->cgroups_path, group, err) : 0;

	if (r < 0 || !inside->linux_->resources)
		return r;
	text = oci_spec_to_json(inside, err);
	r = text ? oci_spec_parse(text, strlen(text), &copy, err) : -ENOMEM;
	if (r == 0) {
		l->resources = steal_ptr(copy->linux_->resources);
		if (l->resources->pids)
			l->resources->pids->limit = -1;
	}
	oci_spec_free(copy);
	return r;
}

/* The host as it is, seen from where nobody else's mounts are held. */
static int sentry_root(struct oci_spec *host, struct coffer_error *err)
{
	static const char *const options[] = { "rbind", NULL };
	int r = oci_str_set(&host->root->path, "/", err);

	if (r == 0)
		r = oci_str_set(&host->linux_->rootfs_propagation, "rslave", err);
	return r < 0 ? r : oci_mount_add(host, "/dev", "bind", "/dev", options, err);
}

static int sentry_host(const struct oci *oci, const struct state *state, struct oci_spec *inside,
		       struct oci_spec **out, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *host = calloc(1, sizeof(*host));
	autofree char *dir = path_join(oci->root, state->id);
	const char *args[] = { "init", dir, state->id, NULL };
	int r;

	if (host)
		host->root = calloc(1, sizeof(*host->root));
	if (!dir || !host || !host->root || !oci_linux_get(host))
		return err_nomem(err);
	r = oci_str_set(&host->oci_version, inside->oci_version, err);
	if (r == 0)
		r = sentry_process(inside->process, args, &host->process, err);
	if (r == 0)
		r = sentry_namespaces(inside, host, err);
	if (r == 0)
		r = sentry_root(host, err);
	if (r == 0)
		r = sentry_sysctls(inside, host, err);
	if (r == 0)
		r = sentry_limits(inside, host, err);
	if (r < 0)
		return r;
	host->hooks = steal_ptr(inside->hooks);
	host->annotations = inside->annotations;
	inside->annotations = (struct oci_pairs){ 0 };
	*out = steal_ptr(host);
	return 0;
}

int sentry_adopt(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		 struct oci_spec **spec, struct coffer_error *err)
{
	struct oci_spec *inside = *spec, *host = NULL;
	int r = sentry_check(inside, err);

	if (r == 0 && !oci_linux_get(inside))
		r = err_nomem(err);
	if (r == 0)
		r = sentry_absolute(state, inside, err);
	if (r == 0)
		r = sentry_check_binds(inside, err);
	if (r == 0)
		r = sentry_program_find(inside, err);
	if (r == 0)
		r = sentry_host(oci, state, inside, &host, err);
	if (r == 0)
		r = sentry_write(dir, SENTRY_DOCUMENT, inside, err);
	if (r == 0)
		r = sentry_write(dir, STATE_CONFIG, host, err);
	if (r < 0) {
		oci_spec_free(host);
		return r;
	}
	oci_spec_free(inside);
	*spec = host;
	return 0;
}

int sentry_exec(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		const struct oci_spec *inside, struct oci_spec *spec, struct coffer_error *err)
{
	autofree char *path = path_join(oci->root, state->id);
	struct oci_process *process = NULL;
	char name[SENTRY_ID_MAX];
	const char *args[] = { "exec", path, state->id, name, NULL };
	int r;

	/* Read and removed by the helper, which has it as the process's id, too. */
	snprintf(name, sizeof(name), "exec-%d", (int)getpid());
	r = path ? sentry_write(dir, name, inside, err) : err_nomem(err);
	if (r == 0)
		r = sentry_process(inside->process, args, &process, err);
	if (r < 0)
		return r;
	oci_process_free(spec->process);
	spec->process = process;
	return 0;
}

/* ---- pause ---- */

static int sentry_call(const char *const args[], struct coffer_error *err)
{
	static const char *const envp[] = { NULL };
	autochild struct child child = CHILD_INIT;
	autofree char *program = NULL;
	const struct spawn_fd fds[] = { { STDERR_FILENO, STDERR_FILENO } };
	struct spawn_args spawn = { .argv = args, .envp = envp, .fds = fds, .nfds = 1 };
	siginfo_t si;
	int r = paths_find_program(SENTRY_HELPER, &program, err);

	spawn.path = program;
	if (r == 0)
		r = spawn_exec(&spawn, &child, err);
	if (r == 0)
		r = child_wait(&child, USEC_INFINITY, &si);
	if (r == 0 && spawn_exit_code(&si) != 0)
		r = err_internal(err, "%s %s failed", SENTRY_HELPER, args[1]);
	return r;
}

int sentry_freeze(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		  bool freeze, struct coffer_error *err)
{
	autofree char *path = path_join(oci->root, state->id);
	const char *args[] = { SENTRY_HELPER, freeze ? "freeze" : "thaw", path, state->id, NULL };
	autoclose int mark = -1;
	int r = path ? sentry_call(args, err) : err_nomem(err);

	if (r < 0)
		return r;
	if (!freeze)
		return unlinkat(dir->fd, STATE_PAUSED, 0) < 0 ? err_sys(err, "unmark") : 0;
	mark = openat(dir->fd, STATE_PAUSED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return mark < 0 ? err_sys(err, "mark as paused") : 0;
}

/* ---- what came of the start ---- */

int sentry_verdict_listen(const struct state_dir *dir, struct coffer_error *err)
{
	unlinkat(dir->fd, SENTRY_VERDICT, 0);
	return io_unix_listen(dir->fd, SENTRY_VERDICT, SOCK_DGRAM, 0600, err);
}

int sentry_verdict(int sock, const struct child *init, struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = sock, .events = POLLIN },
				{ .fd = init->pidfd, .events = POLLIN } };
	char text[sizeof(err->message)];
	ssize_t n;
	int code;

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		if (errno != EINTR)
			return err_sys(err, "poll");
	n = recv(sock, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n < 0)
		return err_internal(err, "the container's process ended before its start");
	text[n] = '\0';
	code = text[0] ? atoi(text) : 0;
	return code ? err_set(err, COFFER_ERR_INTERNAL, code, "%s", strchr(text, ' ') + 1) : 0;
}
