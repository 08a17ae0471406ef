/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_hostile.c - what a client that breaks the rules can do to our server */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/io.h"
#include "rpc/grpc_client.h"
#include "rpc_echo.h"
#include "rpc_frames.h"

#define SD     (&sc__sandbox_context__descriptor)
#define BUDGET (60 * USEC_PER_SEC)
#define MIB    (1 << 20)

static struct rpc_echo_thread server;
static struct frames f;

static int setup(void **state)
{
	return rpc_echo_start(&server, NULL);
}

/* Whatever happened, others are served. */
static int teardown(void **state)
{
	struct grpc_client *c = NULL;
	Sc__GetenvRequest req = SC__GETENV_REQUEST__INIT;
	int r;

	req.key = (char *)"alive";
	r = grpc_client_new(rpc_echo_connect(&server), NULL, &c, NULL);
	if (r == 0)
		r = grpc_client_call(c, SD, "Getenv", &req.base, BUDGET, NULL, NULL);
	grpc_client_free(c);
	rpc_echo_stop(&server);
	return r;
}

/* Send without ever reading. Return: false when the server has closed */
static bool push(int fd, const void *p, size_t n)
{
	while (n > 0) {
		ssize_t k;

		if (!(io_wait(fd, POLLOUT, deadline_in(BUDGET)) & POLLOUT))
			return false;
		k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno != EAGAIN)
			return false;
		if (k > 0) {
			p = (const uint8_t *)p + k;
			n -= (size_t)k;
		}
	}
	return true;
}

static bool push_frames(int fd)
{
	return push(fd, f.data, f.len);
}

/* Read until the server closes. */
static void assert_closed(int fd)
{
	static uint8_t buf[65536];
	usec_t deadline = deadline_in(BUDGET);
	ssize_t n;

	do {
		assert_true(io_wait(fd, POLLIN, deadline) > 0);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	close(fd);
}

/* ---- a peer that is polite in HTTP/2 but not in gRPC ---- */

struct probe {
	unsigned http, status; /* status 99: none came */
	char message[128];
	uint32_t reset;
	bool closed;
};

static int probe_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
			size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags, void *user)
{
	struct probe *p = user;

	if (!strcmp((const char *)name, ":status"))
		p->http = (unsigned)atoi((const char *)value);
	if (!strcmp((const char *)name, "grpc-status"))
		p->status = (unsigned)atoi((const char *)value);
	if (!strcmp((const char *)name, "grpc-message"))
		snprintf(p->message, sizeof(p->message), "%s", (const char *)value);
	return 0;
}

static int probe_close(nghttp2_session *s, int32_t stream, uint32_t code, void *user)
{
	struct probe *p = user;

	p->reset = code;
	p->closed = true;
	return 0;
}

struct probe_body {
	const char *data;
	size_t len;
	bool hold; /* never say that it ends */
};

static ssize_t probe_read(nghttp2_session *s, int32_t stream, uint8_t *buf, size_t n,
			  uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct probe_body *b = source->ptr;
	size_t k = b->len < n ? b->len : n;

	if (!k && b->hold)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(buf, b->data, k);
	b->data += k;
	b->len -= k;
	if (!b->len && !b->hold)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)k;
}

static void probe_run(nghttp2_session *s, int fd, struct probe *p)
{
	usec_t deadline = deadline_in(BUDGET);
	uint8_t buf[4096];
	const uint8_t *out;
	ssize_t n;

	while (!p->closed) {
		while ((n = nghttp2_session_mem_send(s, &out)) > 0)
			assert_true(push(fd, out, (size_t)n));
		assert_true(io_wait(fd, POLLIN, deadline) > 0);
		n = recv(fd, buf, sizeof(buf), 0);
		assert_true(n > 0);
		assert_int_equal(nghttp2_session_mem_recv(s, buf, (size_t)n), n);
	}
}

