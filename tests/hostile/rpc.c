/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/rpc.c - guests that greet well and then answer the host's calls badly
 *
 * Just enough HTTP/2 to be taken for a server: frames are read and skipped, a
 * stream whose request has ended gets the case's answer, made of bytes written
 * down here.  Header fields are sent as literals, without compression.
 *
 * One child a connection, as the host opens several.
 */
#include "hostile.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define H2_DATA		 0
#define H2_HEADERS	 1
#define H2_SETTINGS	 4
#define H2_PING		 6
#define H2_GOAWAY	 7
#define H2_WINDOW_UPDATE 8
#define H2_CONTINUATION	 9

#define H2_END_STREAM  1
#define H2_ACK	       1
#define H2_END_HEADERS 4

#define H2_PREFACE 24
#define H2_FRAME   9
#define H2_CHUNK   16384 /* the largest payload a peer must take */

/* One connection. */
struct rpc {
	int fd;
	unsigned index; /* the how manieth connection, from 0 */
	uint8_t request[H2_CHUNK]; /* the end of the latest */
	size_t len;
};

/* The answer to the request on @stream. Return: -1 to hang up */
typedef int (*rpc_answer)(struct rpc *rpc, uint32_t stream);

static int rpc_read(int fd, void *data, size_t n)
{
	return recv(fd, data, n, MSG_WAITALL) == (ssize_t)n ? 0 : -1;
}

