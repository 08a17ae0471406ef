/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as a program sees them: frames, stacks, masks, queues, faults, returning. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/ucontext.h>

#include "guest.h"

#define RESTORER 0x04000000

static volatile sig_atomic_t count, last;

static void on(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static void counted(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	last = sig;
	count++;
}

static void sig_set(sigset_t *set, int sig, int sig2)
{
	sigemptyset(set);
	sigaddset(set, sig);
	if (sig2)
		sigaddset(set, sig2);
}

/* --- the frame --- */

struct software {
	uint32_t magic1, size;
	uint64_t features;
	uint32_t xstate, pad[7];
};

static void frame_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;
	uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs, *low = (uint8_t *)uc - 8;
	uint64_t above = (uint64_t)regs[REG_RSP] - 128;
	struct software sw;
	uint32_t magic2;

	memcpy(&sw, fp + 464, sizeof(sw));
	memcpy(&magic2, fp + sw.xstate, sizeof(magic2));
	printf("signal %d code %d errno %d mine %d uid %d\n", sig, info->si_code, info->si_errno,
	       info->si_pid == getpid(), info->si_uid == getuid());
	printf("info at %td, frame at 8 mod 16: %d, fp at 0 mod 64: %d, just above: %d\n",
	       (uint8_t *)info - (uint8_t *)uc, (uintptr_t)low % 16 == 8, (uintptr_t)fp % 64 == 0,
	       fp - (uint8_t *)info - 128 < 24 && fp > (uint8_t *)info);
	printf("below the red zone: %d\n", above - (uintptr_t)(fp + sw.size) < 64);
	printf("flags %lx link %d stack %p %d %zu\n", uc->uc_flags, uc->uc_link != NULL,
	       uc->uc_stack.ss_sp, uc->uc_stack.ss_flags, uc->uc_stack.ss_size);
	printf("segments %llx err %llx trap %lld cr2 %llx old %llx\n", regs[REG_CSGSFS], regs[REG_ERR],
	       regs[REG_TRAPNO], regs[REG_CR2], regs[REG_OLDMASK]);
	printf("software %x %u %lx %u %x\n", sw.magic1, sw.size, sw.features, sw.xstate, magic2);
	printf("mask %lx restorer is code: %d\n", *(unsigned long *)&uc->uc_sigmask,
	       **(uint64_t **)low == 0x0f0000000fc0c748);
}

static void frames(void)
{
	sigset_t set;

	on(SIGUSR1, frame_handler, 0);
	sig_set(&set, SIGWINCH, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 7 });
}

static void spoil_handler(int sig, siginfo_t *info, void *context)
{
	uint32_t mxcsr;
	uint16_t cw;
	uint64_t flags;

	(void)sig;
	(void)info;
	(void)context;
	asm volatile("pushfq; popq %0" : "=r"(flags));
	asm volatile("stmxcsr %0" : "=m"(mxcsr));
	asm volatile("fnstcw %0" : "=m"(cw));
	printf("in the handler mxcsr %x cw %x direction %d\n", mxcsr, cw,
	       (int)(flags >> 10) & 1);
	fflush(stdout);
	asm volatile("pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm15; fldpi; std; stc; cld" :::
		     "xmm0", "xmm15", "cc");
	count++;
}

