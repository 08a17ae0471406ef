/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_peer.c - what a server that breaks the rules can do to our client */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/grpc_client.h"
#include "rpc_frames.h"
#include "sandbox_context.pb-c.h"

#define SD    (&sc__sandbox_context__descriptor)
#define REPLY "\x0a\1x"

static struct grpc_client *client;
static int peer;
static struct frames f;

static int setup(void **state)
{
	int sv[2], size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	peer = sv[1];
	setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	f.len = 0;
	frames_put(&f, F_SETTINGS, 0, 0, NULL, 0);
	return grpc_client_new(sv[0], NULL, &client, NULL);
}

static int teardown(void **state)
{
	grpc_client_free(client);
	if (peer >= 0)
		close(peer);
	return 0;
}

static void say(void)
{
	assert_int_equal(send(peer, f.data, f.len, MSG_NOSIGNAL | MSG_DONTWAIT), f.len);
	f.len = 0;
}

static void hang_up(void)
{
	close(peer);
	peer = -1;
}

static struct grpc_pending *start(void)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct grpc_pending *p = NULL;

	req.key = (char *)"k";
	assert_int_equal(
	    grpc_client_start(client, SD, "Getenv", &req.base, 60 * USEC_PER_SEC, &p, NULL), 0);
	return p;
}

/* @status 0x88 is the table's ":status 200". */
static void say_headers(int flags, uint32_t stream, const char *type, const char *status,
			const char *message)
{
	size_t at = f.len;
	static const uint8_t ok = 0x88;

	frames_head(&f, 0, F_HEADERS, F_END_HEADERS | flags, stream);
	if (type) {
		frames_bytes(&f, &ok, 1);
		frames_header(&f, "content-type", type);
	}
	if (status)
		frames_header(&f, "grpc-status", status);
	if (message)
		frames_header(&f, "grpc-message", message);
	frames_fix(&f, at);
}

static void say_begin(void)
{
	say_headers(0, 1, "application/grpc", NULL, NULL);
}

static void say_reply(void)
{
	frames_message(&f, 1, 0, 0, sizeof(REPLY) - 1, REPLY, sizeof(REPLY) - 1);
}

static void say_end(const char *status, const char *message)
{
	say_headers(F_END_STREAM, 1, NULL, status, message);
}

/* What a unary caller makes of what was said. */
static struct coffer_error result(void)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_pending *p = start();
	ProtobufCMessage *m;
	int r, n = 0;

	if (f.len)
		say();
	do {
		r = grpc_pending_recv(p, USEC_INFINITY, &m, &err);
		if (r == 0 && m) {
			protobuf_c_message_free_unpacked(m, NULL);
			n++;
		}
	} while (r == 0 && m && n < 10);
	grpc_pending_free(p);
	if (r == 0)
		assert_int_equal(err.kind, COFFER_ERR_NONE);
	return err;
}

static void assert_result(enum coffer_error_kind kind, const char *message)
{
	struct coffer_error err = result();

	assert_int_equal(err.kind, kind);
	if (message)
		assert_string_equal(err.message, message);
}

static void test_good(void **state)
{
	say_begin();
	say_reply();
	say_end("0", NULL);
	assert_result(COFFER_ERR_NONE, NULL);
}

static void test_status(void **state)
{
	say_headers(F_END_STREAM, 1, "application/grpc", "9", "not%20now%1b[2J");
	assert_result(COFFER_ERR_INVALID_STATE, "not now?[2J");
	say_headers(F_END_STREAM, 3, "application/grpc", "14", NULL);
	assert_result(COFFER_ERR_INTERRUPTED, "Getenv: status UNAVAILABLE");
	say_headers(F_END_STREAM, 5, "application/grpc", "77", "x");
	assert_result(COFFER_ERR_INTERNAL, "x");
	say_headers(F_END_STREAM, 7, "application/grpc", "-1", NULL);
	assert_result(COFFER_ERR_INTERNAL, "Getenv: status UNKNOWN");
	say_headers(F_END_STREAM, 9, "application/grpc", "4", "mount took too long");
	assert_result(COFFER_ERR_TIMEOUT, "mount took too long");
}

static void test_not_grpc(void **state)
{
	static const uint8_t not_found = 0x8d; /* ":status 404" */

	frames_put(&f, F_HEADERS, F_END_HEADERS | F_END_STREAM, 1, &not_found, 1);
	assert_result(COFFER_ERR_UNSUPPORTED, "the peer answered with HTTP status 404");
	say_headers(0, 3, "text/html", NULL, NULL);
	assert_result(COFFER_ERR_INTERNAL, "the peer's answer is not gRPC");
	say_headers(F_END_STREAM, 5, "application/grpc", NULL, NULL);
	assert_result(COFFER_ERR_INTERNAL, "the call ended without a status (NO_ERROR)");
}

