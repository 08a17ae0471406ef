/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest code of a few instructions in real stubs, in each of the ways events can come: calls,
 * faults, kicks, registers, address space, threads, ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry_stub.h"

#define ABSENT 0x600000ul

GUEST(calls, "1: mov $0x123, %eax\n"
	     "syscall\n"
	     "mov %rax, %rdi\n"
	     "mov $0x124, %eax\n"
	     "syscall\n"
	     "jmp 1b");
GUEST(load, "mov $0x600000, %ebx\n"
	    "mov (%rbx), %rdi\n"
	    "mov $0x123, %eax\n"
	    "syscall\n"
	    "ud2");
GUEST(store, "mov $0x500000, %ebx\n"
	     "movq $7, (%rbx)\n"
	     "mov $0x123, %eax\n"
	     "syscall\n"
	     "ud2");
GUEST(loop, "1: jmp 1b");
GUEST(count, "mov $0x500000, %ebx\n"
	     "1: incq (%rbx)\n"
	     "jmp 1b");
GUEST(frame, "mov $158, %eax\n" /* arch_prctl */
	     "syscall\n"
	     "mov $0x123, %eax\n"
	     "syscall\n"
	     "ud2");
GUEST(traps, "int3\n"
	     "xor %ecx, %ecx\n"
	     "div %ecx\n"
	     "hlt\n"
	     "ud2");
GUEST(bases, "mov %fs:0, %rdi\n"
	     "mov %gs:0, %rsi\n"
	     "mov $0x123, %eax\n"
	     "syscall\n"
	     "ud2");
GUEST(fp, "mov $0x500000, %ebx\n"
	  "movups %xmm7, (%rbx)\n"
	  "stmxcsr 16(%rbx)\n"
	  "mov $0x123, %eax\n"
	  "syscall\n"
	  "pcmpeqd %xmm7, %xmm7\n"
	  "ud2");
GUEST(foreign, "mov $20, %eax\n"
	       "int $0x80\n"
	       "mov $0x40000027, %eax\n"
	       "syscall\n"
	       "mov $-1, %rax\n"
	       "syscall\n"
	       "mov $0xffffffffff600000, %rax\n"
	       "mov $0x500000, %edi\n"
	       "lea 0x500800, %rsp\n"
	       "xor %esi, %esi\n"
	       "call *%rax\n"
	       "mov $0x123, %eax\n"
	       "syscall\n"
	       "ud2");

static void guest_map(struct guest *g, uint64_t addr, uint64_t offset, int prot)
{
	const struct trap_map map = { .kind = TRAP_MAP_MEMORY, .addr = addr, .len = PAGE_SIZE,
				      .prot = prot, .offset = offset };

	assert_int_equal(trap_stub_map(g->stub, &map, 1), 0);
}

static void guest_start(struct guest *g, const uint8_t *code, const uint8_t *end)
{
	const struct trap_regs regs = { .rip = CODE, .rsp = DATA + PAGE_SIZE };

	memcpy(memfile_ptr(g->memory, g->code), code, (size_t)(end - code));
	assert_int_equal(trap_thread_start(g->thread, &regs, NULL), 0);
}
#define START(g, name) guest_start((g), guest_##name, guest_##name##_end)

static void guest_enter(struct guest *g)
{
	assert_int_equal(trap_stub_get(g->pool, &g->stub), 0);
	assert_int_equal(trap_thread_get(g->stub, &g->thread), 0);
	guest_map(g, CODE, g->code, PROT_READ | PROT_EXEC);
	guest_map(g, DATA, g->data, PROT_READ | PROT_WRITE);
}

static void wait_call(struct guest *g, int nr)
{
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_CALL);
	assert_int_equal(g->event.nr, nr);
}

static void wait_frame(struct guest *g, int signal)
{
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_FRAME);
	assert_int_equal(g->event.signal, signal);
}

static void *data_of(struct guest *g)
{
	return memfile_ptr(g->memory, g->data);
}

