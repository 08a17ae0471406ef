/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests that do what no program does: write all over their slots, jump into the stub's text, bring
 * signal frames of their own, speak 32-bit, end processes from outside. What is asked is that every
 * wait ends, nobody but the guest pays for it, and the next guest finds a clean stub.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry_stub.h"

#define SIZE (4 * PAGE_SIZE) /* of DATA */

/* Calls of all kinds, and faults, for ever. rbx: DATA. */
GUEST(busy, "1: mov $0x123, %eax\n"
	    "syscall\n"
	    "mov $158, %eax\n"
	    "syscall\n"
	    "int3\n"
	    "mov $131, %eax\n"
	    "syscall\n"
	    "jmp 1b");
/* Random words all over r12 bytes at r13; rdx: a seed. */
GUEST(scribble, "1: mov %rdx, %rax\n"
		"shl $13, %rax\n"
		"xor %rax, %rdx\n"
		"mov %rdx, %rax\n"
		"shr $7, %rax\n"
		"xor %rax, %rdx\n"
		"mov %rdx, %rax\n"
		"shl $17, %rax\n"
		"xor %rax, %rdx\n"
		"mov %rdx, %rax\n"
		"xor %ecx, %ecx\n"
		"xchg %rdx, %rcx\n"
		"div %r12\n" /* the remainder is in rdx */
		"and $-8, %rdx\n"
		"mov %rcx, (%r13,%rdx)\n"
		"mov %rcx, %rdx\n"
		"jmp 1b");
/* rt_sigreturn with the frame at rsp, through the instruction at r14 in the stub. */
GUEST(sigreturn, "mov $15, %eax\n"
		 "jmp *%r14");
GUEST(loop, "1: jmp 1b");
GUEST(fault, "mov %rax, 0");
/* Says that it is there, and stays. rbx: DATA. */
GUEST(arrive, "movq $1, (%rbx)\n"
	      "1: jmp 1b");
/* To 32-bit code, which calls by int $0x80 and faults. */
GUEST(compat, "sub $16, %rsp\n"
	      "movl $0x400040, (%rsp)\n"
	      "movl $0x23, 4(%rsp)\n"
	      "lretl\n"
	      ".balign 64\n"
	      ".code32\n"
	      "mov $20, %eax\n"
	      "int $0x80\n"
	      "mov $1, %eax\n"
	      "int $0x80\n"
	      "mov %eax, 0\n"
	      ".code64");
GUEST(compat_loop, "sub $16, %rsp\n"
		   "movl $0x400040, (%rsp)\n"
		   "movl $0x23, 4(%rsp)\n"
		   "lretl\n"
		   ".balign 64\n"
		   "1: jmp 1b");
GUEST(step, "pushf\n"
	    "orl $0x100, (%rsp)\n"
	    "popf\n"
	    "1: mov $0x123, %eax\n"
	    "syscall\n"
	    "mov $158, %eax\n"
	    "syscall\n"
	    "jmp 1b");
/* Takes the right to everything from itself. */
GUEST(pkey, "xor %ecx, %ecx\n"
	    "xor %edx, %edx\n"
	    "mov $0xffffffff, %eax\n"
	    ".byte 0x0f, 0x01, 0xef\n"
	    "1: mov $0x123, %eax\n"
	    "syscall\n"
	    "mov (%rbx), %rax\n"
	    "jmp 1b");

static bool guest_enter(struct guest *g)
{
	const struct trap_map maps[] = {
		{ .kind = TRAP_MAP_MEMORY, .addr = CODE, .len = PAGE_SIZE,
		  .prot = PROT_READ | PROT_EXEC, .offset = g->code },
		{ .kind = TRAP_MAP_MEMORY, .addr = DATA, .len = SIZE,
		  .prot = PROT_READ | PROT_WRITE, .offset = g->data },
	};

	assert_int_equal(trap_stub_get(g->pool, &g->stub), 0);
	return !trap_thread_get(g->stub, &g->thread) &&
	       !trap_stub_map(g->stub, maps, ARRAY_SIZE(maps));
}

static void guest_code(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	memcpy(memfile_ptr(g->memory, g->code), code, (size_t)(end - code));
}
#define LOAD(g, name) guest_code((g), guest_##name, guest_##name##_end)

