/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/user.h - who a process runs as, by the container's own passwd and group files
 */
#ifndef AGENT_USER_H
#define AGENT_USER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

#define USER_ID_MAX	2147483647u
#define USER_GROUPS_MAX 1024 /* supplementary groups; further ones are an error */
#define USER_HOME_MAX	4096 /* bytes with the NUL */
#define USER_FILE_MAX	((size_t)1 << 20)

struct user {
	uint32_t uid, gid;
	uint32_t groups[USER_GROUPS_MAX]; /* no duplicates, first mention first */
	size_t ngroups;
	char home[USER_HOME_MAX];
};

/* The two files as text; neither needs a NUL, either may be empty. */
struct user_files {
	const char *passwd;
	size_t passwd_len;
	const char *group;
	size_t group_len;
};

/**
 * user_lookup() - Resolve "user" or "user:group", each a name or a number
 * @u:		Filled; groups that it holds already stay in front
 *
 * A name wins over a number written alike.  An unknown name is an error, an
 * unknown number is taken as it is, with home "/" and, without a group, gid 0.
 *
 * Return: 0 or negative errno
 */
int user_lookup(const struct user_files *files, const char *spec, struct user *u,
		struct coffer_error *err);

/**
 * user_resolve() - Make @process->user numeric by the files below @rootfd
 *
 * Also sets HOME when the environment lacks it.  A missing file is an empty one.
 */
int user_resolve(int rootfd, struct oci_process *process, struct coffer_error *err);

#endif /* AGENT_USER_H */
