/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inherit.h - what goes from our caller to the container's process, and its pid back
 */
#ifndef OCI_INHERIT_H
#define OCI_INHERIT_H

#include <sys/types.h>

#include "base/error.h"
#include "spec/spec.h"

/**
 * inherit_prepare() - Before any descriptor of ours is opened for the container
 * @preserve:	--preserve-fds
 * @process:	Gets LISTEN_FDS and LISTEN_PID when there are sockets for it; NULL: none looked for
 * @n:		Set to how many descriptors from 3 on are the container's
 *
 * Numbers among them that are free are taken, so that nothing of ours gets them.
 */
int inherit_prepare(unsigned preserve, struct oci_process *process, unsigned *n,
		    struct coffer_error *err);

/* inherit_write_pid() - @path is there with all of the number in it, or not at all */
int inherit_write_pid(const char *path, pid_t pid, struct coffer_error *err);

#endif /* OCI_INHERIT_H */
