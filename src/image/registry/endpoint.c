/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/endpoint.c - one place that can be asked: a registry or a mirror of one
 *
 * HTTPS, except: a loopback address is asked over plain HTTP first, which is
 * what mostly listens there, unless certificates for it are given; a registry
 * that is "insecure" over HTTP after HTTPS; a mirror over what its URL says.
 * Callers: registry.c, inquiry.c, token.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/registry/registry_internal.h"

#define ENDPOINT_DOCKER	     "docker.io"
#define ENDPOINT_DOCKER_HOST "registry-1.docker.io"

/* endpoint_fill() - All strings are taken over, NULL means no memory */
static int endpoint_fill(struct endpoint *e, const struct settings *settings, char *name,
			 char *host, char *repository, struct coffer_error *err)
{
	int r;

	*e = (struct endpoint){ .name = name, .host = host, .repository = repository };
	e->who = (struct credentials){ 0 };
	e->expires = USEC_INFINITY;
	if (!name || !host || !repository)
		r = err_nomem(err);
	else
		r = trust_load(settings, name, &e->trust, err);
	if (r < 0)
		endpoint_close(e);
	return r;
}

/* endpoint_is_local() - By "host:port" */
static bool endpoint_is_local(const char *host)
{
	char text[300];
	struct origin o;

	snprintf(text, sizeof(text), "http://%s/", host);
	return origin_parse(text, &o, NULL) == 0 && origin_is_loopback(&o);
}

int endpoint_open(const struct settings *settings, const char *name, const char *repository,
		  struct endpoint *out, struct coffer_error *err)
{
	bool is_docker = strcmp(name, ENDPOINT_DOCKER) == 0;
	int r =
	    endpoint_fill(out, settings, strdup(name),
			  strdup(is_docker ? ENDPOINT_DOCKER_HOST : name), strdup(repository), err);

	if (r < 0)
		return r;
	if (endpoint_is_local(out->host) && !trust_is_given(&out->trust))
		out->schemes[out->nschemes++] = "http";
	out->schemes[out->nschemes++] = "https";
	if (out->nschemes == 1 && out->trust.insecure)
		out->schemes[out->nschemes++] = "http";
	return 0;
}

int endpoint_open_mirror(const struct settings *settings, const char *url, const char *repository,
			 struct endpoint *out, struct coffer_error *err)
{
	const char *host = strstr(url, "://"), *scheme = "https";
	char *name, *path = NULL;
	struct origin o;
	size_t n;
	int r;

	*out = (struct endpoint){ 0 };
	r = origin_parse(url, &o, err);
	if (r == 0 && (!host || strpbrk(url, "?#")))
		r = err_invalid(err, "not https://HOST[:PORT][/PREFIX]");
	if (r < 0)
		return err_wrap(err, "mirror %s", url);
	if (!o.secure)
		scheme = "http";
	host += strlen("://");
	n = strcspn(host, "/");
	name = strndup(host, n);
	host += n;
	host += strspn(host, "/");
	n = strlen(host);
	while (n > 0 && host[n - 1] == '/')
		n--;
	if (asprintf(&path, "%.*s%s%s", (int)n, host, n > 0 ? "/" : "", repository) < 0)
		path = NULL;
	r = endpoint_fill(out, settings, name, name ? strdup(name) : NULL, path, err);
	if (r < 0)
		return err_wrap(err, "mirror %s", url);
	out->schemes[out->nschemes++] = scheme;
	return 0;
}

void endpoint_close(struct endpoint *e)
{
	free(e->name);
	free(e->host);
	free(e->repository);
	trust_free(&e->trust);
	credentials_free(&e->who);
	if (e->authorization)
		explicit_bzero(e->authorization, strlen(e->authorization));
	free(e->authorization);
	*e = (struct endpoint){ 0 };
}

int endpoint_url(const struct endpoint *e, const char *tail, char **out, struct coffer_error *err)
{
	const char *slash = e->repository[0] ? "/" : "";

	if (asprintf(out, "%s://%s/v2/%s%s%s", e->schemes[e->scheme], e->host, e->repository, slash,
		     tail) >= 0)
		return 0;
	*out = NULL;
	return err_nomem(err);
}

bool endpoint_is_safe(const struct endpoint *e, const struct origin *o)
{
	return o->secure || origin_is_loopback(o) || e->trust.insecure;
}
