/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stub/filters.c - which calls of the host's kernel a stub's threads can make
 *
 * The base filter is the zygote's and everybody's: code outside the stub's text is none of its
 * business, code in it may do what the stub does and no more. A thread adds one of its own:
 *
 *	mapper  changes of the address space, clocks of the guest's threads, and events
 *	notify  from the text: events and rt_sigreturn. From anywhere else everything comes to us:
 *	        as a notification, or, where all registers are needed, as a signal
 *	signal  the same where no listener can be installed: everything comes as a signal
 *
 * Of several filters the strictest word counts. A guest thread that jumps to the spawner's or the
 * mapper's calls is killed with its process by its own filter.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "sentry/stub/stub.h"
#include "sentry/trap/layout.h"

#define ARCH   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch))
#define NR     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define HIGH                              \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
		 offsetof(struct seccomp_data, instruction_pointer) + 4)
#define ARG(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[i]))
#define RET(x) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##x)
/* Then and else: how many instructions to skip. */
#define IF(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
/* Ends here with an action if the value is it. */
#define ON(value, action) IF(value, 0, 1), RET(action)

#define FILTER(name)                                                                     \
	const struct sock_fprog name = { sizeof(name##_code) / sizeof((name##_code)[0]), \
					 (struct sock_filter *)name##_code }

static const struct sock_filter trap_filter_base_code[] = {
	HIGH,
	IF(TRAP_HIGH, 1, 0),
	RET(ALLOW),
	ARCH,
	IF(AUDIT_ARCH_X86_64, 1, 0),
	RET(KILL_PROCESS),
	NR,
	ON(TRAP_EVENT_CALL, ALLOW),
	ON(__NR_rt_sigreturn, ALLOW),
	/* mapper, and the spawner where there is none */
	ON(__NR_mmap, ALLOW),
	ON(__NR_munmap, ALLOW),
	ON(__NR_mprotect, ALLOW),
	ON(__NR_madvise, ALLOW),
	ON(__NR_close, ALLOW),
	ON(__NR_clock_gettime, ALLOW),
	/* signals instead of listeners */
	ON(__NR_futex, ALLOW),
	/* spawner */
	ON(__NR_recvfrom, ALLOW),
	ON(__NR_recvmsg, ALLOW),
	ON(__NR_sendmsg, ALLOW),
	ON(__NR_sendto, ALLOW),
	ON(__NR_clone, ALLOW),
	ON(__NR_sched_yield, ALLOW),
	/* a thread's beginning */
	ON(__NR_sigaltstack, ALLOW),
	ON(__NR_rt_sigprocmask, ALLOW),
	ON(__NR_seccomp, ALLOW),
	/* zygote, and a stub's beginning */
	ON(__NR_socketpair, ALLOW),
	ON(__NR_dup2, ALLOW),
	ON(__NR_prctl, ALLOW),
	ON(__NR_exit_group, ALLOW),
	RET(KILL_PROCESS),
};
FILTER(trap_filter_base);

static const struct sock_filter trap_filter_mapper_code[] = {
	ARCH,
	IF(AUDIT_ARCH_X86_64, 1, 0),
	RET(KILL_PROCESS),
	HIGH,
	IF(TRAP_HIGH, 1, 0),
	RET(KILL_PROCESS),
	NR,
	ON(TRAP_EVENT_CALL, USER_NOTIF),
	ON(__NR_mmap, ALLOW),
	ON(__NR_munmap, ALLOW),
	ON(__NR_mprotect, ALLOW),
	ON(__NR_madvise, ALLOW),
	ON(__NR_close, ALLOW),
	ON(__NR_clock_gettime, ALLOW),
	RET(KILL_PROCESS),
};
FILTER(trap_filter_mapper);

static const struct sock_filter trap_filter_notify_code[] = {
	ARCH,
	IF(AUDIT_ARCH_X86_64, 1, 0),
	RET(USER_NOTIF),
	HIGH,
	IF(TRAP_HIGH, 0, 6),
	NR,
	ON(TRAP_EVENT_CALL, USER_NOTIF),
	ON(__NR_rt_sigreturn, ALLOW),
	RET(KILL_PROCESS),
	NR,
	/* what needs all registers */
	ON(__NR_rt_sigreturn, TRAP),
	ON(__NR_clone, TRAP),
	ON(__NR_fork, TRAP),
	ON(__NR_vfork, TRAP),
	ON(__NR_clone3, TRAP),
	ON(__NR_execve, TRAP),
	ON(__NR_execveat, TRAP),
	ON(__NR_sigaltstack, TRAP),
	ON(__NR_arch_prctl, TRAP),
	RET(USER_NOTIF),
};
FILTER(trap_filter_notify);

static const struct sock_filter trap_filter_signal_code[] = {
	ARCH,
	IF(AUDIT_ARCH_X86_64, 1, 0),
	RET(TRAP),
	HIGH,
	IF(TRAP_HIGH, 1, 0),
	RET(TRAP),
	NR,
	ON(__NR_rt_sigreturn, ALLOW),
	IF(__NR_futex, 1, 0),
	RET(KILL_PROCESS),
	ARG(1),
	ON(0 /* FUTEX_WAIT */, ALLOW),
	ON(1 /* FUTEX_WAKE */, ALLOW),
	RET(KILL_PROCESS),
};
FILTER(trap_filter_signal);
