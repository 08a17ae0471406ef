/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_list.c - all unix sockets, as /proc/net/unix shows them
 *
 * Called by unix.c and procfs.
 */
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/net/unix.h"

#define UNIX_LISTENS_FLAG 0x10000u /* __SO_ACCEPTCON */

static pthread_mutex_t unix_list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct unix_socket *unix_list; /* unix_list_lock */

void unix_list_add(struct unix_socket *u)
{
	pthread_mutex_lock(&unix_list_lock);
	u->list_next = unix_list;
	if (unix_list)
		unix_list->list_prev = u;
	unix_list = u;
	pthread_mutex_unlock(&unix_list_lock);
}

void unix_list_remove(struct unix_socket *u)
{
	pthread_mutex_lock(&unix_list_lock);
	if (u->list_prev)
		u->list_prev->list_next = u->list_next;
	else
		unix_list = u->list_next;
	if (u->list_next)
		u->list_next->list_prev = u->list_prev;
	pthread_mutex_unlock(&unix_list_lock);
}

/* Abstract names are shown with '@' for zero bytes. */
static int unix_print_path(const struct unix_address *a, struct buf *out)
{
	size_t offset = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(a->addr.sun_path) + 1] = { 0 };
	size_t len = a->len - offset;

	memcpy(path, a->addr.sun_path, len < sizeof(path) ? len : sizeof(path) - 1);
	for (size_t i = 0; !a->addr.sun_path[0] && i < len; i++)
		path[i] = path[i] ? path[i] : '@';
	return buf_printf(out, " %s", path);
}

static int unix_print(struct unix_socket *u, struct buf *out)
{
	struct unix_address *name;
	enum unix_state state;
	int r;

	pthread_mutex_lock(&u->lock);
	name = unix_address_get(u->name);
	state = u->state;
	pthread_mutex_unlock(&u->lock);
	r = buf_printf(out, "0000000000000000: %08X 00000000 %08X %04X %02X %5lu",
		       atomic_load(&u->socket.file.refs) + 1,
		       state == UNIX_LISTENING ? UNIX_LISTENS_FLAG : 0, (unsigned)u->socket.type,
		       state == UNIX_CONNECTED ? 3u : 1u, u->socket.file.inode->attr.st_ino);
	if (!r && name)
		r = unix_print_path(name, out);
	unix_address_put(name);
	return r ? r : buf_append(out, "\n", 1);
}

int socket_print_unix(struct sandbox_container *container, struct buf *out)
{
	int r = buf_printf(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");

	pthread_mutex_lock(&unix_list_lock);
	for (struct unix_socket *u = unix_list; u && !r; u = u->list_next) {
		if (u->net_space == container->net_space)
			r = unix_print(u, out);
	}
	pthread_mutex_unlock(&unix_list_lock);
	return r;
}
