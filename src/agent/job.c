/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/job.c - a call's work on files, in a forked child that answers as it goes
 *
 *	handler --fork--> child: opens the place, fn() ... job_say() ... struct coffer_error, exits
 *	loop    <--seqpacket-- replies, then the error object; end of file when the child died
 *
 * Everything that touches a container's files happens in such a child: a file
 * system that never answers, a fifo, a disk that is full cost one call.  The
 * child has none of the agent's descriptors, so that connections end when the
 * agent ends them; it dies with the agent and when the client gives up.
 *
 * Replies are passed on as fast as the client takes them: with some of them
 * queued the socket is not read, and the child waits.
 *
 * In a guest the child is no part of the agent's control group: the pages it
 * fills belong to files, and the agent's limit would throttle a copy.
 *
 * The child is reaped by reaper.c like any orphan.  Ids of users are the machine's: a container's
 * user namespace is not entered.
 *
 * Callers: rpc_files.c, rpc_names.c, rpc_copy.c, rpc_copy_stream.c, rpc_archive.c.
 */
#include "agent/job.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/spawn.h"
#include "rpc/proto_check.h"

#define JOB_CGROUP     "/sys/fs/cgroup" /* the root of the second version's tree */
#define JOB_PACKET_MAX (64u << 10)
#define JOB_QUEUED_MAX (128u << 10) /* replies that wait for the client */
#define JOB_MEMORY_MAX (64u << 20)  /* of the child, beside what it shares with the agent */
#define JOB_BUDGET     (1u << 20)   /* for unpacking one reply */
#define JOB_MAX	       128	    /* at once; a few megabytes each */

/* A sanitizer reserves terabytes, which count as data. */
#ifdef __SANITIZE_ADDRESS__ /* gcc */
#define JOB_SANITIZED true
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define JOB_SANITIZED true
#endif
#endif
#ifndef JOB_SANITIZED
#define JOB_SANITIZED false
#endif

/* The child's descriptors; all others are closed. */
enum { JOB_UP = 3, JOB_PIDFD, JOB_DATA, JOB_FDS_END };

/* First byte of a packet. */
enum { JOB_SAYS = 'S', JOB_ENDS = 'E' };

struct job_end {
	char kind;  /* JOB_ENDS */
	bool known; /* the error passed job_mark() */
	struct coffer_error err;
};

/* The agent's side. */
struct job_call {
	struct grpc_call *call;
	struct loop_source *source;
	int fd; /* owned */
	struct child child;
	const ProtobufCMessageDescriptor *reply;
	bool contract;
	void (*ended)(void *data);
	void *ended_data;
};

static uint8_t job_packet[JOB_PACKET_MAX];
static unsigned job_count;

/* ---- in the child ---- */

static bool job_marked; /* never set in the agent for longer than job_run_here() */

int job_mark(int r, struct coffer_error *err)
{
	job_marked = true;
	return r;
}

int job_say(struct job *job, const ProtobufCMessage *reply, struct coffer_error *err)
{
	size_t n = protobuf_c_message_get_packed_size(reply);

	if (job->up < 0)
		return grpc_call_send(job->call, reply);
	if (n >= sizeof(job_packet))
		return err_internal(err, "reply of %zu bytes", n);
	job_packet[0] = JOB_SAYS;
	protobuf_c_message_pack(reply, job_packet + 1);
	if (send(job->up, job_packet, n + 1, MSG_NOSIGNAL) < 0)
		return err_sys(err, "answer");
	return 0;
}

/* A number above all that are wanted, so that none is in another's way. */
static int job_move_up(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD, JOB_FDS_END);
}

static void job_place_fd(int fd, int target)
{
	if (fd < 0)
		close(target);
	else
		dup2(fd, target);
}

/* The agent's descriptors above the standard three go, but for those that are needed. */
static void job_keep_fds(int up, int pidfd, int data)
{
	up = job_move_up(up);
	pidfd = job_move_up(pidfd);
	data = job_move_up(data);
	job_place_fd(up, JOB_UP);
	job_place_fd(pidfd, JOB_PIDFD);
	job_place_fd(data, JOB_DATA);
	close_range(JOB_FDS_END, ~0U, 0);
}

static _Noreturn void job_child(struct agent *agent, int up, const struct job_args *args)
{
	const struct rlimit memory = { JOB_MEMORY_MAX, JOB_MEMORY_MAX };
	struct job job = { .agent = agent, .gp = GUESTPATH_INIT, .up = JOB_UP, .data = -1 };
	struct guestplace place = *args->place;
	struct job_end end = { .kind = JOB_ENDS };
	int r;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!JOB_SANITIZED)
		setrlimit(RLIMIT_DATA, &memory);
	umask(0);
	job_keep_fds(up, place.pidfd, args->data);
	place.pidfd = JOB_PIDFD;
	if (args->data >= 0)
		job.data = JOB_DATA;
	r = guestplace_open(&place, &job.gp, &end.err);
	if (r == 0)
		r = args->fn(&job, args->arg, &end.err);
	end.known = job_marked;
	/* What went wrong on the way to a success is nobody's business. */
	if (r == 0)
		err_clear(&end.err);
	else if (end.err.kind == COFFER_ERR_NONE)
		err_internal(&end.err, "failed");
	send(JOB_UP, &end, sizeof(end), MSG_NOSIGNAL);
	_exit(0);
}

/* ---- in the agent ---- */

void job_refuse(struct grpc_call *call, bool contract, const struct coffer_error *err)
{
	if (contract)
		grpc_call_finish(call, GRPC_INTERNAL, err->message);
	else
		grpc_call_fail(call, err);
}

