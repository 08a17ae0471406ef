/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/sentry.c - a sandbox that is an application kernel, coffer-sentry
 *
 *	boot()   sockets in the run directory, spawn coffer-sentry in namespaces of its own
 *	ready()  its greeting on the status socket
 *	stop()   close the lifetime socket; it and all its processes end
 *
 * The contract is the virtual machine's; a port is a unix socket in the run directory: host to
 * inside guest_<port>, inside to host vsock.sock_<port>, as hybrid.c names them.
 *
 * Threads: see sandbox.h. What a second thread may meet of the end is under lock.
 */
#define LOG_CATEGORY "sentry"
#include "sandbox/sentry.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_extras.pb-c.h"
#include "base/io.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/spawn.h"
#include "sandbox/agent_client.h"
#include "sandbox/hello.h"
#include "sandbox/hybrid.h"
#include "sandbox/oom.h"
#include "sandbox/vm_cost.h"
#include "sentry/config.h"

#define SENTRY_BOOT_BUDGET (10 * USEC_PER_SEC)
#define SENTRY_STOP_BUDGET (5 * USEC_PER_SEC)
#define SENTRY_END_BUDGET  (2 * USEC_PER_SEC)
#define SENTRY_FREEZE_BUDGET (10 * USEC_PER_SEC) /* more than its own */
#define SENTRY_LINE_MAX	   512
#define SENTRY_CHILDREN_MAX (1u << 20)
#define SENTRY_COST_MAX	   4096
#define SENTRY_MAP_MAX	   4096 /* the kernel's own limit is a page */

_Static_assert(SENTRY_TREES_MAX == SANDBOX_SHARES_MAX, "as many");
_Static_assert(SENTRY_DISKS_MAX == SANDBOX_DISKS_MAX, "as many");
_Static_assert(SENTRY_TAG_MAX == SANDBOX_TAG_MAX, "one name");

/* Numbers in the child. */
enum sentry_fd {
	SENTRY_FD_CONFIG = 3,
	SENTRY_FD_PORTS,
	SENTRY_FD_LISTEN,
	SENTRY_FD_LIFETIME,
	SENTRY_FD_STATUS,
	SENTRY_FD_ARCHIVE,
	SENTRY_FD_TRACE,
	SENTRY_FD_TREE, /* and on, and after them the disks */
};

#define SENTRY_FDS_MAX (1 + SENTRY_FD_TREE + SENTRY_TREES_MAX + SENTRY_DISKS_MAX)

struct sentry {
	struct sandbox sb;
	struct sandbox_config cfg;
	char *program;	      /* coffer-sentry; owned */
	int lifetime_fd;      /* our end; owned, as all below */
	int status_fd;
	int trace_fd;
	struct sandbox_info info;
	bool paused;

	pthread_mutex_t lock; /* guards what follows */
	struct child child;
	struct vm_process process;
	int end_fd;
	bool has_ended;
	struct sandbox_end end;
	uint64_t oom_kills;
};

static struct sentry *sentry_from(struct sandbox *sb)
{
	return container_of(sb, struct sentry, sb);
}

/* ---- configuration ---- */

static void sentry_fill(const struct sentry *s, struct sentry_config *cfg)
{
	*cfg = (struct sentry_config){
		.magic = SENTRY_CONFIG_MAGIC,
		.size = sizeof(*cfg),
		.memory = s->cfg.memory,
		.cpus = s->cfg.cpus,
		.strace = s->cfg.strace,
		.network = s->cfg.network,
		.archive_fd = s->cfg.archive_fd >= 0 ? SENTRY_FD_ARCHIVE : -1,
		.trace_fd = s->trace_fd >= 0 ? SENTRY_FD_TRACE : -1,
		.ports_fd = SENTRY_FD_PORTS,
		.listen_fd = SENTRY_FD_LISTEN,
		.lifetime_fd = SENTRY_FD_LIFETIME,
		.status_fd = SENTRY_FD_STATUS,
		.log_level = LOG_LEVEL_ERROR,
		.log_format = sandbox_log.format,
		.ntrees = s->cfg.nshares,
		.ndisks = s->cfg.ndisks,
	};
	snprintf(cfg->id, sizeof(cfg->id), "%s", s->cfg.dir->id);
	while (cfg->log_level < LOG_LEVEL_DEBUG && log_enabled(cfg->log_level + 1))
		cfg->log_level++;
	for (unsigned i = 0; i < cfg->ntrees; i++) {
		const struct sandbox_share *share = &s->cfg.shares[i];
		struct sentry_tree *tree = &cfg->trees[i];

		*tree = (struct sentry_tree){ .fd = SENTRY_FD_TREE + (int)i,
					      .read_only = share->read_only };
		snprintf(tree->file, sizeof(tree->file), "%s", share->file);
		snprintf(tree->tag, sizeof(tree->tag), "%s", share->tag);
	}
	for (unsigned i = 0; i < cfg->ndisks; i++) {
		const struct sandbox_disk *disk = &s->cfg.disks[i];

		cfg->disks[i] = (struct sentry_disk){
			.fd = SENTRY_FD_TREE + (int)(cfg->ntrees + i),
			.read_only = disk->read_only,
		};
		snprintf(cfg->disks[i].serial, sizeof(cfg->disks[i].serial), "%s",
			 disk->serial ? disk->serial : "");
	}
}