static int setup(void **state)
{
	struct guest *g = guest_new(PAGE_SIZE);

	assert_int_equal(trap_pool_how(g->pool), how);
	guest_enter(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct guest *g = *state;

	if (g->stub)
		guest_leave(g);
	guest_free(g);
	return 0;
}

static void test_calls(void **state)
{
	struct guest *g = *state;

	START(g, calls);
	for (long i = 0; i < 100; i++) {
		wait_call(g, 0x123);
		assert_int_equal(g->event.ip, CODE + 7);
		trap_return(g->thread, i * 0x100000001);
		wait_call(g, 0x124);
		assert_int_equal(g->event.args[0], i * 0x100000001);
		trap_return(g->thread, -ENOSYS);
	}
	wait_call(g, 0x123);
	trap_return(g->thread, -EBADF);
	wait_call(g, 0x124);
	assert_int_equal((int64_t)g->event.args[0], -EBADF);
}

/* What the host's kernel would take for its own restart codes reaches no guest. */
static void test_restart_codes(void **state)
{
	struct guest *g = *state;

	START(g, calls);
	for (long e = 512; e <= 516; e++) {
		wait_call(g, 0x123);
		trap_return(g->thread, -e);
		wait_call(g, 0x124);
		assert_int_equal((int64_t)g->event.args[0], -EINTR);
		trap_return(g->thread, 0);
	}
}

static void test_fault(void **state)
{
	struct guest *g = *state;
	uint64_t page;

	assert_int_equal(memfile_alloc(g->memory, PAGE_SIZE, &page), 0);
	*(uint64_t *)memfile_ptr(g->memory, page) = 0xfeedface;
	START(g, load);
	wait_frame(g, SIGSEGV);
	assert_int_equal(g->event.address, ABSENT);
	assert_int_equal(g->event.code, SEGV_MAPERR);
	assert_int_equal(g->event.trapno, 14);
	assert_int_equal(g->event.error & 0x12, 0);
	trap_resume(g->thread);
	wait_frame(g, SIGSEGV); /* nothing was done about it */
	guest_map(g, ABSENT, page, PROT_READ);
	trap_resume(g->thread);
	wait_call(g, 0x123);
	assert_int_equal(g->event.args[0], 0xfeedface);
}

static void test_fault_write(void **state)
{
	struct guest *g = *state;
	const struct trap_map ro = { .kind = TRAP_PROTECT, .addr = DATA, .len = PAGE_SIZE,
				     .prot = PROT_READ };
	const struct trap_map rw = { .kind = TRAP_PROTECT, .addr = DATA, .len = PAGE_SIZE,
				     .prot = PROT_READ | PROT_WRITE };

	assert_int_equal(trap_stub_map(g->stub, &ro, 1), 0);
	START(g, store);
	wait_frame(g, SIGSEGV);
	assert_int_equal(g->event.address, DATA);
	assert_int_equal(g->event.code, SEGV_ACCERR);
	assert_int_equal(g->event.error & 2, 2);
	assert_int_equal(trap_stub_map(g->stub, &rw, 1), 0);
	trap_resume(g->thread);
	wait_call(g, 0x123);
	assert_int_equal(*(uint64_t *)data_of(g), 7);
}

static void test_traps(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs;

	START(g, traps);
	wait_frame(g, SIGTRAP);
	trap_resume(g->thread);
	wait_frame(g, SIGFPE);
	assert_int_equal(g->event.address, CODE + 3);
	assert_int_equal(trap_regs_get(g->thread, &regs), 0);
	regs.rip += 2;
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_frame(g, SIGSEGV); /* a privileged instruction has no address */
	assert_int_equal(g->event.trapno, 13);
	assert_int_equal(trap_regs_get(g->thread, &regs), 0);
	regs.rip += 1;
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_frame(g, SIGILL);
}

static void test_kick_running(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs;

	START(g, loop);
	for (int i = 0; i < 50; i++) {
		trap_kick(g->thread);
		wait_frame(g, 0);
		assert_int_equal(trap_regs_get(g->thread, &regs), 0);
		assert_int_equal(regs.rip, CODE);
		trap_resume(g->thread);
	}
	trap_kick(g->thread);
	wait_frame(g, 0);
}

/* The result is in the frame, and nothing of the guest has run since. */
static void test_kick_call(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs;

	START(g, calls);
	for (int i = 0; i < 200; i++) {
		wait_call(g, 0x123);
		trap_kick(g->thread);
		trap_return(g->thread, 1000 + i);
		wait_frame(g, 0);
		assert_int_equal(trap_regs_get(g->thread, &regs), 0);
		assert_int_equal(regs.rax, 1000 + i);
		assert_int_equal(regs.rip, CODE + 7);
		/* As a signal would have it: the call is made again. */
		regs.rip -= 2;
		regs.rax = 0x123;
		assert_int_equal(trap_regs_set(g->thread, &regs), 0);
		trap_resume(g->thread);
		wait_call(g, 0x123);
		trap_return(g->thread, 5);
		wait_call(g, 0x124);
		assert_int_equal(g->event.args[0], 5);
		trap_return(g->thread, 0);
	}
	wait_call(g, 0x123);
}

static void test_kick_frame(void **state)
{
	struct guest *g = *state;

	START(g, load);
	wait_frame(g, SIGSEGV);
	trap_kick(g->thread);
	trap_kick(g->thread);
	trap_resume(g->thread);
	wait_frame(g, 0);
	trap_resume(g->thread);
	wait_frame(g, SIGSEGV);
}

struct kicker {
	struct trap_thread *thread;
	_Atomic bool stop;
};

static void *kicker_run(void *data)
{
	struct kicker *k = data;

	while (!k->stop) {
		trap_kick(k->thread);
		usleep(50);
	}
	return NULL;
}

/* However kicks fall, every call is made once, with its own result. */
static void test_kick_storm(void **state)
{
	struct guest *g = *state;
	struct kicker k = { .thread = g->thread };
	pthread_t thread;
	unsigned kicks = 0;

	START(g, calls);
	pthread_create(&thread, NULL, kicker_run, &k);
	for (long i = 0; i < 3000 || !kicks;) {
		trap_wait(g->thread, &g->event);
		if (g->event.kind == TRAP_FRAME) {
			assert_int_equal(g->event.signal, 0);
			kicks++;
			trap_resume(g->thread);
			continue;
		}
		assert_int_equal(g->event.kind, TRAP_CALL);
		if (i % 2)
			assert_int_equal(g->event.args[0], i - 1 + 77);
		assert_int_equal(g->event.nr, 0x123 + i % 2);
		trap_return(g->thread, i + 77);
		i++;
	}
	k.stop = true;
	pthread_join(thread, NULL);
	do
		trap_wait(g->thread, &g->event);
	while (g->event.kind == TRAP_FRAME && (kicks++, trap_resume(g->thread), true));
}

static void test_frame_call(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs, again;

	START(g, frame);
	wait_frame(g, SIGSYS);
	assert_int_equal(g->event.nr, SYS_arch_prctl);
	assert_int_equal(g->event.ip, CODE + 7);
	assert_int_equal(trap_regs_get(g->thread, &regs), 0);
	assert_int_equal(regs.rip, CODE + 7);
	regs = (struct trap_regs){
		.r15 = 15, .r14 = 14, .r13 = 13, .r12 = 12, .rbp = 5, .rbx = 3, .r11 = 11,
		.r10 = 10, .r9 = 9, .r8 = 8, .rax = 0, .rcx = 1, .rdx = 2, .rsi = 6, .rdi = 7,
		.rip = CODE, .rsp = 0x123450, .eflags = 0x202 | 0x1 | 0x3000 /* IOPL */,
		.fs_base = DATA, .gs_base = DATA + 8,
	};
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_frame(g, SIGSYS); /* from the top */
	assert_int_equal(trap_regs_get(g->thread, &again), 0);
	regs.rax = SYS_arch_prctl;
	regs.rip = CODE + 7;
	regs.rcx = CODE + 7;
	regs.eflags = 0x203;
	regs.r11 = again.r11;
	assert_int_equal(again.eflags & 0xfff, regs.eflags & 0xfff);
	assert_int_equal(again.eflags & 0x3000, 0);
	again.eflags = regs.eflags;
	assert_memory_equal(&again, &regs, sizeof(regs));
}

static void test_bases(void **state)
{
	struct guest *g = *state;
	struct trap_regs regs = { .rip = CODE, .fs_base = DATA, .gs_base = DATA + 8 };

	((uint64_t *)data_of(g))[0] = 111;
	((uint64_t *)data_of(g))[1] = 222;
	memcpy(memfile_ptr(g->memory, g->code), guest_bases,
	       (size_t)(guest_bases_end - guest_bases));
	assert_int_equal(trap_thread_start(g->thread, &regs, NULL), 0);
	wait_call(g, 0x123);
	assert_int_equal(g->event.args[0], 111);
	assert_int_equal(g->event.args[1], 222);
	trap_return(g->thread, 0);
	wait_frame(g, SIGILL);
	assert_int_equal(trap_regs_get(g->thread, &regs), 0);
	assert_int_equal(regs.fs_base, DATA);
	assert_int_equal(regs.gs_base, DATA + 8);
	/* Not an address at all: no reason for anything but a fault of the guest's. */
	regs.fs_base = UINT64_C(1) << 63;
	regs.rip = CODE;
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_frame(g, SIGSEGV);
}

static void test_fp(void **state)
{
	struct guest *g = *state;
	size_t size = trap_fp_size();
	autofree uint8_t *fp = malloc(size);
	struct trap_regs regs;
	uint8_t ones[16];

	memset(ones, 0xff, sizeof(ones));
	assert_true(size >= 512);
	START(g, fp);
	wait_call(g, 0x123);
	assert_memory_equal(data_of(g), (uint8_t[16]){ 0 }, 16);
	assert_int_equal(((uint32_t *)data_of(g))[4], 0x1f80);
	trap_return(g->thread, 0);
	wait_frame(g, SIGILL);
	assert_int_equal(trap_fp_get(g->thread, fp), 0);
	assert_memory_equal(fp + 160 + 7 * 16, ones, 16);

	memset(fp + 160 + 7 * 16, 0xa5, 16);
	/* What would fault: reserved bits of MXCSR, unknown components, a foreign size. */
	memset(fp + 24, 0xff, 4);
	memset(fp + 464, 0xee, 48);
	if (size > 512)
		memset(fp + 512, 0xff, 64);
	assert_int_equal(trap_fp_set(g->thread, fp), 0);
	assert_int_equal(trap_regs_get(g->thread, &regs), 0);
	regs.rip = CODE;
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_call(g, 0x123);
	memset(ones, 0xa5, sizeof(ones));
	assert_memory_equal(data_of(g), ones, 16);
	trap_return(g->thread, 0);
	wait_frame(g, SIGILL);
	assert_int_equal(trap_fp_set(g->thread, NULL), 0);
	assert_int_equal(trap_regs_set(g->thread, &regs), 0);
	trap_resume(g->thread);
	wait_call(g, 0x123);
	assert_memory_equal(data_of(g), (uint8_t[16]){ 0 }, 16);
}

static void test_foreign(void **state)
{
	struct guest *g = *state;

	START(g, foreign);
	for (int i = 0; i < 3; i++) {
		wait_call(g, -1);
		trap_return(g->thread, -ENOSYS);
	}
	/* The vsyscall page is a call like any other, or it is not there. */
	trap_wait(g->thread, &g->event);
	if (g->event.kind == TRAP_CALL) {
		assert_int_equal(g->event.nr, SYS_gettimeofday);
		trap_return(g->thread, 0);
		wait_call(g, 0x123);
	} else {
		assert_int_equal(g->event.signal, SIGSEGV);
	}
}

static void test_maps(void **state)
{
	struct guest *g = *state;
	struct trap_map map = { .kind = TRAP_MAP_MEMORY, .addr = ABSENT, .len = PAGE_SIZE,
				.prot = PROT_READ, .offset = g->data };
	static const struct {
		uint64_t addr, len;
	} wrong[] = {
		{ ABSENT + 1, PAGE_SIZE }, { ABSENT, 1 },	 { ABSENT, 0 },
		{ 0, PAGE_SIZE },	   { GUEST_END, PAGE_SIZE },
		{ GUEST_END - PAGE_SIZE, 2 * PAGE_SIZE },	 { ABSENT, -PAGE_SIZE },
		{ TRAP_TEXT, PAGE_SIZE },  { -PAGE_SIZE, PAGE_SIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		map.addr = wrong[i].addr;
		map.len = wrong[i].len;
		assert_int_equal(trap_stub_map(g->stub, &map, 1), -EINVAL);
	}
	map.addr = GUEST_END - PAGE_SIZE;
	map.len = PAGE_SIZE;
	assert_int_equal(trap_stub_map(g->stub, &map, 1), 0);
	map.kind = TRAP_UNMAP;
	assert_int_equal(trap_stub_map(g->stub, &map, 1), 0);
	/* Nothing there to protect, and the host says so. */
	map.kind = TRAP_PROTECT;
	assert_int_equal(trap_stub_map(g->stub, &map, 1), -ENOMEM);
	map.kind = TRAP_DISCARD;
	map.addr = DATA;
	assert_int_equal(trap_stub_map(g->stub, &map, 1), 0);
	START(g, store);
	wait_call(g, 0x123);
}

/* More than one trip holds, several files, and the descriptors are gone afterwards. */
static void test_map_files(void **state)
{
	struct guest *g = *state;
	struct trap_map maps[150];
	int fds[20];

	for (int i = 0; i < 20; i++) {
		uint64_t word = 0x1000u + (unsigned)i;

		fds[i] = memfd_create("test", MFD_CLOEXEC);
		assert_int_equal(pwrite(fds[i], &word, 8, PAGE_SIZE), 8);
		assert_int_equal(ftruncate(fds[i], 2 * PAGE_SIZE), 0);
	}
	for (int round = 0; round < 30; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(maps); i++)
			maps[i] = (struct trap_map){ .kind = TRAP_MAP_HOST,
						     .addr = ABSENT + (149 - i) * PAGE_SIZE,
						     .len = PAGE_SIZE, .prot = PROT_READ,
						     .fd = fds[i % 20], .offset = PAGE_SIZE,
						     .populate = i & 1, .private_copy = i & 2 };
		assert_int_equal(trap_stub_map(g->stub, maps, ARRAY_SIZE(maps)), 0);
		maps[3].fd = fds[0];
		maps[3].kind = TRAP_PROTECT;
		maps[3].addr = 0x7000000;
		assert_int_equal(trap_stub_map(g->stub, maps, ARRAY_SIZE(maps)), -ENOMEM);
	}
	START(g, load);
	wait_call(g, 0x123);
	assert_int_equal(g->event.args[0], 0x1000 + 149 % 20);
	/* The next guest has its own file there, also under a number that was another's before. */
	guest_leave(g);
	guest_enter(g);
	assert_int_equal(dup2(fds[7], fds[8]), fds[8]);
	maps[0] = (struct trap_map){ .kind = TRAP_MAP_HOST, .addr = ABSENT, .len = PAGE_SIZE,
				     .prot = PROT_READ, .fd = fds[8], .offset = PAGE_SIZE };
	assert_int_equal(trap_stub_map(g->stub, maps, 1), 0);
	START(g, load);
	wait_call(g, 0x123);
	assert_int_equal(g->event.args[0], 0x1007);
	trap_pool_trim(g->pool);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}

static void test_threads(void **state)
{
	enum { N = 40 };
	struct guest *g = *state;
	struct trap_thread *threads[N];
	struct trap_event event;
	const struct trap_regs regs = { .rip = CODE, .rsp = DATA + PAGE_SIZE };

	START(g, calls);
	wait_call(g, 0x123);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			assert_int_equal(trap_thread_get(g->stub, &threads[i]), 0);
			assert_int_equal(trap_thread_start(threads[i], &regs, NULL), 0);
		}
		for (int i = 0; i < N; i++) {
			trap_wait(threads[i], &event);
			assert_int_equal(event.kind, TRAP_CALL);
			trap_return(threads[i], i);
		}
		for (int i = N; i--;) {
			trap_wait(threads[i], &event);
			assert_int_equal(event.kind, TRAP_CALL);
			assert_int_equal(event.nr, 0x124);
			assert_int_equal(event.args[0], i);
			trap_thread_put(threads[i]);
		}
	}
	trap_return(g->thread, 3);
	wait_call(g, 0x124);
	assert_int_equal(g->event.args[0], 3);
}

