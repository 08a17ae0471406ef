/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's mounts, names and platform.  A line is a mount: its kind as a
 * digit, then source, target and options, with tabs in between; before the
 * first such line, one each for hosts, name servers, search domains and the
 * platform.  What passes the checks must come out in order and in a document.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "container/mounts.h"
#include "container/storage.h"

#define LINES  4
#define WORDS  8
#define MOUNTS 16

struct words {
	const char *v[WORDS + 1];
};

static void split(char *line, const char *delim, struct words *out)
{
	size_t n = 0;

	for (char *word; n < WORDS && (word = strsep(&line, delim));)
		out->v[n++] = word;
}

static void check_order(const struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const char *target = m->v[i].target;
		size_t n = strlen(target);

		if (*target != '/' || n < 2 || target[n - 1] == '/' || strstr(target, "//") ||
		    strstr(target, "/../") || (n >= 3 && strcmp(target + n - 3, "/..") == 0))
			abort();
		if (i > 0 && m->v[i - 1].depth > m->v[i].depth)
			abort();
	}
}

static void check_emitted(const struct coffer_container_config *c)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *json = NULL;
	struct mounts m;

	if (mounts_plan(c->mounts, c->nmounts, &m, &err) < 0)
		abort();
	check_order(&m);
	for (size_t i = 0; i < m.n; i++)
		memcpy(m.v[i].device, "/dev/vda", sizeof("/dev/vda"));
	if (oci_spec_default(&spec, &err) < 0 || mounts_emit(&m, spec, &err) < 0)
		abort();
	/* Bytes that are no text are the document's to refuse. */
	json = oci_spec_to_json(spec, &err);
	mounts_close(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct coffer_container_config c = COFFER_CONTAINER_CONFIG_INIT;
	autofree char *text = strndup((const char *)data, size);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct words head[LINES] = { 0 }, options[MOUNTS] = { 0 };
	struct coffer_mount mounts[MOUNTS] = { 0 };
	char *rest = text, *line;

	for (size_t i = 0; i < LINES && (line = strsep(&rest, "\n")); i++)
		split(line, "\t", &head[i]);
	while (c.nmounts < MOUNTS && (line = strsep(&rest, "\n"))) {
		struct words *w = &options[c.nmounts];
		struct coffer_mount *m = &mounts[c.nmounts++];

		m->kind = (enum coffer_mount_kind)(*line - '0');
		m->read_only = *line && line[1] == 'r';
		split(line, "\t", w);
		m->source = w->v[1] && *w->v[1] ? w->v[1] : NULL;
		m->target = w->v[2];
		m->options = w->v[2] ? &w->v[3] : NULL;
	}
	c.mounts = mounts;
	c.hosts = head[0].v;
	c.dns.nameservers = head[1].v;
	c.dns.searches = head[2].v;
	c.platform = head[3].v[0] && *head[3].v[0] ? head[3].v[0] : NULL;
	if (storage_check(&c, &err) == 0)
		check_emitted(&c);
	else if (err.kind == COFFER_ERR_NONE || !err.message[0])
		abort();
	return 0;
}