/* Return: memory file with the configuration, at its start; or negative errno */
static int sentry_write_config(const struct sentry *s, struct coffer_error *err)
{
	autoclose int fd = memfd_create("coffer-sentry", MFD_CLOEXEC);
	autofree struct sentry_config *cfg = malloc(sizeof(*cfg));
	int r;

	if (fd < 0)
		return err_sys(err, "memfd_create");
	if (!cfg)
		return err_nomem(err);
	sentry_fill(s, cfg);
	r = io_write_full(fd, cfg, sizeof(*cfg));
	if (r < 0)
		return err_sysn(err, r, "write the sentry's configuration");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "rewind the sentry's configuration");
	return steal_fd(&fd);
}

/* ---- the process ---- */

#define SENTRY_PORT_NAME_MAX 24

static void sentry_port_name(char name[static SENTRY_PORT_NAME_MAX], uint32_t port)
{
	snprintf(name, SENTRY_PORT_NAME_MAX, "guest_%u", port);
}

static int sentry_listen_contract(const struct sentry *s, struct coffer_error *err)
{
	char name[SENTRY_PORT_NAME_MAX];

	sentry_port_name(name, AGENT_PORT);
	return io_unix_listen(s->cfg.dir->vm_fd, name, SOCK_STREAM, 0600, err);
}

/* Each id there is keeps its number: "0 1000 1" here is "0 0 1" in there. */
static int sentry_same_ids(const char *name, char map[static SENTRY_MAP_MAX],
			   struct coffer_error *err)
{
	autofree char *text = NULL;
	unsigned first, outside, count;
	size_t len = 0;
	int used, r = io_read_file(AT_FDCWD, name, SENTRY_MAP_MAX, &text, NULL, err);

	for (const char *p = text; r == 0 && sscanf(p, "%u %u %u\n%n", &first, &outside, &count,
						    &used) == 3; p += used) {
		len += (size_t)snprintf(map + len, SENTRY_MAP_MAX - len, "%u %u %u\n", first,
					first, count);
		if (len >= SENTRY_MAP_MAX)
			return err_sysn(err, ENOSPC, "%s", name);
	}
	return r;
}

/* Root keeps all ids there are; anybody else is root of a namespace of one. */
static int sentry_map(pid_t child, const char *name, unsigned own, struct coffer_error *err)
{
	char path[48], map[SENTRY_MAP_MAX];
	int r = 0;

	snprintf(map, sizeof(map), "0 %u 1", own);
	if (geteuid() == 0) {
		snprintf(path, sizeof(path), "/proc/self/%s", name);
		r = sentry_same_ids(path, map, err);
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, name);
	return r < 0 ? r : io_write_file(AT_FDCWD, path, map, err);
}

static int sentry_map_ids(void *data, pid_t child, struct coffer_error *err)
{
	char path[48];
	int r = sentry_map(child, "uid_map", geteuid(), err);

	if (r == 0 && geteuid() != 0) {
		snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)child);
		r = io_write_file(AT_FDCWD, path, "deny", err);
	}
	return r < 0 ? r : sentry_map(child, "gid_map", getegid(), err);
}

