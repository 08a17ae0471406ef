/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/share.c - the servers of shared directories, one process each
 *
 *	QEMU <--vhost-user-- listener, gone by name --> virtiofsd --> directory
 *	                                                 | pidfd: its end
 *	                                                 | stderr: its last words
 *
 * virtiofsd wants a listener.  It is made here, connected to, and its name
 * removed before anybody else could: the machine gets the connection, virtiofsd
 * the listener with that one connection waiting.
 *
 * virtiofsd ends with status 0 when the machine hangs up, and a machine that
 * loses its server may go on or not.  So a bad end is told at once; a good one
 * only when the machine has not followed after a moment; and when the machine
 * was first to be seen dead, servers that died just before are looked for.
 *
 * Not restarted: the guest's open files are in the dead one.
 */
#define LOG_CATEGORY "virtiofsd"
#include "vmm/share.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/spawn.h"
#include "vmm/qemu_find.h"
#include "vmm/share_jail.h"

#define SHARE_SOCKET	 "share.sock"
#define SHARE_GRACE	 USEC_PER_SEC	       /* for the machine to end, after a server did */
#define SHARE_DEATH_WAIT USEC_PER_SEC	       /* the other way round; they all end then */
#define SHARE_END_BUDGET (2 * USEC_PER_SEC)
#define SHARE_CHUNK	 1024
#define SHARE_LOG_MAX	 32

struct share {
	const struct vmm_share *cfg;
	struct shares *set;
	struct child child;
	pid_t pid;     /* also after its end */
	int machine_fd;
	int words_fd;
	struct loop_source *on_exit, *on_words;
	struct tail words;
	unsigned logged;
	siginfo_t end; /* si_pid 0: it runs */
};

struct shares {
	struct share *v;
	uint32_t n;
	struct loop_source *timer;
	void (*on_event)(const struct machine_event *ev, void *data);
	void *data;
	char message[600];
};

/* It is seldom in PATH: beside QEMU's own places those of distributions. */
static const char *const share_programs[] = {
	"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd",
	"/usr/libexec/qemu/virtiofsd", "/usr/local/libexec/virtiofsd",
};

static int share_find_program(const struct vmm_config *cfg, char real[static PATH_MAX],
			      struct coffer_error *err)
{
	if (cfg->virtiofsd[0]) {
		if (!realpath(cfg->virtiofsd, real) || access(real, X_OK) < 0)
			return err_sys(err, "virtiofsd %s", cfg->virtiofsd);
		return 0;
	}
	if (qemu_find_in_path("virtiofsd", real))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(share_programs); i++)
		if (access(share_programs[i], X_OK) == 0 && realpath(share_programs[i], real))
			return 0;
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
		       "virtiofsd: not found; install the package qemu-system-common or virtiofsd");
}

/* --- start --- */

static int share_check(const struct vmm_share *cfg, struct coffer_error *err)
{
	struct stat st;

	if (fstat(cfg->fd, &st) < 0)
		return err_sys(err, "descriptor %d", cfg->fd);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR, "not a directory");
	return 0;
}

/* A listener and the one connection to it. */
static int share_make_socket(int dirfd, int *listener, int *conn, struct coffer_error *err)
{
	*listener = io_unix_listen(dirfd, SHARE_SOCKET, SOCK_STREAM, 0600, err);
	if (*listener < 0)
		return *listener;
	*conn = io_unix_connect(dirfd, SHARE_SOCKET, SOCK_STREAM, err);
	if (unlinkat(dirfd, SHARE_SOCKET, 0) < 0)
		return err_sys(err, "remove %s", SHARE_SOCKET);
	return *conn < 0 ? *conn : 0;
}

static int share_exec(struct share *s, const struct share_jail *jail, int listener, int words,
		      struct coffer_error *err)
{
	static const char options[] =
		"source=/" SHARE_JAIL_DIR ",sandbox=chroot,cache=auto,xattr,modcaps=-mknod";
	static const char *const argv[] = {
		"virtiofsd", "-f", "--fd=3", "--rlimit-nofile=0", "-o", options, NULL,
	};
	const struct spawn_fd fds[] = {
		{ words, 1 }, { words, 2 },
		{ listener, SHARE_JAIL_FD_SOCKET }, { s->cfg->fd, SHARE_JAIL_FD_DIR },
	};
	struct spawn_args args = { .path = jail->program, .argv = argv, .fds = fds,
				   .nfds = ARRAY_SIZE(fds), .new_session = true };
	int r = share_jail_spawn(jail, &args, &s->child, err);