static void test_cut_short(void **state)
{
	say_begin();
	frames_message(&f, 1, 0, 0, 9, "ab", 2);
	say_end("0", NULL);
	assert_result(COFFER_ERR_INTERNAL, "the reply is cut short");
}

static void test_ends_with_data(void **state)
{
	say_begin();
	frames_message(&f, 1, F_END_STREAM, 0, sizeof(REPLY) - 1, REPLY, sizeof(REPLY) - 1);
	assert_result(COFFER_ERR_INTERNAL, "the call ended without a status (NO_ERROR)");
}

static void test_bad_messages(void **state)
{
	say_begin();
	frames_message(&f, 1, 0, 0, 0x7fffffff, NULL, 0);
	assert_result(COFFER_ERR_INTERNAL, "reply larger than this client takes");
	say_headers(0, 3, "application/grpc", NULL, NULL);
	frames_message(&f, 3, 0, 1, 1, "x", 1);
	assert_result(COFFER_ERR_INTERNAL, "the reply is compressed");
	say_headers(0, 5, "application/grpc", NULL, NULL);
	frames_message(&f, 5, 0, 0, 3, "\x0a\1\xff", 3);
	assert_result(COFFER_ERR_INTERNAL,
		      "Getenv: the reply cannot be used: GetenvResponse.value: not UTF-8 text, "
		      "or with a NUL inside");
}

static void test_unread_replies(void **state)
{
	struct grpc_pending *p = start();
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m;

	/* Given up on with its replies unread; the connection does not mind. */
	say_begin();
	say_reply();
	say_reply();
	say();
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), 0);
	protobuf_c_message_free_unpacked(m, NULL);
	grpc_pending_free(p);
	say_headers(F_END_STREAM, 3, "application/grpc", "5", "y");
	assert_result(COFFER_ERR_NOT_FOUND, "y");
}

static void test_resets(void **state)
{
	static const struct {
		uint8_t code[4];
		enum coffer_error_kind kind;
	} rows[] = {
		{ { 0, 0, 0, 7 }, COFFER_ERR_INTERRUPTED },
		{ { 0, 0, 0, 8 }, COFFER_ERR_CANCELLED },
		{ { 0, 0, 0, 11 }, COFFER_ERR_INTERNAL },
		{ { 0, 0, 0, 2 }, COFFER_ERR_INTERNAL },
		{ { 0xff, 0xff, 0xff, 0xff }, COFFER_ERR_INTERNAL },
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		frames_put(&f, F_RST, 0, 1 + 2 * i, rows[i].code, 4);
		assert_result(rows[i].kind, NULL);
	}
}

static void test_goaway(void **state)
{
	static const uint8_t none[8] = { 0 }, first[8] = { 0, 0, 0, 1 };
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_pending *p = start(), *q = start();
	ProtobufCMessage *m = NULL;

	/* The first call goes on, the second is refused, a third not sent. */
	frames_put(&f, F_GOAWAY, 0, 0, first, 8);
	say();
	assert_int_equal(grpc_pending_recv(q, USEC_INFINITY, &m, &err), -ECONNRESET);
	say_begin();
	say_reply();
	say();
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), 0);
	protobuf_c_message_free_unpacked(m, NULL);
	grpc_pending_free(q);
	grpc_pending_free(p);
	assert_int_equal(
	    grpc_client_call(client, SD, "Getenv", &req.base, USEC_INFINITY, NULL, &err),
	    -ECONNRESET);
	frames_put(&f, F_GOAWAY, 0, 0, none, 8);
	assert_int_equal(
	    grpc_client_call(client, SD, "Getenv", &req.base, USEC_INFINITY, NULL, &err),
	    -ECONNRESET);
}

static void test_eof(void **state)
{
	hang_up();
	f.len = 0;
	assert_result(COFFER_ERR_INTERRUPTED, "connection closed by the peer");
}

/* An answer that was on its way when the peer died still counts. */
static void test_answer_then_eof(void **state)
{
	struct grpc_pending *p = start(), *q = start();
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m = NULL;

	say_begin();
	say_reply();
	say_end("0", NULL);
	say();
	shutdown(peer, SHUT_RDWR);
	assert_int_equal(grpc_pending_recv(q, USEC_INFINITY, &m, &err), -ECONNRESET);
	assert_int_equal(grpc_pending_recv(p, 0, &m, &err), 0);
	assert_non_null(m);
	protobuf_c_message_free_unpacked(m, NULL);
	assert_int_equal(grpc_pending_recv(p, 0, &m, &err), 0);
	assert_null(m);
	grpc_pending_free(p);
	grpc_pending_free(q);
}

