/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/inquiry.h - a question to a registry, asked until it is answered
 *
 *	WAITING --due--> RUNNING --answered() says so--> ENDED
 *	   ^                |
 *	   +----------------+  redirected; authorized; broken off; answered() asks
 *	                       the next question; the next endpoint
 *
 * What is asked next is in the struct; hooks fill it in and take the answers.
 * Internal to image/registry/.
 */
#ifndef IMAGE_REGISTRY_INQUIRY_H
#define IMAGE_REGISTRY_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "image/registry/http.h"
#include "image/registry/origin.h"
#include "image/registry/retry.h"

struct registry;

/* What answered() returns, or negative errno. */
enum inquiry_verdict {
	INQUIRY_DONE,
	INQUIRY_NEXT,  /* there is another question in the struct now */
	INQUIRY_AGAIN, /* the same after a pause; error.message says why */
};

struct inquiry {
	/* Who asks; kept */
	char what[200]; /* "blob sha256:..." */
	bool pinned;	/* to its endpoint: no falling back to the next */
	bool is_token;	/* of a token server: 401 is its answer */
	void *owner;
	/* The question; url goes before tail */
	const char *method;
	bool is_slow;		   /* there is much to do before it is answered */
	const char *tail;	   /* behind /v2/REPOSITORY/; borrowed */
	char *url;		   /* owned; NULL: from @tail */
	const char *accept;	   /* header, or NULL */
	char header[2][200];	   /* more of them, "": none */
	const char *authorization; /* header, to the first URL's origin; NULL: the endpoint's */
	const void *body;
	int fd;
	uint64_t from, length; /* of the body */
	/* Hooks; any may be NULL */
	int (*ask)(struct inquiry *x, struct coffer_error *err); /* before each try */
	bool (*data)(struct inquiry *x, const void *data,
		     size_t n); /* of 2xx; false: @error is set */
	void (*sent)(struct inquiry *x, uint64_t n);
	void (*broken)(struct inquiry *x); /* before it is tried again */
	int (*answered)(struct inquiry *x, struct coffer_error *err);
	/* The answer */
	struct http_call call;
	struct buf text; /* what came for nobody's data() */
	struct coffer_error error;
	bool is_passing; /* @error may not come again */
	bool is_ours;	 /* @error is this machine's fault: nobody else need be asked */
	/* inquiry.c's own */
	enum { INQUIRY_WAITING, INQUIRY_RUNNING, INQUIRY_ENDED } state;
	size_t endpoint;
	usec_t due;
	size_t dropped; /* bytes of an answer that was not asked for */
	struct retry retry;
	unsigned redirects, refusals;
	size_t scheme;	     /* of the endpoint, that was tried */
	unsigned generation; /* of the endpoint's authorization, that was sent */
	char *asked;	     /* owned; the URL of this try */
	char *moved;	     /* owned; where we were redirected to */
	struct origin home;  /* who gets the authorization */
	struct registry *registry;
};

#define INQUIRY_TEXT_MAX ((size_t)64 << 10) /* of answers that are not asked for */
#define INQUIRY_INIT(what_max)                                                                     \
	{                                                                                          \
		.fd = -1, .text = BUF_INIT(what_max)                                               \
	}

/* inquiry_run() - Until all have ended, or one has failed; @parallel at once, in this order */
int inquiry_run(struct registry *r, struct inquiry *list, size_t count, unsigned parallel,
		struct coffer_error *err);
void inquiry_free(struct inquiry *x);
#define autoinquiry CLEANUP(inquiry_free)

/* inquiry_refuse() - The status as an error, with the registry's words. Return: negative errno */
int inquiry_refuse(const struct inquiry *x, struct coffer_error *err);
/* inquiry_own_url() - Where it is asked, without redirects; *@out is malloc'd */
int inquiry_own_url(const struct inquiry *x, char **out, struct coffer_error *err);

#endif /* IMAGE_REGISTRY_INQUIRY_H */
