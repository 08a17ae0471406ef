/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu.c - one request to a criu of our own
 *
 *	criu swrk 3 <---- request: type and options
 *	            ----> CRIU_NOTIFY: a step is reached     (repeated)
 *	            <---- CRIU_NOTIFY: go on, or not
 *	            ----> answer: success, or not
 *
 * Each message is one packet.  criu opens the directories it works in through
 * /proc/OUR PID/fd, and our process must therefore wait for it.  It is never
 * killed in the middle: a dump that ends half-way by itself lets the processes
 * go on, a killed one leaves them frozen with foreign code in them.
 *
 * An answer says little more than "no"; what went wrong stands in the log.
 */
#include "oci/criu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOG_CATEGORY "criu"
#include "base/io.h"
#include "base/log.h"

#define CRIU_PACKET_MAX	 65536
#define CRIU_REASONS_MAX 3
#define CRIU_REASON_MAX	 200

void criu_end(struct criu *c)
{
	close_fd(&c->sock);
	child_end(&c->child);
}

/* criu_find() - @name itself when it is a path, else where $PATH has it */
static int criu_find(const char *name, char *path, size_t room, struct coffer_error *err)
{
	const char *dirs = getenv("PATH"), *end;
	int n;

	if (strchr(name, '/')) {
		n = snprintf(path, room, "%s", name);
		return n < (int)room ? 0 : err_sysn(err, ENAMETOOLONG, "%s", name);
	}
	for (dirs = dirs ? dirs : "/usr/sbin:/usr/bin:/sbin:/bin"; *dirs;
	     dirs = end + (*end == ':')) {
		end = strchrnul(dirs, ':');
		n = snprintf(path, room, "%.*s/%s", (int)(end - dirs), dirs, name);
		if (n < (int)room && access(path, X_OK) == 0)
			return 0;
	}
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "%s: no such program in $PATH", name);
}

