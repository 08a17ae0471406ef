/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/subids.c - the ids that an ordinary user has been given
 *
 * Lines of /etc/subuid and /etc/subgid are USER:FIRST:COUNT, USER by name or
 * number.  The set-uid programs that make maps of them look into the files
 * again, and refuse what is not there; so a line that is read wrong here costs
 * an error, no more.
 *
 * Callers: bundle.c.
 */
#include "container/subids.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "engine/idmap.h"

#define SUBIDS_FILE_MAX ((size_t)1 << 20)
#define SUBIDS_ID_END	UINT64_C(0xffffffff) /* -1 is no id */

void subids_free(struct subids *s)
{
	free(s->uids.v);
	free(s->gids.v);
	*s = (struct subids){ 0 };
}

static int subids_add(struct oci_id_mappings *map, uint32_t host, uint32_t count,
		      struct coffer_error *err)
{
	const struct oci_id_mapping *last = map->n ? &map->v[map->n - 1] : NULL;
	uint64_t next = last ? (uint64_t)last->container_id + last->size : 0;
	struct oci_id_mapping *v;

	if (map->n == IDMAP_LINES_MAX || next + count > SUBIDS_ID_END)
		return 0;
	v = reallocarray(map->v, map->n + 1, sizeof(*v));
	if (!v)
		return err_nomem(err);
	v[map->n++] = (struct oci_id_mapping){ (uint32_t)next, host, count };
	map->v = v;
	return 0;
}

/* A number up to the end of the text, or false. */
static bool subids_number(const char *text, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && !*end && *out < SUBIDS_ID_END;
}

/* @line is cut up. */
static int subids_line(char *line, const char *name, uint32_t id, struct oci_id_mappings *map,
		       struct coffer_error *err)
{
	char *user = strsep(&line, ":"), *first = strsep(&line, ":");
	uint64_t who, host, count;

	if (!first || !line || !subids_number(first, &host) || !subids_number(line, &count) ||
	    count == 0 || host + count > SUBIDS_ID_END)
		return 0;
	if (!(name && strcmp(user, name) == 0) && !(subids_number(user, &who) && who == id))
		return 0;
	return subids_add(map, (uint32_t)host, (uint32_t)count, err);
}

int subids_parse(const char *text, size_t n, const char *name, uint32_t id,
		 struct oci_id_mappings *map, struct coffer_error *err)
{
	autofree char *copy = strndup(text, n);
	char *rest = copy, *line;
	int r = 0;

	if (!copy)
		return err_nomem(err);
	while (r == 0 && (line = strsep(&rest, "\n")))
		r = subids_line(line, name, id, map, err);
	return r;
}

static int subids_read(const char *file, const char *name, uint32_t own,
		       struct oci_id_mappings *map, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t n;
	int r = subids_add(map, own, 1, err);

	/* None is an answer, too. */
	if (r < 0 || io_read_file(AT_FDCWD, file, SUBIDS_FILE_MAX, &text, &n, NULL) < 0)
		return r;
	return subids_parse(text, n, name, geteuid(), map, err);
}

int subids_find(struct subids *out, struct coffer_error *err)
{
	struct passwd pw, *found = NULL;
	char room[4096];
	int r;

	*out = (struct subids){ 0 };
	if (getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) != 0)
		found = NULL;
	r = subids_read("/etc/subuid", found ? found->pw_name : NULL, geteuid(), &out->uids, err);
	if (r == 0)
		r = subids_read("/etc/subgid", found ? found->pw_name : NULL, getegid(), &out->gids,
				err);
	if (r < 0) {
		subids_free(out);
		return r;
	}
	out->ranges = out->uids.n > 1 && out->gids.n > 1 && idmap_has_tools();
	if (!out->ranges)
		out->uids.n = out->gids.n = 1;
	return 0;
}
