/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/user.c - who a process runs as, by the container's own passwd and group files
 *
 * The files belong to the image, so they are opened inside its root, bounded,
 * and read with a parser of our own; the C library's lookup would read the
 * agent's files and needs shared objects that a static program lacks.  Lines
 * that do not parse are skipped, as the C library does.
 *
 * Callers: process.c; unit tests and the fuzzer call user_lookup().
 */
#include "agent/user.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#define USER_FIELDS_MAX 7 /* of a passwd line; a group line has 4 */

/* A stretch of text, not terminated. */
struct user_text {
	const char *p;
	size_t n;
};

enum { PASSWD_NAME, PASSWD_PASSWORD, PASSWD_UID, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME };
enum { GROUP_NAME, GROUP_PASSWORD, GROUP_GID, GROUP_MEMBERS };

/* Cut @sep-terminated text off the head of @rest. Return: false when nothing is left */
static bool user_cut(struct user_text *rest, char sep, struct user_text *out)
{
	const char *end;

	if (!rest->p)
		return false;
	end = memchr(rest->p, sep, rest->n);
	*out = (struct user_text){ rest->p, end ? (size_t)(end - rest->p) : rest->n };
	if (end)
		*rest = (struct user_text){ end + 1, rest->n - out->n - 1 };
	else
		*rest = (struct user_text){ NULL, 0 };
	return true;
}

static bool user_text_is(struct user_text t, struct user_text s)
{
	return t.n == s.n && memcmp(t.p, s.p, t.n) == 0;
}