static int sentry_exec(struct sentry *s, const struct spawn_fd *fds, size_t nfds,
		       struct coffer_error *err)
{
	const char *argv[] = { "coffer-sentry", "--config-fd", "3", NULL };
	const char *envp[] = { NULL };
	struct spawn_args args = { .path = s->program,
				   .argv = argv,
				   .envp = envp,
				   .fds = fds,
				   .nfds = nfds,
				   .new_session = true,
				   .clone_flags = CLONE_NEWUSER | CLONE_NEWPID,
				   .parent_hook = sentry_map_ids };

	return spawn_exec(&args, &s->child, err);
}

static int sentry_sockets(struct sentry *s, int lifetime[2], int status[2],
			  struct coffer_error *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lifetime) < 0)
		return err_sys(err, "socketpair");
	s->lifetime_fd = lifetime[0];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status) < 0)
		return err_sys(err, "socketpair");
	s->status_fd = status[0];
	return 0;
}

static int sentry_spawn(struct sentry *s, struct coffer_error *err)
{
	autoclose int config_fd = sentry_write_config(s, err), listen_fd = -1;
	int lifetime[2] = { -1, -1 }, status[2] = { -1, -1 }, r;
	struct spawn_fd fds[SENTRY_FDS_MAX];
	size_t n = 0;

	if (config_fd < 0)
		return config_fd;
	listen_fd = sentry_listen_contract(s, err);
	if (listen_fd < 0)
		return listen_fd;
	r = sentry_sockets(s, lifetime, status, err);
	fds[n++] = (struct spawn_fd){ config_fd, SENTRY_FD_CONFIG };
	fds[n++] = (struct spawn_fd){ s->cfg.dir->vm_fd, SENTRY_FD_PORTS };
	fds[n++] = (struct spawn_fd){ listen_fd, SENTRY_FD_LISTEN };
	fds[n++] = (struct spawn_fd){ lifetime[1], SENTRY_FD_LIFETIME };
	fds[n++] = (struct spawn_fd){ status[1], SENTRY_FD_STATUS };
	if (s->cfg.archive_fd >= 0)
		fds[n++] = (struct spawn_fd){ s->cfg.archive_fd, SENTRY_FD_ARCHIVE };
	for (unsigned i = 0; i < s->cfg.nshares; i++)
		fds[n++] = (struct spawn_fd){ s->cfg.shares[i].fd, SENTRY_FD_TREE + (int)i };
	for (unsigned i = 0; i < s->cfg.ndisks; i++)
		fds[n++] = (struct spawn_fd){ s->cfg.disks[i].fd,
					      SENTRY_FD_TREE + (int)(s->cfg.nshares + i) };
	if (s->trace_fd >= 0)
		fds[n++] = (struct spawn_fd){ s->trace_fd, SENTRY_FD_TRACE };
	if (sandbox_log.fd >= 0)
		fds[n++] = (struct spawn_fd){ sandbox_log.fd, STDERR_FILENO };
	if (r == 0)
		r = sentry_exec(s, fds, n, err);
	close_fd(&lifetime[1]);
	close_fd(&status[1]);
	return r < 0 ? err_wrap(err, "start %s", s->program) : 0;
}

static int sentry_boot(struct sandbox *sb, struct coffer_error *err)
{
	struct sentry *s = sentry_from(sb);
	int r;

	s->has_ended = false;
	s->end = (struct sandbox_end){ .exit_code = -1 };
	s->oom_kills = oom_count();
	s->info = (struct sandbox_info){ .spawned = clock_now() };
	r = sentry_spawn(s, err);
	if (r < 0)
		return r;
	r = rundir_note_machine(s->cfg.dir, s->child.pid, err);
	if (r < 0)
		return r;
	vm_cost_note(&s->process, "coffer-sentry", "", s->child.pid);
	s->end_fd = fcntl(s->child.pidfd, F_DUPFD_CLOEXEC, 3);
	return s->end_fd < 0 ? err_sys(err, "duplicate the sentry's descriptor") : 0;
}

/* ---- its end ---- */

