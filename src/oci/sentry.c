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
 * Callers: creation.c, run.c, start.c, exec.c, kill.c, pause.c, update.c.
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
#define SENTRY_END_BUDGET (10 * USEC_PER_SEC)

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

/* The user namespace becomes that of the sentry, too: ids are the same inside. */
static int sentry_namespaces(struct oci_spec *inside, struct oci_spec *host,
			     struct coffer_error *err)
{
	const struct oci_namespace *net = oci_namespace_find(inside, "network");
	int r = oci_namespace_add(host, "mount", NULL, err);

	if (r == 0 && net)
		r = oci_namespace_add(host, "network", net->path, err);
	if (r < 0 || !oci_namespace_find(inside, "user"))
		return r;
	oci_namespace_drop(inside, "user");
	host->linux_->uid_mappings = inside->linux_->uid_mappings;
	host->linux_->gid_mappings = inside->linux_->gid_mappings;
	inside->linux_->uid_mappings = (struct oci_id_mappings){ 0 };
	inside->linux_->gid_mappings = (struct oci_id_mappings){ 0 };
	return oci_namespace_add(host, "user", NULL, err);
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
		free(steal_ptr(l->resources->pids));
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
	int r = sentry_document(state, inside, err);

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

/* One of our own: the process's id, and the name of its document. */
static void sentry_exec_name(char name[static SENTRY_ID_MAX])
{
	snprintf(name, SENTRY_ID_MAX, "exec-%d", (int)getpid());
}

static void sentry_exec_verdict_name(char name[static SENTRY_ID_MAX])
{
	snprintf(name, SENTRY_ID_MAX, SENTRY_VERDICT_OF "exec-%d", (int)getpid());
}

int sentry_exec_listen(const struct state_dir *dir, struct coffer_error *err)
{
	char name[SENTRY_ID_MAX];

	sentry_exec_verdict_name(name);
	return sentry_verdict_listen(dir, name, err);
}

int sentry_exec_verdict(const struct state_dir *dir, int sock, const struct child *process,
			struct coffer_error *err)
{
	char name[SENTRY_ID_MAX];
	int r = sentry_verdict(sock, process, err);