/* Everything but the answer. */
static void job_free(struct job_call *j)
{
	loop_remove(j->source);
	close_fd(&j->fd);
	close_fd(&j->child.pidfd);
	if (j->ended)
		j->ended(j->ended_data);
	free(j);
	job_count--;
}

static void job_cancelled(struct grpc_call *call, void *data)
{
	struct job_call *j = data;

	child_kill(&j->child, SIGKILL);
	job_free(j);
}

static void job_fail(struct job_call *j, bool known, const struct coffer_error *err)
{
	struct grpc_call *call = j->call;

	job_free(j);
	job_refuse(call, !known, err);
}

void job_give_up(struct job_call *j, const struct coffer_error *err)
{
	child_kill(&j->child, SIGKILL);
	job_fail(j, false, err);
}

static void job_drained(struct grpc_call *call, void *data)
{
	struct job_call *j = data;

	loop_set_events(j->source, EPOLLIN);
}

/* The child's bytes are checked as a stranger's: it reads archives and answers for them. */
static void job_pass_on(struct job_call *j, const uint8_t *p, size_t n)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *msg = NULL;
	int r = proto_unpack(j->reply, p, n, JOB_BUDGET, &msg, &err);

	if (r == 0)
		r = grpc_call_send(j->call, msg);
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	if (r == -EAGAIN)
		err_set(&err, COFFER_ERR_INTERNAL, ENOBUFS, "too many replies queued");
	else if (r < 0 && err.kind == COFFER_ERR_NONE)
		err_sysn(&err, r, "answer");
	if (r < 0) {
		job_give_up(j, &err);
		return;
	}
	if (grpc_call_queued(j->call) < JOB_QUEUED_MAX)
		return;
	grpc_call_on_drained(j->call, job_drained, j);
	loop_set_events(j->source, 0);
}

static void job_over(struct job_call *j, const uint8_t *packet, size_t n)
{
	struct grpc_call *call = j->call;
	struct job_end end = { 0 };

	if (n == sizeof(end))
		memcpy(&end, packet, n);
	else
		err_internal(&end.err, "worker died");
	end.err.message[sizeof(end.err.message) - 1] = '\0';
	if (end.err.kind != COFFER_ERR_NONE) {
		job_fail(j, end.known || !j->contract, &end.err);
		return;
	}
	job_free(j);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void job_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct job_call *j = data;
	ssize_t n = recv(fd, job_packet, sizeof(job_packet), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && job_packet[0] == JOB_SAYS)
		job_pass_on(j, job_packet + 1, (size_t)n - 1);
	else
		job_over(j, job_packet, n > 0 ? (size_t)n : 0);
}

/*
 * As spawn_fork(), but out of the agent's control group if there is one to go to, and with the
 * agent's signals: it has no handlers, and what it blocks or ignores the child does not miss.
 */
static int job_fork(const struct agent *agent, struct child *out, struct coffer_error *err)
{
	autoclose int cgroup = agent->init ?
		open(JOB_CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
		.pidfd = (uintptr_t)&out->pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};
	long pid;

	if (cgroup < 0)
		return spawn_fork(0, out, err);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	/* Where it can't be elsewhere it is better here than not at all. */
	if (pid < 0)
		return spawn_fork(0, out, err);
	out->pid = (pid_t)pid;
	return pid > 0;
}

static int job_start(struct agent *agent, struct job_call *j, const struct job_args *args,
		     struct coffer_error *err)
{
	autoclose int theirs = -1;
	int pair[2], r;

	if (job_count > JOB_MAX)
		return err_set(err, COFFER_ERR_INTERNAL, ENOBUFS, "more than %d copies at once",
			       JOB_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "socket pair");
	j->fd = pair[0];
	theirs = pair[1];
	r = loop_add_fd(agent->loop, j->fd, EPOLLIN, job_handler, j, &j->source, err);
	if (r == 0)
		r = job_fork(agent, &j->child, err);
	if (r == 0)
		job_child(agent, theirs, args);
	return r < 0 ? r : 0;
}

/* On files of our own, which nobody else can have made slow. */
static void job_run_here(struct agent *agent, struct grpc_call *call, const struct job_args *args)
{
	struct job job = { .agent = agent, .gp = GUESTPATH_INIT, .up = -1, .call = call };
	struct coffer_error err = COFFER_ERROR_INIT;
	mode_t mask = umask(0);
	int r;

	job_marked = false;
	r = guestplace_open(args->place, &job.gp, &err);
	if (r == 0)
		r = args->fn(&job, args->arg, &err);
	umask(mask);
	guestpath_free(&job.gp);
	if (r < 0)
		job_refuse(call, args->contract && !job_marked, &err);
	else
		grpc_call_finish(call, GRPC_OK, NULL);
}

struct job_call *job_answer(struct agent *agent, struct grpc_call *call,
			    const struct job_args *args)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct job_call *j;
	int r;

	if (args->quick && !args->place->foreign) {
		job_run_here(agent, call, args);
		return NULL;
	}
	j = calloc(1, sizeof(*j));
	if (!j) {
		err_nomem(&err);
		job_refuse(call, args->contract, &err);
		if (args->ended)
			args->ended(args->ended_data);
		return NULL;
	}
	*j = (struct job_call){
		.call = call,
		.fd = -1,
		.child = CHILD_INIT,
		.reply = args->reply,
		.contract = args->contract,
		.ended = args->ended,
		.ended_data = args->ended_data,
	};
	job_count++;
	r = job_start(agent, j, args, &err);
	if (r < 0) {
		job_fail(j, !args->contract, &err);
		return NULL;
	}
	grpc_call_on_cancel(call, job_cancelled, j);
	return j;
}
