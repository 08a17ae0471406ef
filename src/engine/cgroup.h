/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup.h - the container's control group, whatever version the host has
 */
#ifndef ENGINE_CGROUP_H
#define ENGINE_CGROUP_H

#include "base/error.h"
#include "spec/spec.h"

#define CGROUP_PATH_MAX 4096 /* bytes with the NUL */

struct cgroup_ops;

struct cgroup {
	const struct cgroup_ops *ops;
	char *path;    /* below the hierarchy's root, "a/b/c"; owned */
	int rootfd;    /* the hierarchy's root; owned */
	int fd;        /* the group's directory; owned; -1: no group */
	unsigned depth; /* how many of the path's components have been walked */
	unsigned made;  /* how many of those, counted from the last, are ours */
};

#define CGROUP_INIT { .rootfd = -1, .fd = -1 }

struct cgroup_ops {
	const char *name;
	/* Open the hierarchy's root. Return: descriptor or -1 when this version is not here */
	int (*probe)(void);
	int (*create)(struct cgroup *cg, struct coffer_error *err);
	int (*limit)(const struct cgroup *cg, const struct oci_resources *res,
		     struct coffer_error *err);
	int (*limit_devices)(const struct cgroup *cg, const struct oci_resources *res,
			     struct coffer_error *err);
	int (*kill)(const struct cgroup *cg, int sig, struct coffer_error *err);
	/* Wait a bounded time for the processes to be gone, then remove */
	int (*remove)(struct cgroup *cg, struct coffer_error *err);
};

extern const struct cgroup_ops cgroup_v2_ops;

/**
 * cgroup_create() - Make the group of linux.cgroupsPath and set linux.resources
 *
 * Without a path and without limits a host that lets us make none is fine; the
 * container then has no group (fd is -1).
 */
int cgroup_create(const struct oci_spec *spec, const char *id, struct cgroup *out,
		  struct coffer_error *err);
/* cgroup_limit_devices() - linux.resources.devices; apart, because set-up may use more of them */
int cgroup_limit_devices(const struct cgroup *cg, const struct oci_resources *res,
			 struct coffer_error *err);
/* cgroup_kill() - Signal every process in it. Return: -ENOENT when there is no group */
int cgroup_kill(const struct cgroup *cg, int sig, struct coffer_error *err);
/* cgroup_remove() - Also frees what @cg owns, whatever happens */
int cgroup_remove(struct cgroup *cg, struct coffer_error *err);

#endif /* ENGINE_CGROUP_H */
