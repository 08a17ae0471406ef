/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/ports.c - unix sockets with names on the host
 *
 *	in a tree     a guest connects to, or binds, a socket in a shared directory
 *	of ports      vsock.sock_<port> is where the host listens for the guest's connections,
 *	              guest_<port> where a guest listens for the host's
 *
 * A socket's path is "N", the object of descriptor N in the working directory, or "N/name": so it
 * always fits into an address, but for very long names in a tree. All sockets are non-blocking.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/gofer/wire.h"

#define PORTS_BACKLOG 128

static const struct jail_call ports_rows[] = {
	JAIL_IF(socket, 0, UINT32_MAX, AF_UNIX), JAIL(connect), JAIL(bind), JAIL(listen),
};
const struct jail_list gofer_ports_calls = JAIL_LIST(ports_rows);

static int ports_address(struct sockaddr_un *addr, int dir, const char *name)
{
	int n;

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), name ? "%d/%s" : "%d", dir, name);
	return n < 0 || (size_t)n >= sizeof(addr->sun_path) ? -ENAMETOOLONG : 0;
}

static int ports_socket(int type)
{
	int fd;

	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

static long ports_connect(struct gofer_work *work, int type, const struct sockaddr_un *addr)
{
	autoclose int fd = ports_socket(type);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	work->result_fd = steal_fd(&fd);
	return 0;
}

/* Return: 0 with *@out a socket bound to @name in @dir */
static long ports_bind(int dir, const char *name, int type, mode_t mode, uid_t uid, gid_t gid,
		       int *out)
{
	struct sockaddr_un addr;
	int r = ports_address(&addr, dir, name);
	autoclose int fd = r < 0 ? -1 : ports_socket(type);
	long given;

	if (r < 0 || fd < 0)
		return r < 0 ? r : fd;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	given = gofer_give(dir, name, S_IFSOCK | (mode & 0777), uid, gid);
	if (given == 0)
		*out = steal_fd(&fd);
	return given;
}

long gofer_connect(struct gofer_work *work)
{
	autoclose int owned = -1;
	struct sockaddr_un addr;
	struct stat st;
	int fd = gofer_object(work, &owned), r;

	if (fd < 0)
		return fd;
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ECONNREFUSED;
	r = ports_address(&addr, fd, NULL);
	return r < 0 ? r : ports_connect(work, (int)work->request->args[0], &addr);
}

long gofer_bind(struct gofer_work *work)
{
	const uint64_t *args = work->request->args;

	return ports_bind(work->fd, work->name, (int)args[0], (mode_t)args[3], (uid_t)args[1],
			  (gid_t)args[2], &work->result_fd);
}

static long ports_name(const struct gofer_work *work, const char *prefix, char name[32])
{
	if (gofer_held.ports < 0)
		return -ECONNREFUSED;
	if (work->request->args[0] > UINT32_MAX)
		return -EINVAL;
	snprintf(name, 32, "%s%u", prefix, (unsigned)work->request->args[0]);
	return 0;
}

long gofer_dial(struct gofer_work *work)
{
	struct sockaddr_un addr;
	char name[32];
	long r = ports_name(work, "vsock.sock_", name);

	if (r == 0)
		r = ports_address(&addr, gofer_held.ports, name);
	if (r == 0)
		r = ports_connect(work, SOCK_STREAM, &addr);
	/* As a host that does not listen there answers */
	return r == -ENOENT ? -ECONNREFUSED : r;
}

long gofer_listen(struct gofer_work *work)
{
	char name[32];
	long r = ports_name(work, "guest_", name);

	if (r == 0)
		r = ports_bind(gofer_held.ports, name, SOCK_STREAM, 0600, (uid_t)-1, (gid_t)-1,
			       &work->result_fd);
	if (r == 0 && listen(work->result_fd, PORTS_BACKLOG) < 0) {
		r = -errno;
		unlinkat(gofer_held.ports, name, 0);
	}
	return r;
}

long gofer_unlisten(struct gofer_work *work)
{
	char name[32];
	long r = ports_name(work, "guest_", name);

	if (r == 0 && unlinkat(gofer_held.ports, name, 0) < 0)
		r = -errno;
	return r;
}