	s->pid = s->child.pid;
	return r;
}

static int share_start(struct share *s, struct share_jail *jail, int dirfd,
		       struct coffer_error *err)
{
	autoclose int listener = -1, words = -1;
	int p[2], r = share_check(s->cfg, err);

	if (r == 0)
		r = share_make_socket(dirfd, &listener, &s->machine_fd, err);
	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	s->words_fd = p[0];
	words = p[1];
	r = io_set_nonblock(s->words_fd, true);
	if (r < 0)
		return err_sysn(err, r, "pipe");
	jail->readonly = s->cfg->readonly;
	jail->file = s->cfg->file;
	return share_exec(s, jail, listener, words, err);
}

static int shares_new(const struct vmm_config *cfg, struct shares **out, struct coffer_error *err)
{
	struct shares *set = calloc(1, sizeof(*set));

	if (set)
		set->v = calloc(cfg->nshares, sizeof(*set->v));
	if (!set || !set->v) {
		free(set);
		return err_nomem(err);
	}
	set->n = cfg->nshares;
	for (uint32_t i = 0; i < set->n; i++)
		set->v[i] = (struct share){ .cfg = &cfg->shares[i], .set = set,
					    .child = CHILD_INIT, .machine_fd = -1, .words_fd = -1 };
	*out = set;
	return 0;
}

int shares_start(const struct vmm_config *cfg, int dirfd, const struct jail *jail,
		 struct shares **out, struct coffer_error *err)
{
	char program[PATH_MAX];
	struct share_jail share_jail = { .jail = jail, .vm_dir = cfg->vm_dir, .program = program };
	int r;

	*out = NULL;
	if (cfg->nshares == 0)
		return 0;
	r = share_find_program(cfg, program, err);
	if (r == 0)
		r = shares_new(cfg, out, err);
	for (uint32_t i = 0; r == 0 && i < cfg->nshares; i++) {
		r = share_start(&(*out)->v[i], &share_jail, dirfd, err);
		if (r < 0)
			return err_wrap(err, "share %s", cfg->shares[i].tag);
	}
	return r;
}

int shares_socket(const struct shares *shares, uint32_t i)
{
	return shares->v[i].machine_fd;
}

void shares_close_sockets(struct shares *shares)
{
	for (uint32_t i = 0; shares && i < shares->n; i++)
		close_fd(&shares->v[i].machine_fd);
}

/* --- the end --- */

static void share_read_words(struct share *s)
{
	char chunk[SHARE_CHUNK], line[SHARE_CHUNK];
	ssize_t n;

	for (int i = 0; i < 16; i++) {
		n = read(s->words_fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		tail_add(&s->words, chunk, (size_t)n);
	}
	/* A guest can make it complain without end. */
	if (log_enabled(LOG_LEVEL_DEBUG) && s->logged < SHARE_LOG_MAX &&
	    tail_last(&s->words, 1, line, sizeof(line))) {
		s->logged++;
		log_debug("%s: %s", s->cfg->tag, line);
	}
	if (n == 0 && s->on_words) {
		loop_remove(s->on_words);
		s->on_words = NULL;
	}
}

static void share_words_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	share_read_words(data);
}

/* Return: whether it has ended */
static bool share_reap(struct share *s)
{
	if (s->child.pid == 0)
		return s->end.si_pid != 0;
	if (io_wait(s->child.pidfd, POLLIN, 0) <= 0)
		return false;
	loop_remove(s->on_exit);
	s->on_exit = NULL;
	child_wait(&s->child, USEC_INFINITY, &s->end);
	share_read_words(s);
	return true;
}

static bool share_ended_badly(const struct share *s)
{
	return s->end.si_code != CLD_EXITED || s->end.si_status != 0;
}

