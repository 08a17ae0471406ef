/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_call.c - calls between our client and our server, over socket pairs */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/io.h"
#include "rpc/grpc_client.h"
#include "rpc_echo.h"

#define SD  (&sc__sandbox_context__descriptor)
#define SEC USEC_PER_SEC

static struct rpc_echo_thread server;

static void start(const struct grpc_limits *limits)
{
	assert_int_equal(rpc_echo_start(&server, limits), 0);
}

static struct grpc_client *client_new(const struct grpc_limits *limits)
{
	struct grpc_client *c = NULL;
	int fd = rpc_echo_connect(&server);

	assert_true(fd >= 0);
	assert_int_equal(grpc_client_new(fd, limits, &c, NULL), 0);
	return c;
}

static int call_getenv(struct grpc_client *c, const char *key, char *value, size_t size,
		       struct coffer_error *err)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	ProtobufCMessage *m = NULL;
	int r;

	req.key = (char *)key;
	r = grpc_client_call(c, SD, "Getenv", &req.base, 60 * SEC, &m, err);
	if (r < 0) {
		assert_null(m);
		return r;
	}
	Sc__GetenvResponse *resp = (Sc__GetenvResponse *)m;
	int has = resp->_value_case == SC__GETENV_RESPONSE___VALUE_VALUE;

	if (has && value)
		snprintf(value, size, "%s", resp->value);
	protobuf_c_message_free_unpacked(m, NULL);
	return has;
}

static struct grpc_pending *start_wait(struct grpc_client *c, const char *id, usec_t timeout)
{
	Sc__WaitProcessRequest req = SC__WAIT_PROCESS_REQUEST__INIT;
	struct grpc_pending *p = NULL;

	req.id = (char *)id;
	assert_int_equal(grpc_client_start(c, SD, "WaitProcess", &req.base, timeout, &p, NULL), 0);
	return p;
}

static void call_kill(struct grpc_client *c, const char *id, int sig)
{
	Sc__KillProcessRequest req = SC__KILL_PROCESS_REQUEST__INIT;

	req.id = (char *)id;
	req.signal = sig;
	assert_int_equal(grpc_client_call(c, SD, "KillProcess", &req.base, 60 * SEC, NULL, NULL),
			 0);
}

static Sc__Stat call_stat(struct grpc_client *c)
{
	Sc__StatRequest req = SC__STAT_REQUEST__INIT;
	ProtobufCMessage *m = NULL;
	Sc__Stat st;

	assert_int_equal(grpc_client_call(c, SD, "Stat", &req.base, 60 * SEC, &m, NULL), 0);
	st = *((Sc__StatResponse *)m)->stat;
	protobuf_c_message_free_unpacked(m, NULL);
	return st;
}

/* Cancels travel; give them time. */
static Sc__Stat stat_until_cancelled(struct grpc_client *c, int64_t n)
{
	Sc__Stat st;
	usec_t deadline = deadline_in(60 * SEC);

	do {
		st = call_stat(c);
		usleep(1000);
	} while (st.blocks < n && deadline_left(deadline));
	return st;
}

