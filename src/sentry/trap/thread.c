/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/thread.c - guest threads: made, parked, started
 *
 * A thread that is not used is parked in its signal handler, waiting for the answer to an event;
 * starting it is answering with a frame that was made here. A new one gets there by a trap of its
 * own once it has its filter.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/io.h"

#define TRAP_PARK_WAIT	 (5 * USEC_PER_SEC) /* for a thread that has nothing else to do */
#define TRAP_SLOTS_CHUNK 16u

/* thread_room() - Slots are mapped where threads are, and not more: the guest can write to them */
static int thread_room(struct trap_stub *stub, unsigned index)
{
	struct trap_pool *pool = stub->pool;
	uint64_t at = stub->nslots * pool->slot_size;
	unsigned more = TRAP_SLOTS_CHUNK;
	int r;

	if (index < stub->nslots)
		return 0;
	if (index >= TRAP_THREADS_MAX)
		return -EAGAIN;
	if (more > TRAP_THREADS_MAX - stub->nslots)
		more = TRAP_THREADS_MAX - stub->nslots;
	stub->control->ops[0] = (struct trap_op){
		.nr = SYS_mmap,
		.args = { TRAP_SLOTS + at, more * pool->slot_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, TRAP_FD_CONTROL,
			  trap_area_offset(pool, stub->area) + at },
	};
	r = trap_ops_run(stub, 1);
	if (!r)
		stub->nslots += more;
	return r;
}

/* The trap at the end of its beginning. */
static int thread_hear(struct trap_thread *thread)
{
	struct trap_event event;
	int r = trap_event_receive(thread, &event);

	if (!r && (event.kind != TRAP_FRAME || event.signal != SIGILL))
		r = -ESRCH;
	return r ? r : trap_frame_learn(thread);
}

static int thread_spawn(struct trap_thread *thread)
{
	struct trap_stub *stub = thread->stub;
	struct trap_pool *pool = stub->pool;
	struct trap_reply reply;
	int r;

	stub->control->stack.sp = thread->slot_addr;
	stub->control->stack.flags = 0;
	stub->control->stack.size = pool->slot_size;
	r = trap_stub_ask(stub, TRAP_DO_THREAD, NULL, 0, &reply,
			  pool->how == TRAP_SIGNAL ? NULL : &thread->listener);
	if (r < 0)
		return r;
	if (reply.id < 0 || (pool->how != TRAP_SIGNAL && thread->listener < 0))
		return -EAGAIN;
	/* Of signals: a forged one reaches only another thread of the same guest. Else the first
	 * event says it. */
	thread->tid = (pid_t)reply.id;
	if (pool->how == TRAP_NOTIFY && trap_listener_sync(thread->listener) < 0)
		pool->how = TRAP_NOTIFY_SLOW;
	r = thread_hear(thread);
	if (r < 0)
		trap_stub_kill(stub);
	return r;
}

static int thread_new(struct trap_stub *stub, struct trap_thread **out)
{
	struct trap_thread *thread;
	int r = thread_room(stub, stub->nthreads);

	if (r < 0)
		return r;
	thread = calloc(1, sizeof(*thread));
	if (!thread)
		return -ENOMEM;
	thread->stub = stub;
	thread->index = stub->nthreads;
	thread->listener = -1;
	thread->slot = (void *)(stub->slots + thread->index * stub->pool->slot_size);
	thread->slot_addr = TRAP_SLOTS + thread->index * stub->pool->slot_size;
	pthread_mutex_init(&thread->kick_lock, NULL);
	r = thread_spawn(thread);
	if (r < 0) {
		trap_thread_free(thread);
		return r;
	}
	stub->nthreads++;
	thread->next = stub->threads;
	stub->threads = thread;
	*out = thread;
	return 0;
}

void trap_thread_free(struct trap_thread *thread)
{
	close_fd(&thread->listener);
	pthread_mutex_destroy(&thread->kick_lock);
	free(thread);
}

static void thread_forget(struct trap_thread *thread)
{
	thread->again = false;
	thread->kicked_before = false;
	thread->call_ip = 0;
	atomic_store(&thread->kicked, false);
}

int trap_thread_get(struct trap_stub *stub, struct trap_thread **out)
{
	struct trap_thread *thread;
	int r = 0;

	pthread_mutex_lock(&stub->lock);
	for (thread = stub->threads; thread && thread->used; thread = thread->next)
		;
	if (!thread)
		r = thread_new(stub, &thread);
	if (!r) {
		trap_cpu_begin(thread);
		thread->used = true;
	}
	pthread_mutex_unlock(&stub->lock);
	if (r < 0)
		return r;
	r = trap_thread_park(thread, true);
	if (r < 0)
		return r;
	thread_forget(thread);
	*out = thread;
	return 0;
}

void trap_thread_put(struct trap_thread *thread)
{
	struct trap_stub *stub = thread->stub;

	pthread_mutex_lock(&stub->lock);
	thread->used = false;
	pthread_mutex_unlock(&stub->lock);
}

/* It goes on by @value, and comes back by a frame. */
static int thread_return(struct trap_thread *thread, long value)
{
	struct trap_event event;
	int r = trap_listener_answer(thread->listener, thread->id, value);

	if (!r && io_wait(thread->listener, POLLIN, deadline_in(TRAP_PARK_WAIT)) > 0)
		r = trap_event_receive(thread, &event);
	else
		r = -ESRCH;
	if (!r && thread->in_frame)
		return 0;
	trap_stub_kill(thread->stub);
	return -ESRCH;
}

/* The kick is there before the call returns, so the thread cannot get anywhere else; unless the
 * guest has blocked the signal by a frame of its own. Then it is not worth keeping. */
int trap_thread_park(struct trap_thread *thread, bool kick)
{
	if (thread->in_frame)
		return 0;
	if (kick)
		trap_thread_signal(thread);
	return thread_return(thread, 0);
}

/* To where nothing is, with registers of ours, and back by a fault. */
static int thread_fault(struct trap_thread *thread)
{
	static const struct trap_regs nowhere;
	uint64_t frame;

	trap_frame_make(thread, &nowhere, NULL);
	frame = thread->slot_addr + thread->frame;
	return thread_return(thread, (long)frame);
}

/* A guest can return from frames of its own making, and so give its thread another alternate stack
 * for good: where that lies over the slot, no later frame of ours changes it, and what the kernel
 * writes for the next guest would be where nobody looks. A frame tells which one there is, if the
 * kernel wrote it and no guest code has run since. */
int trap_threads_clean(struct trap_stub *stub)
{
	struct trap_thread *t;
	int r = 0;

	for (t = stub->threads; t && !r; t = t->next) {
		t->lost = t->started && (t->in_frame || t->call_ip >= GUEST_END);
		r = trap_thread_park(t, false);
	}
	for (t = stub->threads; t && !r; t = t->next)
		if (t->lost)
			r = thread_fault(t);
	for (t = stub->threads; t && !r; t = t->next) {
		r = t->started && !trap_frame_sound(t) ? -ESRCH : 0;
		t->started = false;
	}
	if (r)
		trap_stub_kill(stub);
	return r;
}

int trap_thread_start(struct trap_thread *thread, const struct trap_regs *regs, const void *fp)
{
	thread->started = true;
	trap_frame_make(thread, regs, fp);
	trap_resume(thread);
	return 0;
}

pid_t trap_thread_host_tid(const struct trap_thread *thread)
{
	return thread->tid;
}