static void share_word_death(struct share *s, struct machine_event *ev)
{
	struct shares *set = s->set;
	bool exited = s->end.si_code == CLD_EXITED;
	char words[300] = "";
	int n;

	*ev = (struct machine_event){ .kind = MACHINE_DIED, .message = set->message };
	vmm_process_set(&ev->process, "virtiofsd", s->cfg->tag, s->pid);
	ev->process.exit_code = exited ? s->end.si_status : -1;
	ev->process.signal = exited ? 0 : s->end.si_status;
	if (exited)
		n = snprintf(set->message, sizeof(set->message),
			     "virtiofsd of share %s exited with status %d", s->cfg->tag,
			     s->end.si_status);
	else
		n = snprintf(set->message, sizeof(set->message),
			     "virtiofsd of share %s was killed by signal %d (%s)", s->cfg->tag,
			     s->end.si_status, strsignal(s->end.si_status));
	if (exited && tail_last(&s->words, 2, words, sizeof(words)))
		snprintf(set->message + n, sizeof(set->message) - (size_t)n, ": %s", words);
}

/* Return: the first that ended, badly if @bad */
static struct share *shares_find_ended(struct shares *set, bool bad)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (share_reap(&set->v[i]) && (!bad || share_ended_badly(&set->v[i])))
			return &set->v[i];
	return NULL;
}

static bool shares_have_ended(struct shares *set)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (!share_reap(&set->v[i]))
			return false;
	return true;
}

static void shares_tell(struct share *s)
{
	struct machine_event ev;

	share_word_death(s, &ev);
	s->set->on_event(&ev, s->set->data);
}

static void share_exit_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct share *s = data;

	if (!share_reap(s))
		return;
	if (share_ended_badly(s))
		shares_tell(s);
	else
		loop_arm(s->set->timer, SHARE_GRACE, 0);
}

static void shares_timer_handler(struct loop_source *src, void *data)
{
	struct shares *set = data;
	struct share *s = shares_find_ended(set, false);

	if (s)
		shares_tell(s);
}

bool shares_find_death(struct shares *set, struct machine_event *ev)
{
	usec_t deadline = deadline_in(SHARE_DEATH_WAIT);
	struct share *s;
	bool all;

	if (!set)
		return false;
	do {
		all = shares_have_ended(set);
		s = shares_find_ended(set, true);
		if (s || all)
			break;
		/* Its connections close before it can be reaped. */
		poll(NULL, 0, 1);
	} while (deadline_left(deadline) > 0);
	if (!s)
		return false;
	share_word_death(s, ev);
	return true;
}

/* --- sources --- */

static int share_attach(struct share *s, struct loop *loop, struct coffer_error *err)
{
	int r = loop_add_fd(loop, s->child.pidfd, EPOLLIN, share_exit_handler, s, &s->on_exit, err);

	if (r == 0)
		r = loop_add_fd(loop, s->words_fd, EPOLLIN, share_words_handler, s, &s->on_words,
				err);
	return r;
}

int shares_attach(struct shares *set, struct loop *loop,
		  void (*on_event)(const struct machine_event *ev, void *data), void *data,
		  struct coffer_error *err)
{
	int r = 0;

	if (!set)
		return 0;
	set->on_event = on_event;
	set->data = data;
	r = loop_add_timer(loop, shares_timer_handler, set, &set->timer, err);
	for (uint32_t i = 0; r == 0 && i < set->n; i++)
		r = share_attach(&set->v[i], loop, err);
	return r;
}

uint32_t shares_list(const struct shares *set, struct vmm_process out[VMM_SHARES_MAX])
{
	for (uint32_t i = 0; set && i < set->n; i++)
		vmm_process_set(&out[i], "virtiofsd", set->v[i].cfg->tag, set->v[i].pid);
	return set ? set->n : 0;
}

static void share_free(struct share *s)
{
	siginfo_t si;

	loop_remove(s->on_exit);
	loop_remove(s->on_words);
	child_wait(&s->child, deadline_in(SHARE_END_BUDGET), &si);
	close_fd(&s->child.pidfd);
	close_fd(&s->machine_fd);
	close_fd(&s->words_fd);
}

void shares_free(struct shares *set)
{
	if (!set)
		return;
	for (uint32_t i = 0; i < set->n; i++)
		child_kill(&set->v[i].child, SIGKILL);
	for (uint32_t i = 0; i < set->n; i++)
		share_free(&set->v[i]);
	loop_remove(set->timer);
	free(set->v);
	free(set);
}