static struct trap_regs guest_regs(void)
{
	return (struct trap_regs){ .rip = CODE, .rsp = DATA + SIZE / 2, .rbx = DATA };
}

/* A guest that behaves, in whatever stub it gets. */
static void check_next(struct guest *g)
{
	const struct trap_regs regs = guest_regs();
	struct trap_regs now;

	assert_true(guest_enter(g));
	LOAD(g, busy);
	assert_int_equal(trap_thread_start(g->thread, &regs, NULL), 0);
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_CALL);
	assert_int_equal(g->event.nr, 0x123);
	trap_return(g->thread, 0);
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_FRAME);
	assert_int_equal(trap_regs_get(g->thread, &now), 0);
	assert_int_equal(now.rbx, regs.rbx);
	assert_int_equal(now.rsp, regs.rsp);
	assert_int_equal(now.r14, 0);
	guest_leave(g);
}

/* Ends a wait that a guest can make as long as it likes: by a kick, then by force. */
struct watchdog {
	struct guest *guest;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool armed, end;
	volatile uint64_t *after; /* no kick before this is set; NULL: at once */
	unsigned bites;
	pthread_t thread;
};

static bool watchdog_wait(struct watchdog *dog, long msec)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += msec * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (dog->armed && !dog->end)
		if (pthread_cond_timedwait(&dog->changed, &dog->lock, &until) == ETIMEDOUT)
			return dog->armed;
	return false;
}

static void *watchdog_run(void *data)
{
	struct watchdog *dog = data;
	bool late = false;

	pthread_mutex_lock(&dog->lock);
	while (!dog->end) {
		if (!dog->armed)
			pthread_cond_wait(&dog->changed, &dog->lock);
		for (int i = 0; i < 10; i++) {
			late = watchdog_wait(dog, 20);
			if (!late || !dog->after || *dog->after)
				break;
		}
		if (late && (!dog->after || *dog->after))
			trap_kick(dog->guest->thread);
		if (watchdog_wait(dog, 200)) {
			trap_stub_kill(dog->guest->stub);
			dog->bites++;
			dog->armed = false;
		}
	}
	pthread_mutex_unlock(&dog->lock);
	return NULL;
}

static void watchdog_arm(struct watchdog *dog, bool armed)
{
	pthread_mutex_lock(&dog->lock);
	dog->armed = armed;
	pthread_cond_broadcast(&dog->changed);
	pthread_mutex_unlock(&dog->lock);
}

static void watchdog_start(struct watchdog *dog, struct guest *g)
{
	*dog = (struct watchdog){ .guest = g, .lock = PTHREAD_MUTEX_INITIALIZER,
				  .changed = PTHREAD_COND_INITIALIZER };
	pthread_create(&dog->thread, NULL, watchdog_run, dog);
}

static void watchdog_end(struct watchdog *dog)
{
	pthread_mutex_lock(&dog->lock);
	dog->end = true;
	pthread_cond_broadcast(&dog->changed);
	pthread_mutex_unlock(&dog->lock);
	pthread_join(dog->thread, NULL);
}

/* What a kernel does with an event, more or less. Return: false: the guest is at its end */
static bool serve(struct guest *g)
{
	struct trap_regs regs;
	void *fp;

	trap_wait(g->thread, &g->event);
	if (g->event.kind == TRAP_GONE)
		return false;
	if (g->event.kind == TRAP_CALL) {
		trap_return(g->thread, -ENOSYS);
		return true;
	}
	fp = malloc(trap_fp_size());
	if (trap_regs_get(g->thread, &regs) || trap_fp_get(g->thread, fp)) {
		free(fp);
		return false;
	}
	assert_int_equal(trap_fp_set(g->thread, fp), 0);
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	free(fp);
	trap_resume(g->thread);
	return true;
}

static int setup(void **state)
{
	*state = guest_new(SIZE);
	return 0;
}

static int teardown(void **state)
{
	guest_free(*state);
	return 0;
}

struct scribbler {
	struct guest guest;
	_Atomic bool end;
};

static void *scribbler_serve(void *data)
{
	struct scribbler *s = data;

	while (!s->end && serve(&s->guest))
		;
	s->end = true;
	return NULL;
}

