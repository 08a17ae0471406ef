/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/poll.c - wait for many descriptors: poll, select, epoll
 *
 * poll and select are one loop over files with references, in which every file says what is ready and
 * what to sleep on. What is left of a timeout is told back as Linux does; poll(2) goes on with it
 * by restart_syscall(2). The members of an epoll are in vfs/epoll.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/bound.h"

#define POLL_ALWAYS ((uint32_t)(POLLERR | POLLHUP))
#define POLL_INLINE 16

struct poll_member {
	struct file *file; /* reference; NULL: nothing to ask */
	int fd;
	uint32_t mask, ready;
};

struct poll_set {
	struct poll_member inline_members[POLL_INLINE], *members;
	size_t count;
	size_t taken; /* of poll_many */
};

/* Members of all large sets, since every thread may sleep on one. */
static struct bound poll_many = { .each = 4096, .least = FD_MAX / 2, .most = 16 * FD_MAX };

static void poll_set_free(struct poll_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->members[i].file)
			file_put(set->members[i].file);
	if (set->members != set->inline_members)
		free(set->members);
	set->members = NULL;
	bound_give(&poll_many, set->taken);
	set->count = set->taken = 0;
}

static int poll_set_init(struct poll_set *set, size_t max)
{
	set->count = set->taken = 0;
	set->members = set->inline_members;
	if (max <= POLL_INLINE)
		return 0;
	if (!bound_take(&poll_many, max))
		return -ENOMEM;
	set->taken = max;
	set->members = calloc(max, sizeof(*set->members));
	if (!set->members)
		poll_set_free(set);
	return set->members ? 0 : -ENOMEM;
}

static struct poll_member *poll_set_add(struct poll_set *set, struct task *task, int fd,
					uint32_t mask)
{
	struct poll_member *m = &set->members[set->count++];

	*m = (struct poll_member){ .fd = fd, .mask = mask, .file = fd < 0 ? NULL : fd_get(task, fd) };
	return m;
}

/* Once over all. The first that is ready ends the need for a sleep. */
static int poll_look(struct poll_set *set, struct wait *wait)
{
	int found = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct poll_member *m = &set->members[i];

		if (m->file)
			m->ready = file_poll(m->file, m->mask, found ? NULL : wait) & m->mask;
		found += m->ready != 0;
	}
	return found;
}

/* Return: how many are ready, 0 at the deadline, -ERESTARTSYS, -ENOMEM */
static int poll_run(struct task *task, struct poll_set *set, usec_t deadline)
{
	struct wait wait;
	int found;
	int r = 0;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		found = poll_look(set, deadline && !r ? &wait : NULL);
		if (found || r || !deadline)
			break;
		r = wait_sleep(&wait, deadline);
	}
	wait_end(&wait);
	if (found || r == -ETIMEDOUT)
		return found;
	return r;
}

/* --- timeouts --- */

/* When it is over; 0: it is not waited at all, USEC_INFINITY: without an end. */
static usec_t poll_deadline_ms(int ms)
{
	if (ms <= 0)
		return ms < 0 ? USEC_INFINITY : 0;
	return deadline_in((usec_t)ms * USEC_PER_MSEC);
}

static int poll_deadline(uint64_t sec, uint64_t nsec, usec_t *deadline)
{
	if ((int64_t)sec < 0 || nsec >= 1000000000)
		return -EINVAL;
	if (sec > INT32_MAX)
		*deadline = USEC_INFINITY;
	else if (!sec && !nsec)
		*deadline = 0;
	else
		*deadline = deadline_in(sec * USEC_PER_SEC + (nsec + 999) / 1000);
	return 0;
}

