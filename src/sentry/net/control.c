/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/control.c - control messages of a sendmsg(2) taken apart
 *
 *	bytes of the guest -> descriptors and credentials, checked; the rest as bytes, for a backend
 *	                      that has a list of what it lets through
 *
 * Called by the calls that send.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/net/net.h"
#include "sentry/task/task.h"

void socket_control_free(struct socket_control *control)
{
	for (unsigned i = 0; i < control->nfiles; i++)
		file_put(control->files[i]);
	free(control->files);
	free(control->raw);
	memset(control, 0, sizeof(*control));
}

static int control_take_files(struct task *task, const void *data, size_t len,
			      struct socket_control *out)
{
	size_t n = len / sizeof(int);
	struct file **files;

	if (n > SOCKET_FDS_MAX - out->nfiles)
		return -EINVAL;
	if (!n)
		return 0;
	files = reallocarray(out->files, out->nfiles + n, sizeof(struct file *));
	if (!files)
		return -ENOMEM;
	out->files = files;
	for (size_t i = 0; i < n; i++) {
		int fd;
		struct file *file;

		memcpy(&fd, (const char *)data + i * sizeof(fd), sizeof(fd));
		file = fd_get_path(task, fd);
		if (!file)
			return -EBADF;
		out->files[out->nfiles++] = file;
	}
	return 0;
}

/* One may say that one is who one is, or who one could become. */
static int control_take_cred(struct task *task, const void *data, size_t len,
			     struct socket_control *out)
{
	const struct cred *cred = task->cred;
	struct ucred claim;

	if (len != sizeof(claim))
		return -EINVAL;
	memcpy(&claim, data, sizeof(claim));
	if ((claim.pid != task->process->pid && !cred_capable(cred, CAP_SYS_ADMIN)) ||
	    (claim.uid != cred->uid && claim.uid != cred->euid && claim.uid != cred->suid &&
	     !cred_capable(cred, CAP_SETUID)) ||
	    (claim.gid != cred->gid && claim.gid != cred->egid && claim.gid != cred->sgid &&
	     !cred_capable(cred, CAP_SETGID)))
		return -EPERM;
	out->cred = claim;
	out->has_cred = true;
	return 0;
}

static int control_take_raw(const struct cmsghdr *header, const void *data, size_t len,
			    size_t capacity, struct socket_control *out)
{
	if (!out->raw)
		out->raw = calloc(1, capacity);
	if (!out->raw)
		return -ENOMEM;
	memcpy((char *)out->raw + out->raw_len, header, sizeof(*header));
	memcpy((char *)out->raw + out->raw_len + sizeof(*header), data, len);
	out->raw_len += CMSG_SPACE(len);
	out->unknown |= header->cmsg_level == SOL_SOCKET;
	return 0;
}

int socket_control_parse(struct task *task, const void *bytes, size_t len,
			 struct socket_control *out)
{
	size_t at = 0;
	int r = 0;

	while (!r && len - at >= sizeof(struct cmsghdr)) {
		const char *data = (const char *)bytes + at + sizeof(struct cmsghdr);
		struct cmsghdr header;
		size_t n;

		memcpy(&header, (const char *)bytes + at, sizeof(header));
		if (header.cmsg_len < sizeof(header) || header.cmsg_len > len - at)
			return -EINVAL;
		n = header.cmsg_len - sizeof(header);
		if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS)
			r = control_take_files(task, data, n, out);
		else if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_CREDENTIALS)
			r = control_take_cred(task, data, n, out);
		else
			r = control_take_raw(&header, data, n, CMSG_ALIGN(len), out);
		at += CMSG_ALIGN(header.cmsg_len);
		if (at > len)
			break;
	}
	return r;
}
