/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/passwd.h - who a user is, by a container's own passwd and group files
 */
#ifndef SPEC_PASSWD_H
#define SPEC_PASSWD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

#define PASSWD_ID_MAX	  2147483647u
#define PASSWD_GROUPS_MAX 1024 /* supplementary groups; further ones are an error */
#define PASSWD_HOME_MAX	  4096 /* bytes with the NUL */
#define PASSWD_FILE_MAX	  ((size_t)1 << 20)

struct passwd_user {
	uint32_t uid, gid;
	uint32_t groups[PASSWD_GROUPS_MAX]; /* no duplicates, first mention first */
	size_t ngroups;
	char home[PASSWD_HOME_MAX];
};

/* The two files as text; neither needs a NUL, either may be empty. */
struct passwd_files {
	const char *passwd;
	size_t passwd_len;
	const char *group;
	size_t group_len;
};

/**
 * passwd_lookup() - Resolve "user" or "user:group", each a name or a number
 * @u:		Filled; groups that it holds already stay in front
 *
 * A name wins over a number written alike.  An unknown name is an error, an
 * unknown number is taken as it is, with home "/" and, without a group, gid 0.
 *
 * Return: 0 or negative errno
 */
int passwd_lookup(const struct passwd_files *files, const char *spec, struct passwd_user *u,
		  struct coffer_error *err);

/* passwd_add_group() - @gid to the groups of @u, once */
int passwd_add_group(struct passwd_user *u, uint32_t gid, struct coffer_error *err);

/**
 * passwd_apply() - Fill in ids, groups and HOME of a process document
 *
 * Who it is says user.username, or else uid and gid; groups it names already stay.
 *
 * Return: 0 or negative errno
 */
int passwd_apply(const struct passwd_files *files, struct oci_process *process,
		 struct coffer_error *err);

#endif /* SPEC_PASSWD_H */