/* One request to Getenv with the four headers given. */
static struct probe probe(const char *http_method, const char *method, const char *type,
			  const char *timeout, struct probe_body body)
{
	struct probe p = { .status = 99 };
	nghttp2_session_callbacks *cbs;
	nghttp2_session *s;
	char path[128];
	nghttp2_data_provider source = { .source.ptr = &body, .read_callback = probe_read };
	int fd = rpc_echo_connect(&server);

	snprintf(path, sizeof(path), FRAMES_PATH "%s", method);
	nghttp2_nv nv[] = {
#define NV(n, v) { (uint8_t *)(n), (uint8_t *)(v), strlen(n), strlen(v), 0 }
		NV(":method", http_method), NV(":scheme", "http"),    NV(":path", path),
		NV(":authority", "x"),	    NV("content-type", type), NV("grpc-timeout", timeout),
	};
	nghttp2_session_callbacks_new(&cbs);
	nghttp2_session_callbacks_set_on_header_callback(cbs, probe_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(cbs, probe_close);
	nghttp2_session_client_new(&s, cbs, &p);
	nghttp2_session_callbacks_del(cbs);
	nghttp2_submit_settings(s, 0, NULL, 0);
	nghttp2_submit_request(s, NULL, nv, 6, &source, NULL);
	probe_run(s, fd, &p);
	nghttp2_session_del(s);
	close(fd);
	return p;
}

#define BODY(bytes) ((struct probe_body){ (bytes), sizeof(bytes) - 1, false })
#define HOLD(bytes) ((struct probe_body){ (bytes), sizeof(bytes) - 1, true })
#define GRPC(body)  probe("POST", "Getenv", "application/grpc", "60S", body)
#define GOOD	    "\0\0\0\0\3\x0a\1x"

static void test_http_refusals(void **state)
{
	assert_int_equal(probe("POST", "Getenv", "application/grpc", "60S", BODY(GOOD)).status, 0);
	assert_int_equal(probe("POST", "Getenv", "application/grpc+proto", "60S", BODY(GOOD)).status,
			 0);
	assert_int_equal(probe("POST", "Getenv", "application/grpc;a=b", "60S", BODY(GOOD)).status,
			 0);
	assert_int_equal(probe("GET", "Getenv", "application/grpc", "60S", BODY(GOOD)).http, 405);
	assert_int_equal(probe("POST", "Getenv", "text/plain", "60S", BODY(GOOD)).http, 415);
	assert_int_equal(probe("POST", "Getenv", "application/grpc+json", "60S", BODY(GOOD)).http,
			 415);
	assert_int_equal(probe("POST", "Getenv", "application/grpc-web", "60S", HOLD(GOOD)).http,
			 415);
}

static void test_grpc_refusals(void **state)
{
	struct probe p;

	assert_int_equal(probe("POST", "Nope", "application/grpc", "60S", BODY(GOOD)).status,
			 GRPC_UNIMPLEMENTED);
	assert_int_equal(probe("POST", "Sync", "application/grpc", "60S", HOLD(GOOD)).status,
			 GRPC_UNIMPLEMENTED);
	assert_int_equal(probe("POST", "Getenv", "application/grpc", "9x", BODY(GOOD)).status,
			 GRPC_INTERNAL);
	assert_int_equal(
	    probe("POST", "WaitProcess", "application/grpc", "1u", BODY("\0\0\0\0\0")).status,
	    GRPC_DEADLINE_EXCEEDED);
	/* The deadline counts also while the request is under way. */
	assert_int_equal(
	    probe("POST", "Getenv", "application/grpc", "50m", HOLD("\0\0\0\0\3")).status,
	    GRPC_DEADLINE_EXCEEDED);
	assert_int_equal(GRPC(BODY("")).status, GRPC_INTERNAL);
	assert_int_equal(GRPC(BODY("\0\0\0")).status, GRPC_INTERNAL);
	assert_int_equal(GRPC(BODY("\0\0\0\0\5ab")).status, GRPC_INTERNAL);
	assert_int_equal(GRPC(BODY(GOOD GOOD)).status, GRPC_INTERNAL);
	assert_int_equal(GRPC(BODY(GOOD "\0")).status, GRPC_INTERNAL);
	assert_int_equal(GRPC(BODY("\1\0\0\0\3\x0a\1x")).status, GRPC_UNIMPLEMENTED);
	/* Answered as soon as it is known, with the rest cut off. */
	p = GRPC(HOLD("\0\x7f\xff\xff\xff"));
	assert_int_equal(p.status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(p.reset, NGHTTP2_NO_ERROR);
	p = GRPC(HOLD(GOOD GOOD));
	assert_int_equal(p.status, GRPC_INTERNAL);
	assert_string_equal(p.message, "more than one request message");
}

/* ---- a peer that is not even polite in HTTP/2 ---- */

static void test_not_http2(void **state)
{
	int fd = rpc_echo_connect(&server);
	static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

	push(fd, get, sizeof(get) - 1);
	assert_closed(fd);
	/* Ends inside the preface; idles there. */
	fd = rpc_echo_connect(&server);
	push(fd, FRAMES_PREFACE, 10);
	close(fd);
	fd = rpc_echo_connect(&server);
	push(fd, FRAMES_PREFACE, 10);
	fd = rpc_echo_connect(&server);
}

static void test_garbage(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 200; round++) {
		int fd = rpc_echo_connect(&server);
		uint8_t junk[512];

		frames_open(&f);
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)rand_r(&seed);
		/* A first length that is small, so that more than the size check is reached. */
		junk[0] = junk[1] = 0;
		frames_bytes(&f, junk, sizeof(junk));
		push_frames(fd);
		shutdown(fd, SHUT_WR);
		assert_closed(fd);
	}
}

