/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qmp.c - client of QEMU's control protocol
 *
 *	QEMU:	{"QMP": {...}}                          greeting
 *	we:	{"execute": "qmp_capabilities", ...}    ends the negotiation -> on_ready
 *	we:	{"execute": "stop", "id": 7}
 *	QEMU:	{"return": {}, "id": 7} or {"error": {"class", "desc"}, "id": 7}
 *	QEMU:	{"event": "STOP", "data": {...}}        at any time
 *
 * Commands are so small that the socket's buffer always holds those that may be
 * outstanding; a socket that is full means a QEMU that has stopped reading, and
 * then the command fails instead of being queued here.
 *
 * A callback may free the client: after each one, qmp_line() asks whether it is
 * still there.
 */
#define LOG_CATEGORY "qmp"

#include "vmm/qmp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"

#define QMP_DEPTH_MAX  16
#define QMP_READ_CHUNK 4096
#define QMP_READS_MAX  64 /* a turn of the loop: other sources want theirs too */

struct qmp_pending {
	uint32_t id; /* 0: free slot */
	qmp_done done;
	void *data;
};

struct qmp {
	struct qmp_args args; /* sock is owned; -1 when closed */
	struct loop_source *src;
	struct json_tokener *tok;
	struct buf in;
	struct qmp_pending pending[QMP_PENDING_MAX];
	uint32_t last_id;
	bool greeted;
	bool *gone; /* set to true by qmp_free() while qmp_read() runs */
};

static void qmp_fail_pending(struct qmp *qmp, const struct coffer_error *err)
{
	for (size_t i = 0; i < QMP_PENDING_MAX; i++) {
		struct qmp_pending p = qmp->pending[i];

		qmp->pending[i] = (struct qmp_pending){ 0 };
		if (p.id && p.done)
			p.done(err, NULL, p.data);
	}
}

/* on_close() is called once: a closed client reads nothing more. */
static void qmp_close(struct qmp *qmp, const struct coffer_error *err)
{
	loop_remove(qmp->src);
	qmp->src = NULL;
	close_fd(&qmp->args.sock);
	qmp->args.on_close(err, qmp->args.data);
}

int qmp_command(struct qmp *qmp, const char *command, qmp_done done, void *data,
		struct coffer_error *err)
{
	struct qmp_pending *slot = NULL;
	char line[128];
	ssize_t sent;
	int n;

	for (size_t i = 0; i < QMP_PENDING_MAX && !slot; i++)
		if (!qmp->pending[i].id)
			slot = &qmp->pending[i];
	if (qmp->args.sock < 0 || !slot)
		return err_set(err, COFFER_ERR_INTERRUPTED, EPIPE, "qemu: %s: %s", command,
			       slot ? "control connection is closed" : "does not answer");
	if (++qmp->last_id == 0)
		qmp->last_id = 1;
	n = snprintf(line, sizeof(line), "{\"execute\":\"%s\",\"id\":%u}\n", command,
		     qmp->last_id);
	sent = send(qmp->args.sock, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent != n)
		return err_sysn(err, sent < 0 ? errno : EAGAIN, "qemu: send %s", command);
	*slot = (struct qmp_pending){ .id = qmp->last_id, .done = done, .data = data };
	return 0;
}

static void qmp_ready(const struct coffer_error *err, struct json_object *ret, void *data)
{
	struct qmp *qmp = data;

	/* A refusal cannot be answered sensibly; the start's time budget ends it. */
	if (!err)
		qmp->args.on_ready(qmp->args.data);
	else
		log_info("capabilities refused: %s", err->message);
}

static void qmp_handle_greeting(struct qmp *qmp)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (qmp->greeted)
		return;
	qmp->greeted = true;
	if (qmp_command(qmp, "qmp_capabilities", qmp_ready, qmp, &err) < 0)
		qmp_close(qmp, &err);
}

static const char *qmp_string(struct json_object *obj, const char *key)
{
	struct json_object *val = NULL;

	if (!json_object_object_get_ex(obj, key, &val) ||
	    !json_object_is_type(val, json_type_string))
		return NULL;
	return json_object_get_string(val);
}

static void qmp_handle_reply(struct qmp *qmp, struct json_object *obj, struct json_object *ret,
			     struct json_object *error)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct json_object *id = NULL;
	const char *desc;

	json_object_object_get_ex(obj, "id", &id);
	for (size_t i = 0; id && i < QMP_PENDING_MAX; i++) {
		struct qmp_pending p = qmp->pending[i];

		if (!p.id || json_object_get_int64(id) != p.id)
			continue;
		qmp->pending[i] = (struct qmp_pending){ 0 };
		if (error) {
			desc = json_object_is_type(error, json_type_object) ?
				       qmp_string(error, "desc") : NULL;
			err_internal(&err, "qemu: %.400s", desc ? desc : "command failed");
		}
		if (p.done)
			p.done(error ? &err : NULL, ret, p.data);
		return;
	}
	log_debug("reply to no command");
}