/* One thread calls and faults, another writes over the slots of both, a third comes and goes. */
static void test_slots_overwritten(void **state)
{
	struct guest *g = *state;
	unsigned served = 0, ends = 0;

	for (unsigned round = 0; round < 60; round++) {
		struct trap_regs regs = guest_regs();
		struct scribbler s = { .guest = *g };
		struct trap_thread *third;
		struct watchdog dog;
		pthread_t thread;

		assert_true(guest_enter(g));
		s.guest.stub = g->stub;
		assert_int_equal(trap_thread_get(g->stub, &s.guest.thread), 0);
		memcpy(memfile_ptr(g->memory, g->code), guest_busy,
		       (size_t)(guest_busy_end - guest_busy));
		memcpy((uint8_t *)memfile_ptr(g->memory, g->code) + 1024, guest_scribble,
		       (size_t)(guest_scribble_end - guest_scribble));
		trap_thread_start(g->thread, &regs, NULL);
		regs.rip = CODE + 1024;
		regs.rdx = 0x9e3779b97f4a7c15 * (round + 1);
		regs.r13 = TRAP_SLOTS;
		/* The heads only, the frames only, or all of both. */
		regs.r12 = round % 3 == 0 ? 256 : 2 * PAGE_SIZE;
		if (round % 3 == 1) {
			regs.r13 += PAGE_SIZE / 4;
			regs.r12 = PAGE_SIZE / 2;
		}
		trap_thread_start(s.guest.thread, &regs, NULL);
		pthread_create(&thread, NULL, scribbler_serve, &s);
		watchdog_start(&dog, g);
		for (int i = 0; i < 100; i++) {
			bool alive;

			watchdog_arm(&dog, true);
			alive = serve(g);
			watchdog_arm(&dog, false);
			if (!alive) {
				ends++;
				break;
			}
			served++;
			if (i % 16 == 0 && !trap_thread_get(g->stub, &third))
				trap_thread_put(third);
		}
		watchdog_end(&dog);
		trap_stub_kill(g->stub);
		pthread_join(thread, NULL);
		trap_thread_put(s.guest.thread);
		guest_leave(g);
	}
	print_message("%u events served, %u guests ended\n", served, ends);
	assert_true(served > 0);
	check_next(g);
}

/* To every byte of the stub's text, with the guest's registers pointing to memory of its own. */
static void jump_everywhere(struct guest *g, bool call)
{
	const unsigned step = how == TRAP_SIGNAL ? 5 : 1; /* every death is a new process there */
	struct watchdog dog;
	unsigned gone = 0, back = 0;

	watchdog_start(&dog, g);
	for (uint64_t at = 0; at < PAGE_SIZE; at += step) {
		struct trap_regs regs = guest_regs();

		assert_true(guest_enter(g));
		LOAD(g, loop);
		regs.rip = TRAP_TEXT + at;
		regs.rax = call ? TRAP_EVENT_CALL : at % 450;
		regs.rdi = regs.rsi = regs.rdx = regs.rbp = DATA + PAGE_SIZE;
		regs.rbx = regs.r12 = DATA;
		regs.r13 = regs.r15 = CODE;
		regs.r8 = regs.r9 = regs.r10 = 1;
		memset(memfile_ptr(g->memory, g->data), at % 3 ? 0 : 0x41, SIZE);
		trap_thread_start(g->thread, &regs, NULL);
		watchdog_arm(&dog, true);
		trap_wait(g->thread, &g->event);
		watchdog_arm(&dog, false);
		if (g->event.kind == TRAP_GONE)
			gone++;
		else
			back++;
		/* The other threads of the stub do their work as before, or it is dead. */
		if (!trap_stub_dead(g->stub)) {
			const struct trap_map map = { .kind = TRAP_PROTECT, .addr = DATA,
						      .len = PAGE_SIZE, .prot = PROT_READ };
			int r = trap_stub_map(g->stub, &map, 1);

			assert_true(r == 0 || r == -ESRCH);
		}
		guest_leave(g);
	}
	watchdog_end(&dog);
	print_message("%u ended, %u events, %u stopped by force\n", gone, back, dog.bites);
	assert_true(gone > 0 && back > 0);
	check_next(g);
}

static void test_jump(void **state)
{
	jump_everywhere(*state, false);
}

/* An event from any other instruction than the handler's would leave a thread that goes on where
 * the old guest says. */