static void test_unary(void **state)
{
	char value[64] = "";

	start(NULL);
	struct grpc_client *c = client_new(NULL);

	assert_int_equal(call_getenv(c, "PATH", value, sizeof(value), NULL), 1);
	assert_string_equal(value, "PATH");
	assert_int_equal(call_getenv(c, "none", NULL, 0, NULL), 0);
	assert_int_equal(call_getenv(c, "", value, sizeof(value), NULL), 1);
	assert_string_equal(value, "");
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_status(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__SyncRequest sync = SC__SYNC_REQUEST__INIT;

	start(NULL);
	struct grpc_client *c = client_new(NULL);

	assert_int_equal(call_getenv(c, "fail", NULL, 0, &err), -ENOENT);
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	assert_string_equal(err.message, "100% kaputt:?zwei Zeilen, \xc3\xbc");
	assert_int_equal(grpc_client_call(c, SD, "Sync", &sync.base, 60 * SEC, NULL, &err), -EOPNOTSUPP);
	assert_int_equal(err.kind, COFFER_ERR_UNSUPPORTED);
	assert_int_equal(grpc_client_call(c, SD, "Nope", &sync.base, 60 * SEC, NULL, &err), -EINVAL);
	assert_int_equal(grpc_client_call(c, SD, "Getenv", &sync.base, 60 * SEC, NULL, &err), -EINVAL);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_bad_strings(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	start(NULL);
	struct grpc_client *c = client_new(NULL);

	assert_true(call_getenv(c, "\xff\xfe", NULL, 0, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	assert_non_null(strstr(err.message, "key"));
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void check_write(struct grpc_client *c, size_t n, int want)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__WriteFileRequest req = SC__WRITE_FILE_REQUEST__INIT;
	autofree uint8_t *data = calloc(1, n);

	req.data.data = data;
	req.data.len = n;
	assert_int_equal(grpc_client_call(c, SD, "WriteFile", &req.base, 60 * SEC, NULL, &err),
			 want);
}

static void test_big_request(void **state)
{
	struct grpc_limits small = GRPC_LIMITS_DEFAULT, large = GRPC_LIMITS_DEFAULT;

	small.max_message = 100000;
	large.max_message = 64 << 20;
	start(NULL);
	struct grpc_client *c = client_new(NULL), *s = client_new(&small), *l = client_new(&large);

	for (size_t n = 65520; n < 65540; n++)
		check_write(c, n, 0);
	check_write(c, 4000000, 0);
	assert_int_equal(call_stat(c).size, 4000000);
	check_write(c, 5000000, -EMSGSIZE);
	check_write(s, 200000, -EMSGSIZE);
	/* Refused by the server, at once; the connection lives on. */
	check_write(l, 30000000, -ENOBUFS);
	check_write(l, 3000000, 0);
	assert_int_equal(call_stat(c).size, 3000000);
	grpc_client_free(c);
	grpc_client_free(s);
	grpc_client_free(l);
	rpc_echo_stop(&server);
}

/* Five of them need more than max_queued together: they go one after the other. */
static void test_big_requests_share(void **state)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct grpc_pending *p[5];
	Sc__WriteFileRequest req = SC__WRITE_FILE_REQUEST__INIT;
	autofree uint8_t *data = calloc(1, 3000000);
	ProtobufCMessage *m;

	limits.max_queued = 64 << 20;
	start(NULL);
	struct grpc_client *c = client_new(&limits);

	req.data.data = data;
	req.data.len = 3000000;
	for (int i = 0; i < 5; i++)
		assert_int_equal(
		    grpc_client_start(c, SD, "WriteFile", &req.base, 60 * SEC, &p[i], NULL), 0);
	for (int i = 4; i >= 0; i--) {
		assert_int_equal(grpc_pending_recv(p[i], USEC_INFINITY, &m, NULL), 0);
		assert_non_null(m);
		protobuf_c_message_free_unpacked(m, NULL);
		grpc_pending_free(p[i]);
	}
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static struct grpc_pending *start_copy(struct grpc_client *c, unsigned n, unsigned size)
{
	Sc__CopyRequest req = SC__COPY_REQUEST__INIT;
	struct grpc_pending *p = NULL;
	char path[32];

	snprintf(path, sizeof(path), "%u %u", n, size);
	req.path = path;
	assert_int_equal(grpc_client_start(c, SD, "Copy", &req.base, 60 * SEC, &p, NULL), 0);
	return p;
}

static void drain_copy(struct grpc_pending *p, unsigned n, unsigned size)
{
	ProtobufCMessage *m;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, NULL), 0);
		assert_non_null(m);
		assert_int_equal(((Sc__CopyResponse *)m)->total_size, i);
		assert_int_equal(strlen(((Sc__CopyResponse *)m)->error), size);
		protobuf_c_message_free_unpacked(m, NULL);
	}
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, NULL), 0);
	assert_null(m);
	/* The end stays the end. */
	assert_int_equal(grpc_pending_recv(p, 0, &m, NULL), 0);
	assert_null(m);
	grpc_pending_free(p);
}

