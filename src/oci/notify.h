/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/notify.h - sd_notify(3) out of a container
 */
#ifndef OCI_NOTIFY_H
#define OCI_NOTIFY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/spawn.h"
#include "spec/spec.h"

#define NOTIFY_DIR "notify" /* in the container's directory, when it has a socket */
#define NOTIFY_EXTERNAL "/run/notify" /* what checkpoints call it, wherever it is */

/* notify_prepare() - With $NOTIFY_SOCKET: the directory, a mount of it, the program's variable */
int notify_prepare(const char *root, const char *id, int dirfd, struct oci_spec *spec,
		   struct coffer_error *err);
/**
 * notify_find() - Where container @id of process @pid sees that directory
 * @dirfd:	The container's directory
 * @place:	Filled; owned by the caller; NULL: it does not
 */
int notify_find(int dirfd, const char *id, pid_t pid, char **place, struct coffer_error *err);
/* notify_listen() - Before the program starts. @sock: -1 when nobody wants to know; owned */
int notify_listen(int dirfd, int *sock, struct coffer_error *err);
/* notify_forward() - One message. @pid: is then told as the main process. Return: it was READY */
bool notify_forward(int sock, pid_t pid);
/* notify_wait() - Until it is ready or has ended; returns at once with @sock -1 */
void notify_wait(int sock, const struct child *init);

#endif /* OCI_NOTIFY_H */