static void test_jump_event(void **state)
{
	jump_everywhere(*state, true);
}

/* A frame as the kernel reads it, made by the guest: all signals blocked, another stack. */
struct forged {
	uint64_t flags, link, stack_sp, stack_flags, stack_size;
	uint64_t r8_15[8];
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2, fpstate, reserved[8], sigmask;
};

/* stub_find() - Where the text has an instruction `syscall` */
static uint64_t stub_find(struct guest *g, unsigned which)
{
	char path[64];
	uint8_t text[PAGE_SIZE];
	FILE *f;
	uint64_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)trap_stub_host_pid(g->stub));
	f = fopen(path, "re");
	if (!f || fseek(f, (long)TRAP_TEXT, SEEK_SET) || fread(text, 1, sizeof(text), f) < 1024) {
		if (f)
			fclose(f);
		return 0;
	}
	fclose(f);
	for (unsigned i = 0; i + 1 < sizeof(text); i++)
		if (text[i] == 0x0f && text[i + 1] == 0x05 && !which--) {
			found = TRAP_TEXT + i;
			break;
		}
	return found;
}

static struct forged *forge(struct guest *g, struct trap_regs *regs)
{
	struct forged *f = (void *)((uint8_t *)memfile_ptr(g->memory, g->data) + PAGE_SIZE);

	*f = (struct forged){
		.stack_sp = DATA + 2 * PAGE_SIZE, .stack_size = 2 * PAGE_SIZE,
		.rip = CODE + 64, .rsp = DATA + PAGE_SIZE, .rbx = DATA,
		.cs = 0x33, .ss = 0x2b, .eflags = 0x202, .sigmask = ~0ul,
	};
	*regs = guest_regs();
	regs->rsp = DATA + PAGE_SIZE;
	return f;
}

/* Signals blocked: no kick comes through, force does. Another stack: its frames are not believed. */
static void test_forged_frame(void **state)
{
	struct guest *g = *state;
	volatile uint64_t *arrived = memfile_ptr(g->memory, g->data);
	struct watchdog dog;

	watchdog_start(&dog, g);
	/* A kick before the frame is returned from would find an honest one. */
	dog.after = arrived;
	for (int kind = 0; kind < 4; kind++) {
		const uint8_t *there = kind & 1 ? guest_fault : guest_arrive;
		const uint8_t *end = kind & 1 ? guest_fault_end : guest_arrive_end;
		struct trap_regs regs;
		struct forged *f;

		*arrived = 0;
		assert_true(guest_enter(g));
		f = forge(g, &regs);
		regs.r14 = stub_find(g, 0);
		if (!regs.r14)
			skip(); /* only root reads that */
		LOAD(g, sigreturn);
		memcpy((uint8_t *)memfile_ptr(g->memory, g->code) + 64, there,
		       (size_t)(end - there));
		if (kind & 2)
			f->sigmask = 0;
		trap_thread_start(g->thread, &regs, NULL);
		watchdog_arm(&dog, true);
		trap_wait(g->thread, &g->event);
		watchdog_arm(&dog, false);
		if (g->event.kind == TRAP_FRAME)
			assert_int_equal(trap_regs_get(g->thread, &regs), -EFAULT);
		else
			assert_int_equal(g->event.kind, TRAP_GONE);
		trap_resume(g->thread);
		trap_wait(g->thread, &g->event);
		assert_int_equal(g->event.kind, TRAP_GONE);
		guest_leave(g);
	}
	watchdog_end(&dog);
	check_next(g);
}

/* A thread whose signals are blocked cannot be parked by one; it does not get into the next guest. */
static void test_forged_then_exit(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs;
	struct forged *f;
	struct trap_thread *again;

	assert_true(guest_enter(g));
	f = forge(g, &regs);
	f->rip = CODE + 64;
	regs.r14 = stub_find(g, 0);
	if (!regs.r14)
		skip();
	LOAD(g, sigreturn);
	memcpy((uint8_t *)memfile_ptr(g->memory, g->code) + 64, guest_busy,
	       (size_t)(guest_busy_end - guest_busy));
	trap_thread_start(g->thread, &regs, NULL);
	trap_wait(g->thread, &g->event);
	if (g->event.kind == TRAP_CALL) {
		/* Its process lives on, and wants another thread: it gets none, or a sound one. */
		trap_thread_put(g->thread);
		if (!trap_thread_get(g->stub, &again)) {
			const struct trap_regs fresh = guest_regs();

			LOAD(g, busy);
			trap_thread_start(again, &fresh, NULL);
			trap_wait(again, &g->event);
			assert_int_not_equal(g->event.kind, TRAP_FRAME);
			g->thread = again;
		}
	}
	guest_leave(g);
	check_next(g);
}

