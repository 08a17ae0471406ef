/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/origin.c - who an URL belongs to, and where a Location leads
 *
 * Callers: the rest of image/registry/.
 */
#include "image/registry/origin.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/registry/library.h"

struct origin_url {
	const struct library *lib;
	CURLU *url; /* owned */
};

static void origin_url_free(struct origin_url *u)
{
	if (u->url)
		u->lib->url_free(u->url);
}

static int origin_url_open(const char *text, struct origin_url *u, struct coffer_error *err)
{
	u->lib = library_get(err);
	if (!u->lib)
		return -EOPNOTSUPP;
	u->url = u->lib->url_new();
	if (!u->url)
		return err_nomem(err);
	if (strlen(text) >= ORIGIN_URL_MAX)
		return err_invalid(err, "an URL of more than %d characters", ORIGIN_URL_MAX - 1);
	if (u->lib->url_set(u->url, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK)
		return err_invalid(err, "not an URL that can be asked: %.200s", text);
	return 0;
}

/* origin_url_get() - A part of it in @out. Return: whether there is one that fits */
static bool origin_url_get(const struct origin_url *u, CURLUPart what, char *out, size_t size)
{
	char *text = NULL;
	bool ok = u->lib->url_get(u->url, what, &text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		  strlen(text) < size;

	if (ok)
		memcpy(out, text, strlen(text) + 1);
	u->lib->free(text);
	return ok;
}

int origin_parse(const char *url, struct origin *out, struct coffer_error *err)
{
	CLEANUP(origin_url_free) struct origin_url u = { 0 };
	char scheme[16], port[16];
	int r = origin_url_open(url, &u, err);

	*out = (struct origin){ 0 };
	if (r < 0)
		return r;
	if (!origin_url_get(&u, CURLUPART_SCHEME, scheme, sizeof(scheme)) ||
	    !origin_url_get(&u, CURLUPART_HOST, out->host, sizeof(out->host)) ||
	    !origin_url_get(&u, CURLUPART_PORT, port, sizeof(port)))
		return err_invalid(err, "not an URL that can be asked: %.200s", url);
	out->secure = strcmp(scheme, "https") == 0;
	out->port = (unsigned)strtoul(port, NULL, 10);
	if (!out->secure && strcmp(scheme, "http") != 0)
		return err_invalid(err, "an URL that is neither http nor https: %.200s", url);
	return 0;
}

bool origin_is_equal(const struct origin *a, const struct origin *b)
{
	return a->secure == b->secure && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

bool origin_host_is_loopback(const char *host)
{
	static const char local[] = ".localhost";
	size_t n = strlen(host);
	struct in_addr v4;

	if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	if (n >= sizeof(local) && strcasecmp(host + n - (sizeof(local) - 1), local) == 0)
		return true;
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

bool origin_is_loopback(const struct origin *o)
{
	return origin_host_is_loopback(o->host);
}

int origin_resolve(const char *base, const char *location, char **out, struct coffer_error *err)
{
	CLEANUP(origin_url_free) struct origin_url u = { 0 };
	char *text = NULL;
	int r = origin_url_open(base, &u, err);

	*out = NULL;
	if (r < 0)
		return r;
	if (strlen(location) >= ORIGIN_URL_MAX ||
	    u.lib->url_set(u.url, CURLUPART_URL, location, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    u.lib->url_get(u.url, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return err_invalid(err, "it leads to what is not an URL: %.200s", location);
	*out = strdup(text);
	u.lib->free(text);
	return *out ? 0 : err_nomem(err);
}