/* All registers hold something of their own when the signal comes, in the call and elsewhere. */
static void registers(void)
{
	static uint64_t before[16], after[16];
	static uint8_t xmm[2][32];
	uint32_t mxcsr = 0x9fc0, mxcsr_after;
	uint16_t cw = 0x27f, cw_after;
	uint64_t carry;

	on(SIGUSR1, spoil_handler, 0);
	for (size_t i = 0; i < sizeof(xmm[0]); i++)
		xmm[0][i] = (uint8_t)(i * 7 + 1);
	asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(cw));
	asm volatile("movdqu (%[x]), %%xmm0; movdqu 16(%[x]), %%xmm15\n"
		     "mov $0x1111, %%rbx; mov $0x2222, %%r8; mov $0x3333, %%r9; mov $0x4444, %%r10\n"
		     "mov $0x5555, %%r12; mov $0x6666, %%r13; mov $0x7777, %%r14; mov $0x8888, %%r15\n"
		     "std; stc; mov $200, %%eax; syscall\n" /* tkill */
		     "setc %%cl; cld; movzbl %%cl, %%ecx\n"
		     "mov %%rbx, (%[a]); mov %%r8, 8(%[a]); mov %%r9, 16(%[a]); mov %%r10, 24(%[a])\n"
		     "mov %%r12, 32(%[a]); mov %%r13, 40(%[a]); mov %%r14, 48(%[a])\n"
		     "mov %%r15, 56(%[a]); mov %%rax, 64(%[a]); mov %%rdi, 72(%[a])\n"
		     "mov %%rcx, 80(%[a])\n"
		     "movdqu %%xmm0, 32(%[x]); movdqu %%xmm15, 48(%[x])\n" ::[a] "d"(after),
		     [x] "S"(xmm), "D"(getpid())
		     : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
		       "xmm15", "memory", "cc");
	carry = after[10];
	before[9] = (uint64_t)getpid();
	asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr_after), "=m"(cw_after));
	/* the sixth argument's register is what SIGUSR1's number was in: tkill(pid, rsi) */
	printf("%lx %lx %lx %lx %lx %lx %lx %lx\n", after[0], after[1], after[2], after[3], after[4],
	       after[5], after[6], after[7]);
	printf("rdi kept %d carry %lu xmm kept %d mxcsr %x cw %x\n", after[9] == before[9], carry,
	       memcmp(xmm[0], xmm[1], 32) == 0, mxcsr_after, cw_after);
}

static void red_zone_handler(int sig, siginfo_t *info, void *context)
{
	const struct itimerval none = { 0 };
	volatile char fill[512];

	(void)info;
	(void)context;
	memset((char *)fill, sig, sizeof(fill));
	/* Or who is slow would never do anything else again. */
	if (++count == 20)
		setitimer(ITIMER_REAL, &none, NULL);
}

static void red_zone(void)
{
	struct itimerval timer = { .it_value = { 0, 2000 }, .it_interval = { 0, 2000 } };
	uint64_t sum = 0;

	on(SIGALRM, red_zone_handler, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (count < 20) {
		uint64_t kept;

		asm volatile("movq $0x1234, -128(%%rsp); movq $0x5678, -8(%%rsp); mov $100000, %%ecx\n"
			     "1: dec %%ecx; jnz 1b; movq -128(%%rsp), %0; addq -8(%%rsp), %0"
			     : "=r"(kept)::"rcx", "memory", "cc");
		sum |= kept ^ (0x1234 + 0x5678);
	}
	printf("red zone spoiled: %lx\n", sum);
}

static void change_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* over ud2 */
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static void change(void)
{
	sigset_t set;
	long rax = 1;

	on(SIGILL, change_handler, 0);
	asm volatile("ud2" : "+a"(rax));
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("rax %ld USR2 blocked %d ILL blocked %d\n", rax, sigismember(&set, SIGUSR2),
	       sigismember(&set, SIGILL));
}

/* --- alternate stacks --- */

static char alternate[32768] __attribute__((aligned(16)));
static int depth;

static void stack_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	stack_t now, other = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	char here;

	(void)info;
	sigaltstack(NULL, &now);
	printf("%s: on it %d, flags %x size %zu, context %x %zu\n", sigabbrev_np(sig),
	       &here >= alternate && &here < alternate + sizeof(alternate), now.ss_flags, now.ss_size,
	       uc->uc_stack.ss_flags, uc->uc_stack.ss_size);
	if (now.ss_flags & SS_ONSTACK)
		printf("change: %s\n", guest_answer(sigaltstack(&other, NULL)));
	if (depth++ == 0)
		raise(SIGUSR2);
}

