/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_run.c - one transfer, from its begin to the guest's verdict
 *
 * Archives are written and read with plain blocking calls.  What would have
 * them wait for ever is dealt with from outside: the socket has time limits,
 * so a guest that stands still ends the copy, and a watcher shuts the socket
 * down when the caller gives up.
 *
 * The verdict is the guest's word and no more: it can turn a copy that looks
 * well into a failed one, never the other way round.
 *
 * Callers: copy.c, copy_archive.c.
 */
#include "container/copy_run.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/thread.h"

#define COPY_VERDICT_BUDGET (60 * USEC_PER_SEC) /* it may have much to write yet */
#define COPY_REASON_BUDGET  (2 * USEC_PER_SEC)	/* why it hung up */
#define COPY_WATCHER_STACK  ((size_t)64 << 10)

usec_t copy_run_idle = 30 * USEC_PER_SEC;

static void copy_run_set_limits(int fd)
{
	usec_t limit = clock_budget(copy_run_idle);
	const struct timeval tv = { .tv_sec = (time_t)(limit / USEC_PER_SEC),
				    .tv_usec = (suseconds_t)(limit % USEC_PER_SEC) };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static void *copy_run_watch(void *data)
{
	struct copy_run *run = data;
	struct pollfd fds[] = { { .fd = run->cancel_fd, .events = POLLIN },
				{ .fd = run->end_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (!fds[1].revents) {
		atomic_store(&run->cancelled, true);
		shutdown(run->t.data_fd, SHUT_RDWR);
	}
	return NULL;
}

static int copy_run_start_watcher(struct copy_run *run, struct coffer_error *err)
{
	int r;

	run->end_fd = eventfd(0, EFD_CLOEXEC);
	if (run->end_fd < 0)
		return err_sys(err, "eventfd");
	r = thread_start(&run->watcher, COPY_WATCHER_STACK, copy_run_watch, run);
	if (r < 0)
		return err_sysn(err, r, "start a thread");
	run->is_watched = true;
	return 0;
}

static void copy_run_stop_watcher(struct copy_run *run)
{
	const uint64_t one = 1;

	if (run->is_watched && write(run->end_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(run->watcher, NULL);
	run->is_watched = false;
	close_fd(&run->end_fd);
}

static void copy_run_hold_signals(struct copy_run *run)
{
	sigset_t all, pending;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &run->signals);
	sigpending(&pending);
	run->had_pipe_signal = sigismember(&pending, SIGPIPE);
}

/* Only SIGPIPE stays blocked. */
static void copy_run_let_signals(const struct copy_run *run)
{
	sigset_t set = run->signals;

	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void copy_run_restore_signals(const struct copy_run *run)
{
	const struct timespec zero = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	/* Ours, not the caller's. */
	if (!run->had_pipe_signal)
		sigtimedwait(&set, NULL, &zero);
	pthread_sigmask(SIG_SETMASK, &run->signals, NULL);
}

int copy_run_begin(struct copy_run *run, struct coffer_container *c,
		   const struct transfer_request *request, int cancel_fd,
		   struct coffer_error *err)
{
	int r;

	*run = (struct copy_run){ .c = c, .t = TRANSFER_INIT, .kind = request->kind,
				  .cancel_fd = cancel_fd, .end_fd = -1 };
	r = transfer_ops_of(c)->open(c, request, cancel_fd, &run->t, err);
	if (r < 0)
		return r;
	copy_run_set_limits(run->t.data_fd);
	copy_run_hold_signals(run);
	r = cancel_fd >= 0 ? copy_run_start_watcher(run, err) : 0;
	copy_run_let_signals(run);
	if (r < 0)
		return copy_run_end(run, r, NULL, err);
	return 0;
}

/* Return: 0 with a verdict that is well, else negative errno */
static int copy_run_verdict(struct copy_run *run, usec_t budget, uint64_t *count,
			    struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = run->t.verdict_fd, .events = POLLIN },
				{ .fd = run->cancel_fd, .events = POLLIN } };
	usec_t deadline = deadline_in(clock_budget(budget));
	struct transfer_verdict verdict;
	int r;

	do
		r = poll(fds, 2, deadline_poll_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return err_timeout(err, "the guest does not say how it went");
	if (!fds[0].revents) {
		atomic_store(&run->cancelled, true);
		return -ECANCELED;
	}
	if (io_read_full(run->t.verdict_fd, &verdict, sizeof(verdict)) != sizeof(verdict))
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET,
			       "the guest never said how it went");
	verdict.error.message[sizeof(verdict.error.message) - 1] = '\0';
	if (verdict.error.kind != COFFER_ERR_NONE) {
		if (err)
			*err = verdict.error;
		return verdict.error.err > 0 ? -verdict.error.err : -EIO;
	}
	if (count)
		*count = verdict.count;
	return 0;
}

/* Whether an error of ours may be no more than the echo of one of the guest's. */
static bool copy_run_is_echo(const struct copy_run *run, int r)
{
	if (r == -EPIPE || r == -ECONNRESET)
		return true;
	return run->kind != TRANSFER_PUT && r == -EINVAL;
}

/* A stream and an agent that break off together: @r stands unless the container has ended. */
static int copy_run_broken(const struct copy_run *run, int r, struct coffer_error *err)
{
	struct coffer_death death = { .size = sizeof(death) };
	int running = coffer_process_wait(coffer_container_process(run->c),
					  clock_budget(COPY_REASON_BUDGET), NULL, NULL);

	if (coffer_container_death(run->c, &death, NULL) == 0) {
		if (err)
			*err = death.cause;
		return -ECONNRESET;
	}
	/* An owner in another process may be gone with it, and with what it knew. */
	return running == -ETIMEDOUT ? r
				     : err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET,
					       "the container has ended meanwhile");
}

static int copy_run_judge(struct copy_run *run, int r, uint64_t *count, struct coffer_error *err)
{
	struct coffer_error theirs = COFFER_ERROR_INIT;
	int verdict;

	if (r == -EAGAIN)
		return err_timeout(err, "the guest has stopped %s data",
				   run->kind != TRANSFER_PUT ? "sending" : "taking");
	if (r == 0)
		return copy_run_verdict(run, COPY_VERDICT_BUDGET, count, err);
	if (!copy_run_is_echo(run, r))
		return r;
	verdict = copy_run_verdict(run, COPY_REASON_BUDGET, NULL, &theirs);
	if (theirs.kind == COFFER_ERR_INTERRUPTED)
		return copy_run_broken(run, r, err);
	if (verdict == 0 || theirs.kind == COFFER_ERR_NONE || theirs.kind == COFFER_ERR_TIMEOUT)
		return r;
	if (err)
		*err = theirs;
	return verdict;
}

int copy_run_end(struct copy_run *run, int r, uint64_t *count, struct coffer_error *err)
{
	copy_run_stop_watcher(run);
	copy_run_restore_signals(run);
	/* The end of what we send, and for a guest that still does the end of our patience. */
	if (r == 0 && run->kind == TRANSFER_PUT)
		shutdown(run->t.data_fd, SHUT_WR);
	else
		close_fd(&run->t.data_fd);
	if (!atomic_load(&run->cancelled))
		r = copy_run_judge(run, r, count, err);
	if (atomic_load(&run->cancelled))
		r = err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
	transfer_close(&run->t);
	return r;
}