/* An alternate stack that begins at the slot, and goes on beyond it: the kernel keeps it as long as
 * frames are returned from in there. It is not the next guest's. */
static void test_forged_stack(void **state)
{
	struct guest *g = *state;

	for (int events = 1; events <= 3; events++) {
		struct trap_regs regs;
		struct trap_thread *second;
		struct forged *f;

		assert_true(guest_enter(g));
		assert_int_equal(trap_thread_get(g->stub, &second), 0); /* more slots are there */
		f = forge(g, &regs);
		f->stack_sp = TRAP_SLOTS;
		f->stack_size = 16 * PAGE_SIZE;
		f->sigmask = 0;
		regs.r14 = stub_find(g, 0);
		if (!regs.r14)
			skip();
		LOAD(g, sigreturn);
		memcpy((uint8_t *)memfile_ptr(g->memory, g->code) + 64, guest_busy,
		       (size_t)(guest_busy_end - guest_busy));
		trap_thread_start(g->thread, &regs, NULL);
		trap_wait(g->thread, &g->event);
		for (int i = 1; i < events && g->event.kind != TRAP_GONE; i++) {
			if (g->event.kind == TRAP_CALL)
				trap_return(g->thread, 0);
			else
				trap_resume(g->thread);
			trap_wait(g->thread, &g->event);
		}
		trap_thread_put(second);
		guest_leave(g);
		check_next(g);
	}
}

static void test_compat(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs = guest_regs();

	assert_true(guest_enter(g));
	LOAD(g, compat);
	trap_thread_start(g->thread, &regs, NULL);
	trap_wait(g->thread, &g->event);
	if (g->event.kind == TRAP_FRAME && g->event.signal == SIGSEGV) {
		guest_leave(g); /* a kernel without 32-bit code */
		return;
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(g->event.kind, TRAP_CALL);
		assert_int_equal(g->event.nr, -1);
		trap_return(g->thread, -ENOSYS);
		trap_wait(g->thread, &g->event);
	}
	assert_int_equal(g->event.kind, TRAP_FRAME);
	assert_int_equal(g->event.signal, SIGSEGV);
	assert_int_equal(g->event.address, 0);
	guest_leave(g);
	check_next(g);
}

static void test_compat_kick(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs = guest_regs();

	assert_true(guest_enter(g));
	LOAD(g, compat_loop);
	trap_thread_start(g->thread, &regs, NULL);
	usleep(1000);
	for (int i = 0; i < 20; i++) {
		trap_kick(g->thread);
		trap_wait(g->thread, &g->event);
		assert_int_equal(g->event.kind, TRAP_FRAME);
		if (i == 0 && g->event.signal == SIGSEGV)
			break; /* a kernel without 32-bit code */
		assert_int_equal(g->event.signal, 0);
		assert_int_equal(trap_regs_get(g->thread, &regs), 0);
		assert_int_equal(trap_regs_set(g->thread, &regs), 0);
		trap_resume(g->thread);
	}
	if (g->event.signal == 0) {
		trap_kick(g->thread);
		trap_wait(g->thread, &g->event);
	}
	guest_leave(g);
	check_next(g);
}

static void test_single_step(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs = guest_regs();
	unsigned steps = 0, calls = 0;

	assert_true(guest_enter(g));
	LOAD(g, step);
	trap_thread_start(g->thread, &regs, NULL);
	for (int i = 0; i < 200; i++) {
		trap_wait(g->thread, &g->event);
		assert_int_not_equal(g->event.kind, TRAP_GONE);
		if (g->event.kind == TRAP_CALL) {
			assert_int_equal(g->event.nr, 0x123);
			calls++;
			trap_return(g->thread, 0);
			continue;
		}
		assert_true(g->event.signal == SIGTRAP || g->event.signal == SIGSYS);
		steps += g->event.signal == SIGTRAP;
		trap_resume(g->thread);
	}
	assert_true(steps > 20 && calls > 10);
	trap_wait(g->thread, &g->event);
	guest_leave(g);
	check_next(g);
}

