/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/tools/vsock_backend.c - the socket device alone, for a QEMU that a test started
 *
 *	vsock_backend VHOST_USER_FD CID NAME
 *
 * Serves the device on the inherited descriptor, with its unix sockets in the
 * working directory, until the machine hangs up.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "virtio/vhost_user.h"
#include "virtio/vsock.h"

static void backend_on_close(struct vhost_user *vu, const struct coffer_error *err, void *data)
{
	log_info("%s", err->message);
	loop_quit(data, err->err == ECONNRESET ? 0 : 1);
}

static int backend_run(int sock, uint64_t cid, const char *name, struct coffer_error *err)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	struct vsock_args vsock = {.guest_cid = cid, .name = name};
	struct vhost_user_args args = {.sock = sock, .on_close = backend_on_close};
	struct vhost_user *vu;
	int rc;

	vsock.listen_fd = io_unix_listen(AT_FDCWD, name, SOCK_STREAM, 0600, err);
	if (vsock.listen_fd < 0)
		return vsock.listen_fd;
	rc = loop_new(&loop, err);
	if (rc < 0)
		return rc;
	rc = vsock_new(loop, &vsock, &args.dev, err);
	if (rc < 0)
		return rc;
	args.data = loop;
	rc = vhost_user_new(loop, &args, &vu, err);
	if (rc < 0)
		return rc;
	rc = loop_run(loop, err);
	vhost_user_free(vu);
	vsock_free(args.dev);
	unlink(name);
	return rc;
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int rc;

	if (argc != 4) {
		fprintf(stderr, "usage: vsock_backend VHOST_USER_FD CID NAME\n");
		return 2;
	}
	log_to_fd(2, LOG_FORMAT_TEXT);
	if (getenv("VSOCK_BACKEND_DEBUG"))
		log_set_level(LOG_LEVEL_DEBUG);
	rc = backend_run(atoi(argv[1]), strtoull(argv[2], NULL, 0), argv[3], &err);
	if (rc < 0)
		fprintf(stderr, "vsock_backend: %s\n", err.message);
	return rc < 0 ? 1 : rc;
}
