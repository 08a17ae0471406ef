/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/auth.h - what a registry wants to hear before it answers
 *
 * WWW-Authenticate of RFC 9110 (11.6.1): several challenges in one line or in
 * several, parameters as words or quoted strings.
 */
#ifndef IMAGE_REGISTRY_AUTH_H
#define IMAGE_REGISTRY_AUTH_H

#define AUTH_REALM_MAX 1024
#define AUTH_SCOPE_MAX 2048

/* A larger one is preferred. */
enum auth_scheme {
	AUTH_NONE, /* or one that we do not speak */
	AUTH_BASIC,
	AUTH_BEARER,
};

struct auth_challenge {
	enum auth_scheme scheme;
	char realm[AUTH_REALM_MAX];   /* of Bearer: the token server's URL */
	char service[AUTH_REALM_MAX]; /* "": not said */
	char scope[AUTH_SCOPE_MAX];
};

/**
 * auth_parse() - Take the best of the challenges in @header
 * @best:	Starts as all zero; kept when nothing better comes
 *
 * Return: 0, or -EINVAL: malformed; what stood before the fault has been taken
 */
int auth_parse(const char *header, struct auth_challenge *best);

#endif /* IMAGE_REGISTRY_AUTH_H */
