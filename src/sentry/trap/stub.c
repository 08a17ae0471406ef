/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/stub.c - one stub: made, emptied for the next guest, ended
 *
 * A stub is asked for things by a byte on its spawner's socket. It shares its address space with
 * guest code, so an answer's bytes are only a hint; that a descriptor came with it, and how long
 * it is, is true.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"

#define TRAP_STUB_WAIT	  (20 * USEC_PER_SEC) /* a machine that swaps is slow, not broken */
#define TRAP_STUB_THREADS 4		      /* more than these, and it is not used again */

void trap_stub_kill(struct trap_stub *stub)
{
	atomic_store(&stub->dead, true);
	syscall(SYS_pidfd_send_signal, stub->pidfd, SIGKILL, NULL, 0);
}

int trap_stub_end(struct trap_stub *stub)
{
	trap_stub_kill(stub);
	return io_wait(stub->pidfd, POLLIN, deadline_in(clock_budget(TRAP_STUB_WAIT))) > 0 ?
		       0 :
		       -ETIMEDOUT;
}

bool trap_stub_dead(const struct trap_stub *stub)
{
	return atomic_load(&((struct trap_stub *)stub)->dead) || io_wait(stub->pidfd, POLLIN, 0) > 0;
}

pid_t trap_stub_host_pid(const struct trap_stub *stub)
{
	return stub->pid;
}

int trap_stub_ask(struct trap_stub *stub, uint64_t what, const int *fds, size_t nsend,
		  struct trap_reply *reply, int *fd)
{
	uint8_t answer[256];
	size_t nfds = fd ? 1 : 0;
	int none = -1;
	ssize_t n;

	stub->control->what = what;
	if (io_send_fds(stub->sock, "", 1, fds, nsend) < 0)
		return -ESRCH;
	if (io_wait(stub->sock, POLLIN, deadline_in(clock_budget(TRAP_STUB_WAIT))) <= 0) {
		trap_stub_kill(stub);
		return -ESRCH;
	}
	n = io_recv_fds(stub->sock, answer, sizeof(answer), fd ? fd : &none, &nfds);
	if (n <= 0) {
		trap_stub_kill(stub);
		return -ESRCH;
	}
	if (fd && !nfds)
		*fd = -1;
	if (reply) {
		reply->id = 0;
		memcpy(reply, answer, (size_t)n < sizeof(*reply) ? (size_t)n : sizeof(*reply));
	}
	return (int)n;
}

/* The mapper's first event is that it is there. */
static int stub_add_mapper(struct trap_stub *stub)
{
	struct seccomp_notif event = { 0 };
	int r;

	if (stub->pool->how == TRAP_SIGNAL)
		return 0;
	r = trap_stub_ask(stub, TRAP_DO_MAPPER, NULL, 0, NULL, &stub->mapper);
	if (r < 0)
		return r;
	if (stub->mapper < 0)
		return -EAGAIN;
	if (stub->pool->how == TRAP_NOTIFY && trap_listener_sync(stub->mapper) < 0)
		stub->pool->how = TRAP_NOTIFY_SLOW;
	r = trap_listener_receive(stub->pool, stub->mapper, &event);
	if (r < 0)
		return r;
	stub->mapper_id = event.id;
	return 0;
}

static void stub_list(struct trap_stub *stub)
{
	struct trap_pool *pool = stub->pool;

	pthread_mutex_lock(&pool->lock);
	stub->next_all = pool->all;
	if (pool->all)
		pool->all->prev_all = stub;
	pool->all = stub;
	pthread_mutex_unlock(&pool->lock);
}

static void stub_unlist(struct trap_stub *stub)
{
	struct trap_pool *pool = stub->pool;

	pthread_mutex_lock(&pool->lock);
	if (stub->prev_all)
		stub->prev_all->next_all = stub->next_all;
	else
		pool->all = stub->next_all;
	if (stub->next_all)
		stub->next_all->prev_all = stub->prev_all;
	pthread_mutex_unlock(&pool->lock);
}

/* What no cleanup attribute can say: a host process, its area, and its place in a list. */
static int stub_begin(struct trap_stub *stub)
{
	struct trap_thread *thread;
	int r;

	stub->control->signal = stub->pool->how == TRAP_SIGNAL;
	stub->nslots = 1;
	r = trap_zygote_fork(stub->pool, stub->area, &stub->pid, &stub->pidfd, &stub->sock);
	if (r < 0)
		return r;
	r = stub_add_mapper(stub);
	if (r < 0)
		return r;
	/* Every guest has a first thread. */
	r = trap_thread_get(stub, &thread);
	if (r < 0)
		return r;
	trap_thread_put(thread);
	return 0;
}

int trap_stub_new(struct trap_pool *pool, struct trap_stub **out)
{
	struct trap_stub *stub = calloc(1, sizeof(*stub));
	int area;
	int r;

	if (!stub)
		return -ENOMEM;
	area = trap_area_get(pool);
	if (area < 0) {
		free(stub);
		return area;
	}
	stub->pool = pool;
	stub->pidfd = stub->sock = stub->mapper = -1;
	stub->area = (unsigned)area;
	stub->control = trap_area_control(pool, stub->area);
	stub->slots = trap_area_slots(pool, stub->area);
	pthread_mutex_init(&stub->lock, NULL);
	stub_list(stub);
	r = stub_begin(stub);
	if (r < 0) {
		trap_stub_free(stub);
		return r;
	}
	*out = stub;
	return 0;
}

void trap_stub_free(struct trap_stub *stub)
{
	struct trap_thread *thread;
	siginfo_t si;

	stub_unlist(stub);
	if (stub->pidfd >= 0) {
		trap_stub_kill(stub);
		while (waitid(P_PIDFD, (id_t)stub->pidfd, &si, WEXITED | __WALL) < 0 &&
		       errno == EINTR)
			;
	}
	while ((thread = stub->threads)) {
		stub->threads = thread->next;
		trap_thread_free(thread);
	}
	close_fd(&stub->mapper);
	close_fd(&stub->sock);
	close_fd(&stub->pidfd);
	trap_area_put(stub->pool, stub->area);
	pthread_mutex_destroy(&stub->lock);
	free(stub);
}

/* Nothing of the last guest is left: no mapping, no register. */
static int stub_empty(struct trap_stub *stub)
{
	static const struct trap_map everything = {
		.kind = TRAP_UNMAP, .addr = GUEST_START, .len = GUEST_END - GUEST_START,
	};
	struct trap_pool *pool = stub->pool;
	int r = trap_stub_map(stub, &everything, 1);

	stub->many = false;
	if (!r)
		r = trap_threads_clean(stub);
	/* In its handler a thread needs nothing of its slot until it is started, with a whole
	 * frame. */
	memset(stub->slots, 0, stub->nthreads * pool->slot_size);
	if (stub->nslots > stub->nthreads)
		trap_area_drop(pool, stub->area, stub->nthreads);
	return r;
}

void trap_stub_put(struct trap_stub *stub)
{
	struct trap_pool *pool = stub->pool;
	bool keep;

	/* By signals nobody but the guest says where its threads are. */
	if (pool->how == TRAP_SIGNAL || trap_stub_dead(stub) ||
	    stub->nthreads > TRAP_STUB_THREADS || stub_empty(stub) < 0) {
		trap_stub_free(stub);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	keep = pool->nspare < TRAP_SPARE_MAX && !pool->closing;
	if (keep) {
		stub->next = pool->spare;
		pool->spare = stub;
		pool->nspare++;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!keep)
		trap_stub_free(stub);
}
