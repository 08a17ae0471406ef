/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/registry.c - opening a repository of a registry, and login
 *
 * Endpoints are the mirrors in their order, then the registry itself.  Reading
 * begins at the one that answered last and goes on to those behind it; writing
 * goes to the registry alone.
 */
#include <stdlib.h>
#include <string.h>

#include "image/registry/registry_internal.h"

void registry_tell(const struct registry *r, enum coffer_progress_kind kind, const char *what,
		   uint64_t done, uint64_t total)
{
	struct coffer_progress p = { .kind = kind, .what = what, .done = done, .total = total };

	if (r->how.progress)
		r->how.progress(r->how.data, &p);
}

static int registry_open_endpoints(struct registry *r, const char *name, const char *repository,
				   struct coffer_error *err)
{
	const struct settings_registry *said = settings_registry(r->settings, name);
	size_t mirrors = 0;
	int bad;

	while (!r->how.push && said->mirrors && said->mirrors[mirrors])
		mirrors++;
	r->endpoints = calloc(mirrors + 1, sizeof(*r->endpoints));
	if (!r->endpoints)
		return err_nomem(err);
	for (size_t i = 0; i < mirrors; i++) {
		bad = endpoint_open_mirror(r->settings, said->mirrors[i], repository,
					   &r->endpoints[i], err);
		if (bad < 0)
			return bad;
		r->count++;
	}
	bad = endpoint_open(r->settings, name, repository, &r->endpoints[mirrors], err);
	if (bad == 0)
		r->count++;
	return bad;
}

static int registry_new(const char *name, const char *repository, const struct settings *settings,
			const struct registry_how *how, struct registry **out,
			struct coffer_error *err)
{
	CLEANUP(registry_closep) struct registry *r = calloc(1, sizeof(*r));
	int bad;

	*out = NULL;
	if (!r)
		return err_nomem(err);
	r->settings = settings;
	r->how = *how;
	bad = http_new(how->cancel_fd, &r->http, err);
	if (bad == 0)
		bad = registry_open_endpoints(r, name, repository, err);
	if (bad < 0)
		return bad;
	*out = steal_ptr(r);
	return 0;
}

int registry_open(const struct reference *ref, const struct settings *settings,
		  const struct registry_how *how, struct registry **out, struct coffer_error *err)
{
	int r = registry_new(ref->registry, ref->path, settings, how, out, err);

	if (r == 0)
		(*out)->ref = ref;
	return r;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->count; i++)
		endpoint_close(&r->endpoints[i]);
	free(r->endpoints);
	free(r->mounts);
	http_free(r->http);
	free(r);
}

static int registry_pinged(struct inquiry *x, struct coffer_error *err)
{
	if (x->call.status == 404)
		return err_invalid(err, "this is not a registry: there is no /v2/");
	return x->call.status == 200 ? INQUIRY_DONE : inquiry_refuse(x, err);
}

int registry_ping(const char *host, const struct settings *settings, const char *user,
		  const char *password, struct coffer_error *err)
{
	const struct registry_how how = { .push = true, .cancel_fd = -1 };
	autoinquiry struct inquiry x = INQUIRY_INIT(INQUIRY_TEXT_MAX);
	CLEANUP(registry_closep) struct registry *r = NULL;
	struct endpoint *e;
	int bad = registry_new(host, "", settings, &how, &r, err);

	if (bad < 0)
		return bad;
	e = registry_self(r);
	e->who.user = strdup(user);
	e->who.password = strdup(password);
	e->who_known = true;
	if (!e->who.user || !e->who.password)
		return err_nomem(err);
	memcpy(x.what, "login", sizeof("login"));
	x.method = "GET";
	x.tail = "";
	x.answered = registry_pinged;
	return inquiry_run(r, &x, 1, 1, err);
}
