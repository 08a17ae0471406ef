/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/grpc_wire.c - one HTTP/2 session on one socket, for client and server
 *
 * Flow: recv(2) -> nghttp2 -> the owner's callbacks, which only take notes;
 * then the owner acts; then grpc_wire_flush() pulls frames out of nghttp2 and
 * writes them, many small ones in one sendmsg(2), a large one without a
 * further copy.
 *
 * Bounds: windows are opened by the owner alone (no automatic update); nghttp2
 * limits acks, settings, CONTINUATION frames and resets; frames that pile up
 * because the peer does not read end the connection at max_frames.
 *
 * Nobody but grpc_conn.c and grpc_client.c calls this.
 */
#include "rpc/grpc_wire.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/io.h"

#define GRPC_WIRE_GATHER 4096
#define GRPC_WIRE_LEFT	 (GRPC_WIRE_GATHER + 32768) /* the gathered frames and one more */
#define GRPC_WIRE_ACKS	 256
#define GRPC_WIRE_FRAMES 1024 /* besides those that open streams account for */

static int grpc_wire_options(nghttp2_option **out)
{
	int r = nghttp2_option_new(out);

	if (r)
		return r;
	nghttp2_option_set_no_auto_window_update(*out, 1);
	nghttp2_option_set_max_outbound_ack(*out, GRPC_WIRE_ACKS);
	/* Closed streams are kept for priorities, which we do not use. */
	nghttp2_option_set_no_closed_streams(*out, 1);
	return 0;
}

static int grpc_wire_settings(nghttp2_session *session, bool server,
			      const struct grpc_limits *limits)
{
	nghttp2_settings_entry s[] = {
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->max_header_list },
		{ server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
		  server ? limits->max_streams : 0 },
	};

	return nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, s, ARRAY_SIZE(s));
}

int grpc_wire_init(struct grpc_wire *w, int fd, bool server, const nghttp2_session_callbacks *cbs,
		   const struct grpc_limits *limits, void *user, struct coffer_error *err)
{
	nghttp2_option *opt;
	int r;

	*w = (struct grpc_wire){
		.fd = -1,
		.left = BUF_INIT(GRPC_WIRE_LEFT),
		.max_frames = GRPC_WIRE_FRAMES + 4 * (size_t)limits->max_streams,
	};
	if (grpc_wire_options(&opt))
		return err_nomem(err);
	if (server)
		r = nghttp2_session_server_new2(&w->session, cbs, user, opt);
	else
		r = nghttp2_session_client_new2(&w->session, cbs, user, opt);
	nghttp2_option_del(opt);
	if (r) {
		w->session = NULL;
		return err_nomem(err);
	}
	if (grpc_wire_settings(w->session, server, limits)) {
		grpc_wire_close(w);
		return err_nomem(err);
	}
	w->fd = fd;
	return 0;
}

void grpc_wire_close(struct grpc_wire *w)
{
	nghttp2_session_del(w->session);
	w->session = NULL;
	buf_free(&w->left);
	close_fd(&w->fd);
}

ssize_t grpc_wire_read(struct grpc_wire *w)
{
	uint8_t in[GRPC_WIRE_READ];
	ssize_t n, r;

	n = io_recv(w->fd, in, sizeof(in), MSG_DONTWAIT);
	if (n <= 0)
		return n;
	r = nghttp2_session_mem_recv(w->session, in, (size_t)n);
	if (r < 0)
		return r == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
	return n;
}

/* Return: 0 all written, -EAGAIN the rest is in @w->left, other negative errno */
static int grpc_wire_write(struct grpc_wire *w, struct iovec iov[2])
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t done = 0;
	ssize_t n;
	int r;

	if (iov[0].iov_len + iov[1].iov_len == 0)
		return 0;
	do
		n = sendmsg(w->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	done = n > 0 ? (size_t)n : 0;
	for (int i = 0; i < 2; i++) {
		size_t k = done < iov[i].iov_len ? done : iov[i].iov_len;

		done -= k;
		if (k == iov[i].iov_len)
			continue;
		r = buf_append(&w->left, (uint8_t *)iov[i].iov_base + k, iov[i].iov_len - k);
		if (r < 0)
			return r;
	}
	return w->left.len ? -EAGAIN : 0;
}

static int grpc_wire_write_left(struct grpc_wire *w)
{
	ssize_t n;

	while (w->left.len) {
		n = io_send(w->fd, buf_data(&w->left), w->left.len, MSG_DONTWAIT);
		if (n < 0)
			return (int)n;
		buf_consume(&w->left, (size_t)n);
	}
	/* Few connections ever block; those that did give the memory back. */
	buf_free(&w->left);
	return 0;
}

static int grpc_wire_flush_frames(struct grpc_wire *w)
{
	uint8_t gather[GRPC_WIRE_GATHER];
	const uint8_t *frame;
	size_t have = 0;
	ssize_t n;
	int r;

	for (;;) {
		n = nghttp2_session_mem_send(w->session, &frame);
		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
		if (n > 0 && (size_t)n <= sizeof(gather) - have) {
			memcpy(gather + have, frame, (size_t)n);
			have += (size_t)n;
			continue;
		}
		r = grpc_wire_write(
		    w, (struct iovec[]){ { gather, have }, { (void *)frame, (size_t)n } });
		if (r < 0 || n == 0)
			return r;
		have = 0;
	}
}

int grpc_wire_flush(struct grpc_wire *w)
{
	int r;

	if (w->write_dead)
		return 0;
	r = w->left.cap ? grpc_wire_write_left(w) : 0;
	if (r == 0)
		r = grpc_wire_flush_frames(w);
	if (nghttp2_session_get_outbound_queue_size(w->session) > w->max_frames)
		return -ENOBUFS;
	if (r == -EAGAIN)
		return 0;
	if (r == -EPIPE || r == -ECONNRESET)
		w->write_dead = true;
	return w->write_dead ? 0 : r;
}

bool grpc_wire_blocked(const struct grpc_wire *w)
{
	return w->left.len > 0 && !w->write_dead;
}

bool grpc_wire_over(const struct grpc_wire *w)
{
	return !nghttp2_session_want_read(w->session) && w->left.len == 0 &&
	       (w->write_dead || !nghttp2_session_want_write(w->session));
}

bool grpc_wire_content_type(const uint8_t *value, size_t n)
{
	static const char grpc[] = "application/grpc";
	static const char proto[] = "+proto";
	size_t k = sizeof(grpc) - 1;

	if (n < k || memcmp(value, grpc, k) != 0)
		return false;
	if (n - k >= sizeof(proto) - 1 && !memcmp(value + k, proto, sizeof(proto) - 1))
		k += sizeof(proto) - 1;
	return n == k || value[k] == ';';
}