/* Its last words, if any, and its status. With the lock. */
static void sentry_note_end(struct sentry *s)
{
	struct sandbox_end *end = &s->end;
	char line[SENTRY_LINE_MAX];
	int pid = s->child.pid;
	ssize_t n;
	siginfo_t si;

	if (s->has_ended || child_wait(&s->child, deadline_in(SENTRY_END_BUDGET), &si) < 0)
		return;
	s->has_ended = true;
	end->kind = SANDBOX_END_PROCESS;
	snprintf(end->process, sizeof(end->process), "coffer-sentry");
	n = recv(s->status_fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (si.si_code == CLD_EXITED) {
		end->exit_code = si.si_status;
		err_set(&end->error, COFFER_ERR_INTERRUPTED, EPIPE,
			"coffer-sentry ended with status %d%s%s", si.si_status, line[0] ? ": " : "",
			line);
		return;
	}
	end->signal = si.si_status;
	err_set(&end->error, COFFER_ERR_INTERRUPTED, EPIPE,
		"coffer-sentry was killed by signal %d (%s)", si.si_status,
		sigdescr_np(si.si_status) ? sigdescr_np(si.si_status) : "real-time");
	if (si.si_status == SIGKILL && oom_has_killed(s->oom_kills, pid)) {
		end->oom = true;
		err_wrap(&end->error, "the host is out of memory");
	}
}

static void sentry_end_now(struct sentry *s)
{
	siginfo_t si;

	if (!s->has_ended && s->child.pid && child_wait(&s->child, 0, &si) < 0) {
		s->has_ended = true;
		s->end = (struct sandbox_end){ .kind = SANDBOX_END_ASKED, .exit_code = -1 };
	}
	if (s->lifetime_fd >= 0)
		shutdown(s->lifetime_fd, SHUT_RDWR);
	close_fd(&s->lifetime_fd);
	if (s->child.pid && child_wait(&s->child, deadline_in(SENTRY_STOP_BUDGET), &si) < 0) {
		log_warning("coffer-sentry %d did not end in time, killing it", s->child.pid);
		child_end(&s->child);
	}
	close_fd(&s->status_fd);
}

static void sentry_stop(struct sandbox *sb)
{
	struct sentry *s = sentry_from(sb);

	pthread_mutex_lock(&s->lock);
	sentry_end_now(s);
	pthread_mutex_unlock(&s->lock);
}

static int sentry_how_ended(struct sandbox *sb, struct sandbox_end *out, struct coffer_error *err)
{
	struct sentry *s = sentry_from(sb);
	int r = 0;

	pthread_mutex_lock(&s->lock);
	sentry_note_end(s);
	if (s->has_ended)
		*out = s->end;
	else
		r = err_state(err, "the sentry has not ended");
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void sentry_explain(struct sandbox *sb, struct coffer_error *err)
{
	struct sandbox_end end;

	if (err && sentry_how_ended(sb, &end, NULL) == 0 && end.error.kind != COFFER_ERR_NONE)
		*err = end.error;
}

static int sentry_end_fd(struct sandbox *sb, struct coffer_error *err)
{
	int fd = fcntl(sentry_from(sb)->end_fd, F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_sys(err, "duplicate the sentry's descriptor") : fd;
}

/* ---- ready ---- */

/* Return: 0 go on waiting, 1 it is up, negative errno */
static int sentry_read_greeting(struct sentry *s, char line[SENTRY_LINE_MAX], size_t *len,
				struct coffer_error *err)
{
	ssize_t n = read(s->status_fd, line + *len, SENTRY_LINE_MAX - 1 - *len);
	struct agent_hello hello;
	char *end;
	int r;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0 || *len + (size_t)n == SENTRY_LINE_MAX - 1) {
		err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "coffer-sentry did not start");
		sentry_explain(&s->sb, err);
		return -err->err;
	}
	*len += (size_t)n;
	line[*len] = '\0';
	end = strchr(line, '\n');
	if (!end)
		return 0;
	*end = '\0';
	if (line[0] != '{')
		return err_set(err, COFFER_ERR_INTERNAL, EIO, "coffer-sentry: %s", line);
	r = agent_hello_parse(line, (size_t)(end - line), &hello, err);
	if (r < 0)
		return r;
	s->info.running = s->info.ready = clock_now();
	return 1;
}

static int sentry_ready(struct sandbox *sb, struct coffer_error *err)
{
	struct sentry *s = sentry_from(sb);
	usec_t deadline = deadline_in(clock_budget(SENTRY_BOOT_BUDGET));
	char line[SENTRY_LINE_MAX];
	size_t len = 0;
	int r = 0;

	while (r == 0) {
		struct pollfd fds[] = { { .fd = s->status_fd, .events = POLLIN },
					{ .fd = s->cfg.cancel_fd, .events = POLLIN } };

		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (r == 0)
			return err_timeout(err, "coffer-sentry gave no sign of life");
		if (r > 0 && fds[1].revents)
			return err_set(err, COFFER_ERR_CANCELLED, 0, "given up while booting");
		r = r > 0 && fds[0].revents ? sentry_read_greeting(s, line, &len, err) : 0;
	}
	return r < 0 ? r : 0;
}

/* ---- connections ---- */

static int sentry_dial(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	char name[SENTRY_PORT_NAME_MAX];

	sentry_port_name(name, port);
	return io_unix_connect(sentry_from(sb)->cfg.dir->vm_fd, name, SOCK_STREAM, err);
}

static int sentry_connect_begin(struct sandbox *sb, struct coffer_error *err)
{
	int fd = sentry_dial(sb, AGENT_PORT, err);

	/* It listens as long as it lives. */
	if (fd == -ECONNREFUSED)
		sentry_explain(sb, err);
	return fd < 0 ? err_wrap(err, "connect to the sentry") : fd;
}

static int sentry_connect_end(struct sandbox *sb, int fd, struct agent **out,
			      struct coffer_error *err)
{
	autoclose int own = fd;
	int r = agent_client_new(own, out, err);

	if (r < 0)
		return err_wrap(err, "connect to the sentry");
	steal_fd(&own);
	return 0;
}

static int sentry_listen(struct sandbox *sb, uint32_t port, struct coffer_error *err)
{
	return hybrid_listen(sentry_from(sb)->cfg.dir->vm_fd, port, err);
}

static void sentry_unlisten(struct sandbox *sb, uint32_t port)
{
	hybrid_unlisten(sentry_from(sb)->cfg.dir->vm_fd, port);
}

/* ---- pause ---- */

static int sentry_freeze_all(struct sandbox *sb, const char *method, const ProtobufCMessage *msg,
			     struct coffer_error *err)
{
	autoagent struct agent *agent = NULL;
	int fd = sentry_connect_begin(sb, err);
	int r = fd < 0 ? fd : sentry_connect_end(sb, fd, &agent, err);

	return r < 0 ? r : agent_call(agent, AGENT_EXTRAS, method, msg, SENTRY_FREEZE_BUDGET, NULL,
				      err);
}

/* Requests without an id mean all containers. */
static int sentry_pause(struct sandbox *sb, struct coffer_error *err)
{
	const Ax__FreezeRequest req = AX__FREEZE_REQUEST__INIT;
	struct sentry *s = sentry_from(sb);
	int r;

	if (s->paused)
		return err_state(err, "the sandbox is paused already");
	r = sentry_freeze_all(sb, "Freeze", &req.base, err);
	s->paused = r == 0;
	return r;
}

static int sentry_resume(struct sandbox *sb, struct coffer_error *err)
{
	const Ax__ThawRequest req = AX__THAW_REQUEST__INIT;
	struct sentry *s = sentry_from(sb);
	int r;

	if (!s->paused)
		return err_state(err, "the sandbox is not paused");
	r = sentry_freeze_all(sb, "Thaw", &req.base, err);
	s->paused = r < 0;
	return r;
}

/* ---- cost ---- */

/* What costs something: the sentry, the gofer, and all that run guests as one. */
static const char *const sentry_cost_names[] = { "coffer-sentry", "coffer-gofer", "coffer-stub" };

struct sentry_cost {
	struct sandbox_cost *out;
	unsigned left; /* processes to look at: who starts a million does not hold us up */
};

static void sentry_cost_add(const struct sentry_cost *cost, const struct sandbox_cost_process *one)
{
	struct sandbox_cost *out = cost->out;
	struct sandbox_cost_process *p = out->processes;

	while (p < out->processes + out->nprocesses && strcmp(p->process, one->process) != 0)
		p++;
	if (p == out->processes + out->nprocesses) {
		if (out->nprocesses == ARRAY_SIZE(sentry_cost_names))
			return;
		*p = *one;
		out->nprocesses++;
		return;
	}
	p->rss += one->rss;
	p->pss += one->pss;
	p->cpu_usec += one->cpu_usec;
}

static void sentry_cost_read(const struct sentry_cost *cost, int pid)
{
	struct sandbox_cost_process one;
	char path[48], name[16] = "";
	struct vm_process process;
	ssize_t n;
	autoclose int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	for (size_t i = 1; i < ARRAY_SIZE(sentry_cost_names); i++) {
		if (strcmp(name, sentry_cost_names[i]) != 0)
			continue;
		vm_cost_note(&process, name, "", pid);
		if (vm_cost_read(&process, &one))
			sentry_cost_add(cost, &one);
	}
}

/* Of all its threads: any of them may have started a process. */
static void sentry_cost_children(struct sentry_cost *cost, int pid)
{
	autoclosedir DIR *dir = NULL;
	const struct dirent *d;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		autofree char *text = NULL;
		char file[sizeof(d->d_name) + 16], *end;

		if (d->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/children", d->d_name);
		if (io_read_file(dirfd(dir), file, SENTRY_CHILDREN_MAX, &text, NULL, NULL) < 0)
			continue;
		for (char *p = text; cost->left; p = end) {
			long child = strtol(p, &end, 10);

			if (end == p)
				break;
			cost->left--;
			sentry_cost_read(cost, (int)child);
			sentry_cost_children(cost, (int)child);
		}
	}
}

static int sentry_cost(struct sandbox *sb, struct sandbox_cost *out, struct coffer_error *err)
{
	struct sentry_cost cost = { .out = out, .left = SENTRY_COST_MAX };
	struct sentry *s = sentry_from(sb);
	bool there;

	out->nprocesses = 0;
	pthread_mutex_lock(&s->lock);
	there = vm_cost_read(&s->process, &out->processes[0]);
	pthread_mutex_unlock(&s->lock);
	if (!there)
		return err_state(err, "the sentry has ended");
	out->nprocesses = 1;
	sentry_cost_children(&cost, s->process.pid);
	return 0;
}

static void sentry_info(struct sandbox *sb, struct sandbox_info *out)
{
	*out = sentry_from(sb)->info;
}

static void sentry_free(struct sandbox *sb)
{
	struct sentry *s = sentry_from(sb);

	sentry_stop(sb);
	close_fd(&s->end_fd);
	close_fd(&s->trace_fd);
	free(s->program);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
DEFINE_CLEANUP(struct sandbox *, sentry_free);

static const struct sandbox_ops sentry_ops = {
	.boot = sentry_boot,
	.ready = sentry_ready,
	.stop = sentry_stop,
	.pause = sentry_pause,
	.resume = sentry_resume,
	.connect_events = POLLOUT, /* connected at once, and nobody speaks first */
	.connect_begin = sentry_connect_begin,
	.connect_end = sentry_connect_end,
	.dial = sentry_dial,
	.listen = sentry_listen,
	.unlisten = sentry_unlisten,
	.end_fd = sentry_end_fd,
	.end = sentry_how_ended,
	.explain = sentry_explain,
	.cost = sentry_cost,
	.info = sentry_info,
	.free = sentry_free,
};

static int sentry_check(const struct sandbox_config *config, struct coffer_error *err)
{
	if (config->kernel || config->initrd)
		return err_invalid(err, "kernel, initrd: a sentry is a kernel of its own");
	for (unsigned i = 0; i < config->ndisks; i++)
		if (config->disks[i].nbd)
			return err_unsupported(err, "disks over NBD in a sentry");
	return 0;
}

int sandbox_sentry_new(const struct sandbox_config *config, struct sandbox **out,
		       struct coffer_error *err)
{
	struct sentry *s = calloc(1, sizeof(*s));
	CLEANUP(sentry_freep) struct sandbox *sb = s ? &s->sb : NULL;
	int r;

	if (!s)
		return err_nomem(err);
	s->sb.ops = &sentry_ops;
	s->cfg = *config;
	s->lifetime_fd = s->status_fd = s->end_fd = s->trace_fd = -1;
	s->child = (struct child)CHILD_INIT;
	pthread_mutex_init(&s->lock, NULL);
	r = sentry_check(config, err);
	if (r == 0)
		r = paths_find_program("coffer-sentry", &s->program, err);
	if (r == 0 && config->trace) {
		/* A pipe that nobody reads must not hold anything up. */
		s->trace_fd = open(config->trace,
				   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
		if (s->trace_fd < 0)
			r = err_sys(err, "trace %s", config->trace);
	}
	if (r < 0)
		return r;
	*out = steal_ptr(sb);
	return 0;
}