/* A stub that is used again has nothing of its last guest. */
static void test_recycle(void **state)
{
	struct guest *g = *state;
	pid_t pid = trap_stub_host_pid(g->stub);
	bool again = false;

	for (int i = 0; i < 20; i++) {
		START(g, calls);
		wait_call(g, 0x123);
		trap_return(g->thread, 1);
		wait_call(g, 0x124);
		guest_leave(g);
		assert_int_equal(trap_stub_get(g->pool, &g->stub), 0);
		assert_int_equal(trap_thread_get(g->stub, &g->thread), 0);
		again |= trap_stub_host_pid(g->stub) == pid;
		START(g, calls);
		wait_frame(g, SIGSEGV);
		assert_int_equal(g->event.address, CODE);
		guest_map(g, CODE, g->code, PROT_READ | PROT_EXEC);
		guest_map(g, DATA, g->data, PROT_READ | PROT_WRITE);
	}
	assert_true(again || how == TRAP_SIGNAL);
}

static void test_many_stubs(void **state)
{
	enum { N = 24 };
	struct guest *g = *state;
	struct guest more[N];

	for (int i = 0; i < N; i++) {
		more[i] = *g;
		guest_enter(&more[i]);
		START(&more[i], calls);
	}
	for (int i = 0; i < N; i++) {
		wait_call(&more[i], 0x123);
		trap_return(more[i].thread, i);
	}
	for (int i = 0; i < N; i++) {
		wait_call(&more[i], 0x124);
		assert_int_equal(more[i].event.args[0], i);
		guest_leave(&more[i]);
	}
}