static void test_garbage(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	f.len = 0;
	frames_bytes(&f, http, sizeof(http) - 1);
	assert_result(COFFER_ERR_INTERRUPTED, "the session has ended");
}

/* Messages without end that nobody takes: the window shuts, and a peer that goes on is cut off. */
static void test_endless_stream(void **state)
{
	static uint8_t body[16000];
	struct grpc_pending *p = start(), *q = start();
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m;
	int n = 0;

	body[0] = 0x12; /* a field the reply does not have, of all that follows */
	body[1] = 0xfd;
	body[2] = 0x7c;
	say_begin();
	for (int i = 0; i < 5; i++)
		frames_message(&f, 1, 0, 0, sizeof(body), body, sizeof(body));
	say();
	assert_int_equal(grpc_pending_recv(q, deadline_in(10000), &m, &err), -ETIMEDOUT);
	while (grpc_pending_recv(p, 0, &m, &err) == 0) {
		protobuf_c_message_free_unpacked(m, NULL);
		n++;
	}
	/* What came in the same batch may still be delivered. */
	assert_in_range(n, 4, 5);
	assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	grpc_pending_free(p);
	grpc_pending_free(q);
}

static void test_header_flood(void **state)
{
	char value[121];

	memset(value, 'v', 120);
	value[120] = '\0';
	size_t at = f.len;
	static const uint8_t ok = 0x88;

	frames_head(&f, 0, F_HEADERS, F_END_HEADERS, 1);
	frames_bytes(&f, &ok, 1);
	frames_header(&f, "content-type", "application/grpc");
	for (int i = 0; i < 120; i++)
		frames_header(&f, "x", value);
	frames_fix(&f, at);
	assert_result(COFFER_ERR_INTERNAL, "the peer's headers are too large");
}

static void test_silence(void **state)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	usec_t t0 = clock_now();

	assert_int_equal(grpc_client_call(client, SD, "Getenv", &req.base, 30000, NULL, &err),
			 -ETIMEDOUT);
	assert_true(clock_now() - t0 >= 29000);
}

/* Frames of an unknown type are ignored, however many come; the time runs out all the same. */
static void test_chatter(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_pending *p = start();
	int sent = 0, left = 0;
	ProtobufCMessage *m;
	ssize_t n;

	say();
	for (int i = 0; i < 4096; i++)
		frames_put(&f, 0xf0, 0, 0, NULL, 0);
	while ((n = send(peer, f.data, f.len, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
		sent += (int)n;
	assert_true(sent > 600000);
	assert_int_equal(grpc_pending_recv(p, 0, &m, &err), -ETIMEDOUT);
	assert_int_equal(err.kind, COFFER_ERR_TIMEOUT);
	assert_int_equal(ioctl(grpc_client_fd(client), FIONREAD, &left), 0);
	assert_true(left > 0);
	grpc_pending_free(p);
}

/* The peer does not read: what we hold for it has an end. */
static void test_deaf_peer(void **state)
{
	static struct grpc_pending *p[200];
	Sc__WriteFileRequest req = SC__WRITE_FILE_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	uint8_t *data = calloc(1, 100000);
	int n = 0, r = 0;

	req.data.data = data;
	req.data.len = 100000;
	while (n < 200) {
		r = grpc_client_start(client, SD, "WriteFile", &req.base, USEC_INFINITY, &p[n],
				      &err);
		if (r < 0)
			break;
		n++;
	}
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(n, 80, 90);
	for (int i = 0; i < n; i++)
		grpc_pending_free(p[i]);
	free(data);
}

/* A peer that never answers, and a caller that has had enough. */
static void test_given_up(void **state)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	int p[2];

	assert_int_equal(pipe(p), 0);
	grpc_client_set_cancel(client, p[0]);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(grpc_client_call(client, SD, "Getenv", &req.base, USEC_INFINITY, NULL, &err),
			 -ECANCELED);
	assert_int_equal(err.kind, COFFER_ERR_CANCELLED);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_good),
		T(test_status),
		T(test_not_grpc),
		T(test_cut_short),
		T(test_ends_with_data),
		T(test_bad_messages),
		T(test_unread_replies),
		T(test_resets),
		T(test_goaway),
		T(test_eof),
		T(test_answer_then_eof),
		T(test_garbage),
		T(test_endless_stream),
		T(test_header_flood),
		T(test_silence),
		T(test_chatter),
		T(test_deaf_peer),
		T(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