static int rpc_send(struct rpc *rpc, unsigned type, unsigned flags, uint32_t stream,
		    const void *payload, size_t n)
{
	uint8_t head[H2_FRAME] = {
		(uint8_t)(n >> 16),	 (uint8_t)(n >> 8),	 (uint8_t)n,
		(uint8_t)type,		 (uint8_t)flags,	 (uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
	};

	if (hostile_write(rpc->fd, head, sizeof(head)) < 0)
		return -1;
	return n ? hostile_write(rpc->fd, payload, n) : 0;
}

/* --- header fields --- */

/* A length in HPACK's prefixed form, 7 bits. */
static size_t rpc_put_length(uint8_t *out, size_t n)
{
	size_t at = 0;

	if (n < 127) {
		out[0] = (uint8_t)n;
		return 1;
	}
	out[at++] = 127;
	for (n -= 127; n >= 128; n >>= 7)
		out[at++] = (uint8_t)(n | 128);
	out[at++] = (uint8_t)n;
	return at;
}

static size_t rpc_put_field(uint8_t *out, const char *name, const char *value)
{
	size_t at = 0, n = strlen(name);

	out[at++] = 0; /* literal, not indexed, new name */
	at += rpc_put_length(out + at, n);
	memcpy(out + at, name, n);
	at += n;
	n = strlen(value);
	at += rpc_put_length(out + at, n);
	memcpy(out + at, value, n);
	return at + n;
}

static int rpc_send_head(struct rpc *rpc, uint32_t stream, const char *status)
{
	uint8_t block[256];
	size_t n = rpc_put_field(block, ":status", status);

	n += rpc_put_field(block + n, "content-type", "application/grpc");
	return rpc_send(rpc, H2_HEADERS, H2_END_HEADERS, stream, block, n);
}

static int rpc_send_trailer(struct rpc *rpc, uint32_t stream, const char *status,
			    const char *message)
{
	uint8_t block[H2_CHUNK];
	size_t n = rpc_put_field(block, "grpc-status", status);

	if (message)
		n += rpc_put_field(block + n, "grpc-message", message);
	return rpc_send(rpc, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, stream, block, n);
}

/* A whole good answer that carries @n bytes of message. */
static int rpc_send_message(struct rpc *rpc, uint32_t stream, const void *message, size_t n)
{
	uint8_t data[5 + 256] = { 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n };

	memcpy(data + 5, message, n);
	if (rpc_send_head(rpc, stream, "200") < 0 ||
	    rpc_send(rpc, H2_DATA, 0, stream, data, 5 + n) < 0)
		return -1;
	return rpc_send_trailer(rpc, stream, "0", NULL);
}

/* --- answers --- */

static int rpc_answer_error(struct rpc *rpc, uint32_t stream)
{
	if (rpc_send_head(rpc, stream, "200") < 0)
		return -1;
	return rpc_send_trailer(rpc, stream, "13", "no, and %1b[2J%0acoffer: %ff%zz");
}

static int rpc_answer_long_error(struct rpc *rpc, uint32_t stream)
{
	char text[12000];

	memset(text, 'A', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	if (rpc_send_head(rpc, stream, "200") < 0)
		return -1;
	return rpc_send_trailer(rpc, stream, "13", text);
}

static int rpc_answer_odd_status(struct rpc *rpc, uint32_t stream)
{
	if (rpc_send_head(rpc, stream, "200") < 0)
		return -1;
	return rpc_send_trailer(rpc, stream, "-99999999999999999999", "odd");
}

static int rpc_answer_no_status(struct rpc *rpc, uint32_t stream)
{
	if (rpc_send_head(rpc, stream, "200") < 0)
		return -1;
	return rpc_send(rpc, H2_DATA, H2_END_STREAM, stream, "\0\0\0\0\0", 5);
}

static int rpc_answer_http_error(struct rpc *rpc, uint32_t stream)
{
	if (rpc_send_head(rpc, stream, "404") < 0)
		return -1;
	return rpc_send(rpc, H2_DATA, H2_END_STREAM, stream, "not found", 9);
}

static int rpc_answer_junk(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t junk[] = { 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x08, 0x80, 0x80,
					0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80 };

	return rpc_send_message(rpc, stream, junk, sizeof(junk));
}

static int rpc_answer_twice(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t two[10];

	if (rpc_send_head(rpc, stream, "200") < 0 ||
	    rpc_send(rpc, H2_DATA, 0, stream, two, sizeof(two)) < 0)
		return -1;
	return rpc_send_trailer(rpc, stream, "0", NULL);
}

/* A message that says it has 4 GiB, then data without end. */
static int rpc_answer_endless(struct rpc *rpc, uint32_t stream)
{
	static uint8_t data[H2_CHUNK] = { 0, 0xff, 0xff, 0xff, 0xff };

	if (rpc_send_head(rpc, stream, "200") < 0)
		return -1;
	while (rpc_send(rpc, H2_DATA, 0, stream, data, sizeof(data)) == 0)
		;
	return -1;
}

/* A header list without end. */
static int rpc_answer_headers(struct rpc *rpc, uint32_t stream)
{
	uint8_t block[H2_CHUNK];
	char value[4000];
	size_t n = 0;

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 4; i++)
		n += rpc_put_field(block + n, "x-more", value);
	if (rpc_send(rpc, H2_HEADERS, 0, stream, block, n) < 0)
		return -1;
	while (rpc_send(rpc, H2_CONTINUATION, 0, stream, block, n) == 0)
		;
	return -1;
}

static int rpc_answer_window(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t most[] = { 0x7f, 0xff, 0xff, 0xff };

	if (rpc_send(rpc, H2_WINDOW_UPDATE, 0, 0, most, sizeof(most)) < 0)
		return -1;
	return rpc_send(rpc, H2_WINDOW_UPDATE, 0, stream, most, sizeof(most));
}

static int rpc_answer_goaway(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t last[8];

	rpc_send(rpc, H2_GOAWAY, 0, 0, last, sizeof(last));
	return 0;
}

/* Each wants an answer; none is ever read. */
static int rpc_answer_pings(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t data[8];

	while (rpc_send(rpc, H2_PING, 0, 0, data, sizeof(data)) == 0)
		;
	return -1;
}

static int rpc_answer_settings(struct rpc *rpc, uint32_t stream)
{
	while (rpc_send(rpc, H2_SETTINGS, 0, 0, NULL, 0) == 0)
		;
	return -1;
}

/* Good enough to be busy for ever: a byte of a promised message now and then. */
static int rpc_answer_drip(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t start[] = { 0, 0, 1, 0, 0 };
	int r = rpc_send_head(rpc, stream, "200");

	if (r == 0)
		r = rpc_send(rpc, H2_DATA, 0, stream, start, sizeof(start));
	while (r == 0) {
		usleep(200000);
		r = rpc_send(rpc, H2_DATA, 0, stream, "x", 1);
	}
	return -1;
}

static int rpc_answer_nothing(struct rpc *rpc, uint32_t stream)
{
	return 0;
}

static int rpc_answer_hang_up(struct rpc *rpc, uint32_t stream)
{
	return -1;
}

static int rpc_answer_well(struct rpc *rpc, uint32_t stream)
{
	return rpc_send_message(rpc, stream, "", 0);
}

/* A number of the request's at *@at. Return: false at its end */
static bool rpc_varint(const struct rpc *rpc, size_t *at, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; *at < rpc->len && shift < 64; shift += 7) {
		uint8_t byte = rpc->request[(*at)++];

		*v |= (uint64_t)(byte & 127) << shift;
		if (!(byte & 128))
			return true;
	}
	return false;
}

/* Dial the ports that a request to create a process has in its fields 3 to 5. */
static bool rpc_dial_streams(const struct rpc *rpc)
{
	size_t at = 5; /* behind the prefix */
	bool any = false;
	uint64_t tag, v;

	while (rpc_varint(rpc, &at, &tag) && rpc_varint(rpc, &at, &v)) {
		if ((tag & 7) == 2)
			at += v;
		else if (tag >> 3 >= 3 && tag >> 3 <= 5 && v >= HOSTILE_STDIO_PORT)
			any |= hostile_dial((uint32_t)v) >= 0;
	}
	return any;
}

/*
 * The first connection's calls all succeed.  The streams are connected when the
 * host asks for the program to be created; the next call is the start, and the
 * one after that the wait for its end.
 *
 * Return: calls since the streams are there
 */
static unsigned rpc_connect_streams(const struct rpc *rpc)
{
	static unsigned calls;

	if (calls > 0 || rpc_dial_streams(rpc))
		calls++;
	return calls;
}