/* Decimal, no sign, at most USER_ID_MAX. */
static bool user_text_number(struct user_text t, uint32_t *out)
{
	uint64_t v = 0;

	if (t.n == 0 || t.n > 10)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	if (v > USER_ID_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* The next line with at least @want fields. Return: false at the end */
static bool user_next_line(struct user_text *rest, struct user_text *field, size_t want)
{
	struct user_text line;
	size_t n;

	while (user_cut(rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		for (n = 0; n < USER_FIELDS_MAX && user_cut(&line, ':', &field[n]);)
			n++;
		if (n >= want)
			return true;
	}
	return false;
}

static int user_add_group(struct user *u, uint32_t gid, struct coffer_error *err)
{
	for (size_t i = 0; i < u->ngroups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->ngroups == USER_GROUPS_MAX)
		return err_invalid(err, "more than %d groups", USER_GROUPS_MAX);
	u->groups[u->ngroups++] = gid;
	return 0;
}

/* Find the line whose name is @want or, when there is none, whose @idfield is that number. */
static bool user_find(struct user_text text, struct user_text want, size_t idfield, size_t fields,
		      struct user_text *field)
{
	uint32_t id = 0, number = 0;
	bool numeric = user_text_number(want, &number);
	struct user_text rest = text;

	while (user_next_line(&rest, field, fields))
		if (user_text_is(field[0], want) && user_text_number(field[idfield], &id))
			return true;
	rest = text;
	while (numeric && user_next_line(&rest, field, fields))
		if (user_text_number(field[idfield], &id) && id == number)
			return true;
	return false;
}

/* The user half: uid, primary gid, home. @name is set to the entry's, or left empty. */
static int user_find_user(const struct user_files *files, struct user_text want, struct user *u,
			  struct user_text *name, struct coffer_error *err)
{
	struct user_text field[USER_FIELDS_MAX];
	struct user_text passwd = { files->passwd, files->passwd_len };

	*name = (struct user_text){ "", 0 };
	strcpy(u->home, "/");
	u->gid = 0;
	if (!user_find(passwd, want, PASSWD_UID, PASSWD_HOME + 1, field)) {
		if (user_text_number(want, &u->uid))
			return 0;
		return err_set(err, COFFER_ERR_INTERNAL, ENOENT,
			       "no user \"%.*s\" in the container's /etc/passwd",
			       (int)(want.n < 256 ? want.n : 256), want.p);
	}
	*name = field[PASSWD_NAME];
	user_text_number(field[PASSWD_UID], &u->uid);
	if (!user_text_number(field[PASSWD_GID], &u->gid))
		u->gid = 0;
	if (field[PASSWD_HOME].n > 0 && field[PASSWD_HOME].n < sizeof(u->home) &&
	    !memchr(field[PASSWD_HOME].p, '\0', field[PASSWD_HOME].n)) {
		memcpy(u->home, field[PASSWD_HOME].p, field[PASSWD_HOME].n);
		u->home[field[PASSWD_HOME].n] = '\0';
	}
	return 0;
}

static int user_find_group(const struct user_files *files, struct user_text want, uint32_t *gid,
			   struct coffer_error *err)
{
	struct user_text field[USER_FIELDS_MAX];
	struct user_text group = { files->group, files->group_len };

	if (user_find(group, want, GROUP_GID, GROUP_GID + 1, field)) {
		user_text_number(field[GROUP_GID], gid);
		return 0;
	}
	if (user_text_number(want, gid))
		return 0;
	return err_set(err, COFFER_ERR_INTERNAL, ENOENT,
		       "no group \"%.*s\" in the container's /etc/group",
		       (int)(want.n < 256 ? want.n : 256), want.p);
}

static int user_add_memberships(const struct user_files *files, struct user_text name,
				struct user *u, struct coffer_error *err)
{
	struct user_text rest = { files->group, files->group_len };
	struct user_text field[USER_FIELDS_MAX], member;
	uint32_t gid;
	int r = 0;

	while (name.n > 0 && r == 0 && user_next_line(&rest, field, GROUP_MEMBERS + 1)) {
		if (!user_text_number(field[GROUP_GID], &gid))
			continue;
		while (r == 0 && user_cut(&field[GROUP_MEMBERS], ',', &member))
			if (user_text_is(member, name))
				r = user_add_group(u, gid, err);
	}
	return r;
}

int user_lookup(const struct user_files *files, const char *spec, struct user *u,
		struct coffer_error *err)
{
	struct user_text rest = { spec, strlen(spec) }, user = { 0 }, group = { 0 }, name;
	bool has_group;
	int r;

	user_cut(&rest, ':', &user);
	has_group = user_cut(&rest, '\n', &group);
	if (user.n == 0 || (has_group && group.n == 0))
		return err_invalid(err, "user \"%.256s\": empty name", spec);
	r = user_find_user(files, user, u, &name, err);
	if (r == 0 && has_group)
		r = user_find_group(files, group, &u->gid, err);
	if (r == 0)
		r = user_add_memberships(files, name, u, err);
	return r < 0 ? r : user_add_group(u, u->gid, err);
}

/* Regular files only: a fifo would block, a device could be anything. */
static int user_read_file(int rootfd, const char *path, char **text, size_t *len,
			  struct coffer_error *err)
{
	autoclose int fd =
	    path_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
	struct stat st;
	ssize_t n;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)USER_FILE_MAX)
		return err_invalid(err, "container's /%s: %s", path,
				   S_ISREG(st.st_mode) ? "too large" : "not a regular file");
	*text = malloc((size_t)st.st_size + 1);
	if (!*text)
		return err_nomem(err);
	n = io_read_full(fd, *text, (size_t)st.st_size);
	if (n < 0)
		return err_sysn(err, (int)n, "read %s", path);
	*len = (size_t)n;
	return 0;
}

static int user_store(const struct user *u, struct oci_process *process, struct coffer_error *err)
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
	if (!oci_env_get(process, "HOME"))
		return oci_env_set(process, "HOME", u->home, err);
	return 0;
}

int user_resolve(int rootfd, struct oci_process *process, struct coffer_error *err)
{
	autofree char *passwd = NULL, *group = NULL, *spec = NULL;
	autofree struct user *u = calloc(1, sizeof(*u));
	struct user_files files = { 0 };
	int r;

	if (process->user.username)
		spec = strdup(process->user.username);
	else if (asprintf(&spec, "%u:%u", process->user.uid, process->user.gid) < 0)
		spec = NULL;
	if (!u || !spec)
		return err_nomem(err);
	r = user_read_file(rootfd, "etc/passwd", &passwd, &files.passwd_len, err);
	if (r == 0)
		r = user_read_file(rootfd, "etc/group", &group, &files.group_len, err);
	for (size_t i = 0; r == 0 && i < process->user.additional_gids.n; i++)
		r = user_add_group(u, process->user.additional_gids.v[i], err);
	if (r < 0)
		return r;
	files.passwd = passwd;
	files.group = group;
	r = user_lookup(&files, spec, u, err);
	return r < 0 ? r : user_store(u, process, err);
}