/* Frames that ask for answers, from a peer that reads none. */
static void flood(const struct frames *unit, size_t rounds)
{
	int fd = rpc_echo_connect(&server);

	frames_open(&f);
	assert_true(push_frames(fd));
	for (size_t i = 0; i < rounds; i++) {
		if (!push(fd, unit->data, unit->len))
			break;
	}
	assert_closed(fd);
}

static void test_floods(void **state)
{
	static struct frames unit;
	static const uint8_t zero[16];

	unit.len = 0;
	for (int i = 0; i < 100; i++)
		frames_put(&unit, F_SETTINGS, 0, 0, NULL, 0);
	flood(&unit, 10000);
	unit.len = 0;
	for (int i = 0; i < 100; i++)
		frames_put(&unit, F_PING, 0, 0, zero, 8);
	flood(&unit, 10000);
	/* A header block that never ends. */
	unit.len = 0;
	frames_put(&unit, F_HEADERS, 0, 1, zero, 0);
	for (int i = 0; i < 1000; i++)
		frames_put(&unit, F_CONTINUATION, 0, 1, NULL, 0);
	flood(&unit, 1);
}

static void test_rapid_reset(void **state)
{
	int fd = rpc_echo_connect(&server);
	static const uint8_t cancel[4] = { 0, 0, 0, 8 };
	uint32_t stream = 1;

	frames_open(&f);
	for (int i = 0; i < 400; i++) {
		for (int k = 0; k < 100; k++, stream += 2) {
			frames_call(&f, stream, "WaitProcess", 0, NULL, NULL);
			frames_message(&f, stream, F_END_STREAM, 0, 0, NULL, 0);
			frames_put(&f, F_RST, 0, stream, cancel, 4);
		}
		if (!push_frames(fd))
			break;
		f.len = 0;
	}
	assert_closed(fd);
}

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static uint32_t big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Waits for a frame. Return: by how much it opens the connection's window */
static uint32_t listen_once(int fd)
{
	uint8_t head[9], body[16384];
	size_t n;

	assert_int_equal(recv(fd, head, sizeof(head), MSG_WAITALL), sizeof(head));
	n = big_endian(head) >> 8;
	assert_true(n <= sizeof(body));
	assert_int_equal(recv(fd, body, n, MSG_WAITALL), n);
	return head[3] == F_WINDOW_UPDATE && big_endian(head + 5) == 0 ? big_endian(body) : 0;
}

/* Every call begins a message of the largest size and sends all that its window allows. */
static void test_half_requests(void **state)
{
	static uint8_t body[16384];
	size_t before = heap(), most = 0, window = 65535;
	int fd = rpc_echo_connect(&server);

	assert_int_equal(io_set_nonblock(fd, false), 0);
	frames_open(&f);
	push_frames(fd);
	for (uint32_t i = 0; i < 4 * 128; i++) {
		uint32_t stream = 1 + 2 * (i / 4);

		f.len = 0;
		if (i % 4 == 0) {
			frames_call(&f, stream, "WriteFile", 0, NULL, NULL);
			frames_message(&f, stream, 0, 0, 4 << 20, body, 16000);
		} else {
			frames_put(&f, F_DATA, 0, stream, body, 16000);
		}
		while (window < 16005)
			window += listen_once(fd);
		window -= 16005;
		assert_true(push_frames(fd));
		most = heap() > most ? heap() : most;
	}
	usleep(50000);
	most = heap() > most ? heap() : most;
	/* 128 windows and the buffers' growth by doubling; not 128 messages. */
	assert_true(most - before < 24 * MIB);
	close(fd);
}

/* Asks for streams without end and never reads. */
static void test_slow_reader(void **state)
{
	size_t before = heap();
	int fd = rpc_echo_connect(&server);
	static const char path[] = "\x12\x0a"
				   "500 100000";

	frames_open(&f);
	for (uint32_t i = 0; i < 100; i++) {
		frames_call(&f, 1 + 2 * i, "Copy", 0, NULL, NULL);
		frames_message(&f, 1 + 2 * i, F_END_STREAM, 0, sizeof(path) - 1, path,
			       sizeof(path) - 1);
	}
	assert_true(push_frames(fd));
	usleep(100000);
	assert_true(heap() - before < 16 * MIB);
	close(fd);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_http_refusals), T(test_grpc_refusals), T(test_not_http2),
		T(test_garbage),       T(test_floods),	      T(test_rapid_reset),
		T(test_half_requests), T(test_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