static void *killer_run(void *data)
{
	struct guest *g = data;

	usleep(20000);
	trap_stub_kill(g->stub);
	return NULL;
}

static void test_kill(void **state)
{
	struct guest *g = *state;
	const struct trap_map map = { .kind = TRAP_UNMAP, .addr = ABSENT, .len = PAGE_SIZE };
	pthread_t thread;

	START(g, loop);
	pthread_create(&thread, NULL, killer_run, g);
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_GONE);
	pthread_join(thread, NULL);
	assert_true(trap_stub_dead(g->stub));
	assert_int_equal(trap_stub_map(g->stub, &map, 1), -ESRCH);
	trap_kick(g->thread);
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_GONE);
	guest_leave(g);
	guest_enter(g);
	START(g, calls);
	wait_call(g, 0x123);
}

/* By somebody else, and in the midst of a call. */
static void test_kill_outside(void **state)
{
	struct guest *g = *state;
	const struct trap_map map = { .kind = TRAP_UNMAP, .addr = ABSENT, .len = PAGE_SIZE };
	struct trap_thread *other;

	START(g, calls);
	wait_call(g, 0x123);
	assert_int_equal(kill(trap_stub_host_pid(g->stub), SIGKILL), 0);
	trap_return(g->thread, 0);
	trap_wait(g->thread, &g->event);
	assert_int_equal(g->event.kind, TRAP_GONE);
	assert_int_equal(trap_stub_map(g->stub, &map, 1), -ESRCH);
	assert_int_equal(trap_thread_get(g->stub, &other), -ESRCH);
}

