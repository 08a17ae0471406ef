/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/registry_internal.h - what the client's files share
 */
#ifndef IMAGE_REGISTRY_INTERNAL_H
#define IMAGE_REGISTRY_INTERNAL_H

#include "image/credentials.h"
#include "image/registry/auth.h"
#include "image/registry/inquiry.h"
#include "image/registry/http.h"
#include "image/registry/registry.h"
#include "image/registry/trust.h"

#define REGISTRY_STALL 60 /* seconds */

/* A place that can be asked: a mirror, or the registry itself, which is the last. */
struct endpoint {
	char *name;	  /* owned; as people write it, for settings and credentials */
	char *host;	  /* owned; host[:port] */
	char *repository; /* owned; a mirror's with its prefix */
	struct trust trust;
	const char *schemes[2]; /* to try, in this order */
	size_t nschemes, scheme;
	bool scheme_known;
	long plain_status; /* what was answered before TLS was tried, 0: nothing */
	/* Authorization */
	bool who_known;
	struct credentials who;
	char *authorization;		 /* owned; the header, or NULL: none needed so far */
	usec_t expires;			 /* of a token */
	struct auth_challenge challenge; /* that it was got for */
	unsigned generation;		 /* how often it has changed */
};

struct registry {
	const struct reference *ref;
	const struct settings *settings;
	struct registry_how how;
	struct http *http;
	struct endpoint *endpoints; /* owned */
	size_t count;
	size_t current;	     /* the endpoint that has last answered */
	const char **mounts; /* owned; repositories to read from while pushing, borrowed */
	size_t nmounts;
};

static inline struct endpoint *registry_self(const struct registry *r)
{
	return &r->endpoints[r->count - 1];
}

/* registry_tell() - Report progress, if anybody is interested */
void registry_tell(const struct registry *r, enum coffer_progress_kind kind, const char *what,
		   uint64_t done, uint64_t total);

/* endpoint_open() - @name: a registry. endpoint_open_mirror(): @url: a mirror's */
int endpoint_open(const struct settings *settings, const char *name, const char *repository,
		  struct endpoint *out, struct coffer_error *err);
int endpoint_open_mirror(const struct settings *settings, const char *url, const char *repository,
			 struct endpoint *out, struct coffer_error *err);
void endpoint_close(struct endpoint *e);
/* endpoint_url() - Of what is behind /v2/REPOSITORY/; *@out is malloc'd */
int endpoint_url(const struct endpoint *e, const char *tail, char **out, struct coffer_error *err);
/* endpoint_is_safe() - Whether what goes to @o is read by nobody else, or that was agreed to */
bool endpoint_is_safe(const struct endpoint *e, const struct origin *o);

/**
 * token_answer() - Get what the 401 of @call asks for, into @e's authorization
 *
 * Return: 0, or negative errno: invalid-state: it cannot be had
 */
int token_answer(struct registry *r, struct endpoint *e, const struct http_call *call,
		 struct coffer_error *err);
/* token_renew() - If it was a token and its time is over */
int token_renew(struct registry *r, struct endpoint *e, struct coffer_error *err);

#endif /* IMAGE_REGISTRY_INTERNAL_H */
