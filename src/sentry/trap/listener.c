/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/listener.c - seccomp notifications, received and answered
 *
 * Nothing else is known here about what they mean. With the synchronous wake-up the kernel runs
 * the other side of the pair on this processor, so that nobody waits for another to be woken.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

/* Newer than the headers we build with. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#endif

int trap_listener_receive(const struct trap_pool *pool, int fd, struct seccomp_notif *out)
{
	for (;;) {
		if (pool->poll_first) {
			int r = io_wait(fd, POLLIN, USEC_INFINITY);

			if (r < 0 || !(r & POLLIN))
				return -ESRCH;
		}
		memset(out, 0, sizeof(*out));
		if (!ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, out))
			return 0;
		/* ENOENT: who called was killed, or is interrupted and will call again. */
		if (errno == ENOENT) {
			int r = io_wait(fd, POLLIN, 0);

			if (r > 0 && !(r & POLLIN))
				return -ESRCH;
		} else if (errno != EINTR) {
			return -ESRCH;
		}
	}
}

int trap_listener_answer(int fd, uint64_t id, long value)
{
	struct seccomp_notif_resp resp = { .id = id };

	if (value < 0 && value >= -4095)
		resp.error = (int)value;
	else
		resp.val = value;
	while (ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int trap_listener_sync(int fd)
{
	return ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0 ?
		       -errno :
		       0;
}

int trap_listener_add(int fd, uint64_t id, int source, int target)
{
	struct seccomp_notif_addfd add = {
		.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)source,
		.newfd = (uint32_t)target,
	};

	while (ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

bool trap_listener_possible(void)
{
	struct seccomp_notif_sizes sizes;

	if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0 ||
	    sizes.seccomp_notif != sizeof(struct seccomp_notif) ||
	    sizes.seccomp_notif_resp != sizeof(struct seccomp_notif_resp))
		return false;
	/* No program at all is EFAULT, but an unknown flag is EINVAL before. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		       NULL) < 0 &&
	       errno == EFAULT;
}
