/* SPDX-License-Identifier: Apache-2.0 */
/* rpc_frames.h - HTTP/2 frames made by hand, for peers that do not keep to the rules */
#ifndef RPC_FRAMES_H
#define RPC_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAMES_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FRAMES_PATH    "/com.apple.containerization.sandbox.v3.SandboxContext/"

enum {
	F_DATA = 0,
	F_HEADERS = 1,
	F_RST = 3,
	F_SETTINGS = 4,
	F_PING = 6,
	F_GOAWAY = 7,
	F_WINDOW_UPDATE = 8,
	F_CONTINUATION = 9,

	F_END_STREAM = 1,
	F_END_HEADERS = 4,
};

struct frames {
	uint8_t data[1 << 17];
	size_t len;
};

static inline void frames_bytes(struct frames *f, const void *p, size_t n)
{
	if (n)
		memcpy(f->data + f->len, p, n);
	f->len += n;
}

static inline void frames_head(struct frames *f, size_t n, int type, int flags, uint32_t stream)
{
	uint8_t h[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type,
			 (uint8_t)flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
			 (uint8_t)(stream >> 8), (uint8_t)stream };

	frames_bytes(f, h, sizeof(h));
}

static inline void frames_put(struct frames *f, int type, int flags, uint32_t stream,
			      const void *p, size_t n)
{
	frames_head(f, n, type, flags, stream);
	frames_bytes(f, p, n);
}

/* A header as a literal without indexing; both shorter than 127 bytes. */
static inline void frames_header(struct frames *f, const char *name, const char *value)
{
	uint8_t n[2] = { 0, (uint8_t)strlen(name) }, v = (uint8_t)strlen(value);

	frames_bytes(f, n, 2);
	frames_bytes(f, name, n[1]);
	frames_bytes(f, &v, 1);
	frames_bytes(f, value, v);
}

/* Closes the frame whose head stands at @at. */
static inline void frames_fix(struct frames *f, size_t at)
{
	size_t n = f->len - at - 9;

	f->data[at] = (uint8_t)(n >> 16);
	f->data[at + 1] = (uint8_t)(n >> 8);
	f->data[at + 2] = (uint8_t)n;
}

static inline void frames_open(struct frames *f)
{
	f->len = 0;
	frames_bytes(f, FRAMES_PREFACE, sizeof(FRAMES_PREFACE) - 1);
	frames_put(f, F_SETTINGS, 0, 0, NULL, 0);
}

/* The headers of a call; @name and @value are one more, or NULL. */
static inline void frames_call(struct frames *f, uint32_t stream, const char *method, int flags,
			       const char *name, const char *value)
{
	char path[128] = FRAMES_PATH;
	size_t at = f->len;

	strcat(path, method);
	frames_head(f, 0, F_HEADERS, F_END_HEADERS | flags, stream);
	frames_header(f, ":method", "POST");
	frames_header(f, ":scheme", "http");
	frames_header(f, ":path", path);
	frames_header(f, ":authority", "x");
	frames_header(f, "te", "trailers");
	frames_header(f, "content-type", "application/grpc");
	if (name)
		frames_header(f, name, value);
	frames_fix(f, at);
}

/* One DATA frame with one gRPC message whose length is said to be @announced. */
static inline void frames_message(struct frames *f, uint32_t stream, int flags, uint8_t compressed,
				  uint32_t announced, const void *p, size_t n)
{
	uint8_t h[5] = { compressed, (uint8_t)(announced >> 24), (uint8_t)(announced >> 16),
			 (uint8_t)(announced >> 8), (uint8_t)announced };

	frames_head(f, n + 5, F_DATA, flags, stream);
	frames_bytes(f, h, 5);
	frames_bytes(f, p, n);
}

#endif /* RPC_FRAMES_H */
