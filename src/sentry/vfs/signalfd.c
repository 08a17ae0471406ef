/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/signalfd.c - signals read as data
 *
 * What is pending is the reader's, not the opener's, as on Linux: a descriptor that was inherited
 * gives the child's signals. A member of an epoll hears of those of the first process that made
 * it one, which is kept for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"

struct signalfd {
	struct file file;
	_Atomic uint64_t mask;
	_Atomic(struct process *) heard; /* reference; NULL: no epoll has asked yet */
};

/* The words of a siginfo_t, by offset in fields. */
static uint32_t signalfd_word(const struct signal_info *info, size_t at)
{
	uint32_t word;

	memcpy(&word, info->fields + at, sizeof(word));
	return word;
}

static uint64_t signalfd_long(const struct signal_info *info, size_t at)
{
	uint64_t value;

	memcpy(&value, info->fields + at, sizeof(value));
	return value;
}

static bool signalfd_is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP;
}

/* Which fields count is a matter of where the signal came from, as in siginfo_t itself. */
static void signalfd_fill(struct signalfd_siginfo *out, const struct signal_info *info)
{
	memset(out, 0, sizeof(*out));
	out->ssi_signo = (uint32_t)info->signo;
	out->ssi_errno = info->errno_;
	out->ssi_code = info->code;
	if (info->code == SI_TIMER) {
		out->ssi_tid = signalfd_word(info, 0);
		out->ssi_overrun = signalfd_word(info, 4);
		out->ssi_ptr = signalfd_long(info, 8);
		out->ssi_int = (int32_t)out->ssi_ptr;
	} else if (info->signo == SIGCHLD && info->code > 0) {
		out->ssi_pid = signalfd_word(info, 0);
		out->ssi_uid = signalfd_word(info, 4);
		out->ssi_status = (int32_t)signalfd_word(info, 8);
		out->ssi_utime = signalfd_long(info, 16);
		out->ssi_stime = signalfd_long(info, 24);
	} else if (info->code > 0 && signalfd_is_fault(info->signo)) {
		out->ssi_addr = signalfd_long(info, 0);
	} else if (info->code > 0 && info->code < SI_KERNEL && info->signo == SIGIO) {
		out->ssi_band = (uint32_t)signalfd_long(info, 0);
		out->ssi_fd = (int32_t)signalfd_word(info, 8);
	} else {
		out->ssi_pid = signalfd_word(info, 0);
		out->ssi_uid = signalfd_word(info, 4);
		out->ssi_ptr = signalfd_long(info, 8);
		out->ssi_int = (int32_t)out->ssi_ptr;
	}
}

static long signalfd_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct signalfd *sfd = container_of(file, struct signalfd, file);
	struct signalfd_siginfo out;
	struct signal_info info;
	long done = 0;

	if (!task_current || io->left < sizeof(out))
		return -EINVAL;
	while (io->left >= sizeof(out)) {
		int sig;

		pthread_mutex_lock(&kernel.tasks_lock);
		sig = signal_take(task_current, sfd->mask, &info);
		pthread_mutex_unlock(&kernel.tasks_lock);
		if (!sig)
			break;
		signalfd_fill(&out, &info);
		if (user_io_put(io, &out, sizeof(out)) != sizeof(out))
			return done ? done : -EFAULT;
		done += (long)sizeof(out);
	}
	return done ? done : -EAGAIN;
}

/* Whose arrivals to sleep on: an epoll stays for longer than a process might. */
static struct process *signalfd_process(struct signalfd *sfd, const struct wait *wait)
{
	struct process *own = task_current->process;
	struct process *none = NULL;

	if (!wait->on)
		return own;
	if (!sfd->heard && !atomic_compare_exchange_strong(&sfd->heard, &none, process_get(own)))
		process_put(own);
	return sfd->heard;
}

static uint32_t signalfd_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct signalfd *sfd = container_of(file, struct signalfd, file);
	uint64_t pending;

	if (!task_current)
		return 0;
	if (wait)
		wait_on(wait, &signalfd_process(sfd, wait)->signals.arrivals, mask);
	/* Without tasks_lock, which an epoll must not take: who makes one pending wakes us after. */
	pending = __atomic_load_n(&task_current->signals.pending.set, __ATOMIC_ACQUIRE) |
		  __atomic_load_n(&task_current->process->signals.pending.set, __ATOMIC_ACQUIRE);
	return pending & sfd->mask ? mask & (POLLIN | POLLRDNORM) : 0;
}

static void signalfd_release(struct file *file)
{
	struct signalfd *sfd = container_of(file, struct signalfd, file);

	if (sfd->heard)
		process_put(sfd->heard);
	file_free_common(file);
	free(sfd);
}

static const struct file_ops signalfd_ops = {
	.name = "anon_inode:[signalfd]",
	.read = signalfd_read,
	.poll = signalfd_poll,
	.seek = anon_seek,
	.release = signalfd_release,
};

static uint64_t signalfd_mask(uint64_t mask)
{
	return mask & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
}

int signalfd_open(uint64_t mask, uint32_t flags, struct file **out)
{
	struct signalfd *sfd = calloc(1, sizeof(*sfd));

	if (!sfd)
		return -ENOMEM;
	file_init(&sfd->file, &signalfd_ops, O_RDWR | (flags & O_NONBLOCK), NULL, NULL);
	sfd->mask = signalfd_mask(mask);
	*out = &sfd->file;
	return 0;
}

int signalfd_set_mask(struct file *file, uint64_t mask)
{
	if (file->ops != &signalfd_ops)
		return -EINVAL;
	container_of(file, struct signalfd, file)->mask = signalfd_mask(mask);
	if (task_current)
		waitq_wake(&task_current->process->signals.arrivals, POLLIN);
	return 0;
}