static void test_stream(void **state)
{
	start(NULL);
	struct grpc_client *c = client_new(NULL);
	struct grpc_pending *p[3];

	drain_copy(start_copy(c, 0, 0), 0, 0);
	drain_copy(start_copy(c, 1, 0), 1, 0);
	drain_copy(start_copy(c, 1000, 10), 1000, 10);
	drain_copy(start_copy(c, 70, 100000), 70, 100000);
	drain_copy(start_copy(c, 1, 4000000), 1, 4000000);
	/* Interleaved, drained in another order; a unary call passes them by. */
	for (int i = 0; i < 3; i++)
		p[i] = start_copy(c, 20, 100000);
	assert_int_equal(call_getenv(c, "x", NULL, 0, NULL), 1);
	for (int i = 2; i >= 0; i--)
		drain_copy(p[i], 20, 100000);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_stream_errors(void **state)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m;
	int r, n = 0;

	limits.max_message = 100000;
	start(NULL);
	struct grpc_client *c = client_new(NULL), *small = client_new(&limits);
	struct grpc_pending *p;

	/* More than one reply where one was asked for. */
	Sc__CopyRequest req = SC__COPY_REQUEST__INIT;
	req.path = (char *)"2 10";
	assert_true(grpc_client_call(c, SD, "Copy", &req.base, 60 * SEC, &m, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	req.path = (char *)"0 0";
	assert_true(grpc_client_call(c, SD, "Copy", &req.base, 60 * SEC, &m, &err) < 0);
	/* A reply past the client's limit ends that call only. */
	p = start_copy(small, 1, 200000);
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), -ENOBUFS);
	grpc_pending_free(p);
	assert_int_equal(call_getenv(small, "x", NULL, 0, NULL), 1);
	/* The server gives up on a reader that does not read: 12 MB are more than max_queued. */
	p = start_copy(c, 120, 100000);
	do {
		r = grpc_pending_recv(p, USEC_INFINITY, &m, &err);
		if (r == 0 && m)
			protobuf_c_message_free_unpacked(m, NULL);
	} while (r == 0 && m && ++n < 121);
	assert_int_equal(r, -EIO);
	assert_string_equal(err.message, "the peer is too slow");
	assert_in_range(n, 75, 110);
	grpc_pending_free(p);
	grpc_client_free(c);
	grpc_client_free(small);
	rpc_echo_stop(&server);
}

static void test_wait_and_kill(void **state)
{
	ProtobufCMessage *m = NULL;

	start(NULL);
	struct grpc_client *c = client_new(NULL);
	struct grpc_pending *a = start_wait(c, "a", USEC_INFINITY),
			    *b = start_wait(c, "b", USEC_INFINITY);

	assert_int_equal(grpc_pending_recv(a, 0, &m, NULL), -ETIMEDOUT);
	assert_int_equal(grpc_pending_recv(a, deadline_in(10000), &m, NULL), -ETIMEDOUT);
	assert_int_equal(call_stat(c).nlink, 2);
	call_kill(c, "b", 9);
	assert_int_equal(grpc_pending_recv(b, USEC_INFINITY, &m, NULL), 0);
	assert_int_equal(((Sc__WaitProcessResponse *)m)->exitcode, 9);
	protobuf_c_message_free_unpacked(m, NULL);
	grpc_pending_free(b);
	assert_int_equal(grpc_pending_recv(a, 0, &m, NULL), -ETIMEDOUT);
	call_kill(c, "a", 15);
	assert_int_equal(grpc_pending_recv(a, 0, &m, NULL), 0);
	assert_non_null(m);
	protobuf_c_message_free_unpacked(m, NULL);
	grpc_pending_free(a);
	assert_int_equal(call_stat(c).blocks, 0);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_cancel(void **state)
{
	start(NULL);
	struct grpc_client *c = client_new(NULL), *d = client_new(NULL);
	struct grpc_pending *a = start_wait(c, "a", USEC_INFINITY), *lost[3];
	static const char *const ids[] = { "d1", "d2", "deaf" };
	Sc__Stat st;

	for (int i = 0; i < 3; i++)
		lost[i] = start_wait(d, ids[i], USEC_INFINITY);
	assert_int_equal(call_stat(d).nlink, 4);
	grpc_pending_free(a);
	st = stat_until_cancelled(c, 1);
	assert_int_equal(st.blocks, 1);
	assert_int_equal(st.nlink, 3);
	/* A client that goes away with calls in flight. */
	grpc_client_free(d);
	for (int i = 0; i < 3; i++)
		grpc_pending_free(lost[i]);
	st = stat_until_cancelled(c, 3);
	assert_int_equal(st.blocks, 3);
	assert_int_equal(st.nlink, 1);
	/* The one without a callback is still the handler's; answering it is harmless. */
	call_kill(c, "deaf", 1);
	assert_int_equal(call_stat(c).nlink, 0);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_deadline(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m = NULL;

	start(NULL);
	struct grpc_client *c = client_new(NULL);
	usec_t t0 = clock_now();
	struct grpc_pending *p = start_wait(c, "a", 50000);

	/* It has come; a request that is called off before it is read is none. */
	call_stat(c);
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), -ETIME);
	assert_int_equal(err.kind, COFFER_ERR_TIMEOUT);
	assert_true(clock_now() - t0 >= 40000);
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), -ETIME);
	grpc_pending_free(p);
	assert_int_equal(stat_until_cancelled(c, 1).blocks, 1);
	/* The server's own clock ends it, too: nobody waits on this side. */
	p = start_wait(c, "b", 20000);
	usleep(100000);
	assert_int_equal(stat_until_cancelled(c, 2).blocks, 2);
	assert_int_equal(grpc_pending_recv(p, USEC_INFINITY, &m, &err), -ETIME);
	grpc_pending_free(p);
	assert_int_equal(call_getenv(c, "x", NULL, 0, NULL), 1);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_many(void **state)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct grpc_pending *p[200];
	ProtobufCMessage *m;
	char id[16];

	limits.max_streams = 220;
	start(&limits);
	struct grpc_client *c = client_new(NULL);

	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "%d", i);
		p[i] = start_wait(c, id, USEC_INFINITY);
	}
	assert_int_equal(call_stat(c).nlink, 200);
	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "%d", 199 - i);
		call_kill(c, id, i);
	}
	for (int i = 0; i < 200; i++) {
		assert_int_equal(grpc_pending_recv(p[i], USEC_INFINITY, &m, NULL), 0);
		assert_int_equal(((Sc__WaitProcessResponse *)m)->exitcode, 199 - i);
		protobuf_c_message_free_unpacked(m, NULL);
		grpc_pending_free(p[i]);
	}
	for (int i = 0; i < 2000; i++)
		assert_int_equal(call_getenv(c, "again", NULL, 0, NULL), 1);
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

