/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/event.c - what comes from a guest thread, and how it is answered; kicks
 *
 * A call is a notification of the guest's own instruction. A frame is the handler's event. Of both
 * the arguments are the kernel's copy of registers, so nobody can change them afterwards.
 *
 * A kick is a signal, which makes the handler send an event, but only if guest code runs. While an
 * event is served here it is a note: a frame that is answered becomes the kick's at once, and for
 * a call the signal is sent just before the answer, so that it arrives with the result.
 *
 * Host kernels up to 6.17 can lose an answer that follows a signal so closely: the call is
 * interrupted and would be made again. The frame shows it, and the result is put there.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRAP_KICK	    SIGUSR2
#define TRAP_X32	    0x40000000
#define TRAP_SYSCALL_LENGTH 2

/* Answers that the host's kernel would take for its own: ERESTARTSYS and family. */
#define TRAP_RESTART_FIRST (-516)
#define TRAP_RESTART_LAST  (-512)

static int event_call_number(int nr, uint32_t arch)
{
	return arch != AUDIT_ARCH_X86_64 || nr < 0 || (nr & TRAP_X32) ? -1 : nr;
}

/* Of SIGSYS the registers hold the arguments, and what follows the address holds number and
 * interface. */
static void event_call_of_frame(struct trap_thread *thread, uint64_t what, struct trap_event *event)
{
	struct trap_regs regs;

	event->nr = -1;
	if (trap_regs_get(thread, &regs) < 0)
		return;
	event->nr = event_call_number((int)(uint32_t)what, (uint32_t)(what >> 32));
	event->ip = regs.rip;
	event->args[0] = regs.rdi;
	event->args[1] = regs.rsi;
	event->args[2] = regs.rdx;
	event->args[3] = regs.r10;
	event->args[4] = regs.r8;
	event->args[5] = regs.r9;
}

/* A kick's frame that shows a call about to be made again although it was answered. */
static void event_mend(struct trap_thread *thread)
{
	struct trap_regs regs;

	if (!thread->kicked_before || trap_regs_get(thread, &regs) < 0 ||
	    regs.rip != thread->call_ip - TRAP_SYSCALL_LENGTH || (int)regs.rax != thread->call)
		return;
	regs.rip = thread->call_ip;
	regs.rax = (uint64_t)thread->call_value;
	trap_regs_set(thread, &regs);
}

/* In the order of the handler's arguments, see layout.h. */
static void event_of_frame(struct trap_thread *thread, const uint64_t args[6],
			   struct trap_event *event)
{
	*event = (struct trap_event){
		.kind = TRAP_FRAME,
		.nr = -1,
		.signal = (int)(uint32_t)args[0],
		.code = (int)(args[0] >> 32),
		.address = args[2],
	};
	thread->in_frame = true;
	thread->fs_base = args[4];
	thread->gs_base = args[5];
	trap_frame_find(thread, args[1]);
	if (event->code <= 0 || event->signal == TRAP_KICK) {
		event->signal = 0;
		event_mend(thread);
	} else if (event->signal == SIGSYS) {
		event_call_of_frame(thread, args[3], event);
	} else {
		event->trapno = (int)trap_frame_word(thread, TRAP_WORD_TRAPNO);
		event->error = trap_frame_word(thread, TRAP_WORD_ERROR);
	}
	thread->kicked_before = false;
}

static void event_of_call(struct trap_thread *thread, const struct seccomp_data *data,
			  struct trap_event *event)
{
	event->kind = TRAP_CALL;
	event->nr = event_call_number(data->nr, data->arch);
	for (int i = 0; i < 6; i++)
		event->args[i] = data->args[i];
	event->ip = data->instruction_pointer;
	event->signal = 0;
	thread->in_frame = false;
	thread->kicked_before = false;
	thread->call = data->nr;
	thread->call_ip = data->instruction_pointer;
}

/* By signals every call has a frame; those that need none are shown as calls. */
static void event_as_call(struct trap_event *event)
{
	static const int framed[] = { SYS_rt_sigreturn, SYS_clone,  SYS_fork,
				      SYS_vfork,	SYS_clone3, SYS_execve,
				      SYS_execveat,	SYS_sigaltstack, SYS_arch_prctl };

	for (size_t i = 0; i < sizeof(framed) / sizeof(framed[0]); i++)
		if (event->nr == framed[i])
			return;
	event->kind = TRAP_CALL;
}

/* From the stub's text only the handler's own instruction counts: where a thread goes on from there
 * is ours to say. After any other one it would go where the guest's registers say, maybe when the
 * stub is another guest's. The first event is made before there is any guest. */
