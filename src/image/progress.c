/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/progress.c - a caller's struct coffer_transfer: told one at a time, cancelled together
 *
 * What threads look at for whether to go on is an epoll descriptor with two
 * members, the caller's descriptor and an event of our own: like any descriptor
 * it can be polled, and is readable as long as one of the two is.
 */
#include "image/progress.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/sized.h"

#define PROGRESS_PARALLEL     4
#define PROGRESS_PARALLEL_MAX 16

static int progress_watch(int epoll, int fd, struct coffer_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	return err_set(err, COFFER_ERR_INVALID_ARGUMENT, errno,
		       "descriptor %d to cancel with: cannot be waited for", fd);
}

int progress_open(struct progress *p, const struct coffer_transfer *how, struct coffer_error *err)
{
	static const struct coffer_transfer defaults = COFFER_TRANSFER_INIT;
	autoclose int epoll = -1, event = -1;
	int r = sized_import(&p->how, sizeof(p->how), how ? how : &defaults, "transfer", err);

	if (r < 0)
		return r;
	if (p->how.parallel > PROGRESS_PARALLEL_MAX)
		return err_invalid(err, "%u blobs at once: at most %d", p->how.parallel,
				   PROGRESS_PARALLEL_MAX);
	if (p->how.parallel == 0)
		p->how.parallel = PROGRESS_PARALLEL;
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (event < 0 || epoll < 0)
		return err_sys(err, "make a descriptor to cancel with");
	r = progress_watch(epoll, event, err);
	if (r == 0 && p->how.cancel_fd >= 0)
		r = progress_watch(epoll, p->how.cancel_fd, err);
	if (r < 0)
		return r;
	pthread_mutex_init(&p->lock, NULL);
	p->event = steal_fd(&event);
	p->cancel_fd = steal_fd(&epoll);
	return 0;
}

void progress_close(struct progress *p)
{
	close_fd(&p->cancel_fd);
	close_fd(&p->event);
	pthread_mutex_destroy(&p->lock);
}

void progress_forward(void *data, const struct coffer_progress *what)
{
	struct progress *p = data;

	if (!p->how.progress)
		return;
	pthread_mutex_lock(&p->lock);
	p->how.progress(p->how.data, what);
	pthread_mutex_unlock(&p->lock);
}

void progress_tell(struct progress *p, enum coffer_progress_kind kind, const char *what,
		   uint64_t done, uint64_t total)
{
	struct coffer_progress said = { .kind = kind, .what = what, .done = done, .total = total };

	progress_forward(p, &said);
}

void progress_cancel(struct progress *p)
{
	eventfd_write(p->event, 1);
}

int progress_check(struct progress *p, struct coffer_error *err)
{
	struct pollfd pfd = { .fd = p->cancel_fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0 ? err_set(err, COFFER_ERR_CANCELLED, 0, "given up") : 0;
}
