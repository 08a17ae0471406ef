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
	JAIL_IOCTL(SECCOMP_IOCTL_NOTIF_ADDFD),
	JAIL_IOCTL(SECCOMP_IOW(4, uint64_t)), /* SET_FLAGS */
	JAIL(tgkill), JAIL(pidfd_open), JAIL(pidfd_send_signal), JAIL(waitid),
	JAIL(sendmsg), JAIL(recvmsg),
};

/* The C library copies a block that it cannot move by its pages. Its last words when it finds its own
 * memory broken are not here: the process ends without them. */
static const struct jail_call jail_memory_rows[] = {
	JAIL_IF(mmap, 2, PROT_EXEC, 0), JAIL_IF(mprotect, 2, PROT_EXEC, 0), JAIL(munmap),
	JAIL(madvise), JAIL(mincore), JAIL(fallocate), JAIL(newfstatat),
	JAIL(preadv2), JAIL(pwritev2), /* of a host's file or pipe, at a place or not */
	JAIL(brk), JAIL_ERROR(mremap, ENOMEM),
};

static const struct jail_call jail_thread_rows[] = {
	JAIL_IF(clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM),
	JAIL_ERROR(clone3, ENOSYS), /* its flags cannot be seen; the C library then takes clone */
	JAIL_ERROR(set_robust_list, ENOSYS), /* nobody here has such locks */
	JAIL(exit), JAIL(exit_group), JAIL(futex), JAIL(rseq), JAIL(gettid), JAIL(sched_yield),
	JAIL(rt_sigprocmask), JAIL(rt_sigreturn), JAIL(restart_syscall),
};

static const struct jail_call jail_time_rows[] = {
	JAIL(clock_gettime), JAIL(getrandom),
};

static const struct jail_call jail_io_rows[] = {
	JAIL(read), JAIL(write), JAIL(close), JAIL(ppoll), JAIL(shutdown), JAIL(accept4),
	JAIL(epoll_create1), JAIL(epoll_ctl), JAIL(epoll_pwait), JAIL(eventfd2),
	JAIL(timerfd_create), JAIL(timerfd_settime), JAIL_IOCTL(FIONREAD),
	JAIL_FCNTL(F_DUPFD_CLOEXEC), JAIL_FCNTL(F_GETFL), JAIL_FCNTL(F_SETFL),
};

/* Each name may appear in several lists; it counts once. */
int jail_shut(bool files, bool sockets, struct coffer_error *err)
{
	const struct {
		bool wanted;
		struct jail_list list;
	} all[] = {
		{ true, JAIL_LIST(jail_listener_rows) }, { true, JAIL_LIST(jail_memory_rows) },
		{ true, JAIL_LIST(jail_thread_rows) },	 { true, JAIL_LIST(jail_time_rows) },
		{ true, JAIL_LIST(jail_io_rows) },	 { true, gofer_client_calls },
		{ files, hostfs_calls },		 { files, unix_host_calls },
		{ sockets, links_calls },		 { sockets, host_calls },
		{ sockets, host_data_calls },		 { sockets, host_options_calls },
	};
	struct jail_list lists[ARRAY_SIZE(all)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].wanted)
			lists[n++] = all[i].list;
	return jail_filter(lists, n, err);
}