static int rpc_answer_exit_code(struct rpc *rpc, uint32_t stream)
{
	static const uint8_t code[] = { 0x08, 0xf0, 0xa2, 0x04 }; /* field 1: 70000 */

	if (rpc_connect_streams(rpc) == 3)
		return rpc_send_message(rpc, stream, code, sizeof(code));
	return rpc_answer_well(rpc, stream);
}

/* Power off under a program that the host believes to run. */
static int rpc_answer_until_started(struct rpc *rpc, uint32_t stream)
{
	unsigned calls;

	if (rpc->index > 0)
		return 0;
	calls = rpc_connect_streams(rpc);
	if (calls == 3) { /* who waits for the end has seen the start */
		hostile_say("going down under a running program");
		sleep(1);
		hostile_power_off();
	}
	return calls > 3 ? 0 : rpc_answer_well(rpc, stream);
}

/* --- the server --- */

/* Read frames for ever; each ended request is answered. */
static void rpc_serve(struct rpc *rpc, rpc_answer answer)
{
	uint8_t head[H2_FRAME], *skip = rpc->request;

	if (rpc_read(rpc->fd, skip, H2_PREFACE) < 0 ||
	    rpc_send(rpc, H2_SETTINGS, 0, 0, NULL, 0) < 0)
		return;
	while (rpc_read(rpc->fd, head, sizeof(head)) == 0) {
		size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
		uint32_t stream = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 |
				  (uint32_t)head[7] << 8 | head[8];
		int r = 0;

		if (n > sizeof(rpc->request) || (n && rpc_read(rpc->fd, skip, n) < 0))
			return;
		rpc->len = n;
		if (head[3] == H2_SETTINGS && !(head[4] & H2_ACK))
			r = rpc_send(rpc, H2_SETTINGS, H2_ACK, 0, NULL, 0);
		if (head[3] <= H2_HEADERS && (head[4] & H2_END_STREAM))
			r = answer(rpc, stream);
		if (r < 0)
			return;
	}
}

static void rpc_serve_noise(struct rpc *rpc, rpc_answer answer)
{
	uint32_t noise[4096];

	do
		for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
			noise[i] = hostile_random();
	while (hostile_write(rpc->fd, noise, sizeof(noise)) == 0);
}

/* Connected, and that is all. */
static void rpc_serve_silence(struct rpc *rpc, rpc_answer answer)
{
	hostile_sleep();
}

static void rpc_serve_nobody(struct rpc *rpc, rpc_answer answer)
{
}

static const struct rpc_case {
	const char *name;
	void (*serve)(struct rpc *rpc, rpc_answer answer);
	rpc_answer answer;
} rpc_cases[] = {
	{ "rpc-noise", rpc_serve_noise },
	{ "rpc-silence", rpc_serve_silence },
	{ "rpc-nobody", rpc_serve_nobody },
	{ "rpc-error", rpc_serve, rpc_answer_error },
	{ "rpc-long-error", rpc_serve, rpc_answer_long_error },
	{ "rpc-odd-status", rpc_serve, rpc_answer_odd_status },
	{ "rpc-no-status", rpc_serve, rpc_answer_no_status },
	{ "rpc-http-error", rpc_serve, rpc_answer_http_error },
	{ "rpc-junk", rpc_serve, rpc_answer_junk },
	{ "rpc-twice", rpc_serve, rpc_answer_twice },
	{ "rpc-endless", rpc_serve, rpc_answer_endless },
	{ "rpc-headers", rpc_serve, rpc_answer_headers },
	{ "rpc-window", rpc_serve, rpc_answer_window },
	{ "rpc-goaway", rpc_serve, rpc_answer_goaway },
	{ "rpc-pings", rpc_serve, rpc_answer_pings },
	{ "rpc-settings", rpc_serve, rpc_answer_settings },
	{ "rpc-drip", rpc_serve, rpc_answer_drip },
	{ "rpc-nothing", rpc_serve, rpc_answer_nothing },
	{ "rpc-hang-up", rpc_serve, rpc_answer_hang_up },
	{ "rpc-well", rpc_serve, rpc_answer_well },
	{ "rpc-exit-code", rpc_serve, rpc_answer_exit_code },
	{ "rpc-until-started", rpc_serve, rpc_answer_until_started },
};

/* Greet, then a child for each connection. */
static void rpc_listen(const struct rpc_case *c)
{
	int listener = hostile_listen(HOSTILE_RPC_PORT);

	hostile_greet();
	for (unsigned i = 0;; i++) {
		struct rpc rpc = { .fd = accept(listener, NULL, NULL), .index = i };

		if (fork() == 0) {
			c->serve(&rpc, c->answer);
			close(rpc.fd);
			hostile_sleep();
		}
		close(rpc.fd);
	}
}

void hostile_rpc(const char *name)
{
	for (size_t i = 0; i < sizeof(rpc_cases) / sizeof(rpc_cases[0]); i++)
		if (strcmp(rpc_cases[i].name, name) == 0)
			rpc_listen(&rpc_cases[i]);
}