static void stack_use(int flags)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate), .ss_flags = flags }, now;

	depth = 0;
	sigaltstack(NULL, &now);
	printf("before: flags %x\n", now.ss_flags);
	printf("set: %s\n", guest_answer(sigaltstack(&stack, NULL)));
	on(SIGUSR1, stack_handler, SA_ONSTACK);
	on(SIGUSR2, stack_handler, SA_ONSTACK);
	raise(SIGUSR1);
	sigaltstack(NULL, &now);
	printf("after: flags %x size %zu same %d\n", now.ss_flags, now.ss_size, now.ss_sp == alternate);
}

static void stacks(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, old;

	stack_use(0);
	stack_use((int)(1u << 31)); /* SS_AUTODISARM */
	stack.ss_size = 2047;
	printf("small: %s\n", guest_answer(sigaltstack(&stack, NULL)));
	stack.ss_flags = 4;
	printf("flags: %s\n", guest_answer(sigaltstack(&stack, NULL)));
	printf("pointer: %s\n", guest_answer(sigaltstack((stack_t *)8, NULL)));
	stack.ss_flags = SS_DISABLE;
	printf("off: %s\n", guest_answer(sigaltstack(&stack, &old)));
	printf("was: %x\n", old.ss_flags);
}

/* The frame does not fit: SIGSEGV, whose frame does not either. */
static void stack_overflow(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = 2048 };

	sigaltstack(&stack, NULL);
	on(SIGUSR1, stack_handler, SA_ONSTACK);
	raise(SIGUSR1);
}

static int deep(int n)
{
	volatile char fill[4096];

	fill[0] = (char)n;
	return n < 0 ? n : deep(n + 1) + fill[0];
}

static void deep_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	printf("%s code %d\n", sigabbrev_np(sig), info->si_code);
	fflush(stdout);
	_exit(3);
}

static void stack_of_program_ends(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	sigaltstack(&stack, NULL);
	on(SIGSEGV, deep_handler, SA_ONSTACK);
	printf("%d\n", deep(0));
}

/* --- flags and masks --- */

static void nested_handler(int sig, siginfo_t *info, void *context)
{
	int at = ++depth;

	(void)context;
	printf("in %d, %d\n", at, info->si_code);
	if (at < 3)
		raise(sig);
	printf("out %d\n", at);
}

static void flags(void)
{
	struct sigaction sa;

	on(SIGUSR1, nested_handler, SA_NODEFER);
	raise(SIGUSR1);
	depth = 0;
	on(SIGUSR2, nested_handler, 0);
	raise(SIGUSR2);
	on(SIGUSR2, counted, (int)SA_RESETHAND);
	raise(SIGUSR2);
	sigaction(SIGUSR2, NULL, &sa);
	printf("count %d, default again %d, flags %x\n", count, sa.sa_handler == SIG_DFL,
	       (unsigned)sa.sa_flags & ~RESTORER);
	raise(SIGUSR2);
}

static void mask_handler(int sig, siginfo_t *info, void *context)
{
	sigset_t set;

	(void)info;
	(void)context;
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("%s: blocked INT %d USR1 %d USR2 %d KILL %d\n", sigabbrev_np(sig),
	       sigismember(&set, SIGINT), sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2),
	       sigismember(&set, SIGKILL));
}