	sentry_exec_verdict_name(name);
	unlinkat(dir->fd, name, 0);
	return r;
}

int sentry_exec(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		const struct oci_spec *inside, struct oci_spec *spec, struct coffer_error *err)
{
	autofree char *path = path_join(oci->root, state->id);
	struct oci_process *process = NULL;
	char name[SENTRY_ID_MAX];
	const char *args[] = { "exec", path, state->id, name, NULL };
	int r;

	sentry_exec_name(name);
	/* Read and removed by the helper. */
	r = path ? sentry_write(dir, name, inside, err) : err_nomem(err);
	if (r == 0)
		r = sentry_process(inside->process, args, &process, err);
	if (r < 0)
		return r;
	oci_process_free(spec->process);
	spec->process = process;
	return 0;
}

/* ---- what only the sentry can do ---- */

/* What it says is the error. */
static int sentry_call_end(struct child *child, int said, struct coffer_error *err)
{
	char text[sizeof(err->message)];
	ssize_t n = io_read_full(said, text, sizeof(text) - 1);
	siginfo_t si;
	int r = child_wait(child, USEC_INFINITY, &si);

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (r == 0 && spawn_exit_code(&si) != 0)
		r = err_internal(err, "%s", text[0] ? text : SENTRY_HELPER " failed");
	return r;
}

/* @word: what follows the container, or NULL */
static int sentry_call(const struct oci *oci, const struct state *state, const char *verb,
		       const char *word, struct coffer_error *err)
{
	static const char *const envp[] = { NULL };
	autofree char *program = NULL, *dir = path_join(oci->root, state->id);
	const char *args[] = { SENTRY_HELPER, verb, dir, state->id, word, NULL };
	autochild struct child child = CHILD_INIT;
	autoclose int said = -1, saying = -1;
	struct spawn_args spawn = { .argv = args, .envp = envp, .nfds = 1 };
	struct spawn_fd fd = { .target = STDERR_FILENO };
	int ends[2] = { -1, -1 };
	int r = dir ? paths_find_program(SENTRY_HELPER, &program, err) : err_nomem(err);

	if (r == 0 && pipe2(ends, O_CLOEXEC) < 0)
		r = err_sys(err, "pipe");
	if (r < 0)
		return r;
	said = ends[0];
	saying = fd.fd = ends[1];
	spawn.path = program;
	spawn.fds = &fd;
	r = spawn_exec(&spawn, &child, err);
	close_fd(&saying);
	return r < 0 ? r : sentry_call_end(&child, said, err);
}

int sentry_freeze(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		  bool freeze, struct coffer_error *err)
{
	autoclose int mark = -1;
	int r = sentry_call(oci, state, freeze ? "freeze" : "thaw", NULL, err);

	if (r < 0)
		return r;
	if (!freeze)
		return unlinkat(dir->fd, STATE_PAUSED, 0) < 0 ? err_sys(err, "unmark") : 0;
	mark = openat(dir->fd, STATE_PAUSED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return mark < 0 ? err_sys(err, "mark as paused") : 0;
}

int sentry_signal(const struct oci *oci, const struct state *state, int sig,
		  struct coffer_error *err)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", sig);
	return sentry_call(oci, state, "signal", number, err);
}

/* ---- limits ---- */

/* One that was not started yet has nothing but its document. */
static int sentry_update_document(const struct state_dir *dir, const struct oci_resources *res,
				  struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *inside = NULL;
	int r = sentry_read(dir, &inside, err);

	if (r < 0)
		return r;
	if (!oci_memory_get(inside) || !oci_pids_get(inside))
		return err_nomem(err);
	if (res->memory && res->memory->limit.set)
		inside->linux_->resources->memory->limit = res->memory->limit;
	if (res->pids && res->pids->limit)
		inside->linux_->resources->pids->limit = res->pids->limit;
	return sentry_write(dir, SENTRY_DOCUMENT, inside, err);
}

int sentry_update(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		  bool started, struct oci_resources *res, struct coffer_error *err)
{
	bool memory = res->memory && res->memory->limit.set;
	int64_t pids = res->pids ? res->pids->limit : 0;
	char text[128];
	int n = 0, r = 0;

	n += snprintf(text, sizeof(text), "{");
	if (memory)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\"memory\":{\"limit\":%lld}%s",
			      (long long)res->memory->limit.v, pids ? "," : "");
	if (pids)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "\"pids\":{\"limit\":%lld}",
			      (long long)pids);
	snprintf(text + n, sizeof(text) - (size_t)n, "}");
	if (memory || pids)
		r = started ? sentry_call(oci, state, "update", text, err)
			    : sentry_update_document(dir, res, err);
	if (res->pids)
		res->pids->limit = 0;
	return r;
}

/* ---- what came of the start ---- */

int sentry_verdict_listen(const struct state_dir *dir, const char *name, struct coffer_error *err)
{
	unlinkat(dir->fd, name, 0);
	return io_unix_listen(dir->fd, name, SOCK_DGRAM, 0600, err);
}

static int sentry_read_verdict(int sock, const struct child *init, struct coffer_error *err)
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
		return err_internal(err, "the process ended before its start");
	text[n] = '\0';
	code = text[0] ? atoi(text) : 0;
	return code ? err_set(err, COFFER_ERR_INTERNAL, code, "%s", strchr(text, ' ') + 1) : 0;
}

int sentry_verdict(int sock, const struct child *init, struct coffer_error *err)
{
	int r = sentry_read_verdict(sock, init, err);

	/* Who is told that it failed deletes it at once: it must not be found running. */
	if (r < 0 && io_wait(init->pidfd, POLLIN, deadline_in(SENTRY_END_BUDGET)) <= 0) {
		child_kill(init, SIGKILL);
		io_wait(init->pidfd, POLLIN, deadline_in(SENTRY_END_BUDGET));
	}
	return r;
}