/* More calls than the server allows at once wait for their turn. */
static void test_stream_limit(void **state)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct grpc_pending *p[6];
	ProtobufCMessage *m;

	limits.max_streams = 4;
	start(&limits);
	struct grpc_client *c = client_new(NULL);

	assert_int_equal(call_stat(c).nlink, 0);
	for (int i = 0; i < 6; i++)
		p[i] = start_wait(c, i < 3 ? "a" : "b", USEC_INFINITY);
	/* Three of "a" and one of "b" are in; this frees one after the other. */
	for (int i = 0; i < 4; i++)
		grpc_pending_free(p[i]);
	call_kill(c, "b", 7);
	for (int i = 4; i < 6; i++) {
		assert_int_equal(grpc_pending_recv(p[i], deadline_in(60 * SEC), &m, NULL), 0);
		protobuf_c_message_free_unpacked(m, NULL);
		grpc_pending_free(p[i]);
	}
	grpc_client_free(c);
	rpc_echo_stop(&server);
}

static void test_server_ends(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m;

	start(NULL);
	struct grpc_client *c = client_new(NULL);
	struct grpc_pending *a = start_wait(c, "a", USEC_INFINITY), *b;

	assert_int_equal(call_stat(c).nlink, 1);
	b = start_wait(c, "b", USEC_INFINITY);
	rpc_echo_stop(&server);
	assert_int_equal(server.echo.held, 0);
	assert_int_equal(grpc_pending_recv(a, USEC_INFINITY, &m, &err), -ECONNRESET);
	assert_int_equal(err.kind, COFFER_ERR_INTERRUPTED);
	assert_int_equal(call_getenv(c, "x", NULL, 0, &err), -ECONNRESET);
	assert_int_equal(err.kind, COFFER_ERR_INTERRUPTED);
	grpc_client_free(c);
	/* Calls outlive their client, unanswered. */
	assert_int_equal(grpc_pending_recv(b, USEC_INFINITY, &m, &err), -ECONNRESET);
	grpc_pending_free(a);
	grpc_pending_free(b);
}

static void test_connection_limit(void **state)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct grpc_client *c[3];

	limits.max_connections = 2;
	start(&limits);
	for (int i = 0; i < 3; i++) {
		c[i] = client_new(NULL);
		assert_int_equal(call_getenv(c[i], "x", NULL, 0, NULL), i < 2 ? 1 : -ECONNRESET);
	}
	grpc_client_free(c[0]);
	grpc_client_free(c[2]);
	/* The place is free once the server has seen the end. */
	for (int i = 0; i < 10000; i++) {
		c[0] = client_new(NULL);
		if (call_getenv(c[0], "x", NULL, 0, NULL) == 1)
			break;
		grpc_client_free(c[0]);
		c[0] = NULL;
		usleep(1000);
	}
	assert_non_null(c[0]);
	grpc_client_free(c[0]);
	grpc_client_free(c[1]);
	rpc_echo_stop(&server);
}