int criu_start(const struct criu_start_args *args, struct criu *out, struct coffer_error *err)
{
	static const char *const argv[] = { "criu", "swrk", "3", NULL };
	struct spawn_fd fds[16];
	struct spawn_args spawn = {
		.argv = argv,
		.envp = (const char *const *)environ,
		.fds = fds,
		.nfds = args->nfds + 1,
		.new_session = args->new_session,
		.hook = args->hook,
		.hook_data = args->hook_data,
	};
	autoclose int ours = -1, theirs = -1;
	char path[4096];
	int pair[2], r;

	if (args->nfds >= ARRAY_SIZE(fds))
		return err_invalid(err, "too many descriptors for criu");
	r = criu_find(args->program, path, sizeof(path), err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	if (args->nfds > 0)
		memcpy(fds, args->fds, args->nfds * sizeof(fds[0]));
	fds[args->nfds] = (struct spawn_fd){ .fd = theirs, .target = CRIU_FD_FREE - 1 };
	spawn.path = path;
	r = spawn_exec(&spawn, &out->child, err);
	if (r < 0)
		return r;
	out->sock = steal_fd(&ours);
	return 0;
}

static int criu_send(const struct criu *c, const struct buf *b, struct coffer_error *err)
{
	ssize_t n;

	do {
		n = send(c->sock, buf_data(b), b->len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, "send to criu") : 0;
}

static int criu_receive(const struct criu *c, struct criu_answer *a, int *fd,
			struct coffer_error *err)
{
	autofree uint8_t *packet = malloc(CRIU_PACKET_MAX);
	size_t nfds = 1;
	ssize_t n;

	if (!packet)
		return err_nomem(err);
	n = io_recv_fds(c->sock, packet, CRIU_PACKET_MAX, fd, &nfds);
	if (n < 0 && n != -ECONNRESET)
		return err_sysn(err, (int)n, "receive from criu");
	if (n <= 0)
		return err_set(err, COFFER_ERR_INTERNAL, EPIPE, "it ended without an answer");
	if (n == CRIU_PACKET_MAX)
		return err_sysn(err, EMSGSIZE, "receive from criu");
	return criu_read_answer(packet, (size_t)n, a, err);
}

/* One step. What our side could not do is said to criu and kept in @failed; then its end is waited
 * for, as it has things to undo. */
static int criu_step(struct criu *c, const struct criu_call *call, const struct criu_answer *a,
		     int *fd, struct coffer_error *failed, struct coffer_error *err)
{
	autobuf struct buf b = BUF_INIT(CRIU_PACKET_MAX);
	int r = 0;

	log_debug("criu: %s, pid %d", a->script, a->pid);
	if (call->notify && failed->kind == COFFER_ERR_NONE)
		r = call->notify(a, fd, call->data, failed);
	r = criu_write_notified(&b, r == 0 && failed->kind == COFFER_ERR_NONE);
	return r < 0 ? err_sysn(err, r, "answer criu") : criu_send(c, &b, err);
}

static int criu_converse(struct criu *c, const struct criu_call *call, struct coffer_error *failed,
			 struct coffer_error *err)
{
	struct criu_answer a;
	int r;

	for (;;) {
		autoclose int fd = -1;

		r = criu_receive(c, &a, &fd, err);
		if (r < 0)
			return r;
		/* A step that failed is told as a notification as well. */
		if (a.type != CRIU_NOTIFY || !a.success)
			break;
		r = criu_step(c, call, &a, &fd, failed, err);
		if (r < 0)
			return r;
	}
	if (a.success && a.type == (uint32_t)call->type)
		return 0;
	if (a.success)
		return err_internal(err, "answer of type %u to a request of type %u", a.type,
				    call->type);
	if (a.message[0])
		return err_set(err, COFFER_ERR_INTERNAL, EIO, "%s", a.message);
	if (a.errnum > 0 && a.errnum < 4096)
		return err_sysn(err, a.errnum, "it failed");
	return err_set(err, COFFER_ERR_INTERNAL, EIO, "it failed");
}

/* The text of a line "(00.012345) Error (criu/file.c:123): text", NULL for another line. */
static const char *criu_reason(char *line)
{
	char *p = strstr(line, "Error (");

	p = p ? strstr(p, "): ") : NULL;
	if (!p)
		return NULL;
	p += 3;
	p[strcspn(p, "\n")] = '\0';
	/* What each failure ends with says nothing. */
	if (strstr(p, "FAILED"))
		return NULL;
	return p;
}

/* What the log gives as reasons: the first ones, because later ones follow from them. */
static void criu_read_reasons(const struct criu_call *call, char *text, size_t room)
{
	autoclose int fd = openat(call->log_dirfd, call->log_file, O_RDONLY | O_CLOEXEC);
	CLEANUP(fclosep) FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
	autofree char *line = NULL;
	size_t size = 0, used = 0, found = 0;
	const char *reason;

	text[0] = '\0';
	if (!f)
		return;
	steal_fd(&fd);
	while (found < CRIU_REASONS_MAX && used < room && getline(&line, &size, f) >= 0) {
		reason = criu_reason(line);
		if (!reason)
			continue;
		used += (size_t)snprintf(text + used, room - used, "%s%.*s", found++ ? "; " : "",
					 CRIU_REASON_MAX, reason);
	}
}

static int criu_explain(const struct criu_call *call, struct coffer_error *err)
{
	char reasons[CRIU_REASONS_MAX * (CRIU_REASON_MAX + 2)];

	criu_read_reasons(call, reasons, sizeof(reasons));
	if (reasons[0])
		return err_set(err, COFFER_ERR_INTERNAL, EIO, "criu: %s (log: %s/%s)", reasons,
			       call->log_dir, call->log_file);
	return err_wrap(err, "criu");
}

int criu_request(struct criu *c, const struct criu_call *call, struct coffer_error *err)
{
	struct coffer_error failed = COFFER_ERROR_INIT;
	autobuf struct buf b = BUF_INIT(2 << 20);
	siginfo_t si = { 0 };
	int r, end;

	/* Not that of an earlier run. */
	if (unlinkat(call->log_dirfd, call->log_file, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s/%s", call->log_dir, call->log_file);
	r = criu_write_request(&b, call->type, call->options);
	if (r < 0)
		return err_sysn(err, r, "word a request to criu");
	r = criu_send(c, &b, err);
	if (r == 0)
		r = criu_converse(c, call, &failed, err);
	/* Without us it ends, one way or the other. */
	close_fd(&c->sock);
	end = child_wait(&c->child, USEC_INFINITY, &si);
	if (failed.kind != COFFER_ERR_NONE) {
		if (err)
			*err = failed;
		return -failed.err;
	}
	if (r < 0)
		return criu_explain(call, err);
	/* After a pre-dump it would like to be asked again, and is not content to end. */
	if (call->type != CRIU_PRE_DUMP && (end < 0 || spawn_exit_code(&si) != 0)) {
		err_set(err, COFFER_ERR_INTERNAL, EIO, "it ended with exit code %d",
			end < 0 ? -1 : spawn_exit_code(&si));
		return criu_explain(call, err);
	}
	return 0;
}