static void qmp_handle(struct qmp *qmp, struct json_object *obj)
{
	struct json_object *val = NULL;
	const char *event = qmp_string(obj, "event");

	if (event) {
		json_object_object_get_ex(obj, "data", &val);
		if (!json_object_is_type(val, json_type_object))
			val = NULL;
		qmp->args.on_event(event, val, qmp->args.data);
	} else if (json_object_object_get_ex(obj, "return", &val)) {
		qmp_handle_reply(qmp, obj, val, NULL);
	} else if (json_object_object_get_ex(obj, "error", &val)) {
		qmp_handle_reply(qmp, obj, NULL, val);
	} else if (json_object_object_get_ex(obj, "QMP", &val)) {
		qmp_handle_greeting(qmp);
	}
}

/* Return: 0, or -EPROTO with @err filled; the client may be gone either way */
static int qmp_line(struct qmp *qmp, const char *line, size_t len, struct coffer_error *err)
{
	struct json_object *obj;
	int r = 0;

	if (len == 0 || (len == 1 && line[0] == '\r'))
		return 0;
	json_tokener_reset(qmp->tok);
	obj = json_tokener_parse_ex(qmp->tok, line, (int)len);
	if (json_object_is_type(obj, json_type_object))
		qmp_handle(qmp, obj);
	else
		r = err_set(err, COFFER_ERR_INTERNAL, EPROTO, "qemu: line is not a JSON object");
	json_object_put(obj);
	return r;
}

/* Handle whole lines. Return: 0 go on, 1 the client is gone or closed, -errno */
static int qmp_lines(struct qmp *qmp, const bool *gone, struct coffer_error *err)
{
	while (qmp->in.len > 0) {
		const char *line = (const char *)buf_data(&qmp->in);
		const char *end = memchr(line, '\n', qmp->in.len);
		size_t n;
		int r;

		if (!end)
			return 0;
		n = (size_t)(end - line);
		r = qmp_line(qmp, line, n, err);
		if (*gone || qmp->args.sock < 0)
			return 1;
		if (r < 0)
			return r;
		buf_consume(&qmp->in, n + 1);
	}
	return 0;
}

/* Return: 1 more may follow, 0 not now, -errno with @err filled */
static int qmp_fill(struct qmp *qmp, struct coffer_error *err)
{
	uint8_t *p;
	ssize_t n;
	int r = buf_reserve(&qmp->in, QMP_READ_CHUNK, &p);

	if (r == -ENOBUFS)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "qemu: line is too long");
	if (r < 0)
		return err_nomem(err);
	n = recv(qmp->args.sock, p, QMP_READ_CHUNK, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : err_sys(err, "qemu: read control");
	if (n == 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, EPIPE, "qemu: closed its control connection");
	buf_commit(&qmp->in, (size_t)n);
	return 1;
}

void qmp_read(struct qmp *qmp)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	bool gone = false;
	int r = 1;

	if (qmp->gone)
		return; /* called from one of our own callbacks */
	qmp->gone = &gone;
	for (int i = 0; r == 1 && i < QMP_READS_MAX && qmp->args.sock >= 0; i++) {
		r = qmp_fill(qmp, &err);
		if (r == 1 && qmp_lines(qmp, &gone, &err) != 0)
			r = err.kind == COFFER_ERR_NONE ? 0 : -err.err;
		if (gone)
			return;
	}
	if (r < 0)
		qmp_close(qmp, &err);
	if (!gone)
		qmp->gone = NULL;
}

static void qmp_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	qmp_read(data);
}

int qmp_new(struct loop *loop, const struct qmp_args *args, struct qmp **out,
	    struct coffer_error *err)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp)
		return err_nomem(err);
	qmp->in = (struct buf)BUF_INIT(QMP_LINE_MAX);
	qmp->tok = json_tokener_new_ex(QMP_DEPTH_MAX);
	if (!qmp->tok || loop_add_fd(loop, args->sock, EPOLLIN, qmp_handler, qmp, &qmp->src, err) < 0) {
		if (!qmp->tok)
			err_nomem(err);
		else
			json_tokener_free(qmp->tok);
		free(qmp);
		return err ? -err->err : -EIO;
	}
	qmp->args = *args;
	*out = qmp;
	return 0;
}

void qmp_free(struct qmp *qmp)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (!qmp)
		return;
	if (qmp->gone)
		*qmp->gone = true;
	loop_remove(qmp->src);
	close_fd(&qmp->args.sock);
	err_set(&err, COFFER_ERR_INTERRUPTED, 0, "the machine has ended");
	qmp_fail_pending(qmp, &err);
	buf_free(&qmp->in);
	json_tokener_free(qmp->tok);
	free(qmp);
}