static void masks(void)
{
	struct sigaction sa = { .sa_sigaction = mask_handler, .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigfillset(&sa.sa_mask);
	sigdelset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigprocmask(SIG_SETMASK, NULL, &set);
	printf("KILL %d STOP %d HUP %d\n", sigismember(&set, SIGKILL), sigismember(&set, SIGSTOP),
	       sigismember(&set, SIGHUP));
	raise(SIGUSR1);
	sigpending(&set);
	printf("pending USR1 %d USR2 %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
	sig_set(&set, SIGUSR1, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	printf("how: %s\n", guest_answer(sigprocmask(9, &set, NULL)));
	printf("size: %s\n", guest_answer(syscall(SYS_rt_sigprocmask, 0, NULL, NULL, 4)));
	printf("pointer: %s\n", guest_answer(syscall(SYS_rt_sigprocmask, 0, 8, NULL, 8)));
	printf("action KILL: %s\n", guest_answer(sigaction(SIGKILL, &sa, NULL)));
	printf("action 65: %s\n", guest_answer(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8)));
	printf("action 0: %s\n", guest_answer(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8)));
}

/* Ignored ones go, also those that are pending; blocked ones stay though ignored. */
static void ignoring(void)
{
	sigset_t set;

	sig_set(&set, SIGUSR1, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGCHLD);
	sigpending(&set);
	printf("USR1 %d CHLD %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGCHLD));
	signal(SIGUSR1, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigpending(&set);
	printf("USR1 %d CHLD %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGCHLD));
	raise(SIGUSR1);
	sigpending(&set);
	printf("USR1 %d\n", sigismember(&set, SIGUSR1));
	signal(SIGUSR1, SIG_DFL);
	sig_set(&set, SIGUSR1, 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* --- queues --- */

static void queue_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	printf("RTMIN+%d code %d value %d\n", sig - SIGRTMIN, info->si_code, info->si_value.sival_int);
}

static void queues(void)
{
	static const int order[] = { 2, 0, 1, 0, 2, 1 };
	sigset_t set, old;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	for (int i = 0; i < 3; i++)
		on(SIGRTMIN + i, queue_handler, 0);
	on(SIGUSR1, counted, 0);
	for (size_t i = 0; i < COUNT(order); i++)
		sigqueue(getpid(), SIGRTMIN + order[i], (union sigval){ .sival_int = (int)i });
	for (int i = 0; i < 5; i++)
		raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("USR1 %d times\n", count);
}

static void queue_info(void)
{
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
	sigset_t set;

	sig_set(&set, SIGUSR1, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	info.si_code = 5;
	printf("to init: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info)));
	printf("to me: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info)));
	info.si_code = SI_TKILL;
	printf("as tkill: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &info)));
	info.si_code = SI_QUEUE;
	printf("signal: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info)));
	printf("nobody: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, NOBODY, 1, &info)));
	printf("pointer: %s\n", guest_answer(syscall(SYS_rt_sigqueueinfo, getpid(), 1, 8)));
	printf("thread: %s\n",
	       guest_answer(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGRTMIN, &info)));
	printf("other thread: %s\n",
	       guest_answer(syscall(SYS_rt_tgsigqueueinfo, getpid(), 1, SIGRTMIN, &info)));
	for (int i = 0; i < 2; i++) {
		printf("took %d", sigwaitinfo(&set, &info) == SIGRTMIN);
		printf(" code %d\n", info.si_code);
	}
}

static void kills(void)
{
	printf("0 %s\n", guest_answer(kill(getpid(), 0)));
	printf("nobody %s\n", guest_answer(kill(NOBODY, 0)));
	printf("nobody, no signal %s\n", guest_answer(kill(NOBODY, 99)));
	printf("no signal %s\n", guest_answer(kill(getpid(), 65)));
	printf("no group %s\n", guest_answer(kill(-NOBODY, SIGTERM)));
	printf("least %s\n", guest_answer(kill((pid_t)0x80000000, 0)));
	printf("tkill 0 %s\n", guest_answer(syscall(SYS_tkill, 0, 0)));
	printf("tgkill %s\n", guest_answer(syscall(SYS_tgkill, getpid(), 1, 0)));
	printf("tgkill -1 %s\n", guest_answer(syscall(SYS_tgkill, -1, getpid(), 0)));
	printf("tgkill 65 %s\n", guest_answer(syscall(SYS_tgkill, getpid(), getpid(), 65)));
}

static void waiting(void)
{
	struct timespec none = { 0, 0 }, bad = { 0, -1 };
	siginfo_t info;
	sigset_t set;

	sig_set(&set, SIGUSR1, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("none: %s\n", guest_answer(sigtimedwait(&set, NULL, &none)));
	printf("bad: %s\n", guest_answer(sigtimedwait(&set, NULL, &bad)));
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 12 });
	raise(SIGUSR1);
	printf("USR1 %d\n", sigtimedwait(&set, &info, &none) == SIGUSR1);
	printf("RTMIN %d", sigwaitinfo(&set, &info) == SIGRTMIN);
	printf(" value %d\n", info.si_value.sival_int);
	on(SIGALRM, counted, SA_RESTART);
	ualarm(20000, 20000);
	printf("other: %s\n", guest_answer(sigwaitinfo(&set, NULL)));
	sigemptyset(&set);
	printf("suspend: %s\n", guest_answer(sigsuspend(&set)));
	printf("pause: %s\n", guest_answer(pause()));
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("blocked USR1 %d\n", sigismember(&set, SIGUSR1));
}

static void suspend_lets_in(void)
{
	sigset_t set, old;

	on(SIGUSR1, mask_handler, 0);
	sig_set(&set, SIGUSR1, SIGINT);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	sig_set(&set, SIGUSR2, 0);
	printf("suspend: %s\n", guest_answer(sigsuspend(&set)));
	sigprocmask(SIG_BLOCK, NULL, &set);
	printf("INT %d USR1 %d USR2 %d\n", sigismember(&set, SIGINT), sigismember(&set, SIGUSR1),
	       sigismember(&set, SIGUSR2));
}

/* --- faults --- */

static uint8_t *page;

static void fault_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;
	uint64_t addr = (uint64_t)info->si_addr;

	printf("%s code %d ", sigabbrev_np(sig), info->si_code);
	if (sig == SIGSEGV || sig == SIGBUS)
		printf("address %ld ", addr >= (uint64_t)page ? (long)(addr - (uint64_t)page) : (long)addr);
	else
		printf("at rip %d ", addr == (uint64_t)regs[REG_RIP]);
	/* Whether there was a page already (bit 0) is the kernel's own affair. */
	printf("trap %lld err %llx\n", regs[REG_TRAPNO], regs[REG_ERR] & ~17ll);
	fflush(stdout);
	_exit(0);
}

static void fault_null_write(void)
{
	*(volatile char *)24 = 1;
}

static void fault_null_read(void)
{
	(void)*(volatile char *)32;
}

static void fault_read_only(void)
{
	mprotect(page, 4096, PROT_READ);
	page[100] = 1;
}

static void fault_no_access(void)
{
	mprotect(page, 4096, PROT_NONE);
	(void)*(volatile uint8_t *)(page + 7);
}

static void fault_jump(void)
{
	((void (*)(void))page)();
}

static void fault_far(void)
{
	asm volatile("mov $0x8000000000000000, %%rax; movb (%%rax), %%al" ::: "rax");
}

static void fault_divide(void)
{
	asm volatile("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx",
		     "rdx");
}

static void fault_float(void)
{
	uint32_t mxcsr = 0x1f80 & ~(1u << 9);
	volatile float zero = 0;

	asm volatile("ldmxcsr %0" ::"m"(mxcsr));
	zero = 1 / zero;
}

static void fault_illegal(void)
{
	asm volatile("ud2");
}

static void fault_privileged(void)
{
	asm volatile("hlt");
}

static void fault_breakpoint(void)
{
	asm volatile("int3");
}

static void fault_end_of_file(void)
{
	int fd = memfd_create("short", 0);
	volatile uint8_t *map;

	if (ftruncate(fd, 100) < 0)
		return;
	map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	page = (uint8_t *)map;
	(void)map[5000];
}

static const struct guest_case fault_cases[] = {
	{ "null write", fault_null_write }, { "null read", fault_null_read },
	{ "read only", fault_read_only },   { "no access", fault_no_access },
	{ "jump to data", fault_jump },	    { "not canonical", fault_far },
	{ "divide", fault_divide },	    { "float", fault_float },
	{ "illegal", fault_illegal },	    { "privileged", fault_privileged },
	{ "breakpoint", fault_breakpoint }, { "end of file", fault_end_of_file },
};

static void fault_prepare(void)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page[0] = 0xc3;
	for (size_t i = 0; i < COUNT(sigs); i++)
		on(sigs[i], fault_handler, 0);
}

static void faults(void)
{
	fault_prepare();
	guest_run(fault_cases, COUNT(fault_cases), 0, NULL);
}

static void fault_blocked(void)
{
	sigset_t set;

	fault_prepare();
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fault_null_write();
}

static void fault_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	fault_null_write();
}

/* --- returning from what is no frame --- */

static void return_to(void *frame)
{
	asm volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" ::"r"(frame));
}

static void return_nowhere(void)
{
	on(SIGSEGV, deep_handler, 0);
	return_to((void *)64);
}

static void return_bad_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (depth == 1)
		uc->uc_mcontext.fpregs = (fpregset_t)8;
	else if (depth == 2)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000001234ull;
	else if (depth == 3)
		uc->uc_mcontext.fpregs = NULL;
	else if (depth == 4)
		((uint32_t *)uc->uc_mcontext.fpregs)[464 / 4] = 0;
	else if (depth == 5)
		uc->uc_mcontext.gregs[REG_EFL] |= 0x3c7000;
}

static void return_bad(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	sigaltstack(&stack, NULL);
	on(SIGUSR1, return_bad_handler, SA_ONSTACK);
	on(SIGSEGV, deep_handler, SA_ONSTACK);
	for (int i = 1; i <= 5; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			depth = i;
			raise(SIGUSR1);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		printf("%d ", i);
		guest_show_status("bad", status);
	}
}

static void no_restorer(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} sa = { .handler = (void *)counted, .flags = SA_SIGINFO };

	syscall(SYS_rt_sigaction, SIGUSR1, &sa, NULL, 8);
	raise(SIGUSR1);
}

/* --- threads --- */

static void *thread_main(void *arg)
{
	sigset_t set;
	int sig;

	(void)arg;
	sig_set(&set, SIGUSR1, SIGUSR2);
	for (int i = 0; i < 2; i++) {
		sigwait(&set, &sig);
		printf("thread took %s\n", sigabbrev_np(sig));
	}
	sig_set(&set, SIGTERM, 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	while (!count)
		usleep(1000);
	printf("thread got %s\n", sigabbrev_np(last));
	return NULL;
}

static void threads(void)
{
	pthread_t thread;
	sigset_t set;

	on(SIGTERM, counted, 0);
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, thread_main, NULL);
	pthread_kill(thread, SIGUSR1);
	usleep(20000);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGTERM);
	pthread_join(thread, NULL);
	sigpending(&set);
	printf("left: USR1 %d TERM %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGTERM));
}

static void *thread_faults(void *arg)
{
	(void)arg;
	fault_null_write();
	return NULL;
}

static void thread_kills_all(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_faults, NULL);
	pause();
}

int main(int argc, char **argv)
{
	static const struct guest_case cases[] = {
		{ "frames", frames },
		{ "registers", registers },
		{ "red_zone", red_zone },
		{ "change", change },
		{ "stacks", stacks },
		{ "stack_overflow", stack_overflow },
		{ "stack_of_program_ends", stack_of_program_ends },
		{ "flags", flags },
		{ "masks", masks },
		{ "ignoring", ignoring },
		{ "queues", queues },
		{ "queue_info", queue_info },
		{ "kills", kills },
		{ "waiting", waiting },
		{ "suspend_lets_in", suspend_lets_in },
		{ "faults", faults },
		{ "fault_blocked", fault_blocked },
		{ "fault_ignored", fault_ignored },
		{ "return_nowhere", return_nowhere },
		{ "return_bad", return_bad },
		{ "no_restorer", no_restorer },
		{ "threads", threads },
		{ "thread_kills_all", thread_kills_all },
	};

	prctl(PR_SET_DUMPABLE, 0);
	return guest_run(cases, COUNT(cases), argc, argv);
}