static bool event_is_ours(const struct trap_thread *thread, const struct seccomp_data *data)
{
	struct trap_pool *pool = thread->stub->pool;
	uint64_t none = 0;

	if (data->instruction_pointer >> 32 != TRAP_HIGH)
		return true;
	return atomic_compare_exchange_strong(&pool->event_ip, &none,
					      data->instruction_pointer) ||
	       none == data->instruction_pointer;
}

int trap_event_receive(struct trap_thread *thread, struct trap_event *event)
{
	struct seccomp_notif notif;
	uint64_t args[6];
	int r;

	if (thread->stub->pool->how == TRAP_SIGNAL) {
		r = trap_slot_receive(thread, args);
		if (r < 0)
			return r;
		event_of_frame(thread, args, event);
		if (event->signal == SIGSYS)
			event_as_call(event);
	} else {
		r = trap_listener_receive(thread->stub->pool, thread->listener, &notif);
		if (r < 0)
			return r;
		thread->id = notif.id;
		atomic_store_explicit(&thread->tid, (pid_t)notif.pid, memory_order_relaxed);
		if (!event_is_ours(thread, &notif.data)) {
			trap_stub_kill(thread->stub);
			return -ESRCH;
		}
		if (notif.data.instruction_pointer >> 32 == TRAP_HIGH)
			event_of_frame(thread, (const uint64_t *)notif.data.args, event);
		else
			event_of_call(thread, &notif.data, event);
	}
	thread->serial += 2;
	atomic_store_explicit(&thread->state, thread->serial, memory_order_relaxed);
	return 0;
}

void trap_wait(struct trap_thread *thread, struct trap_event *event)
{
	if (thread->again) {
		thread->again = false;
		*event = (struct trap_event){ .kind = TRAP_FRAME, .nr = -1 };
		return;
	}
	if (trap_event_receive(thread, event) < 0)
		*event = (struct trap_event){ .kind = TRAP_GONE, .nr = -1 };
}

int trap_event_fd(const struct trap_thread *thread)
{
	return thread->stub->pool->how == TRAP_NOTIFY && !thread->in_frame ? thread->listener : -1;
}

void trap_thread_signal(struct trap_thread *thread)
{
	syscall(SYS_tgkill, thread->stub->pid, thread->tid, TRAP_KICK);
}

/* Either we see the note here, or who writes it sees the state. Where another thread than the owner
 * has answered, the next event may be there already: its answer sees the note. */
static void event_run(struct trap_thread *thread, unsigned serial)
{
	if (atomic_compare_exchange_strong(&thread->state, &serial, serial + TRAP_RUNNING) &&
	    atomic_load(&thread->kicked))
		trap_kick(thread);
}

static void event_return_call(struct trap_thread *thread, long value)
{
	unsigned kicks = atomic_load(&thread->kicks), serial = thread->serial;

	if (atomic_load(&thread->kicked) && atomic_exchange(&thread->kicked, false)) {
		trap_thread_signal(thread);
		thread->kicked_before = true;
	} else if (kicks != thread->kicks_seen) {
		/* Sent while the call was on its way to us; see that it is out. */
		pthread_mutex_lock(&thread->kick_lock);
		thread->kicks_seen = atomic_load(&thread->kicks);
		pthread_mutex_unlock(&thread->kick_lock);
		thread->kicked_before = true;
	}
	thread->call_value = value;
	trap_listener_answer(thread->listener, thread->id, value);
	event_run(thread, serial);
}

void trap_return(struct trap_thread *thread, long value)
{
	struct trap_regs regs;

	if (value >= TRAP_RESTART_FIRST && value <= TRAP_RESTART_LAST)
		value = -EINTR;
	if (!thread->in_frame) {
		event_return_call(thread, value);
		return;
	}
	if (!trap_regs_get(thread, &regs)) {
		regs.rax = (uint64_t)value;
		trap_regs_set(thread, &regs);
	}
	trap_resume(thread);
}

void trap_resume(struct trap_thread *thread)
{
	if (atomic_load(&thread->kicked) && atomic_exchange(&thread->kicked, false)) {
		thread->again = true;
		return;
	}
	if (!thread->frame || !thread->fp) {
		trap_stub_kill(thread->stub);
		return;
	}
	if (thread->stub->pool->how == TRAP_SIGNAL)
		trap_slot_answer(thread, thread->slot_addr + thread->frame);
	else
		trap_listener_answer(thread->listener, thread->id,
				     (long)(thread->slot_addr + thread->frame));
	event_run(thread, thread->serial);
}

void trap_kick(struct trap_thread *thread)
{
	pthread_mutex_lock(&thread->kick_lock);
	atomic_store(&thread->kicked, true);
	if ((atomic_load(&thread->state) & TRAP_RUNNING) &&
	    atomic_exchange(&thread->kicked, false)) {
		atomic_fetch_add(&thread->kicks, 1);
		trap_thread_signal(thread);
	}
	pthread_mutex_unlock(&thread->kick_lock);
}