static int poll_read_timespec(struct task *task, uint64_t addr, usec_t *deadline)
{
	struct timespec ts;
	int r;

	*deadline = USEC_INFINITY;
	if (!addr)
		return 0;
	r = user_read(task->mm, &ts, addr, sizeof(ts));
	return r ? r : poll_deadline((uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec, deadline);
}

/* What is left goes to where the timeout came from, in its unit. A call that cannot say how long it
 * has still to wait is not begun again. */
static long poll_write_left(struct task *task, uint64_t addr, usec_t deadline, uint64_t unit,
			    long result)
{
	usec_t left = deadline ? deadline_left(deadline) : 0;
	uint64_t words[2] = { left / USEC_PER_SEC, left % USEC_PER_SEC * unit };

	if (!addr || deadline == USEC_INFINITY)
		return result;
	if (user_write(task->mm, addr, words, sizeof(words)) && result == -ERESTARTNOHAND)
		return -EINTR;
	return result;
}

static int poll_set_mask(struct task *task, uint64_t addr, uint64_t size)
{
	uint64_t mask;

	if (!addr)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (user_read(task->mm, &mask, addr, sizeof(mask)))
		return -EFAULT;
	signal_mask_temporary(task, mask);
	return 0;
}

/* --- poll, ppoll --- */

static int poll_read_fds(struct task *task, uint64_t addr, uint64_t count, struct pollfd **out)
{
	autofree struct pollfd *fds = NULL;

	*out = NULL;
	if (count > task_limit(task, RLIMIT_NOFILE) || count > FD_MAX)
		return -EINVAL;
	fds = malloc(count * sizeof(*fds) + 1);
	if (!fds)
		return -ENOMEM;
	if (user_read(task->mm, fds, addr, count * sizeof(*fds)))
		return -EFAULT;
	*out = steal_ptr(fds);
	return 0;
}

static int poll_write_fds(struct task *task, uint64_t addr, const struct pollfd *fds,
			  const struct poll_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		uint16_t revents = (uint16_t)set->members[i].ready;

		if (revents == (uint16_t)fds[i].revents)
			continue;
		if (user_write(task->mm, addr + i * sizeof(*fds) + offsetof(struct pollfd, revents),
			       &revents, sizeof(revents)))
			return -EFAULT;
	}
	return 0;
}

static long poll_poll_until(struct task *task, uint64_t addr, uint64_t count, usec_t deadline)
{
	autofree struct pollfd *fds = NULL;
	struct poll_set set;
	long found;
	int r = poll_read_fds(task, addr, count, &fds);

	if (!r)
		r = poll_set_init(&set, count);
	if (r)
		return r;
	for (size_t i = 0; i < count; i++) {
		struct poll_member *m = poll_set_add(&set, task, fds[i].fd,
						     (uint16_t)fds[i].events | POLL_ALWAYS);

		if (fds[i].fd >= 0 && !m->file) {
			m->ready = POLLNVAL;
			deadline = 0;
		}
	}
	found = poll_run(task, &set, deadline);
	if (found >= 0 && poll_write_fds(task, addr, fds, &set))
		found = -EFAULT;
	poll_set_free(&set);
	return found;
}

static long poll_poll_result(struct task *task, uint64_t addr, uint64_t count, usec_t deadline);

static long poll_restart(struct task *task)
{
	return poll_poll_result(task, task->restart_args[0], task->restart_args[1],
				task->restart_args[2]);
}

