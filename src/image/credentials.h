/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/credentials.h - who we are to a registry: docker's config.json and its helpers
 *
 * "auths", "credsStore", "credHelpers" and "identitytoken"; helpers are the
 * programs docker-credential-NAME (their protocol: get, store, erase on
 * standard streams).  docker.io is "https://index.docker.io/v1/" there.
 */
#ifndef IMAGE_CREDENTIALS_H
#define IMAGE_CREDENTIALS_H

#include "base/cleanup.h"
#include "base/error.h"

struct credentials {
	char *user, *password; /* owned; both NULL: nobody */
	char *token;	       /* owned; an identity token, used instead, or NULL */
};

/* credentials_free() - Also wipes them */
void credentials_free(struct credentials *c);
/* credentials_find() - Nobody is no error. @file: docker's config.json */
int credentials_find(const char *file, const char *registry, struct credentials *out,
		     struct coffer_error *err);
int credentials_keep(const char *file, const char *registry, const struct credentials *c,
		     struct coffer_error *err);
/* credentials_forget() - Errors: not-found */
int credentials_forget(const char *file, const char *registry, struct coffer_error *err);

#endif /* IMAGE_CREDENTIALS_H */
