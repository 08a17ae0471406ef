/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/control.c - the owner's socket: connections, and a thread for each
 *
 *	acceptor thread    control.sock --accept--> is it our user? --> a thread
 *	connection thread  Hello, one Request, its Reply or replies, end
 *
 * The number of connections and the time in which a request must come are
 * bounded.  Nobody waits here with the container's lock held: the acceptor,
 * which control_close() waits for, takes none but the control's.
 *
 * Locks: control->lock guards the list of connections, and is the innermost.
 */
#define LOG_CATEGORY "control"
#include "container/control.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

#define CONTROL_CONNS_MAX 1024
#define CONTROL_STACK	  (256u << 10)
#define CONTROL_SEND_SEC  10		     /* for a caller that does not read */
#define CONTROL_FLUSH	  (2 * USEC_PER_SEC) /* for verdicts to leave when all is over */

struct control_conn {
	struct control *control;
	struct control_conn *next;
	int sock; /* owned by its thread */
};

struct control {
	struct coffer_container *c;
	int listen_fd, stop_fd;
	pthread_t acceptor;
	bool accepting;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct control_conn *conns; /* list */
	unsigned nconns;
};

int control_reply(struct control_call *call, const struct coffer_error *err)
{
	Ct__Reply verdict = CT__REPLY__INIT;

	if (!err)
		return wire_send(call->sock, &call->reply.base, &call->fds);
	wire_put_error(&verdict, err);
	return wire_send(call->sock, &verdict.base, NULL);
}

static void control_answer(struct coffer_container *c, int sock, const Ct__Request *req)
{
	struct control_call call = { .c = c, .sock = sock, .req = req, .fds = WIRE_FDS_INIT };
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	ct__reply__init(&call.reply);
	r = control_call(&call, &err);
	r = call.told ? 0 : control_reply(&call, r < 0 ? &err : NULL);
	if (r < 0)
		log_debug("reply: %s", strerror(-r));
	wire_fds_close(&call.fds);
	free(call.hold);
}

static int control_greet(const struct coffer_container *c, int sock)
{
	const struct timeval patience = { .tv_sec = CONTROL_SEND_SEC };
	Ct__Hello hello = CT__HELLO__INIT;

	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	hello.version = WIRE_VERSION;
	hello.id = wire_text(c->id);
	return wire_send(sock, &hello.base, NULL);
}

static void control_serve(struct coffer_container *c, int sock)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *msg = NULL;
	int r = control_greet(c, sock);

	if (r == 0)
		r = wire_receive(sock, &ct__request__descriptor, deadline_in(WIRE_PATIENCE), &msg,
				 NULL, &err);
	if (r == 0)
		control_answer(c, sock, (const Ct__Request *)msg);
	else
		log_debug("request: %s", err.message);
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
}

static void *control_conn_thread(void *data)
{
	struct control_conn *conn = data, **p;
	struct control *control = conn->control;

	control_serve(control->c, conn->sock);
	pthread_mutex_lock(&control->lock);
	for (p = &control->conns; *p != conn; p = &(*p)->next)
		;
	*p = conn->next;
	close_fd(&conn->sock);
	free(conn);
	control->nconns--;
	/* The last touch: control_free() frees what this unlocks. */
	pthread_cond_signal(&control->changed);
	pthread_mutex_unlock(&control->lock);
	return NULL;
}

static bool control_is_welcome(int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

/* @sock is taken over. */
static void control_admit(struct control *control, int sock)
{
	struct control_conn *conn = NULL;
	autoclose int own = sock;

	if (!control_is_welcome(own))
		return;
	pthread_mutex_lock(&control->lock);
	if (control->nconns < CONTROL_CONNS_MAX)
		conn = calloc(1, sizeof(*conn));
	if (conn) {
		*conn = (struct control_conn){ .control = control,
					       .next = control->conns,
					       .sock = own };
		/* The thread, which waits for the lock, finds itself in the list. */
		if (thread_start(NULL, CONTROL_STACK, control_conn_thread, conn) == 0) {
			control->conns = conn;
			control->nconns++;
			steal_fd(&own);
		} else {
			free(conn);
		}
	}
	pthread_mutex_unlock(&control->lock);
}

static void *control_acceptor(void *data)
{
	struct control *control = data;
	struct pollfd fds[] = { { .fd = control->listen_fd, .events = POLLIN },
				{ .fd = control->stop_fd, .events = POLLIN } };

	for (;;) {
		int sock;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[1].revents)
			return NULL;
		if (!fds[0].revents)
			continue;
		sock = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (sock >= 0)
			control_admit(control, sock);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
			/* It stays readable; others have to give something up first. */
			poll(&fds[1], 1, 100);
	}
}

static int control_new(struct coffer_container *c, struct coffer_error *err)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return err_nomem(err);
	control->c = c;
	control->listen_fd = -1;
	control->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (control->stop_fd < 0) {
		free(control);
		return err_sys(err, "eventfd");
	}
	pthread_mutex_init(&control->lock, NULL);
	pthread_cond_init(&control->changed, NULL);
	c->control = control;
	return 0;
}

int control_open(struct coffer_container *c, struct coffer_error *err)
{
	struct control *control;
	int r;

	r = c->control ? 0 : control_new(c, err);
	if (r < 0)
		return r;
	control = c->control;
	control->listen_fd = io_unix_listen(c->dir->fd, RUNDIR_CONTROL, SOCK_STREAM, 0600, err);
	if (control->listen_fd < 0)
		return steal_fd(&control->listen_fd);
	r = thread_start(&control->acceptor, CONTROL_STACK, control_acceptor, control);
	if (r < 0) {
		close_fd(&control->listen_fd);
		return err_sysn(err, r, "start a thread");
	}
	control->accepting = true;
	return 0;
}

void control_close(struct coffer_container *c)
{
	struct control *control = c->control;
	uint64_t n = 1;

	if (!control || !control->accepting)
		return;
	if (write(control->stop_fd, &n, sizeof(n)) < 0)
		log_error("write to an eventfd: %s", strerror(errno));
	pthread_join(control->acceptor, NULL);
	control->accepting = false;
	close_fd(&control->listen_fd);
	/* For the next create. */
	if (read(control->stop_fd, &n, sizeof(n)) < 0)
		log_error("read an eventfd: %s", strerror(errno));
}

/* With the lock. Until none is left, or @limit has passed. */
static void control_drain(struct control *control, usec_t limit)
{
	usec_t left = limit;
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	left += (usec_t)at.tv_nsec / 1000;
	at.tv_sec += (time_t)(left / USEC_PER_SEC);
	at.tv_nsec = (long)(left % USEC_PER_SEC) * 1000;
	while (control->nconns > 0)
		if (pthread_cond_timedwait(&control->changed, &control->lock, &at) == ETIMEDOUT)
			return;
}

void control_free(struct coffer_container *c)
{
	struct control *control = c->control;

	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	/* Those that wait for events know no end: their callers seem to go. */
	for (struct control_conn *conn = control->conns; conn; conn = conn->next)
		shutdown(conn->sock, SHUT_RD);
	control_drain(control, CONTROL_FLUSH);
	for (struct control_conn *conn = control->conns; conn; conn = conn->next)
		shutdown(conn->sock, SHUT_RDWR);
	while (control->nconns > 0)
		pthread_cond_wait(&control->changed, &control->lock);
	pthread_mutex_unlock(&control->lock);
	pthread_mutex_destroy(&control->lock);
	pthread_cond_destroy(&control->changed);
	close_fd(&control->stop_fd);
	free(control);
	c->control = NULL;
}
