/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/auth.c - the parser of WWW-Authenticate
 *
 *	challenges = challenge *("," challenge)
 *	challenge  = scheme [ 1*SP ( token68 / parameter *("," parameter) ) ]
 *	parameter  = word "=" ( word / quoted-string )
 *
 * A comma may stand before one more parameter or before the next challenge:
 * what has no "=" behind its first word is a challenge.  Each function moves
 * the cursor over what it takes and leaves it alone when that is not there.
 * Callers: token.c; a fuzz target.
 */
#include "image/registry/auth.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define AUTH_WORD    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define AUTH_SPACE   " \t"
#define AUTH_TOKEN68 AUTH_WORD "/"

static void auth_skip(const char **at, const char *what)
{
	*at += strspn(*at, what);
}

/* auth_quoted() - A quoted string; what does not fit is cut off and refused. @out: may be NULL */
static bool auth_quoted(const char **at, char *out, size_t size)
{
	const char *p = *at;
	size_t n = 0;

	if (*p++ != '"')
		return false;
	for (; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if ((unsigned char)*p < ' ' || *p == 0x7f || n + 1 >= size)
			return false;
		out[n++] = *p;
	}
	out[n] = '\0';
	*at = p + 1;
	return true;
}

/* auth_word() - A word of the characters in @set */
static bool auth_word(const char **at, const char *set, char *out, size_t size)
{
	size_t n = strspn(*at, set);

	if (n == 0 || n >= size)
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at += n;
	return true;
}

/* auth_param() - One parameter into @c if it is one of those we need. Return: whether it is one */
static bool auth_param(const char **at, struct auth_challenge *c)
{
	const struct {
		const char *name;
		char *value;
		size_t size;
	} known[] = {
		{ "realm", c->realm, sizeof(c->realm) },
		{ "service", c->service, sizeof(c->service) },
		{ "scope", c->scope, sizeof(c->scope) },
	};
	char name[64], value[AUTH_SCOPE_MAX];
	const char *p = *at;

	if (!auth_word(&p, AUTH_WORD, name, sizeof(name)))
		return false;
	auth_skip(&p, AUTH_SPACE);
	if (*p++ != '=')
		return false;
	auth_skip(&p, AUTH_SPACE);
	if (!auth_quoted(&p, value, sizeof(value)) &&
	    !auth_word(&p, AUTH_TOKEN68 ":", value, sizeof(value)))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcasecmp(name, known[i].name) != 0)
			continue;
		if (strlen(value) >= known[i].size)
			return false;
		memcpy(known[i].value, value, strlen(value) + 1);
	}
	*at = p;
	return true;
}

/* auth_challenge_read() - A scheme and all of its parameters */
static bool auth_challenge_read(const char **at, struct auth_challenge *c)
{
	char scheme[64], ignored[AUTH_SCOPE_MAX];
	const char *p;

	if (!auth_word(at, AUTH_WORD, scheme, sizeof(scheme)))
		return false;
	if (strcasecmp(scheme, "basic") == 0)
		c->scheme = AUTH_BASIC;
	else if (strcasecmp(scheme, "bearer") == 0)
		c->scheme = AUTH_BEARER;
	auth_skip(at, AUTH_SPACE);
	if (**at == ',' || **at == '\0')
		return true;
	if (!auth_param(at, c)) {
		/* Such as "Negotiate YII...==" */
		bool is_token = auth_word(at, AUTH_TOKEN68, ignored, sizeof(ignored));

		auth_skip(at, "=");
		auth_skip(at, AUTH_SPACE);
		return is_token && (**at == ',' || **at == '\0');
	}
	for (;;) {
		auth_skip(at, AUTH_SPACE);
		p = *at;
		auth_skip(&p, AUTH_SPACE ",");
		if (p == *at)
			return *p == '\0';
		if (!auth_param(&p, c))
			return true; /* the next challenge, or the end */
		*at = p;
	}
}

int auth_parse(const char *header, struct auth_challenge *best)
{
	const char *at = header;

	auth_skip(&at, AUTH_SPACE ",");
	while (*at != '\0') {
		struct auth_challenge c = { 0 };

		if (!auth_challenge_read(&at, &c))
			return -EINVAL;
		if (c.scheme == AUTH_BEARER && c.realm[0] == '\0')
			return -EINVAL;
		if (c.scheme > best->scheme)
			*best = c;
		auth_skip(&at, AUTH_SPACE ",");
	}
	return 0;
}
