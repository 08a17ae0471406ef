/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/passwd.c - who a user is, by a container's own passwd and group files
 *
 * The files belong to the image, so their text is read with a parser of our
 * own; the C library's lookup would read the machine's files and needs shared
 * objects that a static program lacks.  Lines that do not parse are skipped, as
 * the C library does.
 *
 * Callers: home.c, account.c; unit tests and the fuzzer.
 */
#include "spec/passwd.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PASSWD_FIELDS_MAX 7 /* of a passwd line; a group line has 4 */

/* A stretch of text, not terminated. */
struct passwd_text {
	const char *p;
	size_t n;
};

enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS };

/* Cut @sep-terminated text off the head of @rest. Return: false when nothing is left */
static bool passwd_cut(struct passwd_text *rest, char sep, struct passwd_text *out)
{
	const char *end;

	if (!rest->p)
		return false;
	end = memchr(rest->p, sep, rest->n);
	*out = (struct passwd_text){ rest->p, end ? (size_t)(end - rest->p) : rest->n };
	if (end)
		*rest = (struct passwd_text){ end + 1, rest->n - out->n - 1 };
	else
		*rest = (struct passwd_text){ NULL, 0 };
	return true;
}

static bool passwd_text_is(struct passwd_text t, struct passwd_text s)
{
	return t.n == s.n && memcmp(t.p, s.p, t.n) == 0;
}

