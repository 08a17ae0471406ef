/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/http.h - HTTP requests side by side, on connections that stay open
 *
 * One request is asked once: redirects, authorization and trying again are
 * inquiry.c's.  An answer with a status is an answer, whatever the status.
 */
#ifndef IMAGE_REGISTRY_HTTP_H
#define IMAGE_REGISTRY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "image/registry/trust.h"

struct http;

/* http_new() - @cancel_fd: readable: http_step() fails; -1: never */
int http_new(int cancel_fd, struct http **out, struct coffer_error *err);
void http_free(struct http *h);
DEFINE_CLEANUP(struct http *, http_free);

/* How it ended. */
enum http_end {
	HTTP_ANSWERED,	 /* there is a status, and the whole body if the length was told */
	HTTP_REFUSED,	 /* nobody there: no such name, no connection */
	HTTP_NOT_TLS,	 /* what answers speaks something else */
	HTTP_DISTRUST,	 /* its certificate, or ours */
	HTTP_BROKEN,	 /* the connection broke off, or nothing came for too long */
	HTTP_STOPPED,	 /* data() said so */
	HTTP_IMPOSSIBLE, /* libcurl refuses the question or the answer */
};

/* One request and its answer. */
struct http_call {
	/* The question; all is borrowed until the call is finished */
	const char *method, *url;
	const struct trust *trust;
	bool show_cert;		    /* ours, to this host */
	unsigned stall;		    /* seconds without progress before it is given up */
	const char *const *headers; /* "Name: value", NULL-terminated */
	/* The body: memory, or a piece of a file; none if @length is 0 */
	const void *body;
	int fd;
	uint64_t from, length;
	/* Pieces of the answer's body; false: stop */
	bool (*data)(void *arg, const void *data, size_t n);
	void (*sent)(void *arg, uint64_t n); /* bytes of the question's body; may be NULL */
	void *arg;
	/* The answer */
	bool finished;
	enum http_end end;
	long status;	      /* 0: none came */
	unsigned retry_after; /* seconds, 0: not said */
	bool stalled;	      /* HTTP_BROKEN because nothing came any more */
	const char *reason;   /* why there is no answer */
	/* http.c's own */
	struct http *http;
	void *easy, *list; /* owned while it has not been ended */
	uint64_t sent_bytes;
	size_t header_bytes;
	bool read_failed;
	char detail[256]; /* libcurl's words */
};

int http_start(struct http *h, struct http_call *call, struct coffer_error *err);
/* http_step() - Go on with all that were started, at most until @deadline. Errors: cancelled */
int http_step(struct http *h, usec_t deadline, struct coffer_error *err);
/* http_header() - Of the answer, the @index'th of that name; NULL: none. Valid until http_end().
 * In data(), too */
const char *http_header(const struct http_call *call, const char *name, size_t index);
/* http_end() - Done with it, finished or not */
void http_end(struct http_call *call);

#endif /* IMAGE_REGISTRY_HTTP_H */