/* A server without a thread: the test turns its loop. */
struct local {
	struct rpc_echo echo;
	struct loop *loop;
	struct grpc_server *srv;
};

static void local_new(struct local *l)
{
	rpc_echo_init(&l->echo);
	assert_int_equal(loop_new(&l->loop, NULL), 0);
	assert_int_equal(grpc_server_new(l->loop, l->echo.services, 2, NULL, &l->srv, NULL), 0);
}

static void local_free(struct local *l)
{
	grpc_server_free(l->srv);
	rpc_echo_clear(&l->echo);
	loop_free(l->loop);
}

static struct grpc_pending *start_getenv(struct grpc_client *c)
{
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	struct grpc_pending *p = NULL;

	req.key = (char *)"k";
	assert_int_equal(grpc_client_start(c, SD, "Getenv", &req.base, 60 * SEC, &p, NULL), 0);
	return p;
}

static void test_one_batch(void **state)
{
	struct grpc_client *c = NULL;
	struct grpc_pending *p;
	ProtobufCMessage *m = NULL;
	struct local l;
	int sv[2];

	local_new(&l);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(grpc_server_adopt(l.srv, sv[1], NULL), 0);
	assert_int_equal(grpc_client_new(sv[0], NULL, &c, NULL), 0);
	/* Even the first answer, settings and all, takes one turn. */
	for (int i = 0; i < 3; i++) {
		p = start_getenv(c);
		assert_int_equal(grpc_pending_recv(p, 0, &m, NULL), -ETIMEDOUT);
		assert_int_equal(loop_step(l.loop, 0, NULL), 0);
		assert_int_equal(grpc_pending_recv(p, 0, &m, NULL), 0);
		assert_non_null(m);
		protobuf_c_message_free_unpacked(m, NULL);
		assert_int_equal(grpc_pending_recv(p, 0, &m, NULL), 0);
		assert_null(m);
		grpc_pending_free(p);
	}
	grpc_client_free(c);
	local_free(&l);
}

/* Out of descriptors the server pauses, then accepts who has waited. */
static void test_no_descriptors(void **state)
{
	char dir[] = "/tmp/rpc-XXXXXX", path[64];
	struct grpc_client *c = NULL;
	struct grpc_pending *p;
	ProtobufCMessage *m = NULL;
	struct rlimit old, tight;
	struct local l;
	usec_t end;
	int fd, steps = 0;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	local_new(&l);
	fd = io_unix_listen(AT_FDCWD, path, SOCK_STREAM, 0600, NULL);
	assert_true(fd >= 0);
	assert_int_equal(grpc_server_listen(l.srv, fd, NULL), 0);
	fd = io_unix_connect(AT_FDCWD, path, SOCK_STREAM, NULL);
	assert_int_equal(grpc_client_new(fd, NULL, &c, NULL), 0);
	p = start_getenv(c);
	getrlimit(RLIMIT_NOFILE, &old);
	tight = old;
	tight.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	/* It does not spin: within 50 ms the loop wakes for the listener once. */
	end = deadline_in(50000);
	do {
		loop_step(l.loop, end, NULL);
		steps++;
	} while (deadline_left(end));
	setrlimit(RLIMIT_NOFILE, &old);
	assert_in_range(steps, 1, 10);
	end = deadline_in(60 * SEC);
	while (grpc_pending_recv(p, 0, &m, NULL) == -ETIMEDOUT && deadline_left(end))
		loop_step(l.loop, deadline_in(10000), NULL);
	assert_non_null(m);
	protobuf_c_message_free_unpacked(m, NULL);
	grpc_pending_free(p);
	grpc_client_free(c);
	local_free(&l);
	unlink(path);
	rmdir(dir);
}

static void test_methods_checked(void **state)
{
	static const struct grpc_method row = { "Getenvx", NULL };
	struct grpc_service s = { .desc = SD, .methods = &row, .nmethods = 1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_server *srv = NULL;
	struct loop *loop = NULL;

	assert_int_equal(loop_new(&loop, NULL), 0);
	assert_int_equal(grpc_server_new(loop, &s, 1, NULL, &srv, &err), -EINVAL);
	assert_non_null(strstr(err.message, "Getenvx"));
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unary),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_bad_strings),
		cmocka_unit_test(test_big_request),
		cmocka_unit_test(test_big_requests_share),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_errors),
		cmocka_unit_test(test_wait_and_kill),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_stream_limit),
		cmocka_unit_test(test_server_ends),
		cmocka_unit_test(test_connection_limit),
		cmocka_unit_test(test_one_batch),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_methods_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
