/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/jail_calls.c - system calls of the host that the kernel itself needs
 *
 * What the C library, the loop, the threads, the memory file and the listeners of guest threads make.
 * Files and sockets of the host have lists beside their code. Nothing executable is ever mapped, and
 * only threads are made, no processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "sentry/control/jail.h"
#include "sentry/gofer/gofer.h"
#include "sentry/net/net.h"
#include "sentry/vfs/hostfs.h"

/* Of the argument as the kernel has it, 32 bits. */
#define JAIL_IOCTL(request) JAIL_IF(ioctl, 1, UINT32_MAX, (uint32_t)(request))
#define JAIL_FCNTL(command) JAIL_IF(fcntl, 1, UINT32_MAX, (command))

static const struct jail_call jail_listener_rows[] = {
	JAIL_IOCTL(SECCOMP_IOCTL_NOTIF_RECV), JAIL_IOCTL(SECCOMP_IOCTL_NOTIF_SEND),
	JAIL_IOCTL(SECCOMP_IOCTL_NOTIF_ADDFD), JAIL_IOCTL(SECCOMP_IOCTL_NOTIF_ID_VALID),
	JAIL_IOCTL(SECCOMP_IOW(4, uint64_t)), /* SET_FLAGS */
	JAIL(tgkill), JAIL(kill), JAIL(pidfd_open), JAIL(pidfd_send_signal), JAIL(waitid), JAIL(wait4),
	JAIL(sendmsg), JAIL(recvmsg),
};

static const struct jail_call jail_memory_rows[] = {
	JAIL_IF(mmap, 2, PROT_EXEC, 0), JAIL_IF(mprotect, 2, PROT_EXEC, 0), JAIL(munmap),
	JAIL(mremap), JAIL(madvise), JAIL(mincore), JAIL(brk), JAIL(fallocate), JAIL(newfstatat),
	JAIL(pread64), JAIL(pwrite64), JAIL(ftruncate),
};

static const struct jail_call jail_thread_rows[] = {
	JAIL_IF(clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM),
	JAIL_ERROR(clone3, ENOSYS), /* its flags cannot be seen; the C library then takes clone */
	JAIL(exit), JAIL(exit_group), JAIL(futex), JAIL(set_robust_list), JAIL(rseq),
	JAIL(gettid), JAIL(getpid), JAIL(sched_yield),
	JAIL(rt_sigprocmask), JAIL(rt_sigaction), JAIL(rt_sigreturn),
	JAIL(restart_syscall), JAIL_IF(prctl, 0, UINT32_MAX, PR_SET_NAME),
};

static const struct jail_call jail_time_rows[] = {
	JAIL(clock_gettime), JAIL(clock_getres), JAIL(clock_nanosleep),
	JAIL(getrandom), JAIL(sysinfo),
};

static const struct jail_call jail_io_rows[] = {
	JAIL(read), JAIL(write), JAIL(readv), JAIL(writev), JAIL(close), JAIL(poll), JAIL(ppoll),
	JAIL(epoll_create1), JAIL(epoll_ctl), JAIL(epoll_wait), JAIL(epoll_pwait), JAIL(eventfd2),
	JAIL(timerfd_create), JAIL(timerfd_settime), JAIL(recvfrom), JAIL(sendto), JAIL(shutdown),
	JAIL(accept4), JAIL_IOCTL(FIONREAD), JAIL_FCNTL(F_DUPFD_CLOEXEC), JAIL_FCNTL(F_GETFL),
	JAIL_FCNTL(F_SETFL), JAIL_FCNTL(F_SETFD), JAIL(sync),
	JAIL(lseek),
};

/* Each name may appear in several lists; it counts once. */
int jail_shut(bool sockets, struct coffer_error *err)
{
	const struct jail_list lists[] = {
		JAIL_LIST(jail_listener_rows), JAIL_LIST(jail_memory_rows),
		JAIL_LIST(jail_thread_rows), JAIL_LIST(jail_time_rows), JAIL_LIST(jail_io_rows),
		gofer_client_calls, hostfs_calls, links_calls, unix_host_calls,
		host_calls, host_data_calls, host_options_calls,
	};

	/* Of the backend for inet sockets, which come last. */
	return jail_filter(lists, ARRAY_SIZE(lists) - (sockets ? 0 : 3), err);
}