/* Decimal, no sign, at most PASSWD_ID_MAX. */
static bool passwd_text_number(struct passwd_text t, uint32_t *out)
{
	uint64_t v = 0;

	if (t.n == 0 || t.n > 10)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	if (v > PASSWD_ID_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* The next line with at least @want fields. Return: false at the end */
static bool passwd_next_line(struct passwd_text *rest, struct passwd_text *field, size_t want)
{
	struct passwd_text line;
	size_t n;

	while (passwd_cut(rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		for (n = 0; n < PASSWD_FIELDS_MAX && passwd_cut(&line, ':', &field[n]);)
			n++;
		if (n >= want)
			return true;
	}
	return false;
}

int passwd_add_group(struct passwd_user *u, uint32_t gid, struct coffer_error *err)
{
	for (size_t i = 0; i < u->ngroups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->ngroups == PASSWD_GROUPS_MAX)
		return err_invalid(err, "more than %d groups", PASSWD_GROUPS_MAX);
	u->groups[u->ngroups++] = gid;
	return 0;
}

/* Find the line whose name is @want or, when there is none, whose @idfield is that number. */
static bool passwd_find(struct passwd_text text, struct passwd_text want, size_t idfield,
			size_t fields, struct passwd_text *field)
{
	uint32_t id = 0, number = 0;
	bool numeric = passwd_text_number(want, &number);
	struct passwd_text rest = text;

	while (passwd_next_line(&rest, field, fields))
		if (passwd_text_is(field[0], want) && passwd_text_number(field[idfield], &id))
			return true;
	rest = text;
	while (numeric && passwd_next_line(&rest, field, fields))
		if (passwd_text_number(field[idfield], &id) && id == number)
			return true;
	return false;
}

/* The user half: uid, primary gid, home. @name is set to the entry's, or left empty. */
static int passwd_find_user(const struct passwd_files *files, struct passwd_text want,
			    struct passwd_user *u, struct passwd_text *name,
			    struct coffer_error *err)
{
	struct passwd_text field[PASSWD_FIELDS_MAX];
	struct passwd_text passwd = { files->passwd, files->passwd_len };

	*name = (struct passwd_text){ "", 0 };
	strcpy(u->home, "/");
	u->gid = 0;
	if (!passwd_find(passwd, want, PASSWD_UID, PASSWD_HOME + 1, field)) {
		if (passwd_text_number(want, &u->uid))
			return 0;
		return err_set(err, COFFER_ERR_INTERNAL, ENOENT,
			       "no user \"%.*s\" in the container's /etc/passwd",
			       (int)(want.n < 256 ? want.n : 256), want.p);
	}
	*name = field[PASSWD_NAME];
	passwd_text_number(field[PASSWD_UID], &u->uid);
	if (!passwd_text_number(field[PASSWD_GID], &u->gid))
		u->gid = 0;
	if (field[PASSWD_HOME].n > 0 && field[PASSWD_HOME].n < sizeof(u->home) &&
	    !memchr(field[PASSWD_HOME].p, '\0', field[PASSWD_HOME].n)) {
		memcpy(u->home, field[PASSWD_HOME].p, field[PASSWD_HOME].n);
		u->home[field[PASSWD_HOME].n] = '\0';
	}
	return 0;
}

static int passwd_find_group(const struct passwd_files *files, struct passwd_text want,
			     uint32_t *gid, struct coffer_error *err)
{
	struct passwd_text field[PASSWD_FIELDS_MAX];
	struct passwd_text group = { files->group, files->group_len };

	if (passwd_find(group, want, GROUP_GID, GROUP_GID + 1, field)) {
		passwd_text_number(field[GROUP_GID], gid);
		return 0;
	}
	if (passwd_text_number(want, gid))
		return 0;
	return err_set(err, COFFER_ERR_INTERNAL, ENOENT,
		       "no group \"%.*s\" in the container's /etc/group",
		       (int)(want.n < 256 ? want.n : 256), want.p);
}

static int passwd_add_memberships(const struct passwd_files *files, struct passwd_text name,
				  struct passwd_user *u, struct coffer_error *err)
{
	struct passwd_text rest = { files->group, files->group_len };
	struct passwd_text field[PASSWD_FIELDS_MAX], member;
	uint32_t gid;
	int r = 0;

	while (name.n > 0 && r == 0 && passwd_next_line(&rest, field, GROUP_MEMBERS + 1)) {
		if (!passwd_text_number(field[GROUP_GID], &gid))
			continue;
		while (r == 0 && passwd_cut(&field[GROUP_MEMBERS], ',', &member))
			if (passwd_text_is(member, name))
				r = passwd_add_group(u, gid, err);
	}
	return r;
}

int passwd_lookup(const struct passwd_files *files, const char *spec, struct passwd_user *u,
		  struct coffer_error *err)
{
	struct passwd_text rest = { spec, strlen(spec) }, user = { 0 }, group = { 0 }, name;
	bool has_group;
	int r;

	passwd_cut(&rest, ':', &user);
	has_group = passwd_cut(&rest, '\n', &group);
	if (user.n == 0 || (has_group && group.n == 0))
		return err_invalid(err, "user \"%.256s\": empty name", spec);
	r = passwd_find_user(files, user, u, &name, err);
	if (r == 0 && has_group)
		r = passwd_find_group(files, group, &u->gid, err);
	if (r == 0)
		r = passwd_add_memberships(files, name, u, err);
	return r < 0 ? r : passwd_add_group(u, u->gid, err);
}

static int passwd_store(const struct passwd_user *u, struct oci_process *process,
			struct coffer_error *err)
{
	uint32_t *gids = malloc((u->ngroups ? u->ngroups : 1) * sizeof(*gids));

	if (!gids)
		return err_nomem(err);
	memcpy(gids, u->groups, u->ngroups * sizeof(*gids));
	free(process->user.additional_gids.v);
	process->user.additional_gids.v = gids;
	process->user.additional_gids.n = u->ngroups;
	process->user.uid = u->uid;
	process->user.gid = u->gid;
	return oci_env_get(process, "HOME") ? 0 : oci_env_set(process, "HOME", u->home, err);
}

int passwd_apply(const struct passwd_files *files, struct oci_process *process,
		 struct coffer_error *err)
{
	autofree struct passwd_user *u = calloc(1, sizeof(*u));
	autofree char *who = NULL;
	int r = 0;

	if (process->user.username)
		who = strdup(process->user.username);
	else if (asprintf(&who, "%u:%u", process->user.uid, process->user.gid) < 0)
		who = NULL;
	if (!u || !who)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < process->user.additional_gids.n; i++)
		r = passwd_add_group(u, process->user.additional_gids.v[i], err);
	if (r == 0)
		r = passwd_lookup(files, who, u, err);
	return r < 0 ? r : passwd_store(u, process, err);
}