static long poll_poll_result(struct task *task, uint64_t addr, uint64_t count, usec_t deadline)
{
	long r = poll_poll_until(task, addr, count, deadline);

	if (r != -ERESTARTSYS)
		return r;
	task->restart = poll_restart;
	task->restart_args[0] = addr;
	task->restart_args[1] = count;
	task->restart_args[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

static long poll_poll(struct task *task, const uint64_t args[6])
{
	return poll_poll_result(task, args[0], (uint32_t)args[1], poll_deadline_ms((int)args[2]));
}

static long poll_ppoll(struct task *task, const uint64_t args[6])
{
	usec_t deadline;
	long r = poll_read_timespec(task, args[2], &deadline);

	if (!r)
		r = poll_set_mask(task, args[3], args[4]);
	if (r)
		return r;
	r = poll_poll_until(task, args[0], (uint32_t)args[1], deadline);
	return poll_write_left(task, args[2], deadline, 1000, r == -ERESTARTSYS ? -ERESTARTNOHAND : r);
}

/* --- select, pselect6 --- */

enum { POLL_READ, POLL_WRITE, POLL_EXCEPT, POLL_KINDS };

static const uint32_t poll_select_masks[POLL_KINDS] = {
	[POLL_READ] = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR,
	[POLL_WRITE] = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR,
	[POLL_EXCEPT] = POLLPRI,
};

/* Three sets of bits, one after the other. */
struct poll_bits {
	size_t words; /* of each */
	uint64_t *bits;
};

static uint64_t *poll_bits_word(const struct poll_bits *b, int kind, int fd)
{
	return &b->bits[(size_t)kind * b->words + (size_t)fd / 64];
}

static int poll_bits_read(struct task *task, struct poll_bits *b, int n, const uint64_t addrs[])
{
	b->words = ((size_t)n + 63) / 64;
	b->bits = calloc(b->words * POLL_KINDS + 1, sizeof(*b->bits));
	if (!b->bits)
		return -ENOMEM;
	for (int kind = 0; kind < POLL_KINDS; kind++)
		if (addrs[kind] && user_read(task->mm, &b->bits[(size_t)kind * b->words], addrs[kind],
					     b->words * sizeof(*b->bits)))
			return -EFAULT;
	return 0;
}

static uint32_t poll_bits_mask(const struct poll_bits *b, int fd)
{
	uint32_t mask = 0;

	for (int kind = 0; kind < POLL_KINDS; kind++)
		if (*poll_bits_word(b, kind, fd) >> (fd % 64) & 1)
			mask |= poll_select_masks[kind];
	return mask;
}

static int poll_bits_members(struct task *task, const struct poll_bits *b, int n,
			     struct poll_set *set)
{
	size_t count = 0;
	int r;

	for (int fd = 0; fd < n; fd++)
		count += poll_bits_mask(b, fd) != 0;
	r = poll_set_init(set, count);
	for (int fd = 0; !r && fd < n; fd++) {
		uint32_t mask = poll_bits_mask(b, fd);

		/* Errors and hang-ups count where the sets say so, unlike poll(2)'s. */
		if (mask && !poll_set_add(set, task, fd, mask)->file)
			r = -EBADF;
	}
	return r;
}

/* The sets with only what is ready. Return: how many bits that are */
static long poll_bits_write(struct task *task, const struct poll_bits *b, const uint64_t addrs[],
			    const struct poll_set *set)
{
	autofree uint64_t *out = calloc(b->words * POLL_KINDS + 1, sizeof(*out));
	struct poll_bits result = { .words = b->words, .bits = out };
	long count = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++) {
		const struct poll_member *m = &set->members[i];
		uint64_t bit = UINT64_C(1) << (m->fd % 64);

		for (int kind = 0; kind < POLL_KINDS; kind++) {
			if (!(m->ready & poll_select_masks[kind] && *poll_bits_word(b, kind, m->fd) & bit))
				continue;
			*poll_bits_word(&result, kind, m->fd) |= bit;
			count++;
		}
	}
	for (int kind = 0; kind < POLL_KINDS; kind++)
		if (addrs[kind] && user_write(task->mm, addrs[kind], &out[(size_t)kind * b->words],
					      b->words * sizeof(*out)))
			return -EFAULT;
	return count;
}

static long poll_select_until(struct task *task, int n, const uint64_t addrs[], usec_t deadline)
{
	struct poll_bits bits = { 0 };
	struct poll_set set = { .members = set.inline_members };
	uint64_t limit = task_limit(task, RLIMIT_NOFILE);
	long r;

	if (n < 0)
		return -EINVAL;
	if ((uint64_t)n > limit || n > FD_MAX)
		n = limit < FD_MAX ? (int)limit : FD_MAX;
	r = poll_bits_read(task, &bits, n, addrs);
	if (!r)
		r = poll_bits_members(task, &bits, n, &set);
	if (!r)
		r = poll_run(task, &set, deadline);
	if (r >= 0)
		r = poll_bits_write(task, &bits, addrs, &set);
	poll_set_free(&set);
	free(bits.bits);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

static long poll_select(struct task *task, const uint64_t args[6])
{
	usec_t deadline = USEC_INFINITY;
	uint64_t tv[2];
	long r;

	if (args[4]) {
		if (user_read(task->mm, tv, args[4], sizeof(tv)))
			return -EFAULT;
		if ((int64_t)tv[0] < 0 || (int64_t)tv[1] < 0)
			return -EINVAL;
		/* More than a million microseconds are taken, unlike nanoseconds. */
		if (tv[0] < INT32_MAX && tv[1] < (uint64_t)INT32_MAX * USEC_PER_SEC)
			poll_deadline(tv[0] + tv[1] / USEC_PER_SEC, tv[1] % USEC_PER_SEC * 1000,
				      &deadline);
	}
	r = poll_select_until(task, (int)args[0], &args[1], deadline);
	return poll_write_left(task, args[4], deadline, 1, r);
}

static long poll_pselect6(struct task *task, const uint64_t args[6])
{
	uint64_t mask[2] = { 0 }; /* address and size */
	usec_t deadline;
	long r;

	if (args[5] && user_read(task->mm, mask, args[5], sizeof(mask)))
		return -EFAULT;
	r = poll_read_timespec(task, args[4], &deadline);
	if (!r)
		r = poll_set_mask(task, mask[0], mask[1]);
	if (r)
		return r;
	r = poll_select_until(task, (int)args[0], &args[1], deadline);
	return poll_write_left(task, args[4], deadline, 1000, r);
}

/* --- epoll --- */

#define POLL_EVENTS 64 /* without memory of the heap */

static long poll_epoll_open(struct task *task, uint32_t flags)
{
	struct file *file;
	int r;

	if (flags & ~(uint32_t)EPOLL_CLOEXEC)
		return -EINVAL;
	r = epoll_open(&file);
	return r ? r : fd_install(task, file, flags & EPOLL_CLOEXEC, 0);
}

static long poll_epoll_create(struct task *task, const uint64_t args[6])
{
	return (int)args[0] > 0 ? poll_epoll_open(task, 0) : -EINVAL;
}

static long poll_epoll_create1(struct task *task, const uint64_t args[6])
{
	return poll_epoll_open(task, (uint32_t)args[0]);
}

static long poll_epoll_ctl(struct task *task, const uint64_t args[6])
{
	autofile struct file *epoll = NULL;
	autofile struct file *file = NULL;
	struct epoll_event event = { 0 };

	if ((int)args[1] != EPOLL_CTL_DEL &&
	    user_read(task->mm, &event, args[3], sizeof(event)))
		return -EFAULT;
	epoll = fd_get(task, (int)args[0]);
	file = epoll ? fd_get(task, (int)args[2]) : NULL;
	if (!file)
		return -EBADF;
	return epoll_control(epoll, (int)args[1], file, (int)args[2], &event);
}

static long poll_epoll_await(struct task *task, const uint64_t args[6], usec_t deadline)
{
	autofile struct file *epoll = NULL;
	autofree struct epoll_event *many = NULL;
	struct epoll_event few[POLL_EVENTS];
	struct epoll_event *events = few;
	int max = (int)args[2];
	int room;
	int n;

	if (max <= 0 || (size_t)max > INT_MAX / sizeof(*events))
		return -EINVAL;
	epoll = fd_get(task, (int)args[0]);
	if (!epoll)
		return -EBADF;
	if (!epoll_is(epoll))
		return -EINVAL;
	/* No more than there are members now, whatever the guest has room for. */
	room = (int)epoll_count(epoll);
	room = room > POLL_EVENTS ? room : POLL_EVENTS;
	max = max < room ? max : room;
	if (max > POLL_EVENTS) {
		events = many = malloc((size_t)max * sizeof(*events));
		if (!many)
			return -ENOMEM;
	}
	n = epoll_await(task, epoll, events, max, deadline);
	if (n > 0 && user_write(task->mm, args[1], events, (size_t)n * sizeof(*events)))
		return -EFAULT;
	return n;
}

static long poll_epoll_wait(struct task *task, const uint64_t args[6])
{
	return poll_epoll_await(task, args, poll_deadline_ms((int)args[3]));
}

static long poll_epoll_pwait(struct task *task, const uint64_t args[6])
{
	int r = poll_set_mask(task, args[4], args[5]);

	return r ? r : poll_epoll_await(task, args, poll_deadline_ms((int)args[3]));
}

static long poll_epoll_pwait2(struct task *task, const uint64_t args[6])
{
	usec_t deadline;
	int r = poll_read_timespec(task, args[3], &deadline);

	if (!r)
		r = poll_set_mask(task, args[4], args[5]);
	return r ? r : poll_epoll_await(task, args, deadline);
}

static const struct syscall_row poll_rows[] = {
	{ SYS_poll, "poll", poll_poll, { ARG_HEX, ARG_UINT, ARG_INT } },
	{ SYS_ppoll, "ppoll", poll_ppoll, { ARG_HEX, ARG_UINT, ARG_TIMESPEC, ARG_HEX, ARG_UINT } },
	{ SYS_select, "select", poll_select, { ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_pselect6, "pselect6", poll_pselect6,
	  { ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX, ARG_TIMESPEC, ARG_HEX } },
	{ SYS_epoll_create, "epoll_create", poll_epoll_create, { ARG_INT } },
	{ SYS_epoll_create1, "epoll_create1", poll_epoll_create1, { ARG_HEX } },
	{ SYS_epoll_ctl, "epoll_ctl", poll_epoll_ctl, { ARG_FD, ARG_INT, ARG_FD, ARG_HEX } },
	{ SYS_epoll_wait, "epoll_wait", poll_epoll_wait, { ARG_FD, ARG_HEX, ARG_INT, ARG_INT } },
	{ SYS_epoll_pwait, "epoll_pwait", poll_epoll_pwait,
	  { ARG_FD, ARG_HEX, ARG_INT, ARG_INT, ARG_HEX, ARG_UINT } },
	{ SYS_epoll_pwait2, "epoll_pwait2", poll_epoll_pwait2,
	  { ARG_FD, ARG_HEX, ARG_INT, ARG_TIMESPEC, ARG_HEX, ARG_UINT } },
};

const struct syscall_family syscalls_poll = SYSCALL_FAMILY("poll", poll_rows);