/* One that waits in the pool, too. */
static void test_kill_spare(void **state)
{
	struct guest *g = *state;
	pid_t pid = trap_stub_host_pid(g->stub);
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	guest_leave(g);
	if (how == TRAP_SIGNAL) { /* none waits there, it has ended already */
		close(end.fd);
		return;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(poll(&end, 1, 60000), 1);
	close(end.fd);
	for (int i = 0; i < 4; i++) {
		guest_enter(g);
		START(g, calls);
		wait_call(g, 0x123);
		guest_leave(g);
	}
}

static void test_cpu(void **state)
{
	struct guest *g = *state;
	struct trap_thread *other;
	uint64_t before, after, again, begin;

	START(g, count);
	trap_thread_cpu(g->thread, &before);
	do
		trap_thread_cpu(g->thread, &after);
	while (after < before + 1000000);
	/* A second thread changes how it is read, not what has been. */
	assert_int_equal(trap_thread_get(g->stub, &other), 0);
	begin = clock_now();
	trap_thread_cpu(g->thread, &again);
	assert_true(again >= after);
	do
		trap_thread_cpu(g->thread, &after);
	while (after < again + 1000000);
	assert_true(after < again + 1000 * (clock_now() - begin) + 2000000000);
	trap_thread_cpu(other, &before);
	trap_thread_cpu(other, &again);
	assert_true(again < before + 1000000);
	trap_kick(g->thread);
	wait_frame(g, 0);
	assert_true(*(uint64_t *)data_of(g) > 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(calls),	 T(restart_codes), T(fault),	    T(fault_write), T(traps),
		T(kick_running), T(kick_call),	   T(kick_frame),   T(kick_storm),  T(frame_call),
		T(bases),	 T(fp),		   T(foreign),	    T(maps),	    T(map_files),
		T(threads),	 T(recycle),	   T(many_stubs),   T(kill),	    T(kill_outside),
		T(kill_spare),	 T(cpu),
	};
	int failed = 0;

	how = TRAP_NOTIFY;
	failed += cmocka_run_group_tests_name("notify", tests, NULL, NULL);
	how = TRAP_NOTIFY_SLOW;
	failed += cmocka_run_group_tests_name("notify, slow", tests, NULL, NULL);
	how = TRAP_SIGNAL;
	failed += cmocka_run_group_tests_name("signal", tests, NULL, NULL);
	return failed;
}