static void test_pkey(void **state)
{
	struct guest *g = *state;
	const struct trap_regs regs = guest_regs();
	struct watchdog dog;

	watchdog_start(&dog, g);
	assert_true(guest_enter(g));
	LOAD(g, pkey);
	trap_thread_start(g->thread, &regs, NULL);
	for (int i = 0; i < 20; i++) {
		bool alive;

		watchdog_arm(&dog, true);
		alive = serve(g);
		watchdog_arm(&dog, false);
		if (!alive)
			break;
	}
	trap_stub_kill(g->stub);
	guest_leave(g);
	watchdog_end(&dog);
	check_next(g);
}

/* Wherever a stub is when somebody ends it. */
static void test_killed_anywhere(void **state)
{
	struct guest *g = *state;

	for (unsigned i = 0; i < 150; i++) {
		const struct trap_regs regs = guest_regs();
		const struct trap_map map = { .kind = TRAP_PROTECT, .addr = DATA, .len = PAGE_SIZE,
					      .prot = PROT_READ };
		struct trap_thread *more;
		pid_t pid, child;

		assert_int_equal(trap_stub_get(g->pool, &g->stub), 0);
		pid = trap_stub_host_pid(g->stub);
		child = fork();
		if (!child) {
			usleep(i * 7);
			kill(pid, SIGKILL);
			_exit(0);
		}
		if (!trap_thread_get(g->stub, &g->thread)) {
			LOAD(g, busy);
			trap_thread_start(g->thread, &regs, NULL);
			for (unsigned j = 0;; j++) {
				if (!serve(g))
					break;
				trap_stub_map(g->stub, &map, 1);
				if (j % 8 == 0 && !trap_thread_get(g->stub, &more))
					trap_thread_put(more);
			}
			trap_thread_put(g->thread);
		}
		trap_stub_put(g->stub);
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	check_next(g);
}

/* Without a zygote what is there goes on, and nothing new comes. */
static void test_zygote_killed(void **state)
{
	struct guest *g = *state;
	struct pollfd p = { .fd = trap_pool_broken_fd(g->pool), .events = POLLIN };
	struct trap_stub *stub;
	int r;

	assert_int_equal(poll(&p, 1, 0), 0);
	check_next(g);
	assert_int_equal(syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0), 0);
	assert_int_equal(poll(&p, 1, 60000), 1);
	for (int i = 0; i < 20; i++) {
		r = trap_stub_get(g->pool, &stub);
		if (r < 0)
			break;
	}
	assert_int_equal(r, -EAGAIN);
}

/* No stub outlives the process it is of. */
static void test_orphans(void **state)
{
	int pipefd[2], fds[2];
	struct pollfd p = { .events = POLLIN };
	pid_t pids[2];
	pid_t child;

	assert_int_equal(pipe(pipefd), 0);
	child = fork();
	if (!child) {
		void *mine;
		struct guest *g;

		setup(&mine);
		g = mine;
		guest_enter(g);
		pids[0] = trap_stub_host_pid(g->stub);
		trap_stub_get(g->pool, &g->stub);
		pids[1] = trap_stub_host_pid(g->stub);
		if (write(pipefd[1], pids, sizeof(pids)) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(pipefd[0], pids, sizeof(pids)), sizeof(pids));
	for (int i = 0; i < 2; i++) {
		fds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		assert_true(fds[i] >= 0);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 2; i++) {
		p.fd = fds[i];
		assert_int_equal(poll(&p, 1, 60000), 1);
		close(fds[i]);
	}
	close(pipefd[0]);
	close(pipefd[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(slots_overwritten), T(jump),	      T(jump_event),	T(forged_frame),
		T(forged_then_exit),  T(forged_stack), T(compat),      T(compat_kick),	T(single_step),
		T(pkey),	      T(killed_anywhere), T(zygote_killed), T(orphans),
	};
	int failed = 0;

	alarm(500);
	how = TRAP_NOTIFY;
	failed += cmocka_run_group_tests_name("notify", tests, NULL, NULL);
	how = TRAP_SIGNAL;
	failed += cmocka_run_group_tests_name("signal", tests, NULL, NULL);
	return failed;
}
