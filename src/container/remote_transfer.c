/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/remote_transfer.c - copies and connections of a container that another process owns
 *
 * The owner opens them and passes the descriptors; bytes never go through it.
 */
#include "container/remote.h"
#include "container/transfer.h"

/* A call that brings descriptors. Hanging up is how the owner learns that it was called off. */
static int remote_ask_fds(struct coffer_container *c, Ct__Request *req, int cancel_fd,
			  struct wire_fds *fds, size_t n, struct coffer_error *err)
{
	autoclose int sock = remote_begin(c, req, err);

	if (sock < 0)
		return sock;
	fds->n = n;
	return remote_reply(c, sock, cancel_fd, USEC_INFINITY, NULL, fds, err);
}

static int remote_transfer_open(struct coffer_container *c, const struct transfer_request *request,
				int cancel_fd, struct transfer *out, struct coffer_error *err)
{
	autofds struct wire_fds fds = WIRE_FDS_INIT;
	Ct__Request req = CT__REQUEST__INIT;
	int r;

	req.method = CT__METHOD__TRANSFER;
	req.number = request->kind;
	req.path = wire_text(request->path);
	req.flags = (request->follow ? 1 : 0) | (request->keep_types ? 2 : 0) |
		    (request->keep_owners ? 4 : 0) | (request->pause ? 8 : 0);
	r = remote_ask_fds(c, &req, cancel_fd, &fds, 2, err);
	if (r < 0)
		return r;
	out->data_fd = steal_fd(&fds.v[0]);
	out->verdict_fd = steal_fd(&fds.v[1]);
	return 0;
}

static int remote_transfer_stat(struct coffer_container *c, const char *path, bool follow,
				struct coffer_path_stat *out, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	autoremote Ct__Reply *reply = NULL;
	struct coffer_path_stat full;
	int r;

	req.method = CT__METHOD__STAT;
	req.path = wire_text(path);
	req.flags = follow;
	r = remote_call(c, &req, &reply, NULL, err);
	if (r == 0)
		r = wire_take_struct(&reply->data, &full, sizeof(full), true, err);
	if (r < 0)
		return r;
	full.name[sizeof(full.name) - 1] = '\0';
	full.link_target[sizeof(full.link_target) - 1] = '\0';
	remote_hand_over(&full, sizeof(full), out);
	return 0;
}

/* Return: the one descriptor of the answer, or negative errno */
static int remote_ask_fd(struct coffer_container *c, Ct__Method method, uint32_t port,
			 int cancel_fd, struct coffer_error *err)
{
	autofds struct wire_fds fds = WIRE_FDS_INIT;
	Ct__Request req = CT__REQUEST__INIT;
	int r;

	req.method = method;
	req.number = port;
	r = remote_ask_fds(c, &req, cancel_fd, &fds, 1, err);
	return r < 0 ? r : steal_fd(&fds.v[0]);
}

static int remote_dial(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	return remote_ask_fd(c, CT__METHOD__DIAL, port, -1, err);
}

static int remote_listen(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	return remote_ask_fd(c, CT__METHOD__LISTEN, port, -1, err);
}

static void remote_unlisten(struct coffer_container *c, uint32_t port)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__UNLISTEN;
	req.number = port;
	remote_call(c, &req, NULL, NULL, NULL);
}

static int remote_connect_tcp(struct coffer_container *c, uint16_t port, int cancel_fd,
			      struct coffer_error *err)
{
	return remote_ask_fd(c, CT__METHOD__CONNECT, port, cancel_fd, err);
}

static int remote_relay_add(struct coffer_container *c, const struct coffer_relay *relay,
			    struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__RELAY_ADD;
	req.id = wire_text(relay->id);
	req.path = wire_text(relay->guest_path);
	req.host_path = wire_text(relay->host_path);
	req.flags = relay->direction == COFFER_RELAY_OUT_OF;
	req.number = relay->mode;
	return remote_call(c, &req, NULL, NULL, err);
}

static int remote_relay_remove(struct coffer_container *c, const char *id,
			       struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__RELAY_REMOVE;
	req.id = wire_text(id);
	return remote_call(c, &req, NULL, NULL, err);
}

const struct transfer_ops transfer_remote = {
	.open = remote_transfer_open,
	.stat = remote_transfer_stat,
	.dial = remote_dial,
	.listen = remote_listen,
	.unlisten = remote_unlisten,
	.connect = remote_connect_tcp,
	.relay_add = remote_relay_add,
	.relay_remove = remote_relay_remove,
};
