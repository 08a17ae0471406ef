/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub/setup.c - the zygote's first moments
 *
 * Runs once, on the stack that execve(2) made, before there is any guest: signal handlers, the
 * control page, the base filter. All of it is inherited by stubs. Then the stack is given up,
 * because nothing of it belongs into a guest's address space.
 */
#include <asm/sigcontext.h>
#include <elf.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "sentry/stub/stub.h"
#include "sentry/trap/layout.h"

#define PAGE 4096ul

struct zygote_action {
	void (*handler)(void);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

static long zygote_call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
			uint64_t f)
{
	long ret;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static void zygote_hello(uint64_t vdso, long r)
{
	struct trap_hello hello = { .vdso = vdso, .error = r < 0 ? (uint64_t)-r : 0 };

	zygote_call(__NR_sendto, TRAP_FD_SOCKET, (uint64_t)&hello, sizeof(hello), 0, 0, 0);
	if (r < 0)
		zygote_call(__NR_exit_group, 1, 0, 0, 0, 0, 0);
}

/* Everything of the guest's that needs us; SIGUSR2 is a kick. A call that a kick interrupts before
 * we have received it starts again by itself. */
static void zygote_signals(void)
{
	static const int signals[] = { SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGUSR2 };
	const struct trap_control *control = (const void *)TRAP_CONTROL;
	struct zygote_action action = {
		.handler = control->signal ? trap_handler_signal : trap_handler_notify,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER,
		.restorer = trap_handler_notify,
		.mask = ~0ul,
	};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		zygote_call(__NR_rt_sigaction, signals[i], (uint64_t)&action, 0, 8, 0, 0);
	zygote_call(__NR_rt_sigprocmask, SIG_SETMASK, (uint64_t)&action.mask, 0, 8, 0, 0);
}

static long zygote_map(uint64_t addr, uint64_t prot, uint64_t offset)
{
	long r = zygote_call(__NR_mmap, addr, PAGE, prot, MAP_SHARED | MAP_FIXED, TRAP_FD_CONTROL,
			     offset);

	return r > -4096 && r < 0 ? r : 0;
}

struct zygote_stack zygote_setup(const uint64_t *sp)
{
	const uint64_t *v = sp + 1 + sp[0] + 1; /* past the arguments */
	const char *last = (const char *)sp;
	uint64_t vdso = 0;
	struct zygote_stack stack;
	long r;

	while (*v)
		v++;
	for (v++; v[0] != AT_NULL; v += 2) {
		if (v[0] == AT_SYSINFO_EHDR)
			vdso = v[1];
		if (v[0] == AT_EXECFN)
			last = (const char *)v[1];
	}
	while (*last)
		last++;
	/* The program's name is the last thing on the stack; below its beginning exec left room. */
	stack.start = ((uint64_t)sp & ~(PAGE - 1)) - (256 << 10);
	stack.len = (((uint64_t)last + 16 + PAGE - 1) & ~(PAGE - 1)) - stack.start;
	if (vdso >= stack.start && vdso < stack.start + stack.len)
		vdso = 0;
	r = zygote_map(TRAP_CONTROL, PROT_READ, 0);
	if (!r)
		r = zygote_map(TRAP_SLOTS, PROT_READ | PROT_WRITE, PAGE);
	if (!r)
		r = zygote_call(__NR_prctl, PR_SET_NAME, (uint64_t)"coffer-stub", 0, 0, 0, 0);
	if (!r)
		r = zygote_call(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
	if (!r)
		r = zygote_call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (!r)
		zygote_signals();
	if (!r)
		r = zygote_call(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0,
				(uint64_t)&trap_filter_base, 0, 0, 0);
	zygote_hello(vdso, r);
	return stack;
}
